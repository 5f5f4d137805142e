"""Whether a program can answer a request, before it is queued."""

from fanlight.compiler.program import Program
from fanlight.engine.grammars import Grammars
from fanlight.engine.sampling_params import SamplingParams
from fanlight.errors import ContextOverflow, RequestError


def check_request(
    program: Program, grammars: Grammars, context_length: int, token_ids: list[int], params: SamplingParams
) -> None:
    """Raises RequestError where no answer can be as it is asked for."""
    vocab_size = program.vocab_size
    if not token_ids:
        raise RequestError("the prompt is empty: it needs at least one token", param="prompt")
    if set(map(type, token_ids)) != {int} or not 0 <= min(token_ids) <= max(token_ids) < vocab_size:
        wrong = next(t for t in token_ids if type(t) is not int or not 0 <= t < vocab_size)
        raise RequestError(f"the prompt has token id {wrong!r}; the vocabulary is 0 to {vocab_size - 1}", param="prompt")
    asked = next((name for name in ("prompt_logprobs", "logprobs") if getattr(params, name) is not None), None)
    if asked and not any(output.name == "logprobs" for step in program.steps for output in step.outputs):
        raise RequestError("this model was compiled without log-probabilities", param=asked)
    if params.num_sinks is not None and 2 * params.num_sinks > context_length:
        raise RequestError(
            f"the first {params.num_sinks} tokens are to stay; at most half of the context of {context_length} may",
            param="num_sinks",
        )
    if unknown := [name for name in params.loras or () if name not in program.loras]:
        known = ", ".join(map(repr, program.loras)) or "none"
        raise RequestError(f"the model was loaded without the LoRA {unknown[0]!r}; with it came {known}", param="lora")
    beyond = next((t for t in params.logit_bias if t >= vocab_size), None)
    if params.grammar is not None:
        grammars.check(params.grammar)
    if beyond is not None:
        raise RequestError(f"logit_bias has token id {beyond}; the vocabulary is 0 to {vocab_size - 1}", param="logit_bias")
    if len(token_ids) >= context_length:
        raise ContextOverflow(
            f"the prompt has {len(token_ids)} tokens; the context of {context_length} has no room for an answer",
            hint="shorten the prompt, or load the model with a larger context length",
            param="prompt",
        )
