"""The fields of a request that speak of tools and of reasoning, checked; what they come to is `Tooling` and `Thinking`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fanlight.api.checks import fail, integer, of_type
from fanlight.errors import RequestError

Mode = Literal["none", "auto", "required"]
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
USE_TOOLS = "tools and tool_choice, which took the place of functions and function_call"
MAX_TOOLS = 128  # OpenAI's


@dataclass(frozen=True, slots=True)
class Choice:
    """`names`: the functions that may be called, None for all of them; with `only_names` the others are not even shown."""

    mode: Mode = "auto"
    names: frozenset[str] | None = None
    only_names: bool = False


@dataclass(frozen=True, slots=True)
class Tooling:
    """`tools` are those that the model is shown; `places` has those that it may call."""

    tools: list[dict[str, Any]]
    places: dict[str, int]  # of the callable ones among the request's tools
    mode: Mode = "auto"
    only_one: bool = False


@dataclass(frozen=True, slots=True)
class Thinking:
    """`is_on`: None leaves it to the model."""

    is_on: bool | None = None
    effort: str | None = None
    budget: int | None = None  # tokens


# --- checks ----------------------------------------------------------------------------------------------------------
def tools(value: Any, name: str) -> list[dict[str, Any]]:
    listed = of_type(list, "a list of tools")(value, name)
    if len(listed) > MAX_TOOLS:
        raise RequestError(f"{name} has {len(listed)} tools; at most {MAX_TOOLS}", param=name)
    names = set()
    for i, tool in enumerate(listed):
        _check_tool(tool, f"{name}[{i}]")
        if (called := tool["function"]["name"]) in names:
            raise RequestError(f"{name}[{i}]: there are two functions called {called!r}", param=f"{name}[{i}].function.name")
        names.add(called)
    return listed


def _check_tool(tool: Any, name: str) -> None:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or tool.get("type") != "function" or not isinstance(function.get("name"), str):
        raise fail(name, 'a tool {"type": "function", "function": {"name": ...}}', tool)
    called = function["name"]
    if not called or len(called) > 64 or not all(c.isascii() and (c.isalnum() or c in "_-.") for c in called):
        raise fail(f"{name}.function.name", "1 to 64 letters, digits and _ - .", called)
    if function.get("parameters") is not None:
        of_type(dict, "a JSON schema of an object")(function["parameters"], f"{name}.function.parameters")
    if function.get("description") is not None:
        of_type(str, "a text")(function["description"], f"{name}.function.description")
    if function.get("strict") is not None:
        of_type(bool, "true or false")(function["strict"], f"{name}.function.strict")


def tool_choice(value: Any, name: str) -> Choice:
    if value in ("none", "auto", "required"):
        return Choice(value)
    if isinstance(value, Mapping) and value.get("type") == "function":
        return Choice("required", frozenset([_function_name(value, name)]))
    if isinstance(value, Mapping) and value.get("type") == "allowed_tools":
        allowed = value.get("allowed_tools", value)  # the Responses API has no wrapping
        mode, listed = allowed.get("mode"), allowed.get("tools")
        if mode not in ("auto", "required") or not isinstance(listed, list) or not listed:
            raise fail(f"{name}.allowed_tools", 'a mode "auto" or "required" and a list of tools', allowed)
        return Choice(mode, frozenset(_function_name(tool, f"{name}.allowed_tools.tools") for tool in listed), True)
    raise fail(name, '"none", "auto", "required", a function or allowed_tools', value)


def _function_name(tool: Any, name: str) -> str:
    """Of {"type": "function", "function": {"name": ...}}, or of the Responses API's {"type": "function", "name": ...}."""
    found = tool.get("function", tool) if isinstance(tool, Mapping) else None
    called = found.get("name") if isinstance(found, Mapping) else None
    if not isinstance(called, str) or tool.get("type") != "function":
        raise fail(name, 'a tool {"type": "function", "function": {"name": ...}}', tool)
    return called


def effort(value: Any, name: str) -> str:
    if value not in EFFORTS:
        raise fail(name, f"one of {', '.join(EFFORTS)}", value)
    return str(value)


def extra_body(value: Any, name: str) -> bool | None:
    """WebLLM's: its users write the client's argument into the request."""
    body = of_type(dict, "an object")(value, name)
    for key in body:
        if key != "enable_thinking":
            raise RequestError(f"unknown field {name}.{key}; known: enable_thinking", param=f"{name}.{key}")
    found = body.get("enable_thinking")
    return None if found is None else bool(of_type(bool, "true or false")(found, f"{name}.enable_thinking"))


# --- what they come to -----------------------------------------------------------------------------------------------
def tooling(values: Mapping[str, Any]) -> Tooling | None:
    """None where there are no tools, or none may be called."""
    offered, choice = values.get("tools") or [], values.get("tool_choice", Choice())
    if not offered and (choice.mode == "required" or choice.names is not None):
        raise RequestError("tool_choice asks for a call, and there are no tools", param="tool_choice")
    if not offered or choice.mode == "none":
        return None
    names = frozenset(tool["function"]["name"] for tool in offered)
    if choice.names is not None and (unknown := choice.names - names):
        raise RequestError(
            f"tool_choice names {', '.join(map(repr, sorted(unknown)))}, and tools has {', '.join(map(repr, sorted(names)))}",
            param="tool_choice",
        )
    called = names if choice.names is None else choice.names
    shown = [tool for tool in offered if not choice.only_names or tool["function"]["name"] in called]
    is_named = choice.names is not None and not choice.only_names
    places = {tool["function"]["name"]: i for i, tool in enumerate(offered) if tool["function"]["name"] in called}
    return Tooling(shown, places, choice.mode, is_named or values.get("parallel_tool_calls") is False)


def thinking(values: Mapping[str, Any]) -> Thinking:
    switched = [values.get("enable_thinking"), values.get("extra_body")]
    switched.append(values.get("chat_template_kwargs", {}).get("enable_thinking"))
    effort, budget = values.get("reasoning_effort"), values.get("thinking_token_budget")
    is_on = next((bool(found) for found in switched if found is not None), None)
    if is_on is None and effort is not None:
        is_on = effort != "none"
    return Thinking(False if budget == 0 else is_on, None if effort == "none" else effort, budget or None)


FIELDS = {
    "tools": tools,
    "tool_choice": tool_choice,
    "parallel_tool_calls": of_type(bool, "true or false"),
    "reasoning_effort": effort,
    "enable_thinking": of_type(bool, "true or false"),
    "thinking_token_budget": integer(0, 2**31 - 1),
    "extra_body": extra_body,
}
