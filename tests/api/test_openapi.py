"""/openapi.json says what the server does. schemathesis makes requests from it, those that it allows and those that it forbids:
none is answered with a 500, in another form than it says, or not at all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from fanlight.api.openapi import FIELDS, document
from fanlight.api.requests import CHAT, COMPLETION
from tests.api.fakes import make_face
from tests.api.test_server import echo, engine_of, served

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
        for path in found["paths"]:  # and nothing is in it that is not there
            assert httpx.options(base + path.replace("{model}", "scripted")).status_code in (405, 200), path
    assert set(FIELDS) <= {*CHAT, *COMPLETION}


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
    schemathesis(tmp_path, 300, "coverage,fuzzing", is_whole)
