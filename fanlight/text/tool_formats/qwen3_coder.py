"""Qwen3-Coder, Qwen3.5, Nemotron 3 Nano, Step 3.5, and Seed-OSS with marks of its own:

<tool_call>
<function=f>
<parameter=a>
1
</parameter>
</function>
</tool_call>

<seed:tool_call>
<function=f>
<parameter=a>1</parameter>
</function>
</seed:tool_call>
"""

from typing import Any

from fanlight.text.reader import Reader, Steps, content_and_calls
from fanlight.text.structure import Format, tag
from fanlight.text.tagged import Tags, read_tagged_calls, tagged_call
from fanlight.text.tool_formats import ToolFormat

FUNCTION, PARAMETER, SEED_OPEN = "<function=", "<parameter=", "<seed:tool_call>"


def _format(name: str, open: str, tags: Tags) -> ToolFormat:
    def recognises(template: str) -> bool:
        return FUNCTION in template and PARAMETER in template and (SEED_OPEN in template) == (open == SEED_OPEN)

    def read_calls(reader: Reader, mark: str) -> Steps:
        return read_tagged_calls(reader, mark, tags)

    def read(reader: Reader) -> Steps:
        return content_and_calls(reader, (open, FUNCTION), read_calls)  # some models leave the first mark out

    def call(function: str, parameters: dict[str, Any], where: str) -> Format:
        return tag(f"{open}\n", tagged_call(function, parameters, where, tags), f"\n{tags.close}")

    return ToolFormat(name, recognises, read, call, marks=(open, tags.close), trigger=open, lists_parameters=True)


QWEN = Tags((FUNCTION, ">\n"), (PARAMETER, ">\n"), "\n</parameter>\n", "</function>", "</tool_call>")
SEED = Tags((FUNCTION, ">\n"), (PARAMETER, ">"), "</parameter>\n", "</function>", "</seed:tool_call>")
FORMATS = (_format("qwen3_coder", "<tool_call>", QWEN), _format("seed_oss", SEED_OPEN, SEED))
