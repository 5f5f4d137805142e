"""What a server must withstand: other sites' pages, wrong keys, clients that are slow or gone, bodies meant to hurt, a stop."""

import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from fanlight.api import listen
from fanlight.api.access import Access
from fanlight.api.answers import Work
from fanlight.api.listen import Server, bind
from fanlight.api.server import make_app
from fanlight.errors import FanlightError
from tests.api.fakes import endless, make_face
from tests.api.test_server import USER, echo, engine_of, served, slow, wait_until

__all__ = ["slow"]
CHAT = "/v1/chat/completions"
STRICT = Access(hosts=("127.0.0.1", "models.example"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    model = tmp_path_factory.mktemp("files") / "model.gguf"
    model.write_bytes(b"GGUF" * 100)
    with served(make_face(echo), access=STRICT, model_files=[model]) as base:
        yield base


def ask(url: str, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Exactly these headers, as a browser would send them."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


# --- other sites -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/v1/models", "/models/model.gguf", "/health", "/metrics", "/", "/nothing"])
def test_a_name_that_points_here_is_not_answered(url: str, path: str) -> None:
    port = url.rpartition(":")[2]
    for host in (f"evil.example:{port}", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil"):
        status, body = ask(url, "GET", path, Host=host)
        assert status == 403 and b"--allow-host" in body, (host, status, body)
    for host in ("a b", "", "a/b", "@", "[::1", "x@localhost"):
        assert ask(url, "GET", path, Host=host)[0] == 400, host
    expected = 404 if path == "/nothing" else 200
    for host in (
        f"localhost:{port}",
        "LOCALHOST",
        f"127.0.0.1:{port}",
        "[::1]:80",
        "192.168.3.4",
        "models.example",
        "a.localhost.",
    ):
        assert ask(url, "GET", path, Host=host)[0] == expected, host


BODY = json.dumps({"messages": USER}).encode()
FOREIGN: list[dict[str, str]] = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:1"},
    {"Origin": "http://evil.example", "Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_pages_of_other_sites_reach_nothing(url: str, headers: dict[str, str]) -> None:
    for path in ("/v1/models", "/models/", "/models/model.gguf", "/metrics"):
        assert ask(url, "GET", path, **headers)[0] == 403, path
    status, body = ask(url, "POST", CHAT, BODY, Content_Type="application/json", **headers)
    assert status == 403 and b"chat.completion" not in body
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_the_own_page_and_links_to_it(url: str) -> None:
    own = {"Origin": url, "Sec_Fetch_Site": "same-origin"}
    assert ask(url, "POST", CHAT, BODY, Content_Type="application/json", **own)[0] == 200
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert ask(url, "GET", "/", **link)[0] == 200
    assert ask(url, "POST", CHAT, BODY, Content_Type="application/json", **link)[0] == 403


def test_a_body_must_say_that_it_is_json(url: str) -> None:
    for kind in (
        {},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": ""},
    ):
        status, body = ask(url, "POST", CHAT, BODY, **kind)
        assert status == 415 and b"application/json" in body
    assert ask(url, "POST", CHAT, BODY, Content_Type="Application/JSON; charset=utf-8")[0] == 200


def test_origins_that_are_allowed() -> None:
    with served(make_face(echo), access=Access(keys=("k",), origins=("https://app.example",))) as base:
        asks = {"Origin": "https://app.example", "Sec_Fetch_Site": "cross-site"}
        preflight = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization,content-type"}
        assert ask(base, "OPTIONS", CHAT, **asks, **preflight)[0] == 200  # a browser sends it without the key
        headers = {"origin": "https://app.example", "authorization": "Bearer k"}
        allowed = httpx.post(base + CHAT, json={"messages": USER, "nonsense": 1}, headers=headers)
        assert allowed.status_code == 400  # and the page may read why
        assert allowed.headers["access-control-allow-origin"] == "https://app.example"
        assert ask(base, "POST", CHAT, BODY, Content_Type="application/json", Origin="https://other.example")[0] == 403
    with served(make_face(echo), access=Access(origins=("*",))) as base:
        assert ask(base, "GET", "/v1/models", Origin="null")[0] == 200


# --- the key ---------------------------------------------------------------------------------------------------------
def test_the_key(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("page")
    with served(make_face(echo), access=Access(keys=("s3cret", "ключ")), assets=tmp_path) as base:
        for path in ("/v1/models", "/v1/none", "/models/", "/models/x", "/nothing"):
            for headers in (
                {},
                {"Authorization": "Bearer wrong"},
                {"Authorization": "Basic s3cret"},
                {"Authorization": "s3cret"},
            ):
                status, body = ask(base, "GET", path, **headers)
                assert status == 401 and json.loads(body)["error"]["code"] == "invalid_api_key" and b"s3cret" not in body
        assert ask(base, "POST", CHAT, BODY, Content_Type="application/json")[0] == 401
        assert ask(base, "GET", "/health")[0] == ask(base, "GET", "/")[0] == ask(base, "GET", "/index.html")[0] == 200
        assert ask(base, "GET", "/metrics")[0] == 200  # from this machine
        assert ask(base, "GET", "/metrics", X_Forwarded_For="10.0.0.1")[0] == 401
        with openai.OpenAI(base_url=f"{base}/v1", api_key="s3cret", max_retries=0) as client:
            assert client.models.list().data
            assert client.chat.completions.create(model="scripted", messages=USER).choices
        with (
            openai.OpenAI(base_url=f"{base}/v1", api_key="s3cre", max_retries=0) as client,
            pytest.raises(openai.AuthenticationError),
        ):
            client.models.list()


# --- bodies ----------------------------------------------------------------------------------------------------------
def chat_body(**fields: str) -> str:
    """Fields as JSON text."""
    given = {"messages": '[{"role": "user", "content": "Hi"}]', **fields}
    return "{" + ", ".join(f'"{name}": {text}' for name, text in given.items()) + "}"


BODIES = {
    "surrogate in a message": chat_body(messages='[{"role": "user", "content": "\\ud800"}]'),
    "surrogate in a name": chat_body(**{"\\udfff": "1"}),
    "surrogate in a model": chat_body(model='"\\uD83D"'),
    "self": chat_body(chat_template_kwargs='{"self": 1}'),
    "deep": chat_body(tools="[" * 5000 + "]" * 5000),
    "rather deep": chat_body(logit_bias='{"a":' * 90 + "1" + "}" * 90),
    "long whole number": chat_body(seed="9" * 5000),
    "long key": chat_body(logit_bias='{"' + "9" * 5000 + '": 1}'),
    "long number": chat_body(temperature="9" * 400),
    "key of other digits": chat_body(logit_bias='{"\u00b2": 1}'),
    "many biases": chat_body(logit_bias="{" + ",".join(f'"{i}":1' for i in range(300_000)) + "}"),
    "many messages": chat_body(messages="[" + ",".join(['{"role":"user","content":""}'] * 90_000) + "]"),
    "many lists": chat_body(stop="[" + ",".join(["[]"] * 1_000_000) + "]"),
    "many stops": chat_body(stop="[" + ",".join(['"a"'] * 1_000_000) + "]"),
    "unfinished text": '{"messages": "' + '\\"' * 1_000_000 + "[" * 200,
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_meant_to_hurt(url: str, name: str) -> None:
    """An error that says so, soon, and the connection is still of use."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    started = time.process_time()
    connection.request("POST", CHAT, BODIES[name].encode("utf-8", "surrogatepass"), {"Content-Type": "application/json"})
    response = connection.getresponse()
    error = json.loads(response.read().decode())["error"]
    assert response.status == 400 and set(error) == {"message", "type", "param", "code"}, error
    assert len(error["message"]) < 1000 and time.process_time() - started < 2
    connection.connect = lambda: pytest.fail("the connection was closed")  # type: ignore[method-assign]
    connection.request("POST", CHAT, BODY, {"Content-Type": "application/json"})
    again = connection.getresponse()
    assert again.status == 200 and again.read()
    connection.close()


def test_products_are_bounded(url: str) -> None:
    body = {"prompt": ["a"] * 256, "n": 128}
    error = httpx.post(f"{url}/v1/completions", json=body).json()["error"]
    assert "32768" in error["message"] and error["param"] == "n"


def test_a_body_that_is_too_large_is_not_read(url: str) -> None:
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
        head = (
            f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
        )
        client.sendall(head.encode())
        client.settimeout(5)
        assert b" 413 " in client.recv(1000)


# --- slow clients ----------------------------------------------------------------------------------------------------
def test_half_a_request_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr("fanlight.api.answers.BODY_SECONDS", 0.3)
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n"
    with served(make_face(echo)) as base:
        address = ("127.0.0.1", int(base.rpartition(":")[2]))
        good = httpx.Client(base_url=base)
        assert good.get("/health").status_code == 200
        for sent in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", head.encode(), head.encode() + b"{"):
            with socket.create_connection(address) as client:
                client.settimeout(5)
                client.sendall(sent)
                answer = client.recv(1000)
                assert answer.startswith(b"HTTP/1.1 408 "), (sent, answer)
                while client.recv(1000):
                    pass
        assert good.get("/health").status_code == 200  # a connection that is idle between requests is another thing
        good.close()


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch, slow: Any) -> None:
    """Who is idle for longest makes room, also who sent half a request; who is answered does not."""
    monkeypatch.setattr(listen, "MAX_CONNECTIONS", 4)
    with served(slow) as base:
        address = ("127.0.0.1", int(base.rpartition(":")[2]))
        head = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
        body = json.dumps({"messages": USER, "stream": True, "max_tokens": 350}).encode()
        post = (
            f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )

        def connect(sent: bytes) -> socket.socket:
            client = socket.create_connection(address)
            client.settimeout(10)
            client.sendall(sent)
            return client

        answered = [connect(post.encode() + body)]
        wait_until(lambda: engine_of(slow).sequences)
        idle = [connect(sent) for sent in (b"", head, head + b"\r\n")]
        assert idle[2].recv(1000).startswith(b"HTTP/1.1 200 ")
        for i in range(3):
            idle.append(connect(head + b"\r\n"))
            assert idle[-1].recv(1000).startswith(b"HTTP/1.1 200 ")
            assert is_gone(idle[i]) and not any(map(is_gone_now, idle[i + 1 :]))
        answered += [connect(post.encode() + body) for _ in range(3)]
        wait_until(lambda: len(engine_of(slow).sequences) == 4)
        for _ in range(2):
            with connect(head + b"\r\n") as refused:
                told = b"".join(iter(lambda: refused.recv(1000), b""))
                assert told.startswith(b"HTTP/1.1 503 ") and b"engine_busy" in told and b"retry-after" in told.lower()
        assert len(engine_of(slow).running) == 4
        for client in (*answered, *idle):
            client.close()
        assert httpx.get(f"{base}/health").status_code == 200


def is_gone(client: socket.socket) -> bool:
    """Once what it was told is read."""
    try:
        while client.recv(1000):
            pass
    except ConnectionError:
        pass
    return True


def is_gone_now(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return is_gone(client)
    except BlockingIOError:
        return False
    finally:
        client.settimeout(10)


def test_a_stream_that_nobody_reads_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "READER_SECONDS", 0.3)
    loaded = make_face(lambda prompt, params: "hello world " * 50_000, context_length=200_000)
    with served(loaded) as base, socket.create_connection(("127.0.0.1", int(base.rpartition(":")[2]))) as client:
        body = json.dumps({"messages": USER, "stream": True}).encode()
        head = (
            f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        client.sendall(head.encode() + body)
        wait_until(lambda: engine_of(loaded).sequences)
        wait_until(lambda: not engine_of(loaded).running, 20)
        assert engine_of(loaded).aborted


def test_an_answer_has_its_time(slow: Any) -> None:
    with served(slow, work=Work(request_seconds=0.3)) as base:
        answer = httpx.post(base + CHAT, json={"messages": USER})
        assert answer.status_code == 504 and "0.3 s" in answer.json()["error"]["message"]
        with httpx.stream("POST", base + CHAT, json={"messages": USER, "stream": True}) as response:
            events = response.read().decode().split("\n\n")
        assert "0.3 s" in json.loads(events[-3].removeprefix("data: "))["error"]["message"] and events[-2] == "data: [DONE]"
        assert len(engine_of(slow).aborted) == 2 and not engine_of(slow).running


# --- stopping --------------------------------------------------------------------------------------------------------
class Stopping:
    """A server with one stream running, which was told to stop."""

    def __init__(self, loaded: Any, shutdown_seconds: float) -> None:
        self.listener, work = bind("127.0.0.1", 0), Work()
        self.server = Server(make_app(loaded, work=work), work, lambda: None, shutdown_seconds)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)
        self.thread.start()
        wait_until(lambda: self.server.started)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.text = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        wait_until(lambda: self.text.count("\n\n") > 3)
        self.server.handle_exit(signal.SIGTERM, None)

    def _read(self) -> None:
        with httpx.stream("POST", self.url + CHAT, json={"messages": USER, "stream": True, "max_tokens": 100}) as response:
            for text in response.iter_text():
                self.text += text

    def join(self) -> list[str]:
        self.thread.join(10)
        self.reader.join(10)
        assert not self.thread.is_alive() and not self.reader.is_alive()
        return self.text.split("\n\n")


def test_a_stop_lets_streams_finish(slow: Any) -> None:
    stopping = Stopping(slow, 20)
    refused = httpx.post(stopping.url + CHAT, json={"messages": USER})
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
    assert httpx.get(f"{stopping.url}/health").status_code == 503
    events = stopping.join()
    assert '"finish_reason":"length"' in events[-3] and events[-2] == "data: [DONE]"
    with pytest.raises(httpx.ConnectError):
        httpx.get(stopping.url)


def test_a_stream_that_must_end_is_told(slow: Any) -> None:
    events = Stopping(slow, 0.2).join()
    error = json.loads(events[-3].removeprefix("data: "))["error"]
    assert "being stopped" in error["message"] and error["type"] == "server_error" and events[-2] == "data: [DONE]"


def test_a_port_that_is_taken_is_said() -> None:
    with bind("127.0.0.1", 0) as listener:
        listener.listen()
        with pytest.raises(FanlightError, match=r"cannot listen on 127.0.0.1:\d+: Address already in use"):
            bind("127.0.0.1", listener.getsockname()[1])
    with pytest.raises(FanlightError, match=r"cannot listen on no.such.host.invalid"):
        bind("no.such.host.invalid", 0)


# --- numbers ---------------------------------------------------------------------------------------------------------
def test_metrics_and_the_access_log(slow: Any) -> None:
    lines: list[str] = []
    with served(slow, log_access=lines.append) as base:
        httpx.post(base + CHAT, json={"messages": USER, "max_tokens": 7, "n": 2})
        httpx.post(base + CHAT, json={"nonsense": 1})
        httpx.get(f"{base}/no%0Athing?secret=1")
        answer = httpx.get(f"{base}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    requests = {(s.labels["path"], s.labels["status"]): s.value for s in families["fanlight_requests"].samples}
    assert requests == {(CHAT, "200"): 1, (CHAT, "400"): 1, ("other", "404"): 1}
    assert families["fanlight_generated_tokens"].samples[0].value == 14
    first, per_token = families["fanlight_time_to_first_token_seconds"], families["fanlight_time_per_output_token_seconds"]
    for family in (first, per_token):
        assert family.type == "histogram" and family.samples[-1].name.endswith("_count") and family.samples[-1].value == 2
    assert [line.split()[2:5] for line in lines[:3]] == [
        ["POST", CHAT, "200"],
        ["POST", CHAT, "400"],
        ["GET", "/no%0Athing", "404"],
    ]


def test_endless_answers_are_counted_where_the_client_leaves() -> None:
    loaded = make_face(endless)
    with served(loaded) as base:
        with httpx.stream("POST", base + CHAT, json={"messages": USER, "stream": True}) as response:
            next(response.iter_lines())
        wait_until(lambda: "fanlight_requests_total{path" in httpx.get(f"{base}/metrics").text)


def test_health_answers_while_a_huge_prompt_is_refused(url: str) -> None:
    """It took 51 s once, and nothing else was answered meanwhile."""
    body = json.dumps({"messages": [{"role": "user", "content": "the hello " * 600_000}]}).encode()
    statuses: list[int] = []
    asking = threading.Thread(target=lambda: statuses.append(ask(url, "POST", CHAT, body, Content_Type="application/json")[0]))
    asking.start()
    worst = 0.0
    while not statuses:
        started = time.monotonic()
        assert ask(url, "GET", "/health")[0] == 200
        worst = max(worst, time.monotonic() - started)
        assert asking.is_alive() or statuses
    asking.join()
    assert statuses == [400] and worst < 10  # where ten others want the machine, too; alone it is 0.1 s
