"""A token engine that says what it is told, over a real tokenizer and chat template."""

import time
from collections.abc import Callable
from collections.abc import Sequence as Seq
from typing import Any

from fanlight.api import LoadedModel
from fanlight.driver import run
from fanlight.engine.sampling_params import SamplingParams
from fanlight.engine.sequence import Sequence
from fanlight.errors import EngineClosed, RequestError
from fanlight.text.chat_template import ChatTemplate
from fanlight.text.gguf_vocabulary import LLAMA3
from fanlight.text.tokenizer import Tokenizer, open_tokenizer
from tests.text.vocabularies import byte_level_metadata

TEMPLATE = (
    "{% if tools %}<|im_start|>tools\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
Answer = Callable[[str, SamplingParams], str]  # prompt text, parameters -> the answer, special tokens and all


class ScriptedEngine:
    """One token per step for every sequence that is not finished, up to `max_num_seqs` at once."""

    def __init__(self, tokenizer: Tokenizer, answer: Answer, context_length: int = 256) -> None:
        self.tokenizer = tokenizer
        self.answer = answer
        self.context_length = context_length
        self.sequences: list[Sequence] = []
        self.num_steps = 0
        self.is_closed = False
        self._scripts: dict[int, list[int]] = {}

    def start(self) -> None:
        pass

    def submit(
        self, prompt_token_ids: Seq[int], params: SamplingParams, answered: Seq[int] = (), images: Seq[Any] = ()
    ) -> Sequence:
        assert not images
        if self.is_closed:
            raise EngineClosed("the engine is closed")
        if not prompt_token_ids:
            raise RequestError("the prompt is empty", param="prompt")
        if max(prompt_token_ids) >= self.tokenizer.vocab_size:
            raise RequestError("no such token id", param="prompt")
        room = self.context_length - len(prompt_token_ids) if params.num_sinks is None else self.context_length
        assert len(prompt_token_ids) < self.context_length
        sequence = Sequence(
            token_ids=list(prompt_token_ids),
            num_prompt_tokens=len(prompt_token_ids),
            params=params,
            seed=params.seed or 0,
            max_new_tokens=min(room, params.max_tokens or room) if params.num_sinks is None else params.max_tokens or room,
            stop_token_ids=params.stop_token_ids,
        )
        text = self.answer(self.tokenizer.decode(prompt_token_ids, skip_special_tokens=False), params)
        self._scripts[id(sequence)] = run(self.tokenizer.encode(text, add_special_tokens=False))
        sequence.cached_tokens = 0
        sequence.admitted = time.perf_counter()
        sequence.status = "running"
        self.sequences.append(sequence)
        return sequence

    def finish(self, sequence: Sequence, reason: str) -> None:
        if not sequence.is_finished:
            sequence.status, sequence.finish_reason = "finished", reason
            sequence.finished = time.perf_counter()

    def abort(self, sequence: Sequence) -> None:
        self.finish(sequence, "abort")

    async def wait(self, sequences: Seq[Sequence]) -> None:
        while not any(s.has_news for s in sequences):
            self.num_steps += 1
            for sequence in self.sequences:
                if not sequence.is_finished:
                    self._step(sequence)

    def _step(self, sequence: Sequence) -> None:
        script = self._scripts[id(sequence)]
        token_id = script[sequence.num_generated_tokens % len(script)]
        sequence.token_ids.append(token_id)
        sequence.first_token = sequence.first_token or time.perf_counter()
        if token_id in sequence.stop_token_ids:
            sequence.stop_token_id = token_id
            self.finish(sequence, "stop")
        elif sequence.num_generated_tokens >= sequence.max_new_tokens:
            self.finish(sequence, "length")

    def close(self) -> None:
        self.is_closed = True

    @property
    def running(self) -> list[Sequence]:
        return [s for s in self.sequences if not s.is_finished]

    @property
    def aborted(self) -> list[Sequence]:
        return [s for s in self.sequences if s.finish_reason == "abort"]


TOKENIZER = open_tokenizer("gguf", byte_level_metadata("qwen2", LLAMA3))


def ids_of(text: str, add_special_tokens: bool = True) -> list[int]:
    return run(TOKENIZER.encode(text, add_special_tokens))


def endless(prompt: str, params: SamplingParams) -> str:
    return "hello world " * 200


def make_face(answer: Answer | str, *, context_length: int = 256, template: str | None = TEMPLATE) -> LoadedModel:
    say: Answer = (lambda prompt, params: answer) if isinstance(answer, str) else answer
    engine = ScriptedEngine(TOKENIZER, say, context_length)
    chat = None if template is None else ChatTemplate(template, TOKENIZER.special.for_template())
    return LoadedModel(engine, TOKENIZER, chat, "scripted")
