"""Chat templates against transformers' `apply_chat_template`, and against templates that mean harm."""

import json
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from fanlight.errors import RequestError, UnsupportedModel
from fanlight.text.chat_template import ChatTemplate, open_chat_template
from fanlight.text.gguf_vocabulary import LLAMA3
from tests.text.vocabularies import byte_level_json

SPECIAL = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}

CHATML = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{ messages[0].content + '\\n\\n' }}{% endif %}
    {{- "# Tools\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}{{ tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'system' and loop.first %}{% continue %}{% endif %}
    {%- if message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' ~ message.content ~ '\\n</tool_response><|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content }}
        {%- for call in message.tool_calls or [] %}
            {{- '\\n<tool_call>\\n{"name": "' ~ call.function.name ~ '", "arguments": ' }}
            {{- (call.function.arguments | tojson) ~ '}' }}
            {{- '\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{%- endif %}"""

LLAMA_LIKE = """{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
<|start_header_id|>system<|end_header_id|>

Year: {{ strftime_now("%Y") }}
{% if tools is not none %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
{% endif %}
{{ system_message }}<|eot_id|>
{%- for message in messages %}
    {% generation %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim }}
    {% endgeneration %}
    {{- loop.index0 }}/{{ loop.length }}{% if not loop.last %}, {% endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

MISTRAL_LIKE = """{%- macro wrap(text, left='[INST] ', right=' [/INST]') -%}{{ left ~ text ~ right }}{%- endmacro -%}
{%- set ns = namespace(system='', turns=0) -%}
{{ bos_token }}
{%- for message in messages -%}
    {%- if message['role'] == 'system' -%}{%- set ns.system = message['content'] + '\\n' -%}
    {%- elif message['role'] == 'user' -%}
        {%- if ns.turns % 2 != 0 -%}{{ raise_exception('roles must alternate user and assistant') }}{%- endif -%}
        {%- set ns.turns = ns.turns + 1 -%}
        {{ wrap(ns.system + message.content) }}{%- set ns.system = '' -%}
    {%- elif message['role'] == 'assistant' -%}
        {%- set ns.turns = ns.turns + 1 -%}
        {{ ' ' + message.content + eos_token }}
    {%- endif -%}
{%- endfor -%}
{{ dict(a=1) | tojson }} {{ "%05.1f" % 3.14159 }} {{ [1, 2, 3] | map('string') | join('-') }} {{ 'a,b'.split(',') | last }}"""

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": 'Today\'s weather <in> a "place" & more déjà',
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}
HISTORY = [
    {"role": "system", "content": "Be brief. "},
    {"role": "user", "content": "Hello  \n"},
    {"role": "assistant", "content": " Hi! 日本 <b>"},
    {"role": "user", "content": "Bye"},
]
CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": {"place": "Köln"}}}
TOOL_HISTORY = [
    {"role": "user", "content": "Weather?"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
]


def oracle(template: str, messages: list[dict[str, Any]], **options: Any) -> str:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=TOKENIZER, **SPECIAL)
    return tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, **options)


TOKENIZER = __import__("tokenizers").Tokenizer.from_str(byte_level_json(LLAMA3))


@pytest.mark.parametrize("template", [CHATML, LLAMA_LIKE, MISTRAL_LIKE])
@pytest.mark.parametrize("messages", [HISTORY, HISTORY[1:], HISTORY[1:2], TOOL_HISTORY])
@pytest.mark.parametrize("tools", [None, [TOOL], [TOOL, TOOL]])
@pytest.mark.parametrize("generate", [True, False])
def test_equal_to_transformers(template: str, messages: list[dict[str, Any]], tools: Any, generate: bool) -> None:
    expected = oracle(template, messages, tools=tools, add_generation_prompt=generate)
    assert ChatTemplate(template, SPECIAL).render(messages, tools=tools, add_generation_prompt=generate) == expected


def test_template_variables() -> None:
    expected = oracle(CHATML, HISTORY, add_generation_prompt=True, enable_thinking=False)
    assert expected.endswith("</think>\n\n")
    assert ChatTemplate(CHATML, SPECIAL).render(HISTORY, enable_thinking=False) == expected


SHOWS = "{% for m in messages %}{{ m | tojson }}{% endfor %}"


def shown(template: str, message: dict[str, Any]) -> Any:
    """The message as the template has it."""
    return json.loads(ChatTemplate(template, {}).render([message]))


def test_openai_messages_become_template_messages() -> None:
    reads_text = "{% for m in messages %}{% if m.content is string %}{{ m | tojson }}{% endif %}{% endfor %}"
    parts = {"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    assert shown(reads_text, parts) == {"role": "system", "content": "a\nb"}
    assert shown(reads_text + "{# developer #}", parts) == {"role": "developer", "content": "a\nb"}
    text = json.dumps(CALL["function"]["arguments"])
    called = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{**CALL, "function": {**CALL["function"], "arguments": text}}],
    }
    assert shown(SHOWS, called) == {"role": "assistant", "content": None, "tool_calls": [CALL]}
    prints = "{% for m in messages %}{{ m.content }}{{ m.tool_calls | tojson }}{% endfor %}"  # would print None
    assert shown(prints, called) == [CALL]
    called["tool_calls"][0]["function"]["arguments"] = "{place"
    with pytest.raises(RequestError, match="no JSON") as caught:
        shown(SHOWS, called)
    assert caught.value.param == "messages"


def test_where_the_template_is_found() -> None:
    messages = [{"role": "user", "content": "x"}]
    gguf = {"tokenizer.chat_template": "plain", "tokenizer.chat_template.tool_use": "tools"}
    folder = {"chat_template": "plain", "chat_templates": {"tool_use": "tools"}}
    for template in (open_chat_template("gguf", gguf, {}), open_chat_template("safetensors", folder, {})):
        assert template is not None
        assert (template.render(messages), template.render(messages, tools=[TOOL])) == ("plain", "tools")
    assert open_chat_template("gguf", {}, {}) is None


def test_the_template_refuses() -> None:
    with pytest.raises(RequestError, match="roles must alternate") as caught:
        ChatTemplate(MISTRAL_LIKE, SPECIAL).render([HISTORY[1], HISTORY[3]])
    assert caught.value.param == "messages"


def test_broken_templates_name_their_line() -> None:
    with pytest.raises(UnsupportedModel) as syntax:
        ChatTemplate("fine\n{% if %}", SPECIAL)
    assert syntax.value.where == "chat template, line 2"
    assert "completions" in syntax.value.hint
    with pytest.raises(RequestError, match="no attribute") as undefined:
        ChatTemplate("fine\n\n{{ messages[0].nothing.more }}", SPECIAL).render(HISTORY)
    assert undefined.value.where == "chat template, line 3"


BOMBS = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "filtered loops": "{% for a in range(99999) %}{% for b in range(99999) if false %}{% endfor %}{% endfor %}",
    "recursive loop": "{% for a in [[1]] recursive %}{{ loop([[1]]) }}{{ loop([[1]]) }}{% endfor %}",
    "macro": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(64) }}",
    "endless macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "huge range": "{% for a in range(10 ** 12) %}{% endfor %}",
    "long text": "{{ 'a' * 10 ** 11 }}",
    "long list": "{{ ([0] * 10 ** 11) | length }}",
    "doubling": "{% set ns = namespace(t='aaaa') %}{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}",
    "adding": "{% set ns = namespace(t='aaaa') %}{% for i in range(60) %}{% set ns.t = ns.t + ns.t %}{% endfor %}{{ ns.t }}",
    "power": "{{ 10 ** (10 ** 10) }}",
    "product": "{% set ns = namespace(n=9) %}{% for i in range(90) %}{% set ns.n = ns.n * ns.n %}{% endfor %}{{ ns.n }}",
    "width": "{{ 'a' | center(10 ** 11) }}",
    "constant width": "{{ 'a' | center(99999999999) }}",
    "method width": "{{ 'a'.ljust(10 ** 11) }}",
    "format": "{{ '%99999999999d' % 1 }}",
    "format method": "{{ '{:99999999999}'.format(1) }}",
    "indent": "{{ messages | tojson(indent=10 ** 11) }}",
    "output": "{% set t = 'a' * 999999 %}{% for i in range(9999) %}{{ t }}{% endfor %}",
    "deep": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_defused(name: str) -> None:
    """Else this never ends, or takes all memory."""
    with pytest.raises((UnsupportedModel, RequestError)):
        ChatTemplate(BOMBS[name], SPECIAL).render(HISTORY)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.__init__.__globals__ }}",
        "{{ messages.append(1) }}",
        "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
        "{{ namespace(__class__=1) }}",
        "{{ raise_exception.__globals__ }}",
        "{{ ''.format.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
    ],
)
def test_the_sandbox_holds(source: str) -> None:
    try:
        text = ChatTemplate(source, SPECIAL).render(HISTORY)
    except (RequestError, UnsupportedModel):
        return
    assert text == ""  # what the sandbox refuses to look up is undefined, and undefined prints as nothing
