"""One file per architecture, named as config.json's `model_type` and GGUF's `general.architecture`.  The file's name is its
registration: it exports `forward`, `GGUF_NAMES` and `GGUF_INTERLEAVED`."""

import importlib
import struct
from dataclasses import dataclass
from types import ModuleType

from fanlight.compiler.graph import Graph
from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.checkpoint import Checkpoint
from fanlight.models.config import Config, config_from_gguf, read_config
from fanlight.models.weights import Names, Weights

ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True, slots=True)
class Model:
    config: Config
    weights: Weights
    architecture: ModuleType

    def graph(self, rows: int, samples: int) -> Graph:
        """The graph of a step of T = `rows` tokens after which B = `samples` of them are continued."""
        return Graph(self.architecture.forward(self.config, self.weights, rows, samples), rows, samples)


async def open_model(checkpoint: Checkpoint) -> Model:
    """Raises UnsupportedModel for an unknown architecture, FormatError for a broken configuration."""
    file = checkpoint.sources[0].name
    hf = await _hf_config(checkpoint)
    architecture = load_architecture(hf.get("model_type"), file)
    config = read_config(hf, file)
    names = Names(checkpoint, architecture.GGUF_NAMES, _interleaved(checkpoint, architecture), config.head_dim)
    weights = Weights(names, {})
    if not config.tie_word_embeddings and not weights["lm_head"].has():
        raise FormatError("tie_word_embeddings is false, but there is no lm_head", where=file)
    return Model(config, weights, architecture)


def load_architecture(model_type: object, file: str) -> ModuleType:
    if model_type not in ARCHITECTURES:
        raise UnsupportedModel(
            f"unknown architecture {model_type!r}; known are {', '.join(ARCHITECTURES)}",
            where=file,
            hint="fanlight show config MODEL",
        )
    return importlib.import_module(f"{__package__}.{model_type}")


def _interleaved(checkpoint: Checkpoint, architecture: ModuleType) -> bool:
    return checkpoint.format == "gguf" and architecture.GGUF_INTERLEAVED


async def _hf_config(checkpoint: Checkpoint) -> dict:
    if checkpoint.format != "gguf":
        return dict(checkpoint.metadata["config"])
    factors = None
    info = checkpoint.tensors.get("rope_freqs.weight")
    if info is not None:
        count = info.shape[0]
        if info.format != "F32" or not 0 < count <= 512:
            raise FormatError(f"rope_freqs.weight is {info.format} {list(info.shape)}, expected F32 [D/2]", where=info.name)
        factors = struct.unpack(f"<{count}f", await checkpoint.sources[info.source].read(info.offset, 4 * count))
    return config_from_gguf(checkpoint.metadata, checkpoint.tensors, factors)
