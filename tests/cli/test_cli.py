"""The command, on a tiny model and the null device, whose answers depend on every token of the prompt."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import openai
import pytest

import fanlight.settings as settings_module
from fanlight import cli
from fanlight.api.access import Access
from fanlight.compiler.program import Program
from fanlight.settings import Settings, documentation, settings
from tests.api.fakes import make_face
from tests.api.test_server import served
from tests.cli.tiny import write_model
from tests.web.browser import Served, serve

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("model") / "tiny.gguf"))


@pytest.fixture(autouse=True)
def null_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANLIGHT_DEVICE", "null")


@pytest.fixture()
def fanlight(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str, status: int = 0) -> tuple[str, str]:
        assert cli.execute(arguments) == status, capsys.readouterr()
        return capsys.readouterr()

    return call


def test_run_json(fanlight: Any, model: str) -> None:
    arguments = ("run", model, "--prompt", "Hi", "--max-tokens", "12", "--temperature", "0", "--json")
    answer = json.loads(fanlight(*arguments)[0])
    assert set(answer) == {"text", "prompt_token_ids", "token_ids", "finish_reason", "usage", "timings"}
    assert answer["usage"]["completion_tokens"] == len(answer["token_ids"]) <= 12
    assert answer["usage"]["prompt_tokens"] == len(answer["prompt_token_ids"])
    assert answer["timings"]["ttft_ms"] > 0
    assert json.loads(fanlight(*arguments)[0])["token_ids"] == answer["token_ids"]
    assert fanlight(*arguments[:-1])[0] == answer["text"] + "\n"
    other = json.loads(fanlight(*arguments, "--system", "Be brief.")[0])
    assert len(other["prompt_token_ids"]) > len(answer["prompt_token_ids"])
    assert other["token_ids"] != answer["token_ids"]


def test_words_may_follow_options(fanlight: Any, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where argparse takes them for none."""
    options = ("--max-tokens", "3", "--temperature", "0")
    before, after = fanlight("run", model, "hello", *options), fanlight("run", model, *options, "hello")
    assert before[0] == after[0] != ""
    for wrong in (("run", model, "a", "--max-tokens", "3", "b"), ("run", model, "--max-tokens", "3", "a", "b")):
        with pytest.raises(SystemExit):
            fanlight(*wrong)
        assert "unrecognized arguments: b" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        fanlight("show", "memory", model, "--nothing", "4")
    assert "unrecognized arguments: --nothing 4" in capsys.readouterr().err


def test_run_raw_prompt_from_stdin(fanlight: Any, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hello"))
    answer = json.loads(fanlight("run", model, "--prompt", "-", "--raw", "--max-tokens", "3", "--ignore-eos", "--json")[0])
    assert len(answer["token_ids"]) == 3 and answer["finish_reason"] == "length"
    assert len(answer["prompt_token_ids"]) < 4


def test_run_interactive(fanlight: Any, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    lines = iter(["Hi", "", "/what", "more", "/clear", "x " * 300, "again", "/exit"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(lines))
    out, err = fanlight("run", model, "--max-tokens", "5", "--temperature", "0")
    assert out.count("\n") >= 3
    assert "tokens/s" in err and "Ctrl-D" in err
    assert "the context of" in err  # the message that is too long, and the chat goes on


def test_errors_are_text_and_status_1(fanlight: Any, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such file" in fanlight("run", "missing.gguf", "--prompt", "x", status=1)[1]
    monkeypatch.setattr("sys.stdin", io.StringIO(" \n"))
    assert "empty" in fanlight("run", model, "--json", status=1)[1]
    assert "two prompts" in fanlight("run", model, "x", "--prompt", "y", status=1)[1]
    assert "temperature" in fanlight("run", model, "--prompt", "x", "--temperature", "9", status=1)[1]
    assert "there is no kernel" in fanlight("kernel", "martian", status=1)[1]
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(40))
    assert str(broken) in fanlight("show", "config", str(broken), status=1)[1]
    plain = write_model(tmp_path / "plain.gguf", **{"tokenizer.chat_template": None})
    error = fanlight("run", str(plain), "--prompt", "x", status=1)[1]
    assert "no chat template" in error and "Try: " in error
    with pytest.raises(SystemExit) as usage:
        cli.execute(["run"])
    assert usage.value.code == 2


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("config", ["llama.embedding_length", "hidden_size", "num_key_value_heads", "tokenizer.ggml.tokens"]),
        ("tensors", ["blk.0.ffn_down.weight", "64 x 96", "11 tensors", "F32"]),
        (
            "prompt",
            ["<|im_start|>user\nHello!<|im_end|>", "(special)", "An answer ends with: <|endoftext|> (0), <|im_end|> (2)"],
        ),
        ("graph", ["norm", "kind=rms", "llama.py:", "model.layers.0.self_attn"]),
        ("passes", ["rotate with append", "rope -2", "quantize activations"]),
        ("kernels", ["gemv", "sample", "all"]),
        ("memory", ["weight", "total", "context of 256 tokens", "kept of each of 256 tokens"]),
    ],
)
def test_show(fanlight: Any, model: str, what: str, expected: list[str]) -> None:
    out = fanlight("show", what, model)[0]
    assert all(text in out for text in expected), out
    assert "[" not in what


def test_show_more(fanlight: Any, model: str) -> None:
    assert "# after start products" in fanlight("show", "passes", model, "--all")[0]
    assert "logit_bias" in fanlight("show", "memory", model, "--all")[0]
    name = next(line.split()[0] for line in fanlight("show", "kernels", model)[0].splitlines() if line.startswith("gemv"))
    assert "@compute" in fanlight("show", "kernels", model, "--name", name)[0]
    assert "there are" in fanlight("show", "kernels", model, "--name", "none", status=1)[1]
    assert "Be kind." in fanlight("show", "prompt", model, "--system", "Be kind.")[0]


def test_compile(fanlight: Any, model: str, tmp_path: Path) -> None:
    limits = tmp_path / "adapter.json"
    limits.write_text(fanlight("doctor", "--json", status=1)[0] or "{}")
    fanlight("compile", model, "-o", str(tmp_path / "out"), "--limits", str(limits))
    program = Program.from_json((tmp_path / "out" / "program.json").read_text())
    assert program.context_length == 256
    wgsl = {path.stem: path.read_text() for path in (tmp_path / "out" / "kernels").iterdir()}
    assert wgsl == {kernel.name: kernel.wgsl for kernel in program.kernels}


def test_kernel_and_doctor(fanlight: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANLIGHT_DEVICE", "reference")
    out = fanlight("kernel", "map")[0]
    assert "36 of 36 cases agree" in out
    assert "2 of 2 cases agree" in fanlight("kernel", "gather")[0]  # timed on a step of some rows, not of none
    found = json.loads(fanlight("doctor", "--json")[0])
    assert found["ok"] and found["limits"]["max_buffer_size"] > 0
    kernels = found["kernels"]
    not_run = {name for name, words in kernels.items() if words.startswith("not run: the adapter has no")}
    assert not_run == {"attention_matrix", "gemm_f16", "gemm_matrix"} and {kernels[n] for n in kernels.keys() - not_run} == {
        "ok"
    }
    assert "0 of 0 cases agree" in fanlight("kernel", "gemm_matrix")[0]
    assert "All is well" in fanlight("doctor")[0]
    monkeypatch.setattr("fanlight.cli.kernel.kernel_cases.differences", lambda case, got: ["y[0] expected 1 got 2"])
    assert "expected 1 got 2" in fanlight("kernel", "map", status=1)[0]
    assert "Something is wrong" in fanlight("doctor", status=1)[0]


def test_bench(fanlight: Any, model: str) -> None:
    out = fanlight("bench", model, "--prompt-tokens", "20", "--decode-tokens", "10", "--repeats", "2", "--num-seqs", "2")[0]
    facts = json.loads(out.splitlines()[-1])
    assert facts["decode_tps"] > 0 and facts["prefill_tps"] > 0 and facts["dispatches_per_token"] > 5
    assert (facts["prompt_tokens"], facts["decode_tokens"], facts["num_seqs"]) == (20, 10, 2)
    assert "ttft_ms" in out


def start(*arguments: str, stdin: int = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fanlight", *arguments]
    environment = {**os.environ, "FANLIGHT_DEVICE": "null", "PYTHONUNBUFFERED": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=stdin,
        stdout=pipe,
        stderr=pipe,
        text=True,
        errors="surrogateescape",
        # A shell starts what runs in its background with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_serve_and_interrupt(model: str) -> None:
    process = start("serve", model, "--port", "0", "--name", "small")
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("small at http://127.0.0.1:"), line + process.stderr.read()
        base = line.split()[2]
        with openai.OpenAI(base_url=f"{base}/v1", api_key="none") as client:
            answer = client.chat.completions.create(model="small", messages=[{"role": "user", "content": "Hi"}], max_tokens=5)
        assert answer.usage and answer.usage.completion_tokens <= 5
        part = httpx.get(f"{base}/models/tiny.gguf", headers={"range": "bytes=0-3"})
        assert part.status_code == 206 and part.content == b"GGUF"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert "Traceback" not in err
        assert process.returncode in (0, cli.INTERRUPTED)
    finally:
        process.kill()
        process.communicate()


def test_serve_several_models(model: str) -> None:
    process = start("serve", model, model, "--port", "0", "--name", "one", "--name", "two")
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("one, two at http://127.0.0.1:"), line + process.stderr.read()
        base = line.split()[3]
        with openai.OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0) as client:
            assert [found.id for found in client.models.list()] == ["one", "two"]
            for name in ("two", "one"):
                messages: Any = [{"role": "user", "content": "Hi"}]
                answer = client.chat.completions.create(model=name, messages=messages, max_tokens=3)
                assert answer.model == name
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(model="three", messages=messages)
        text = httpx.get(f"{base}/metrics").text
        assert all(f'fanlight_generated_tokens_total{{model="{name}"}}' in text for name in ("one", "two"))
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_interrupt_in_a_chat(model: str) -> None:
    terminal, keyboard = os.openpty()
    process = start("run", model, stdin=keyboard)
    try:
        assert process.stderr is not None
        assert "Ctrl-D" in process.stderr.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert "Traceback" not in err and process.returncode == cli.INTERRUPTED
    finally:
        process.kill()
        process.communicate()
        os.close(terminal), os.close(keyboard)


def test_what_is_piped_in_is_one_prompt(model: str) -> None:
    process = start("run", model, "--max-tokens", "3", "--json")
    out, err = process.communicate("two\nlines\n", timeout=60)
    assert process.returncode == 0, err
    answer = json.loads(out)
    process = start("run", model, "two\nlines\n", "--max-tokens", "3", "--json")
    assert json.loads(process.communicate(timeout=60)[0])["prompt_token_ids"] == answer["prompt_token_ids"]
    process = start("run", model)
    _, err = process.communicate("\udcff", timeout=60)  # a byte that is no UTF-8
    assert "Traceback" not in err and process.returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "missing.gguf", "--port", "99999"),
        ("serve", "missing.gguf", "--port", "x"),
        ("serve", "missing.gguf", "--max-num-seqs", "0"),
        ("run", "missing.gguf", "--context-length", "-4"),
        ("run", "missing.gguf", "--context-length", "1e3"),
        ("serve", "missing.gguf", "--request-timeout", "0"),
        ("serve", "missing.gguf", "--shutdown-timeout", "nan"),
        ("rm",),
    ],
)
def test_arguments_are_checked_before_anything_is_opened(arguments: tuple[str, ...], capsys: Any) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.execute(arguments)
    assert stop.value.code == 2 and "missing.gguf" not in capsys.readouterr().err.replace("usage", "")


def test_a_taken_port_is_said_before_the_model_is_opened(fanlight: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert "already in use" in fanlight("serve", "missing.gguf", "--port", port, status=1)[1]
    assert "no such file" in fanlight("serve", "missing.gguf", "--port", "0", status=1)[1]
    assert "WARNING: 0.0.0.0 is open" in fanlight("serve", "missing.gguf", "--port", "0", "--host", "0.0.0.0", status=1)[1]
    with_key = ("serve", "missing.gguf", "--port", "0", "--host", "0.0.0.0", "--api-key", "k")
    assert "WARNING" not in fanlight(*with_key, status=1)[1]


def test_pull_list_rm(fanlight: Any, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANLIGHT_STORE", str(tmp_path / "store"))
    hub = tmp_path / "hub" / "models--owner--repo"
    (hub / "snapshots" / "abc").mkdir(parents=True)
    (hub / "blobs").mkdir()
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text("abc")
    (hub / "blobs" / "1").write_bytes(bytes(3 << 20))
    (hub / "snapshots" / "abc" / "m.gguf").symlink_to(hub / "blobs" / "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    scan = huggingface_hub.scan_cache_dir
    monkeypatch.setattr("huggingface_hub.scan_cache_dir", lambda: scan(tmp_path / "hub"))
    with serve(Served({"/": Path(model).parent})) as site:
        out, _ = fanlight("pull", f"{site}/tiny.gguf?token=secret")
        assert "1 files" in out
    out, err = fanlight("list")  # and the server is gone
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines[1:]] == [f"{site}/tiny.gguf", "owner/repo"] or len(lines) == 3
    assert "2 models" in err and "3.0" in out and "secret" not in out
    fanlight("run", f"{site}/tiny.gguf?token=secret", "Hi", "--max-tokens", "2")
    assert "no terminal" in fanlight("rm", "tiny.gguf", status=1)[1]
    assert "no model of this name" in fanlight("rm", "--yes", "owner/other", status=1)[1]
    assert "deleted" in fanlight("rm", "--yes", "tiny.gguf", "owner/repo")[0]
    assert "0 models" in fanlight("list")[1] and not hub.exists()


def test_ps(fanlight: Any, model: str) -> None:
    assert "no server answers" in fanlight("ps", "--url", "http://127.0.0.1:1", status=1)[1]
    with served(make_face("Hello<|im_end|>"), access=Access(keys=("k",))) as base:
        assert "401" in fanlight("ps", "--url", base, status=1)[1]
        httpx.post(f"{base}/v1/completions", json={"prompt": "x"}, headers={"authorization": "Bearer k"})
        out, _ = fanlight("ps", "--url", base, "--api-key", "k")
        assert out.splitlines()[1].split()[:2] == ["scripted", "256"] and int(out.split()[-1]) > 0


def test_a_reader_that_stops_early(model: str) -> None:
    process = start("show", "graph", model)
    assert process.stdout is not None and process.stderr is not None and process.stdin is not None
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stdin.close()
    process.stderr.close()
    assert process.wait(20) == 0


def test_help_names_verbs_and_variables(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.execute(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in cli.VERBS)
    assert all(name in out for name, _, _ in documentation())


def test_settings() -> None:
    assert settings({}) == Settings()
    given = {"FANLIGHT_DEBUG": "1", "FANLIGHT_DEVICE": "reference", "FANLIGHT_ADAPTER": "x"}
    assert settings(given) == Settings(1, "reference", "x")
    for wrong in ({"FANLIGHT_DEBUG": "much"}, {"FANLIGHT_DEVICE": "cuda"}):
        with pytest.raises(Exception, match=next(iter(wrong))):
            settings(wrong)


def test_names_without_the_prefix_are_not_read_and_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    settings_module._warn.cache_clear()
    old = {"DEVICE": "null", "TUNE": "0", "DEBUG": "express:*", "API_KEY": "of another program"}
    assert settings(old) == settings(old) == Settings()
    assert capsys.readouterr().err.splitlines() == [
        "fanlight: DEVICE is not read: it is called FANLIGHT_DEVICE now",
        "fanlight: TUNE is not read: it is called FANLIGHT_TUNE now",
    ]
    settings_module._warn.cache_clear()
    assert settings({"DEVICE": "null", "FANLIGHT_DEVICE": "reference"}).device == "reference"
    assert not capsys.readouterr().err
