"""Every architecture in Chromium, loaded as a visitor loads it: a folder's files or one GGUF file, onto SwiftShader.

Outside truth: the greedy tokens that transformers recorded (tests/golden/architectures). The page's KV cache is f16, which
changes none of them; of Q8_0 weights it would multiply integers, which with weights as random as these does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fanlight
from fanlight.models import ARCHITECTURES
from scripts.golden import architectures_gguf, tiny_architectures, tiny_rwkv
from tests.models import test_lora
from tests.models.records import Record, read_record
from tests.models.test_models import context_of
from tests.web.browser import Served, serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FOLDERS = (
    "gemma-published",
    "gemma2-published",
    "gemma3n-published",
    "phi3-long",
    "olmo2-groups4",
    "granite-published",
    "arcee-plain",
    "gpt_neox-parallel",
    "cohere-published",
    "glm4-published",
    "mistral-window-short",
    "qwen2-layer-types",
    "qwen3_moe-published",
    "gpt_oss-published",
    "gpt_oss-bf16",
    "deepseek_v2-published",
    "lfm2-published",
    "qwen3_5-types",
    "mamba2-published",
    "mamba-published",
    "mpt-published",
    "bitnet-packed",
)
FILES = (
    "gemma3-usual-scale",
    "phi3-short",
    "smollm3-published",
    "stablelm-parallel",
    "cohere2-published",
    "apertus-published",
    "gemma4-per-layer",
    "mixtral-published",
)
# The built-in model; Llama's file with norms of heads; wrappers; the 12B, by another name
ELSEWHERE = {"llama", "qwen3", "gemma3", "gemma3n", "gemma4", "gemma4_unified", "gemma4_unified_text", "mistral3"}
# Nothing but what others here have: tests/models
NATIVELY = {"ernie4_5", "exaone4", "hunyuan_v1_dense", "ministral3", "nemotron", "olmo3", "phi", "seed_oss", "starcoder2"}
NATIVELY |= {"idefics3", "smolvlm", "llava", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "lfm2_vl"}  # pictures: test_vision.py
NATIVELY |= {"exaone", "falcon", "gpt2", "internlm2", "minicpm", "bloom", "codegen", "gpt_bigcode", "gptj", "opt"}
NATIVELY |= {"qwen2_moe", "olmoe", "granitemoe", "ernie4_5_moe", "deepseek_v3", "glm4_moe_lite", "lfm2_moe"}
NATIVELY |= {"afmoe", "glm4_moe", "mellum", "minimax_m2", "youtu"}
NATIVELY |= {"granitemoehybrid", "falcon_h1", "nemotron_h", "falcon_mamba", "jamba"}
NATIVELY |= {"qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_next"}
HEARING = {"whisper", "qwen2_audio", "voxtral"}  # test_audio.py, tests/models
ENCODERS = {"bert", "modernbert", "nomic_bert", "roberta", "xlm-roberta"}  # test_embeddings.py

# Of kernels that others have too: a page's compiler has seen them.
MINUTES = {"gemma-published", "arcee-plain", "granite-published", "cohere-published", "mistral-window-short"}
MINUTES |= {
    "qwen2-layer-types",
    "gpt_oss-published",
    "gpt_oss-bf16",
    "gemma3-usual-scale",
    "smollm3-published",
    "cohere2-published",
}
MINUTES |= {"mpt-published", "bitnet-packed"}
MINUTES |= {"gemma2-published", "glm4-published", "phi3-long", "mamba-published", "mixtral-published", "olmo2-groups4"}
MINUTES |= {"gpt_neox-parallel", "deepseek_v2-published", "lfm2-published", "mamba2-published"}
MINUTES |= {"phi3-short", "stablelm-parallel", "apertus-published"}


def with_minutes(names: tuple[str, ...]) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.minutes] if name in MINUTES else []) for name in names]


# Rows that a model rounds are other integers after the least change, of keys in f16 or of what is rounded once more for
# products in integers, and with weights as random as these so is a token.
EXACTLY = {"bitnet-packed": {"activations": "f32", "kvDtype": "f32"}}
ANSWER = """async ([paths, contextLength, more, body]) => {
  const { load } = await import("/fanlight/index.js");
  const fetched = async (path) => new File([await (await fetch(path)).blob()], path.split("/").at(-1));
  const files = await Promise.all(paths.map(fetched));
  const engine = await load(files.length > 1 ? files : files[0], { contextLength, maxNumSeqs: 1, ...more });
  const answer = await engine.completions.create(body);
  const { format, kernels } = engine.info;
  await engine.close();
  return { format, wrong: kernels.wrong, tokens: answer.choices[0].token_ids };
}"""


@pytest.fixture(scope="module")
def models() -> Served:
    return Served({})


@pytest.fixture(scope="module")
def one_page(chromium: Any, assets: Path, models: Served) -> Iterator[Any]:
    """For all models, one after the other: what is found out about the adapter is kept, so each kernel is checked once."""
    models.folders |= {"/pages/": Path(__file__).parent / "pages", "/": assets}
    with serve(models) as url:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"{url}/pages/blank.html")
        yield page
        context.close()


def check_answer(page: Any, models: Served, record: Record, paths: list[Path], **more: Any) -> None:
    """more: of the options to load with."""
    models.files = {f"/model/{path.name}": path.read_bytes() for path in paths}
    body = {"prompt": record.prompt, "max_tokens": len(record.greedy), "temperature": 0}
    body |= {"ignore_eos": True, "return_token_ids": True}
    found = page.evaluate(ANSWER, [list(models.files), context_of(record), more, body])
    assert found == {"format": "gguf" if len(paths) == 1 else "safetensors", "wrong": [], "tokens": record.greedy}


@pytest.mark.parametrize("name", with_minutes(FOLDERS))
def test_a_folder_answers_as_transformers(name: str, one_page: Any, models: Served, tmp_path: Path) -> None:
    check_answer(
        one_page,
        models,
        read_record("architectures", name),
        sorted(tiny_architectures.make_checkpoint(name, tmp_path).iterdir()),
        **EXACTLY.get(name, {}),
    )


@pytest.mark.parametrize("name", with_minutes(FILES))
def test_a_gguf_file_answers_as_transformers(name: str, one_page: Any, models: Served, tmp_path: Path) -> None:
    """And as llama.cpp, whose recorded tokens of these files are the same (tests/models/test_truth.py)."""
    file = architectures_gguf.make_gguf(name, tmp_path / "model.gguf")
    check_answer(one_page, models, read_record("architectures", name), [file])


@pytest.mark.minutes
def test_rwkv_answers_as_llamacpp(one_page: Any, models: Served, tmp_path: Path) -> None:
    file = tiny_rwkv.make_gguf("rwkv7-narrow", tmp_path / "model.gguf")
    check_answer(one_page, models, read_record("rwkv", "rwkv7-narrow"), [file])


LORA = """async ([paths, loras, prompt]) => {
  const { load } = await import("/fanlight/index.js");
  const fetched = async (path) => new File([await (await fetch(path)).blob()], path.split("/").at(-1));
  const files = await Promise.all(paths.map(fetched));
  const exact = { contextLength: 64, maxNumSeqs: 1, activations: "f32", kvDtype: "f32" };
  const engine = await load(files, exact);
  const body = { prompt, max_tokens: 8, temperature: 0, ignore_eos: true, return_token_ids: true };
  const found = [];
  for (const lora of loras) found.push((await engine.completions.create({ ...body, lora })).choices[0].token_ids);
  const { info } = engine;
  await engine.close();
  return [info.loras, found];
}"""


@pytest.mark.minutes
def test_a_lora_beside_a_folder(one_page: Any, models: Served, tmp_path: Path) -> None:
    """Its files among the model's; what it answers is what merged weights do."""
    config, tensors = test_lora.tensors_of("llama-plain")
    lora = test_lora.lora_of(tensors, "x")
    merged = test_lora.merged(tensors, lora, test_lora.ALPHA / test_lora.RANK)
    folders = [test_lora.write_model(tmp_path / "plain", config, tensors), test_lora.write_lora(tmp_path / "tuned", lora)]
    models.files = {f"/model/{path.name}": path.read_bytes() for folder in folders for path in folder.iterdir()}
    ask = {"prompt": test_lora.PROMPT, "max_tokens": 8, "temperature": 0, "ignore_eos": True, "return_token_ids": True}
    expected = []
    for folder in (test_lora.write_model(tmp_path / "merged", config, merged), folders[0]):
        exact = {"device": "reference", "context_length": 64, "kv_dtype": "f32", "activations": "f32"}
        with fanlight.load(folder, **exact) as engine:
            expected.append(engine.completions.create(**ask).choices[0].token_ids)
    assert expected[0] != expected[1]
    assert one_page.evaluate(LORA, [list(models.files), [{"lora": 1}, {}], test_lora.PROMPT]) == [["lora"], expected]


def test_no_architecture_is_left_out() -> None:
    seen = {tiny_architectures.text_config_of(name)["model_type"] for name in (*FOLDERS, *FILES)} | {"rwkv7"}
    assert set(ARCHITECTURES) == seen | ELSEWHERE | NATIVELY | ENCODERS | HEARING
