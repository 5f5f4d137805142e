"""Where fanlight/webllm has the weights of WebLLM's models from, by its own sources in Node; and its calls on what is stored,
in Chromium without an engine."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fanlight.formats.hub_choice import parse_hub_id
from fanlight.models.mlc_config import STACKED
from tests.web.files_page import load, of_hub, of_url
from tests.web.hub import Hub, Repo, serve_hub

WEB = Path(__file__).resolve().parents[2] / "web"
SOURCES = """
import { prebuiltAppConfig } from "./src/webllm/catalogue.ts";
import { sourceOf } from "./src/webllm/sources.ts";
console.warn = () => {};
globalThis.document = { URL: "https://site.example/app/" };
const found = prebuiltAppConfig.model_list.map((record) => {
  try { return [record.model_id, { source: sourceOf(record) }]; }
  catch (error) { return [record.model_id, { error: error.name, message: error.message, hint: error.hint }]; }
});
const own = (model) => sourceOf({ model, model_id: "x", model_lib: "" });
const written = ["hf:owner/repo", "owner/repo:Q4_K_M", "models/mine", "https://huggingface.co/owner/repo", "/m/x.gguf"];
console.log(JSON.stringify([found, written.map((model) => [model, own(model)])]));
"""
# What each name is a model of, by its makers; the type of each in MLC's configuration.
FAMILIES = {
    "llama": r"(TinyLlama|Llama-[23]|SmolLM2|DeepSeek-R1-Distill-Llama|Hermes-2-(Theta|Pro)-Llama|Hermes-3-Llama)",
    "mistral": r"(Mistral-7B|Hermes-2-Pro-Mistral|(Open|Neural)Hermes-2.5-Mistral|WizardMath-7B)",
    "qwen2": r"(Qwen2|DeepSeek-R1-Distill-Qwen)",
    "qwen3": r"Qwen3-",
    "qwen3_5": r"Qwen3\.5-",
    "phi3": r"Phi-(3-mini|3.5-mini|4-mini)",
    "phi3_v": r"Phi-3.5-vision",
    "phi": r"phi-(1_5|2)-",
    "gemma": r"gemma-2b-it",
    "gemma2": r"gemma-2-(2b|9b)-",
    "gemma3_text": r"gemma3-1b",
    "olmo2": r"OLMo-2-",
    "stablelm": r"stablelm-2-",
    "gpt_neox": r"RedPajama-INCITE",
    "ministral3": r"Ministral-3-",
}
HUB = "https://huggingface.co/"


@pytest.fixture(scope="module")
def found() -> list[Any]:
    bundler = ["node_modules/.bin/esbuild", "--bundle", "--format=esm", "--platform=node", "--loader=ts"]
    bundle = subprocess.run(bundler, cwd=WEB, input=SOURCES, text=True, capture_output=True, check=True).stdout
    run = subprocess.run(["node", "--input-type=module", "-"], input=bundle, text=True, capture_output=True, check=True)
    return json.loads(run.stdout)


def test_every_id_is_mapped(found: list[Any]) -> None:
    assert len(found[0]) == 165
    for model_id, made in found[0]:
        source = made["source"]
        named = parse_hub_id(source)
        assert named is not None and source.startswith(HUB), model_id
        families = [kind for kind, pattern in FAMILIES.items() if re.match(pattern, model_id)]
        if source.startswith(f"{HUB}mlc-ai/"):  # MLC's own shards
            assert named.repo == f"mlc-ai/{re.sub('-1k$', '', model_id)}" and not named.quant
            (kind,) = families
            assert kind in STACKED and not re.search("-q3f16_1", model_id)
        else:
            stem = re.sub(r"-q\d.*", "", model_id).lower()
            repo = named.repo.lower().replace("meta-", "")
            assert stem in repo and (named.quant or "").endswith((".gguf", "")), (model_id, source)
            assert source.endswith(("Q4_K_M.gguf", "q4_k_m.gguf", "Q3_K_M.gguf", "/")), source


def test_records_of_ones_own(found: list[Any]) -> None:
    assert dict(found[1]) == {
        "hf:owner/repo": "hf:owner/repo",
        "owner/repo:Q4_K_M": "owner/repo:Q4_K_M",
        "models/mine": "https://site.example/app/models/mine/resolve/main/",
        "https://huggingface.co/owner/repo": "https://huggingface.co/owner/repo/resolve/main/",
        "/m/x.gguf": "/m/x.gguf",
    }


# --- what is stored --------------------------------------------------------------------------------------------------
CACHE = """async (models) => {
  const { hasModelInCache, deleteModelAllInfoInCache, deleteModelInCache } = await import("/fanlight/webllm.js");
  const model_list = models.map((model, i) => ({ model, model_id: `m${i}`, model_lib: "" }));
  const has = () => Promise.all(model_list.map(({ model_id }) => hasModelInCache(model_id, { model_list })));
  const rounds = [await has()];
  for (const { model_id } of model_list) {
    await (rounds.length % 2 ? deleteModelAllInfoInCache : deleteModelInCache)(model_id, { model_list });
    rounds.push(await has());
  }
  return [rounds, await hasModelInCache("nobody", { model_list }).catch((error) => error.name)];
}"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    repos = {name: Repo({"a-Q8_0.gguf": name.encode() * 99}) for name in ("mlc-ai/one-q4f16_1-MLC", "owner/two", "owner/three")}
    with serve_hub(Hub(repos)) as hub:
        yield hub


@pytest.mark.browser
def test_models_of_the_hub_are_found_and_deleted(page: Any, site: Any, hub: Hub) -> None:
    """By whatever a record calls them; models by address as before."""
    site.served.files["/m/x.gguf"] = b"x" * 99
    for name in ("mlc-ai/one-q4f16_1-MLC", "owner/two:Q8_0"):
        assert "error" not in load(page, of_hub(name, hub=hub.url))
    load(page, of_url(f"{site.url}/m/x.gguf"))
    models = [f"{HUB}mlc-ai/one-q4f16_1-MLC", "owner/two:Q8_0", "/m/x.gguf", f"{HUB}owner/three", "hf:owner/two"]
    rounds, missing = page.evaluate(CACHE, models)
    assert rounds[0] == [True, True, True, False, False]
    assert rounds[1] == [False, True, True, False, False] and rounds[2] == [False, False, True, False, False]
    assert rounds[3] == rounds[-1] == [False] * 5 and missing == "ModelNotFoundError"
