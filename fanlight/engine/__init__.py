"""Tokens in, tokens out.  Knows no text, no HTTP and no JavaScript."""

from fanlight.engine.engine import Engine as Engine
from fanlight.engine.engine import EngineStats as EngineStats
from fanlight.engine.sampling_params import SamplingParams as SamplingParams
from fanlight.engine.sequence import FinishReason as FinishReason
from fanlight.engine.sequence import Sequence as Sequence
