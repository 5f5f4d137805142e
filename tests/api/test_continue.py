"""An answer that goes on: `continue_final_message`, against transformers, and against the answer that was not cut."""

from typing import Any

import pytest

from fanlight import driver
from fanlight.api.routes import handle
from fanlight.engine.sampling_params import SamplingParams
from fanlight.errors import RequestError
from fanlight.text.chat_syntax import chat_syntax
from fanlight.text.chat_template import ChatTemplate
from tests.api.fakes import TOKENIZER, make_face
from tests.text.test_chat import CHATML, HISTORY, SPECIAL, oracle

USER = {"role": "user", "content": "Go"}
END = "<|im_end|>"
GEMMA = (
    "{{ bos_token }}{% for m in messages if m.role != 'system' %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}{# </think> #}"
)
HARMONY = (
    "{% for m in messages %}<|start|>{{ m.role }}<|channel|>final<|message|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)


@pytest.mark.parametrize("template", [CHATML, GEMMA])
@pytest.mark.parametrize("content", ["Once upon", "a <|im_end|> b", "Ünï 日本"])
def test_the_prompt_is_transformers(template: str, content: str) -> None:
    messages = [*HISTORY, {"role": "assistant", "content": content}]
    syntax = chat_syntax(ChatTemplate(template, SPECIAL), TOKENIZER)
    made = syntax.prompt(TOKENIZER.controls, messages, None, {}, None, True)
    expected = oracle(template, messages, continue_final_message=True)
    # Where a template can switch thinking off, an answer that began without any was made so; transformers do not say that.
    assert made.text.replace("<think>\n\n</think>\n\n", "") == expected
    if "<|im_end|>" in content:
        assert made.marked != made.text  # what a message says ends no turn


def ask(answer: Any, messages: list[dict[str, Any]], template: str | None = None, **body: Any) -> Any:
    face = make_face(answer, **({"template": template} if template else {}))
    return driver.run(handle(face, "/v1/chat/completions", {"messages": messages, **body}))


def said(message: dict[str, Any]) -> tuple[str, str]:
    return message.get("reasoning_content") or "", message["content"] or ""


@pytest.mark.parametrize(
    ("template", "before", "reasoning", "between", "content"),
    [
        (None, "", "", "", "It was  a dark <b>night</b>.\n\n1. one\n"),
        (THINKING, "", "First this,\n\nthen that.", "\n</think>\n\n", "So it is."),
        (
            HARMONY,
            "<|channel|>analysis<|message|>",
            "Hm. Well.",
            "<|end|><|start|>assistant<|channel|>final<|message|>",
            "Four.",
        ),
    ],
)
def test_cut_anywhere_it_goes_on_as_if_it_were_not(
    template: str | None, before: str, reasoning: str, between: str, content: str
) -> None:
    """The model sees what it had written, and what it says next continues what was said."""
    whole = before + reasoning + between + content
    prompts: list[str] = []

    def first(prompt: str, params: SamplingParams) -> str:
        prompts.append(prompt)
        return whole + END

    assert said(ask(first, [USER], template)["choices"][0]["message"]) == (reasoning, content)
    start = prompts[0]

    def rest(prompt: str, params: SamplingParams) -> str:
        assert prompt.startswith(start)
        written = prompt[len(start) :]
        assert whole.startswith(written) and written
        return whole[len(written) :] + END

    cuts = [(reasoning[:i].rstrip(), "") for i in range(1, len(reasoning) + 1)]
    cuts += [(reasoning, content[:i]) for i in range(1, len(content))]
    for thought, text in cuts:
        message = {"role": "assistant", "content": text} | ({"reasoning_content": thought} if thought else {})
        asked = {"continue_final_message": True, "add_generation_prompt": False}
        news = said(ask(rest, [USER, message], template, **asked)["choices"][0]["message"])
        assert (thought + news[0], text + news[1]) == (reasoning, content), (thought, text)
        chunks = list(driver.run(collected(rest, [USER, message], template, asked)))
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        assert "".join(delta.get("content") or "" for delta in deltas) == news[1]


async def collected(answer: Any, messages: list[dict[str, Any]], template: str | None, body: dict[str, Any]) -> list[Any]:
    face = make_face(answer, **({"template": template} if template else {}))
    return [c async for c in await handle(face, "/v1/chat/completions", {"messages": messages, "stream": True, **body})]


PARTIAL = {"role": "assistant", "content": "Once"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("messages", "body", "words"),
    [
        ([USER], {}, "got 'user'"),
        ([USER, {"role": "assistant", "content": ""}], {}, "empty"),
        ([USER, {**PARTIAL, "tool_calls": [CALL]}], {}, "calls tools"),
        ([USER, PARTIAL], {"add_generation_prompt": True}, "begins another"),
        ([USER, PARTIAL], {"continue_final_message": False, "add_generation_prompt": False}, "needs continue_final_message"),
        ([USER, PARTIAL], {"response_format": {"type": "json_object"}}, "begins anew"),
    ],
)
def test_what_cannot_go_on_is_refused(messages: list[dict[str, Any]], body: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        ask("x" + END, messages, **{"continue_final_message": True, **body})
