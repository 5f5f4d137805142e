"""LoRAs beside a model: they give what merged weights do, W + scale * B A, to each sequence by what it asked for."""

import json
import re
from pathlib import Path

import gguf
import numpy as np
import pytest

from fanlight.driver import run
from fanlight.engine import SamplingParams
from fanlight.errors import FanlightError, FormatError, RequestError, UnsupportedModel
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.models import open_model
from scripts.golden import tiny_architectures, tiny_encoders, tiny_models, tiny_vision
from scripts.golden.tiny_models import draw_uniform, write_folder, write_safetensors
from tests.models.conftest import LoadedModel
from tests.models.records import relative_error

PROMPT = [3, 17, 5, 44, 90, 12, 7, 61]
RANK, ALPHA = 6, 9.0
EXACT = 1e-4
CONFIG = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": ["q_proj"], "bias": "none"}


def tensors_of(name: str) -> tuple[dict, dict[str, np.ndarray]]:
    if name in tiny_models.CASES:
        return tiny_models.config_of(name), tiny_models.rounded_tensors(name)
    return tiny_architectures.config_of(name), tiny_architectures.rounded_tensors(name)


def is_changed(name: str) -> bool:
    return bool(re.search(r"layers\.\d+\..*(_proj|qkv_proj|gate_up_proj)\.weight$", name))


def lora_of(tensors: dict[str, np.ndarray], key: str, rank: int = RANK) -> dict[str, np.ndarray]:
    """A and B by module, of every product of the layers."""
    made = {}
    for name, w in tensors.items():
        if is_changed(name):
            module = name.removesuffix(".weight")
            made[f"{module}.lora_A.weight"] = draw_uniform(f"{key}/{name}/a", (rank, w.shape[1]), 0.3)
            made[f"{module}.lora_B.weight"] = draw_uniform(f"{key}/{name}/b", (w.shape[0], rank), 0.1)
    return made


def merged(tensors: dict[str, np.ndarray], lora: dict[str, np.ndarray], scale: float) -> dict[str, np.ndarray]:
    made = dict(tensors)
    for name in lora:
        if name.endswith(".lora_A.weight"):
            module = name.removesuffix(".lora_A.weight")
            made[f"{module}.weight"] = made[f"{module}.weight"] + scale * lora[f"{module}.lora_B.weight"] @ lora[name]
    return made


def write_lora(folder: Path, lora: dict[str, np.ndarray], **config: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, **config}))
    named = {f"base_model.model.{name}": values.astype(np.float32) for name, values in lora.items()}
    write_safetensors(folder / "adapter_model.safetensors", named, dict.fromkeys(named, "F32"))
    return folder


def write_model(folder: Path, config: dict, tensors: dict[str, np.ndarray]) -> Path:
    whole = {name: values.astype(np.float32) for name, values in tensors.items()}
    return write_folder(folder, config, config["vocab_size"], whole, dict.fromkeys(whole, "F32"))


def opened(*paths: Path):
    return run(open_checkpoint([source for path in paths for source in run(resolve_model(path))]))


def answer(model: LoadedModel, loras: dict[str, float] | None) -> np.ndarray:
    params = SamplingParams(temperature=0, max_tokens=1, ignore_eos=True, loras=loras)
    run(model.engine.wait([model.engine.submit(PROMPT, params)]))
    return np.frombuffer(run(model.device.read("logits", 0, 4 * model.engine.program.vocab_size)), np.float32)


def load(load_model, *paths: Path) -> LoadedModel:
    return load_model(paths[0], 64, loras=paths[1:])


ALL: list[dict[str, float] | None] = [{}, {"first": 1.0}, {"first": 0.25, "second": -1.0}, None]
CASES = [("llama-plain", wanted) for wanted in ALL] + [(name, None) for name in ("phi3-short", "qwen3-tied")]


@pytest.mark.parametrize(("name", "wanted"), CASES)
def test_as_merged_weights(name: str, wanted: dict[str, float] | None, tmp_path: Path, load_model) -> None:
    """Also where q, k and v, or gate and up, are one matrix of the file; and two at once."""
    config, tensors = tensors_of(name)
    first, second = lora_of(tensors, "first"), lora_of(tensors, "second", 3)
    base = write_model(tmp_path / "base", config, tensors)
    folders = write_lora(tmp_path / "first", first), write_lora(tmp_path / "second", second, r=3, use_rslora=True)
    model = load(load_model, base, *folders)
    assert model.engine.program.loras == ("first", "second")
    both = {"first": 1.0, "second": 1.0} if wanted is None else wanted
    weights = merged(tensors, first, ALPHA / RANK * both.get("first", 0))
    weights = merged(weights, second, ALPHA / 3**0.5 * both.get("second", 0))
    plain = load_model(write_model(tmp_path / "merged", config, weights), 64)
    found, expected = answer(model, wanted), plain.last_logits(PROMPT)
    assert relative_error(found, expected) < EXACT
    assert wanted == {} or relative_error(answer(model, {}), expected) > 0.05


def test_sequences_side_by_side_have_their_own(tmp_path: Path, load_model) -> None:
    """None reads what another LoRA has left in the prefix cache."""
    config, tensors = tensors_of("llama-plain")
    base = write_model(tmp_path / "base", config, tensors)
    model = load_model(base, 64, loras=[write_lora(tmp_path / "lora", lora_of(tensors, "x"))], max_num_seqs=3)
    prompt = (PROMPT * 5)[:36]

    def greedy(*wanted: dict[str, float]) -> list[list[int]]:
        params = [SamplingParams(temperature=0, max_tokens=8, ignore_eos=True, loras=each) for each in wanted]
        sequences = [model.engine.submit(prompt, each) for each in params]
        while open_ := [s for s in sequences if not s.is_finished]:
            [s.take() for s in open_]
            run(model.engine.wait(open_))
        return [s.generated_token_ids for s in sequences]

    alone = [greedy(wanted)[0] for wanted in ({}, {"lora": 1.0}, {"lora": -2.0})]
    assert len({tuple(answer) for answer in alone}) == 3
    assert greedy({}, {"lora": 1.0}, {"lora": -2.0}) == alone
    assert greedy({"lora": -2.0}, {}, {"lora": 1.0}) == [alone[2], alone[0], alone[1]]


def write_gguf_lora(path: Path, lora: dict[str, np.ndarray], names: dict[str, str], heads: dict[str, int]) -> Path:
    """As llama.cpp's converter does: rotary rows of B are put pair by pair, as those of W are."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", ALPHA)
    for name, values in lora.items():
        layer, part, kind = re.fullmatch(r"model\.layers\.(\d+)\.(.*)\.lora_([AB])\.weight", name).groups()
        if kind == "B" and part.split(".")[-1] in heads:
            count = heads[part.split(".")[-1]]
            values = values.reshape(count, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        writer.add_tensor(f"blk.{layer}.{names[part]}.weight.lora_{kind.lower()}", np.ascontiguousarray(values, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


NAMES = {f"self_attn.{part}_proj": f"attn_{part}" for part in "qkv"} | {"self_attn.o_proj": "attn_output"}
NAMES |= {f"mlp.{part}_proj": f"ffn_{part}" for part in ("gate", "up", "down")}


def test_a_gguf_file_beside_a_folder_and_a_folder_beside_a_gguf_file(tmp_path: Path, load_model) -> None:
    from scripts.golden import tiny_gguf

    config, tensors = tensors_of("llama-plain")
    lora = lora_of(tensors, "x")
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    base = write_model(tmp_path / "base", config, tensors)
    path = write_gguf_lora(tmp_path / "tuned.gguf", lora, NAMES, heads)
    plain = load_model(write_model(tmp_path / "merged", config, merged(tensors, lora, ALPHA / RANK)), 64)
    expected = plain.last_logits(PROMPT)
    assert relative_error(answer(load(load_model, base, path), None), expected) < EXACT

    name = "llama-F32"
    weights = {n: w for n, w in tiny_gguf.weights_of(name).items() if n.endswith("weight")}
    lora = lora_of(weights, "y")
    case = tiny_gguf.CASES[name]
    heads = {"q_proj": case.num_attention_heads, "k_proj": case.num_key_value_heads}
    base = tiny_gguf.make_gguf(name, tmp_path / "base.gguf")
    of_file = load(load_model, base, write_gguf_lora(tmp_path / "one.gguf", lora, NAMES, heads))
    of_folder = load(load_model, base, write_lora(tmp_path / "two", lora))
    found = answer(of_file, None)
    assert relative_error(answer(of_folder, None), found) < 1e-6
    assert relative_error(answer(of_file, {}), found) > 0.05


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"peft_type": "IA3"}, "peft_type"),
        ({"something_new": 1}, "something_new is not understood"),
        ({"r": 7}, "has rank 6"),
    ],
)
def test_what_is_not_understood_is_refused(config: dict, message: str, tmp_path: Path) -> None:
    model_config, tensors = tensors_of("llama-plain")
    base = write_model(tmp_path / "base", model_config, tensors)
    with pytest.raises(FanlightError, match=message):
        opened(base, write_lora(tmp_path / "lora", lora_of(tensors, "x"), **config))


def test_what_changes_nothing_is_refused(tmp_path: Path) -> None:
    config, tensors = tensors_of("llama-plain")
    base, lora = write_model(tmp_path / "base", config, tensors), lora_of(tensors, "x")
    of_head = {f"lm_head.lora_{kind}.weight": np.ones(shape) for kind, shape in (("A", (RANK, 240)), ("B", (211, RANK)))}
    with pytest.raises(UnsupportedModel, match=r"lm_head.*changes no product"):
        run(open_model(opened(base, write_lora(tmp_path / "head", lora | of_head))))
    cut = {name: values[:, :-2] if "A" in name else values for name, values in lora.items()}
    with pytest.raises(FormatError, match=r"is \[6, 238\]"):
        run(open_model(opened(base, write_lora(tmp_path / "cut", cut))))
    half = {name: values for name, values in lora.items() if "layers.0.mlp.up_proj.lora_B" not in name}
    with pytest.raises(FormatError, match="has no lora_b"):
        opened(base, write_lora(tmp_path / "half", half))
    with pytest.raises(FormatError, match="its model was not given"):
        opened(write_lora(tmp_path / "alone", lora))


@pytest.mark.parametrize(("name", "head"), [("gpt_neox-parallel", "embed_out"), ("phi-published", "lm_head")])
def test_no_head_is_changed(name: str, head: str, tmp_path: Path) -> None:
    """Whoever makes it: its rows are samples, which have no slot of their own."""
    config, tensors = tensors_of(name)
    base, (rows, columns) = write_model(tmp_path / "base", config, tensors), tensors[f"{head}.weight"].shape
    lora = {f"{head}.lora_A.weight": np.ones((RANK, columns)), f"{head}.lora_B.weight": np.ones((rows, RANK))}
    with pytest.raises(UnsupportedModel, match=rf"{head}.*changes no product"):
        run(open_model(opened(base, write_lora(tmp_path / "lora", lora))))


def test_towers_and_models_that_give_vectors_are_not_changed(tmp_path: Path) -> None:
    base = tiny_vision.make_checkpoint("idefics3", tmp_path / "sees")
    tower = next(name for name in opened(base).tensors if name.endswith("q_proj.weight") and "vision" in name)
    module, (rows, columns) = tower.removesuffix(".weight"), opened(base).tensors[tower].shape
    lora = {f"{module}.lora_A.weight": np.ones((RANK, columns)), f"{module}.lora_B.weight": np.ones((rows, RANK))}
    folder = write_lora(tmp_path / "lora", lora)
    with pytest.raises(UnsupportedModel, match="changes no product"):
        run(open_model(opened(base, folder)))
    with pytest.raises(UnsupportedModel, match="gives vectors"):
        run(open_model(opened(tiny_encoders.make_checkpoint("bert-mean", tmp_path / "vectors"), folder)))


def test_a_name_that_is_not_there_is_refused(tmp_path: Path, load_model) -> None:
    config, tensors = tensors_of("llama-plain")
    base = write_model(tmp_path / "base", config, tensors)
    model = load(load_model, base, write_lora(tmp_path / "lora", lora_of(tensors, "x")))
    with pytest.raises(RequestError, match=r"'other'.*'lora'"):
        model.engine.submit(PROMPT, SamplingParams(loras={"other": 1.0}))


def test_requests_choose(tmp_path: Path) -> None:
    """By the field `lora`, or by its name as `model`; the list of models has it."""
    import fanlight

    config, tensors = tensors_of("llama-plain")
    base = write_model(tmp_path / "base", config, tensors)
    folder = write_lora(tmp_path / "tuned", lora_of(tensors, "x"))
    with fanlight.load(
        base, device="reference", context_length=32, kv_dtype="f32", activations="f32", loras=[folder]
    ) as engine:
        assert [(m.id, m.parent) for m in engine.models.list().data] == [("base", None), ("tuned", "base")]

        def ids(**wanted: object) -> list[int]:
            ask = {"prompt": PROMPT, "max_tokens": 6, "temperature": 0, "ignore_eos": True, "return_token_ids": True}
            answer = engine.completions.create(**ask, **wanted)
            assert not answer.get("warnings")
            return answer.choices[0].token_ids

        assert ids() == ids(lora={"tuned": 1}) == ids(model="tuned") != ids(lora={}) == ids(model="base", lora={"tuned": 0})
        for wrong in ({"tuned": "much"}, ["tuned"], {"other": 1}):
            with pytest.raises(RequestError, match=r"(?i)lora"):
                ids(lora=wrong)
