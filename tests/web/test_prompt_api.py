"""fanlight/prompt-api: what the web platform's tests of the Prompt API look at, by tests of our own, in Node, on the API's real
Python with an engine that says what it is told."""

import json
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from fanlight import driver
from fanlight.api import handle
from fanlight.api.routes import error_body
from fanlight.engine.sampling_params import SamplingParams
from tests.api.fakes import TEMPLATE, make_face
from tests.web.browser import serving

SCRIPT = Path(__file__).parent / "pages" / "prompt_api.mjs"
END, START = "<|im_end|>", "<|im_start|>"
WINDOW = 256
READS_CALLS = "{# <tool_call> #}"
ALTERNATING = (
    "{% for m in messages %}{% set due = 'user' if loop.index0 % 2 == 0 else 'assistant' %}"
    "{% if m.role != due or (loop.last and m.role != 'user') %}"
    "{{ raise_exception('user and assistant alternate') }}{% endif %}"
) + TEMPLATE.split("{% for m in messages %}")[1]
PROMPTS: list[str] = []


def say(prompt: str, params: SamplingParams) -> str:
    """What the last message asks for."""
    PROMPTS.append(prompt)
    last = prompt.rsplit(f"{START}", 2)[1]
    role, content = last.removesuffix("\n").removesuffix(END).split("\n", 1)
    if role == "tool" or "<tool_response>" in content:
        return f"It is so.{END}"
    if content.startswith("call: "):
        calls = [call.split() for call in content.removeprefix("call: ").split(", ")]
        written = [json.dumps({"name": name, "arguments": {"place": place}}) for name, place in calls]
        return "\n".join(f"<tool_call>\n{call}\n</tool_call>" for call in written) + END
    if content.startswith("constrained?"):
        return f"{'no' if params.grammar is None else 'yes'}{END}"
    if content.startswith("endless"):
        return "word "
    if content == "sampling?":
        return f"{params.temperature:g} {params.top_k}{END}"
    return (content.split("say: ")[1] if "say: " in content else "ok") + END


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    faces = {
        "scripted": make_face(say, context_length=WINDOW, template=READS_CALLS + TEMPLATE),
        "roomy": make_face(say, context_length=4 * WINDOW, template=READS_CALLS + TEMPLATE),
        "strict": make_face(say, context_length=WINDOW, template=ALTERNATING),
    }
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                status, answer = self.answered(body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def answered(self, body: Any) -> tuple[int, Any]:
            if self.path == "/seen":
                seen = PROMPTS.copy()
                PROMPTS.clear()
                return 200, seen
            try:
                return 200, driver.run(self.whole(faces[body.pop("model")], body))
            except Exception as error:
                return error_body(error)

        async def whole(self, face: Any, body: Any) -> Any:
            answer = await handle(face, self.path, body or None)
            if isinstance(answer, dict):
                return answer
            return {"items": [chunk async for chunk in answer]}

    with serving(Handler) as url:
        yield url


@pytest.fixture(scope="module")
def found(assets: Path, address: str) -> dict[str, Any]:
    """What each of prompt_api.mjs gave."""
    command = ["node", SCRIPT, assets / "fanlight", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def chat(*said: str, answers: bool = True) -> str:
    """As the model reads it, "role: content" each."""
    messages = [message.split(": ", 1) for message in said]
    written = "".join(f"{START}{role}\n{content}{END}\n" for role, content in messages)
    return written + (f"{START}assistant\n" if answers else "")


def test_nothing_goes_wrong_unseen(found) -> None:
    assert "unhandled" not in found, found["unhandled"]
    assert {name: given["broke"] for name, given in found.items() if "broke" in given} == {}


def test_a_session_has_what_the_interface_says_under_all_its_names(found) -> None:
    given = found["shape"]
    usage, window = (dict.fromkeys(names, size) for names, size in NUMBERS)
    assert given["numbers"] == usage | window | {"topK": 128, "temperature": 0.8}
    assert given["methods"] == ["function"] * 8 and given["handlers"] == [None, None]
    assert given["others"] == [True, True, "[object LanguageModel]", "balanced", "TypeError"]


NUMBERS = (
    (("contextUsage", "inputUsage", "tokensSoFar"), 0),
    (("contextWindow", "inputQuota", "maxTokens", "tokensLeft"), WINDOW),
)


def test_a_conversation_is_read_whole_and_measured(found) -> None:
    given = found["conversation"]
    assert given["answers"] == ["one", "two"]
    begun = ["system: Be brief.", "user: ab", "assistant: c"]
    first = [*begun, "user: say: one"]
    appended = [*first, "assistant: one", "user: x y"]
    more = [*appended, "user: z", "assistant: w", "user: say: two"]
    assert given["prompts"] == [chat(*begun), chat(*first), chat(*appended), chat(*more)]
    before, after, appended_to = given["usages"]
    assert 0 < before < before + given["measured"] < after
    assert [appended_to - after] * 3 == given["same"]


def test_a_stream_has_pieces(found) -> None:
    given = found["streaming"]
    assert given["kind"] == "[object ReadableStream]" and len(given["pieces"]) > 1
    assert "".join(given["pieces"]) == "one two three four"
    assert given["prompts"] == [chat("user: say: one two three four", "assistant: one two three four", "user: more")]


def test_an_input_is_what_web_idl_makes_of_it(found) -> None:
    assert found["inputs"] == ["[object Object]", "", "null", "undefined", "5", "", "", "made", "7"]


# By the errors' names. What Web IDL refuses, `promptStreaming` throws at once; what the rules refuse, its stream ends with.
THROWN = {
    "TypeError": (
        "no argument, a symbol, a message that is none, no role, no content, an unknown role, an unknown type, "
        "a part without a value, options that are none, a signal that is none, a null constraint, a text as constraint, "
        "a list as constraint, nothing to omit"
    ),
    "NotSupportedError": "a schema that is a circle, a flag",
}
LATER = {
    "TypeError": "bytes as text, a system message later",
    "NotSupportedError": (
        "a keyword that is not enforced, a pattern that is not enforced, an image, an image that is a text, audio, "
        "a tool's response"
    ),
    "SyntaxError": "a prefix of the user's, a prefix that is not last",
}


def test_prompts_are_refused_by_name(found) -> None:
    given = found["refusedPrompts"]
    expected = {what: [name, name, name] for name, those in THROWN.items() for what in those.split(", ")}
    expected |= {what: [name, name, "at once not"] for name, those in LATER.items() for what in those.split(", ")}
    assert given["found"] == expected and given["unchanged"]
    assert given["append"] == ["TypeError", "NotSupportedError", "TypeError"]


SESSIONS = {
    "TypeError": (
        "options that are none, prompts that are none, a prompt that is none, a system message that is second, "
        "two system messages, an unknown type, no type, an unknown mode, mode and temperature, a tool without execute, "
        "a tool's schema that is none, two tools of a name, a monitor that is none, a signal that is none"
    ),
    "RangeError": "a language that is none, a temperature below 0, a temperature that is none, a topK below 1",
    "NotSupportedError": "an image, images are expected, sounds are to be made",
    "SyntaxError": "a prefix of the user's",
    "AbortError": "an aborted signal",
    "QuotaExceededError": "too long a prompt",
}


def test_sessions_are_refused_by_name(found) -> None:
    given = found["refusedSessions"]
    assert given["found"] == {what: name for name, those in SESSIONS.items() for what in those.split(", ")}
    assert given["clamped"] == [2, 3]
    assert given["available"] == ["available", "available", "unavailable"] and given["refused"] == ["RangeError", "fine"]


def test_a_system_message_comes_first_wherever_that_is(found) -> None:
    given = found["systemMessages"]
    assert given["prompts"] == [chat("system: S", "user: a")] * 2 and given["later"] == ["TypeError"] * 2


def test_an_answer_goes_on_with_a_prefix(found) -> None:
    given = found["prefixes"]
    begun = chat("user: say: gnome") + "name = "
    assert given["said"] == "gnome"
    assert given["prompts"] == [begun, chat("user: say: gnome", "assistant: name = gnome", "user: more")]


def test_whatever_lasts_can_be_aborted(found) -> None:
    """With the signal's reason, also where it was aborted before; and the session is as if nothing had been asked."""
    given = found["aborting"]
    assert given["found"].pop("late") == ["mine"]
    assert set(given["found"]) == {"create", "prompt", "append", "measure", "clone", "stream"}
    assert all(names == ["AbortError", "AbortError", "mine", "mine"] for names in given["found"].values())
    assert given["usage"] == 0 and given["said"] == "still here" and given["prompts"][-1] == chat("user: say: still here")


def test_a_stream_that_is_cancelled_leaves_nothing(found) -> None:
    given = found["cancellingAStream"]
    assert given["first"] == "string" and given["said"] == "next" and given["prompts"] == [chat("user: say: next")]


def test_a_session_does_one_thing_after_the_other(found) -> None:
    """What is aborted while it waits is not asked."""
    given = found["queue"]
    assert given["order"] == ["aborted", "long", "append", "last", "clone"]
    assert given["last"] == [["last", "last"], ["clone", True]]
    assert [prompt.count("<|im_end|>") for prompt in given["prompts"]] == [1, 3, 4]
    assert not any("never" in prompt for prompt in given["prompts"])


@pytest.mark.parametrize(("how", "error"), [("destroy", "AbortError: the session was destroyed"), ("abort", "Error: mine")])
def test_a_session_ends_with_all_that_it_does(found, how, error) -> None:
    assert found["destroying"][how] == {"errors": [error], "count": 10, "clone": "alive"}


def test_a_clone_goes_on_by_itself(found) -> None:
    given = found["cloning"]
    begun = ["system: S", "user: say: one", "assistant: one"]
    cloned = [*begun, "user: only in the clone", "assistant: ok", "user: end"]
    assert given["same"] == [True] * 4 and not given["isSame"]
    assert given["prompts"] == [chat(*begun, "user: only in the first"), chat(*cloned)]


def test_the_oldest_exchanges_leave_and_the_initial_prompts_stay(found) -> None:
    given = found["overflow"]
    kept, words = ["system: S", "user: kept", "assistant: too"], "word " * 12
    turns = [message for i in (1, 2) for message in (f"user: turn-{i} {words}", "assistant: ok")]
    assert given["before"] == 0
    assert given["events"] == ["contextoverflow", "oncontextoverflow", True, "quotaoverflow"] * 2
    assert given["prompts"] == [chat(*kept, *turns, f"user: turn-3 {'word ' * 30}")]
    assert 0 < given["usage"] <= given["window"] == WINDOW
    assert given["after"].startswith(chat(*kept, *turns[2:], answers=False))  # what did not fit dropped nothing
    for error in (given["tooMuch"], given["farTooMuch"], given["initial"]):
        assert error["name"] == "QuotaExceededError" and error["requested"] > error["quota"] == WINDOW


def test_an_answer_is_what_was_asked_for(found) -> None:
    given = found["constraints"]
    assert given["measured"] == [True, True] and given["answers"] == ["yes", "yes", "no"]
    told, omitted, free = given["prompts"]
    assert '"rating"' in told and omitted == chat("user: constrained?") and free.startswith(omitted)
    assert given["cut"]["name"] == "SyntaxError" and given["free"]


def test_tools_are_called_at_once_until_the_model_speaks(found) -> None:
    given = found["tools"]
    assert given["before"] > 0 and given["said"] == "It is so." == "".join(given["streamed"])
    assert given["calls"] == [[{"place": "Bern"}], [{"place": "Rome"}]] and given["most"] == 2
    assert chat("tool: sunny in Bern", "tool: sunny in Rome") in given["prompts"][1]
    assert given["failed"]["name"] == "RangeError" and given["failed"]["message"] == "no such place"
    (after,) = given["after"]
    assert "There is no tool 'nobody'." in after and "call: failing" not in after and given["unchanged"]


def test_sampling_is_the_models_own_unless_it_is_said(found) -> None:
    given = found["sampling"]
    assert given["own"] == "1 0" and given["raw"] == "0.25 7" and given["named"] == "creative"
    assert given["modes"] == sorted(given["modes"]) and given["modes"][0] == 0 and given["modes"][2] == 1
    assert given["params"] == {"defaultTopK": 128, "maxTopK": 128, "defaultTemperature": 0.8, "maxTemperature": 2}


def test_a_download_is_told_and_shared(found) -> None:
    given = found["monitor"]
    assert [given[when] for when in ("before", "during", "after")] == ["downloadable", "downloading", "available"]
    assert given["loads"] == 1 and given["one"] == given["two"] and given["three"] == [[0, 1, True], [1, 1, True]]
    steps = [loaded for loaded, total, is_known in given["one"] if (total, is_known) == (1, True)]
    assert steps == sorted(set(steps)) and steps[0] == 0 and steps[-1] == 1 and len(steps) == 4
    assert all(step * 0x10000 % 1 == 0 for step in steps)
    assert given["thrown"]["message"] == "mine"
    for at in (0, 1):
        assert given[f"at {at}"] == ["mine", at] and given[f"again {at}"] == "yes" and given[f"loads {at}"] == 1
    assert (given["gone"]["name"], given["gone"]["cause"]) == ("NetworkError", "SourceError")


def test_an_engine_ends_with_its_last_session(found) -> None:
    """Unless it is the page's."""
    given = found["configuring"]
    assert given["held"] == 0 and given["said"] == "still mine" and given["left"] == [1, 0] and given["owned"] == 1
    assert given["unknown"]["name"] == "OperationError" and "'other'" in given["unknown"]["message"]
    assert given["none"] == "TypeError"


def test_a_template_that_wants_user_and_assistant_to_alternate(found) -> None:
    given = found["alternating"]
    assert given["said"] == "b" and given["usage"] > 0
    assert given["prompts"] == [chat("user: S"), chat("user: S\n\na"), chat("user: S\n\na\n\nsay: b")]


def test_installing(found) -> None:
    """A browser's own stays, unless it is to be replaced."""
    given = found["installing"]
    assert given["kept"] == [False, True] and given["replaced"] == [True, True, False] and given["fresh"] == [True, True]
    assert given["capabilities"]["available"] == "readily" and given["usage"]
    assert given["prompts"] == [chat("system: S", "user: a")]
