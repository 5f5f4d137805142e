"""What every WebGPU adapter offers is enough: with the default limits, and with less, a model gives the same tokens."""

from dataclasses import replace

import numpy as np
import pytest

from fanlight.compiler.program import Limits
from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams
from fanlight.engine.load import load_engine
from fanlight.formats.resolve import resolve_model
from fanlight.runtime import open_device
from scripts.golden.tiny_models import make_checkpoint
from tests.models.conftest import Options

PROMPT = np.random.default_rng(3).integers(3, 90, 40).tolist()
TINY = Limits()  # 16 KiB of workgroup memory, 8 storage buffers, 128 MiB bindings, no features
SPLIT = replace(TINY, max_storage_buffer_binding_size=512 << 10, max_buffer_size=512 << 10)


def tokens(path, device) -> list[int]:
    engine, _ = run(load_engine(run(resolve_model(path)), device, Options(context_length=128), lambda phase, done, total: None))
    assert isinstance(engine, Engine)
    sequence = engine.submit(PROMPT, SamplingParams(temperature=0, max_tokens=12, ignore_eos=True))
    while not sequence.is_finished:
        run(engine.wait([sequence]))
        sequence.take()
    engine.close()
    return sequence.generated_token_ids


@pytest.mark.parametrize("limits", [TINY, SPLIT], ids=["defaults", "512 KiB bindings"])
def test_small_limits_give_the_same_tokens(tmp_path, limits):
    make_checkpoint("llama-plain", tmp_path)
    assert tokens(tmp_path, open_device("native", limits)) == tokens(tmp_path, open_device("reference"))
