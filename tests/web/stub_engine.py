"""Stands in for the engine in tests of the way there and back: packed into the browser's Python sources over the real modules.
Its model is tests/web/programs.py's; `hash` in its info tells which bytes reached the GPU."""

import gzip
import json
from pathlib import Path

LOAD = '''
import struct
from fanlight.errors import FormatError
from programs import tiny_program

class Engine:
    def __init__(self, device, info, name):
        self.device, self.info, self.model_name = device, info | {"model": name}, name
    loras = ()
    def close(self):
        self.device.close()
        self.on_close()

async def load_model(
    checkpoint, device, options, on_progress, make_encoder, on_plan=None, notes=None, reopen=None, processor=None,
    reader=None,
):
    sources = checkpoint.sources
    magic, num_words = struct.unpack("<4sI", await sources[0].read(0, 8))
    if magic != b"tiny":
        raise FormatError("is no tiny model", where=sources[0].name, hint="Make one.")
    if sources[0].size > 100 << 20:
        await sources[0].read(sources[0].size - 4, 4)  # a model may have tensors at its end that are needed at once
    on_progress("compile", 0, 1)
    program = tiny_program(num_words, piece_words=30_001, first_byte=10)
    await device.prepare(program)
    await device.load(sources, lambda loaded, total: on_progress("weights", loaded, total))
    await device.result(device.submit("hash", bytes(320)))
    (found,) = struct.unpack("<I", await device.read("hash", 0, 4))
    encoder = make_encoder(TOKENIZER)
    ids = list(await encoder.encode("b a", False))
    info = {"model": sources[0].name, "context_length": 16, "memory": {"weights": 4 * num_words}, "hash": found, "ids": ids,
            "files": [source.name for source in sources]}
    return Engine(device, {**info, "options": [options.context_length, options.max_num_seqs]}, options.name or sources[0].name)

TOKENIZER = """{"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"},
 "post_processor": null, "decoder": null, "truncation": null, "padding": null,
 "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"}}"""
'''

OPEN = """
async def open_checkpoint(sources):
    return Checkpoint("gguf", {}, {}, tuple(sources))
"""

HANDLE = """
import asyncio, struct
from fanlight.errors import ContextOverflow

started, aborted = [], []

async def handle(models, path, body):
    if path == "/v1/models":
        data = [{"id": place.name, "object": "model", "created": 0, "owned_by": "x"} for place in models]
        return {"object": "list", "data": data}
    async with models.using(body.get("model")) as engine:
        return await answer(engine, body)

async def answer(engine, body):
    prompt = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
    if prompt == "overflow":
        raise ContextOverflow("too long", hint="Say less.", param="messages")
    if prompt == "bug":
        return 1 / 0
    if prompt == "too deep":
        nested = []
        for _ in range(1_000_000):
            nested = [nested]
        del nested
    if prompt == "hash":
        (found,) = struct.unpack("<I", await engine.device.read("hash", 0, 4))
        return {"choices": [{"message": {"role": "assistant", "content": str(found)}}]}
    if prompt == "aborted?":
        return {"choices": [{"message": {"role": "assistant", "content": str(len(aborted))}}], "started": len(started)}
    if body.get("stream"):
        return stream(prompt)
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": prompt[::-1]}}], "object": "chat.completion"}

async def stream(prompt):
    started.append(prompt)
    try:
        for i, character in enumerate(prompt):
            await asyncio.sleep(0.001 if i < 3 else 0.05)
            yield {"choices": [{"index": 0, "delta": {"content": character}, "finish_reason": None}]}
    except (GeneratorExit, asyncio.CancelledError):
        aborted.append(prompt)
        raise
"""


def stubbed_sources(packed: bytes) -> bytes:
    """python-sources.json.gz with the stub in it."""
    sources = json.loads(gzip.decompress(packed))
    sources["programs.py"] = (Path(__file__).parent / "programs.py").read_text()
    sources["fanlight/api/load.py"] += LOAD  # what is defined last counts
    sources["fanlight/formats/checkpoint.py"] += OPEN
    sources["fanlight/api/routes.py"] += HANDLE
    return gzip.compress(json.dumps(sources).encode(), 1)
