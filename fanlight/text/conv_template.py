"""MLC's `conv_template` as a Jinja chat template: how a conversation is written, as mlc-chat-config.json has it and as WebLLM's
users set it.  Knows no tokenizer; the token ids that it names are the tokenizer's business.

A message is its role's name, `role_content_sep`, its text in `role_templates`, and a separator: the first of `seps` after what
a user or a tool says, the last after an answer. The prompt ends with the assistant's name and `role_empty_sep`.
"""

from collections.abc import Mapping
from typing import Any

from fanlight.errors import UnsupportedModel

PLACES = {"system": "{system_message}", "user": "{user_message}", "assistant": "{assistant_message}", "tool": "{tool_message}"}
FUNCTIONS = "{function_string}"  # of an older way to show tools; nothing stands there


def jinja_of(given: Mapping[str, Any], where: str = "conv_template") -> str:
    """Raises UnsupportedModel where it is no conv_template."""
    roles, seps = given.get("roles"), given.get("seps") or [""]
    if not isinstance(roles, Mapping) or not all(isinstance(roles.get(role), str) for role in ("user", "assistant")):
        raise UnsupportedModel("roles must have texts for user and assistant", where=where)
    if not isinstance(seps, list) or not all(isinstance(sep, str) for sep in seps):
        raise UnsupportedModel("seps must be a list of texts", where=where)
    after_name, after_prompt = (
        _text(given, name, absent) for name, absent in (("role_content_sep", ": "), ("role_empty_sep", ": "))
    )
    system, default = _text(given, "system_template", PLACES["system"]), _text(given, "system_message", "")
    system_says = "{% if messages and messages[0].role == 'system' %}{% set system = messages[0].content %}"
    system_says += f"{{% else %}}{{% set system = {_quoted(default)} %}}{{% endif %}}"
    before, found, after = system.partition(PLACES["system"])
    whole = f"{_quoted(before)} ~ {'system' if found else _quoted('')} ~ {_quoted(after)}"
    if given.get("render_empty_system_message") is False:
        whole = f"({whole} if system else '')"
    parts = [
        "{{ bos_token if bos_token is defined and bos_token }}" if given.get("system_prefix_token_ids") else "",
        system_says,
        f"{{% set opening = {whole} %}}{{{{ opening }}}}",
        "{% for message in messages if message.role != 'system' %}",
        *(_branch(given, role, i, seps, after_name) for i, role in enumerate(("user", "assistant", "tool"))),
        "{% endif %}{% endfor %}",
        f"{{% if add_generation_prompt %}}{{{{ {_quoted(roles['assistant'] + after_prompt)} }}}}{{% endif %}}",
    ]
    return "".join(parts)


def _branch(given: Mapping[str, Any], role: str, number: int, seps: list[str], after_name: str) -> str:
    templates = given.get("role_templates") or {}
    template = templates.get(role) or PLACES[role]
    if not isinstance(template, str):
        raise UnsupportedModel(f"role_templates.{role} must be a text", where="conv_template")
    name = given["roles"].get(role, given["roles"]["user"])
    # The first message may follow the system's without a name, as Llama 2 has it.
    named = (
        f"{{{{ (message.name or {_quoted(name)}) ~ {_quoted(after_name)} }}}}"
        if role == "user"
        else f"{{{{ {_quoted(name + after_name)} }}}}"
    )
    if given.get("add_role_after_system_message") is False:
        named = f"{{% if not (loop.first and opening) %}}{named}{{% endif %}}"
    sep = seps[-1] if role == "assistant" else seps[0]
    text = _filled(template.replace(FUNCTIONS, ""), PLACES[role], "message.content")
    return f"{{% {'elif' if number else 'if'} message.role == '{role}' %}}{named}{text}{{{{ {_quoted(sep)} }}}}"


def _filled(template: str, place: str, variable: str) -> str:
    before, found, after = template.partition(place)
    text = f"{{{{ {_quoted(before)} }}}}"
    return text + (f"{{{{ {variable} }}}}{{{{ {_quoted(after)} }}}}" if found else "")


def _text(given: Mapping[str, Any], name: str, absent: str) -> str:
    value = given.get(name, absent)
    if value is not None and not isinstance(value, str):
        raise UnsupportedModel(f"{name} must be a text, got {value!r:.60}", where="conv_template")
    return value or ""


def _quoted(text: str) -> str:
    """A Jinja literal. Its strings know Python's escapes."""
    return repr(text)
