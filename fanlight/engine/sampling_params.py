"""How one request wants its tokens drawn and when it wants to end.  Checked here, once; knows no model and no GPU.

The GPU applies the stages in this order: logit_bias, penalties, temperature, grammar, top_k, top_p (over what top_k left),
min_p, then one draw that depends on (seed, index of the token, token id) only, so that the same seed gives the same text in
any batch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from fanlight.compiler.program import MAX_LOGPROBS
from fanlight.errors import RequestError
from fanlight.grammar import Automaton

# name -> smallest and largest value that is served; both ends included
RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0.0, 100.0),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "frequency_penalty": (-2.0, 2.0),
    "presence_penalty": (-2.0, 2.0),
    "repetition_penalty": (0.01, 100.0),
}
INTEGERS: dict[str, tuple[int, int]] = {
    "top_k": (0, 2**31 - 1),
    "seed": (-(2**63), 2**64 - 1),
    "max_tokens": (1, 2**31 - 1),
    "logprobs": (0, MAX_LOGPROBS),
    "prompt_logprobs": (0, MAX_LOGPROBS),
    "num_sinks": (0, 2**31 - 1),
}
OPTIONAL = frozenset({"seed", "max_tokens", "logprobs", "prompt_logprobs", "num_sinks"})
BIAS_RANGE = (-100.0, 100.0)
LORA_RANGE = (-100.0, 100.0)
MAX_TOKEN_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """temperature 0 is greedy; top_k 0, top_p 1 and min_p 0 are off; seed None draws a fresh one at submit."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    frequency_penalty: float = 0.0  # per occurrence in the answer
    presence_penalty: float = 0.0  # once, for what the answer already has
    repetition_penalty: float = 1.0  # once, for what the prompt or the answer already has
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    max_tokens: int | None = None  # None: until the context is full; with sinks: as many as the context is long
    num_sinks: int | None = None  # first tokens that stay where the context is full, and others leave; None: the answer ends
    stop_token_ids: frozenset[int] = frozenset()  # beside the model's own end-of-text ids
    ignore_eos: bool = False  # of the model's own ids; `stop_token_ids` still stop
    forced_token_ids: tuple[int, ...] = ()  # that the answer begins with, as its grammar wants
    grammar: Automaton | None = None  # what the answer may be; its whole text is one, unless it was cut
    logprobs: int | None = None  # of each token, and of so many of the most likely ones in its place
    processed_logprobs: bool = False  # `logprobs` of what is drawn from, up to top_k; else of the model itself
    prompt_logprobs: int | None = None  # likewise of the prompt's tokens, which none is reused for
    loras: Mapping[str, float] | None = None  # of those the model was loaded with, by name: how much; None: each as it is

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            _check_number(name, getattr(self, name), low, high)
        for name, (low, high) in INTEGERS.items():
            _check_integer(name, getattr(self, name), low, high)
        if not isinstance(self.ignore_eos, bool):
            raise RequestError(f"ignore_eos must be true or false, got {self.ignore_eos!r}", param="ignore_eos")
        for name, scale in (self.loras or {}).items():
            _check_number(f"lora {name}", scale, *LORA_RANGE)
        self._check_ids()

    def _check_ids(self) -> None:
        if not isinstance(self.stop_token_ids, (frozenset, set)) or not all(map(_is_token_id, self.stop_token_ids)):
            raise RequestError(f"stop_token_ids must be token ids, got {self.stop_token_ids!r}", param="stop_token_ids")
        if not isinstance(self.logit_bias, Mapping):
            raise RequestError(f"logit_bias must map token ids to numbers, got {self.logit_bias!r}", param="logit_bias")
        for token, bias in self.logit_bias.items():
            if not _is_token_id(token):
                raise RequestError(f"logit_bias needs token ids as keys, got {token!r}", param="logit_bias")
            _check_number("logit_bias", bias, *BIAS_RANGE)

    @property
    def uses_penalties(self) -> bool:
        """Whether the draw depends on how often a token already occurred."""
        return self.frequency_penalty != 0 or self.presence_penalty != 0 or self.repetition_penalty != 1


def _is_token_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TOKEN_ID


def _check_number(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RequestError(f"{name} must be a number, got {value!r}", param=name)
    if not math.isfinite(value) or not low <= value <= high:
        raise RequestError(f"{name} must be between {low:g} and {high:g}, got {value}", param=name)


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if value is None and name in OPTIONAL:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise RequestError(f"{name} must be an integer, got {value!r}", param=name)
    if not low <= value <= high:
        raise RequestError(f"{name} must be between {low} and {high}, got {value}", param=name)
