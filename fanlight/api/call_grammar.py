"""The grammar of an answer that may, or has to, call functions, or to be what `response_format` says, after the reasoning."""

from typing import Any

from fanlight.api.structured import Structured
from fanlight.api.tool_requests import Tooling
from fanlight.errors import RequestError
from fanlight.grammar import Automaton, compile_format
from fanlight.text.chat_syntax import ChatSyntax
from fanlight.text.structure import ANY_OBJECT, Format, either
from fanlight.text.tool_formats import ToolFormat

NO_PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}


def answer_grammar(
    syntax: ChatSyntax, tooling: Tooling | None, structured: Structured | None, is_inside: bool
) -> Automaton | None:
    """None where the answer may be anything."""
    calls = None if tooling is None else _calls(syntax, tooling, structured)
    if calls is None and structured is None:
        return None
    parts = [] if calls is None else [syntax.grammar(calls, is_inside, is_text=False)]
    if structured is not None and (tooling is None or tooling.mode != "required"):
        parts.append(syntax.grammar(dict(structured.format), is_inside, is_text=True))
    return compile_format(either(parts))


def _calls(syntax: ChatSyntax, tooling: Tooling, structured: Structured | None) -> Format | None:
    """Beside a structured answer there is no other text, so calls have to be the whole of it, too."""
    is_strict = any(tool["function"].get("strict") for tool in tooling.tools)
    if tooling.mode != "required" and structured is None and not is_strict:
        return None
    functions = [tool["function"] for tool in tooling.tools if tool["function"]["name"] in tooling.places]
    format = syntax.format
    calls = [_call(format, function, f"tools[{tooling.places[function['name']]}]") for function in functions]
    if tooling.mode == "required" or structured is not None:
        return format.forced(calls, only_one=tooling.only_one)
    if format.trigger is None and format.free is None:
        raise RequestError(
            "strict: in this model's syntax nothing tells a call from text before its end",
            param="tools",
            hint='tool_choice "required", or functions without strict',
        )
    return format.allowed(calls, only_one=tooling.only_one)


def _call(format: ToolFormat, function: dict[str, Any], tool: str) -> Format:
    """With the arguments that the schema says. Of a function that is not strict, one that cannot be enforced is not."""
    where = f"{tool}.function.parameters"
    try:
        call = format.call(function["name"], function.get("parameters") or NO_PARAMETERS, where)
        compile_format(call)
    except RequestError as error:
        if not function.get("strict") and not format.lists_parameters:
            return format.call(function["name"], ANY_OBJECT, where)
        inner = (error.param or "").rpartition(".json_schema")[2] if (error.param or "").startswith("format") else ""
        param = error.param if (error.param or "").startswith(tool) else where + inner
        raise RequestError(error.message, where=error.where, hint=error.hint, param=param) from None
    return call
