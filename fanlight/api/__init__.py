"""OpenAI's words around the token engine, without a transport.

    face = await load_face(checkpoint, device, options, on_progress, make_encoder)  # or Face(engine, tokenizer, template, name)
    answer = await handle(face, "/v1/chat/completions", body)                       # body: the parsed JSON
    if isinstance(answer, Mapping): ...                                             # the whole response
    else:                                                                           # stream: true
        async with aclosing(answer) as chunks:                                      # closing early aborts the sequences
            async for chunk in chunks: ...

Errors are FanlightErrors (`to_dict()` for a worker, `error_body(error)` for HTTP status and OpenAI's form). Cancelling the task
that awaits aborts its sequences too. `face.info` says what is loaded, `face.close()` frees it. Where requests share an event
loop and the device blocks (natively), set `face.pause` to a coroutine function such as `lambda: asyncio.sleep(0)`.
"""

from fanlight.api.generation import Face
from fanlight.api.load import LoadOptions, load_face
from fanlight.api.routes import error_body, handle

__all__ = ["Face", "LoadOptions", "error_body", "handle", "load_face"]
