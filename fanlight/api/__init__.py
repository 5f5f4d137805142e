"""OpenAI's words around the token engine, without a transport.

    loaded = await load_model(checkpoint, device, options, on_progress)    # or LoadedModel(engine, tokenizer, template, name)
    answer = await handle(loaded, "/v1/chat/completions", body)            # body: the parsed JSON
    if isinstance(answer, Mapping): ...                                    # the whole response
    else:                                                                  # stream: true
        async with aclosing(answer) as chunks:                             # closing early aborts the sequences
            async for chunk in chunks: ...

Errors are FanlightErrors (`to_dict()` for a worker, `error_body(error)` for HTTP status and OpenAI's form). Cancelling the
task that awaits aborts its sequences too. `loaded.info` says what is loaded, `loaded.close()` frees it.
"""

from fanlight.api.generation import LoadedModel
from fanlight.api.load import LoadOptions, load_model
from fanlight.api.routes import error_body, handle

__all__ = ["LoadOptions", "LoadedModel", "error_body", "handle", "load_model"]
