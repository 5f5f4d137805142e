"""/openapi.json says what the server does. schemathesis makes requests from it, those that it allows and those that it forbids:
none is answered with a 500, in another form than it says, or not at all."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from fanlight.api.openapi import FIELDS, document
from fanlight.api.requests import CHAT, COMPLETION
from fanlight.api.routes import MODELS, OLLAMA_GETS
from fanlight.api.server import POSTS
from tests.api.fakes import make_face
from tests.api.test_server import USER, echo, engine_of, served
from tests.api.test_tools import NOW

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
PLAIN = {"messages", "prompt", "temperature", "top_p", "min_p", "max_tokens", "n", "seed", "stop", "stream", "return_token_ids"}


def test_every_field_is_in_it() -> None:
    with served(make_face(echo)) as base:
        found = httpx.get(f"{base}/openapi.json").json()
        assert found == document()
        for path, fields in (("/v1/chat/completions", CHAT), ("/v1/completions", COMPLETION)):
            schema = found["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
            assert set(schema["properties"]) == set(fields) and schema["properties"]["temperature"] == {
                "anyOf": [{"type": "number", "minimum": 0, "maximum": 2}, {"type": "null"}]
            }
        assert set(found["paths"]) >= {*POSTS, *OLLAMA_GETS, MODELS}
        for path in found["paths"]:  # and nothing is in it that is not there
            assert httpx.options(base + path.replace("{model}", "scripted")).status_code in (405, 200), path
    assert set(FIELDS) <= {*CHAT, *COMPLETION}


BODIES: dict[str, tuple[int, dict[str, Any]]] = {
    "/v1/chat/completions": (200, {"messages": USER, "stop": ["x"], "tools": [NOW], "temperature": None}),
    "/v1/completions": (200, {"prompt": [[65, 66]], "logit_bias": {"65": 1}}),
    "/v1/responses": (200, {"input": [{"type": "message", "role": "user", "content": "Hi"}], "reasoning": {"effort": "low"}}),
    "/v1/embeddings": (400, {"input": [[65], [66, 67]], "encoding_format": "base64"}),
    "/v1/rerank": (400, {"query": "a", "documents": ["b", {"text": "c"}]}),
    "/v1/score": (400, {"text_1": "a", "text_2": ["b", "c"]}),
    "/v1/audio/transcriptions": (400, {"file": "UklGRg==", "language": "en", "timestamp_granularities": None}),
    "/v1/audio/translations": (400, {"file": "UklGRg==", "response_format": "srt", "temperature": 0.5}),
    "/tokenize": (200, {"messages": USER, "tools": [NOW]}),
    "/detokenize": (200, {"tokens": [65]}),
    "/apply-template": (200, {"messages": USER}),
    "/api/chat": (200, {"messages": USER, "stream": False, "format": {"type": "object"}, "keep_alive": "-1s"}),
    "/api/generate": (200, {"prompt": "Hi", "stream": False, "think": "low", "keep_alive": -1}),
    "/api/embed": (400, {"input": "a", "truncate": False}),
    "/api/embeddings": (400, {"prompt": "a"}),
    "/api/show": (200, {"model": "scripted"}),
}


def test_it_lets_through_what_is_answered() -> None:
    """Bodies that the server takes, or refuses only for want of vectors, are of the schemas, and so are the answers."""
    paths = document()["paths"]
    assert set(BODIES) == set(POSTS)
    with served(make_face(echo)) as base:
        for path, (status, body) in BODIES.items():
            spec = paths[path]["post"]
            jsonschema.validate(body, spec["requestBody"]["content"]["application/json"]["schema"])
            answer = httpx.post(base + path, json=body)
            assert answer.status_code == status and (status == 200 or "gives text" in answer.text), (path, answer.text)
            if status == 200:
                jsonschema.validate(answer.json(), spec["responses"]["200"]["content"]["application/json"]["schema"])
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate({**body, "nonsense": 1}, spec["requestBody"]["content"]["application/json"]["schema"])


def schemathesis(folder: Path, examples: int, phases: str, is_whole: bool) -> None:
    """is_whole: with every field; hardly a request is answered then, since many fields forbid each other."""
    loaded = make_face(echo)
    spec = document()
    for path in () if is_whole else ("/v1/chat/completions", "/v1/completions"):
        schema = spec["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        schema["properties"] = {name: field for name, field in schema["properties"].items() if name in PLAIN}
    (folder / "openapi.json").write_text(json.dumps(spec))
    with served(loaded) as base:
        options = [
            f"--max-examples={examples}",
            "--request-timeout=5",
            f"--phases={phases}",
            "--mode=all",
            "--no-color",
            "--seed=1",
        ]
        command = [sys.executable, "-m", "schemathesis.cli", "run", str(folder / "openapi.json"), f"--url={base}", *options]
        environment = {**os.environ, "NO_PROXY": "127.0.0.1", "PYTHONWARNINGS": ""}
        done = subprocess.run(
            [*command, f"--checks={CHECKS}"], cwd=folder, env=environment, capture_output=True, text=True, timeout=1000
        )
        if done.returncode:
            pytest.fail(done.stdout[-6000:] + done.stderr[-2000:], pytrace=False)
        assert httpx.get(f"{base}/health").status_code == 200 and not engine_of(loaded).running
        assert is_whole or engine_of(loaded).sequences, "not one request was answered"


def test_requests_made_from_it(tmp_path: Path) -> None:
    schemathesis(tmp_path, 20, "fuzzing", is_whole=False)


@pytest.mark.minutes
@pytest.mark.parametrize("is_whole", [True, False])
def test_many_requests_made_from_it(tmp_path: Path, is_whole: bool) -> None:
    schemathesis(tmp_path, 60, "coverage,fuzzing", is_whole)
