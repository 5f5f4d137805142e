"""The published types, by TypeScript's compilers: what must compile does, and what must not does not; requests have the fields
that the engine takes, answers are what their types say, OpenAI's own types fit."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fanlight.api import requests, response_items
from fanlight.api.checks import SCHEMAS
from fanlight.api.embeddings import EMBEDDING
from fanlight.engine.sampling_params import SamplingParams
from tests.api.fakes import make_face
from tests.api.test_handle import END, ask
from tests.api.test_tools import CALL_NOW, THINKS
from tests.npm import installed, run

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent / "types"
NEWEST = ROOT / "web" / "node_modules" / "typescript" / "bin" / "tsc"
STRICT = {
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "noEmit": True,
    "target": "ES2022",
    "lib": ["ES2022", "DOM"],
    "types": [],
}


def check(compiler: Path, folder: Path, *files: str, **options: Any) -> None:
    """Compiles files of `folder` as modules, all declarations too."""
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": {**STRICT, **options}, "files": files}))
    run("node", compiler, "-p", folder, folder=folder)


@pytest.fixture
def user(package: Path, tmp_path: Path) -> Path:
    """A folder in which `fanlight` can be imported, and `openai`."""
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "fanlight").symlink_to(package)
    (modules / "openai").symlink_to(ROOT / "web" / "node_modules" / "openai")
    for file in HERE.glob("*.ts"):
        (tmp_path / file.name).write_text(file.read_text())
    return tmp_path


@pytest.mark.parametrize(
    ("version", "resolution"),
    [
        pytest.param("5.4", "bundler", marks=pytest.mark.minutes),
        ("5.4", "node16"),
        ("newest", "bundler"),
        pytest.param("newest", "node16", marks=pytest.mark.minutes),
        ("newest", "nodenext"),
    ],
)
def test_a_users_program_type_checks(user, version, resolution):
    """Nothing but the package is there: no types of WebGPU, no other package's."""
    (user / "node_modules" / "openai").unlink()
    compiler = NEWEST if version == "newest" else installed(HERE) / "typescript" / "bin" / "tsc"
    module = "ESNext" if resolution == "bundler" else resolution
    check(compiler, user, "user.ts", "entries.ts", module=module, moduleResolution=resolution)


def test_a_user_with_types_of_webgpu_gets_them(user):
    (user / "device.ts").write_text(
        """import { openGpu } from "fanlight/replay";
const { device } = await openGpu();
const buffer: GPUBuffer = device.createBuffer({ size: 4, usage: 8 });
// @ts-expect-error no such method
device.createBuffers(buffer);
"""
    )
    check(NEWEST, user, "device.ts", module="ESNext", moduleResolution="bundler")


def test_openais_types_fit(user):
    options = {"lib": ["ES2022", "DOM", "DOM.Iterable", "DOM.AsyncIterable"], "skipLibCheck": True}  # theirs need them
    check(NEWEST, user, "compared.ts", module="ESNext", moduleResolution="bundler", **options)


def test_webllms_types_fit(user):
    (user / "node_modules" / "@mlc-ai").symlink_to(ROOT / "web" / "node_modules" / "@mlc-ai")
    options = {"lib": ["ES2022", "DOM", "DOM.Iterable", "DOM.AsyncIterable"], "skipLibCheck": True}  # theirs need them
    check(NEWEST, user, "webllm.ts", module="ESNext", moduleResolution="bundler", **options)


def test_the_package_is_published_as_it_should(tarball):
    tools = installed(HERE) / ".bin"
    run(tools / "publint", "run", tarball, "--strict", folder=tarball.parent)
    run(tools / "attw", tarball, "--profile", "esm-only", folder=tarball.parent)
    manifest = json.loads((ROOT / "web" / "package.json").read_text())
    assert not manifest.get("dependencies")


# --- the fields ------------------------------------------------------------------------------------------------------
def fields_of(file: str, *names: str) -> set[str]:
    """Of interfaces of a source file."""
    text = (ROOT / "web" / "src" / file).read_text()
    bodies = [re.search(rf"interface {name}\b[^{{]*\{{\n(.*?)\n\}}", text, re.S)[1] for name in names]
    return set(re.findall(r"^  (\w+)\??:", "\n".join(bodies), re.M))


def refused(fields: Mapping[str, Any]) -> set[str]:
    """Those that no value but null is taken of."""
    return {name for name, check in fields.items() if SCHEMAS.get(check) == {"type": "null"}}


@pytest.mark.parametrize(
    ("file", "names", "table", "left_out"),
    [
        ("openai.ts", ["GenerationParams", "ChatCompletionCreateParamsBase"], requests.CHAT, set()),
        ("openai.ts", ["GenerationParams", "CompletionCreateParamsBase"], requests.COMPLETION, {"suffix"}),
        ("openai.ts", ["EmbeddingCreateParams"], EMBEDDING, set()),
        ("responses.ts", ["ResponseCreateParamsBase"], response_items.FIELDS, set()),
    ],
    ids=["chat", "completion", "embedding", "response"],
)
def test_a_request_has_the_fields_that_the_engine_takes(file, names, table, left_out):
    assert fields_of(file, *names) | {"stream"} == set(table) - refused(table) - left_out | {"stream"}


# --- the answers -----------------------------------------------------------------------------------------------------
TOOL = {"name": "now", "parameters": {"type": "object", "properties": {}}}
USER = [{"role": "user", "content": "Hi"}]
CHAT = {"messages": USER, "logprobs": True, "top_logprobs": 2, "return_token_ids": True, "prompt_logprobs": 1}
PROMPT = {"prompt": "Hi", "logprobs": 2, "echo": True, "return_token_ids": True, "prompt_logprobs": 1}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
CALL = {"input": "Hi", "tools": [{"type": "function", "strict": None, **TOOL}]}
CALLS = {"messages": USER, "tools": [{"type": "function", "function": TOOL}]}
ASKED = [
    ("ChatCompletion", "/v1/chat/completions", CHAT),
    ("ChatCompletion", "/v1/chat/completions", CALLS),
    ("ChatCompletionChunk", "/v1/chat/completions", CHAT | STREAM),
    (
        "ChatCompletionChunk",
        "/v1/chat/completions",
        CALLS | STREAM,
    ),
    ("Completion", "/v1/completions", PROMPT),
    ("CompletionChunk", "/v1/completions", PROMPT | STREAM),
    ("Response", "/v1/responses", CALL),
    ("Response", "/v1/responses", {"input": "Hi", "max_output_tokens": 1}),
    ("ResponseStreamEvent", "/v1/responses", CALL | {"stream": True}),
    ("ModelList", "/v1/models", None),
]


def scripted(prompt: str, params: SamplingParams) -> str:
    return "<think>\nI ask.</think>\nI look." + (f"\n{CALL_NOW}" if '"now"' in prompt else "") + END


def test_answers_are_what_the_types_say(user):
    """Each as a literal, of which TypeScript lets no field pass that its type does not have."""
    face = make_face(scripted, template=THINKS, context_length=2048)
    lines = ['import type * as Ours from "fanlight";']
    for kind, path, body in ASKED:
        answer = ask(face, path, body)
        for one in answer if isinstance(answer, list) else [answer]:
            lines.append(f"({json.dumps(one)}) satisfies Ours.{kind};")
    assert any("tool_calls" in line and "reasoning_content" in line for line in lines)
    model = {"id": "a", "object": "model", "created": 1, "owned_by": "", "more": 1}
    lines += ["// @ts-expect-error it has a field too many", f"({json.dumps(model)}) satisfies Ours.Model;"]
    (user / "answers.ts").write_text("\n".join(lines))
    check(NEWEST, user, "answers.ts", module="ESNext", moduleResolution="bundler")


# --- mirrors ---------------------------------------------------------------------------------------------------------
def test_every_python_error_has_its_class():
    """web/src/errors.ts mirrors fanlight/errors.py: names and parents."""
    from fanlight import errors

    text = (ROOT / "web" / "src" / "errors.ts").read_text()
    there = dict(re.findall(r"export class (\w+) extends (\w+)", text))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.FanlightError)]
    parents = {kind.__name__: kind.__base__.__name__ for kind in kinds if kind is not errors.FanlightError}
    assert there == {"FanlightError": "Error", **parents}


def test_every_option_of_a_load_has_its_name_in_the_page():
    """web/src/protocol.ts mirrors LoadOptions, and what fanlight/api/worker.py takes besides."""
    from fanlight.api.load import LoadKeywords

    text = (ROOT / "web" / "src" / "protocol.ts").read_text()
    tables = re.findall(r"const OF_\w+: Names<\w+> = \{(.*?)\};", text, re.S)
    names = [
        re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name) for name in re.findall(r"(\w+): true", "".join(tables))
    ]
    of_python = [name for name in LoadKeywords.__annotations__ if name != "loras"]  # in a page they are among the model's files
    assert sorted(names) == sorted([*of_python, "store", "keep_alive", "makes_room", "memory_bytes"])
