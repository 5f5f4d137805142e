"""MiniMax-M2, and MiniCPM5 with nothing around the calls:

<minimax:tool_call>
<invoke name="f">
<parameter name="a">1</parameter>
</invoke>
</minimax:tool_call>

<function name="f"><param name="a">1</param></function>
"""

from typing import Any

from fanlight.text.reader import Reader, Steps, content_and_calls
from fanlight.text.structure import Format
from fanlight.text.tagged import Tags, read_tagged_calls, tagged_call
from fanlight.text.tool_formats import ToolFormat

OPEN, CLOSE, FUNCTION = "<minimax:tool_call>", "</minimax:tool_call>", '<function name="'
MINIMAX = Tags(('<invoke name="', '">\n'), ('<parameter name="', '">'), "</parameter>\n", "</invoke>", CLOSE)
MINICPM = Tags((FUNCTION, '">'), ('<param name="', '">'), "</param>", "</function>")


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, (OPEN,), lambda reader, mark: read_tagged_calls(reader, mark, MINIMAX))


def call(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tagged_call(name, parameters, where, MINIMAX)


def read_bare(reader: Reader) -> Steps:
    return content_and_calls(reader, (FUNCTION,), lambda reader, mark: read_tagged_calls(reader, mark, MINICPM))


def bare_call(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tagged_call(name, parameters, where, MINICPM)


FORMATS = (
    ToolFormat(
        "minimax",
        lambda template: OPEN in template,
        read,
        call,
        marks=(OPEN, CLOSE),
        first=f"{OPEN}\n",
        last=f"\n{CLOSE}",
        trigger=OPEN,
        lists_parameters=True,
    ),
    ToolFormat(
        "minicpm5", lambda template: FUNCTION in template, read_bare, bare_call, trigger=FUNCTION, lists_parameters=True
    ),
)
