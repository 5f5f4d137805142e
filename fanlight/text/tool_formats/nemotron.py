"""Nemotron Nano 2:  <TOOLCALL>[{"name": "f", "arguments": {"a": 1}}]</TOOLCALL>"""

from fanlight.text.calls import read_closed_calls
from fanlight.text.reader import Reader, Steps, content_and_calls
from fanlight.text.structure import json_call
from fanlight.text.tool_formats import json_list

OPEN, CLOSE = "<TOOLCALL>", "</TOOLCALL>"


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, (OPEN,), lambda reader, mark: read_closed_calls(reader, CLOSE))


FORMATS = (json_list("nemotron", lambda template: OPEN in template, read, json_call, (OPEN, CLOSE)),)
