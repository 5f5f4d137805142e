"""An engine whose logits go through a user's function before each draw.

Each token takes two passes: one whose logits are read and handed to the function, and one that draws with what it made of them
added as biases, so that penalties, temperature, grammars and all else stay the GPU's. That costs a read of the whole
vocabulary and a second pass a token, and nothing is in flight meanwhile.
"""

from array import array
from collections.abc import Awaitable, Iterable
from dataclasses import replace
from typing import Any, Protocol

from fanlight.engine.engine import WORD, Engine
from fanlight.engine.placed import Placed
from fanlight.engine.sampling_params import SamplingParams
from fanlight.engine.sequence import Sequence
from fanlight.engine.step_plan import StepPlan
from fanlight.errors import RequestError


class LogitProcessor(Protocol):
    async def biases(self, logits: bytes) -> bytes:
        """logits: f32 [V], of the model alone. What is added to them, f32 [V]."""
        ...

    def sampled(self, token_id: int) -> None:
        """What was drawn then."""
        ...


class ProcessingEngine(Engine):
    def __init__(self, *arguments: Any, processor: LogitProcessor, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._processor = processor
        self._readings: dict[Sequence, Awaitable[bytes]] = {}  # of passes that draw nothing
        self._probed: list[Sequence] = []  # whose logits are there
        self._biases: dict[Sequence, bytes] = {}

    def submit(
        self,
        prompt_token_ids: Iterable[int],
        params: SamplingParams,
        answered: Iterable[int] = (),
        images: tuple[Placed, ...] = (),
    ) -> Sequence:
        sequence = super().submit(prompt_token_ids, replace(params, forced_token_ids=()), answered, images)
        sequence.probes = True
        return sequence

    def _submit(self, plans: list[StepPlan]) -> None:
        """One by one: the next step overwrites the logits."""
        row_bytes = self.program.vocab_size * WORD
        for plan in plans:
            super()._submit([plan])
            for i, sequence in enumerate(plan.sampled):
                if sequence.probes and plan.samples[i].scored is None:
                    self._readings[sequence] = self._device.read("logits", i * row_bytes, row_bytes)

    def _accept(self, sequence: Sequence, token_id: int) -> None:
        if sequence not in self._readings:
            is_drawn = not sequence.is_finished
            super()._accept(sequence, token_id)
            self._biases.pop(sequence, None)
            sequence.probes = True
            if is_drawn:
                self._processor.sampled(token_id)
            return
        sequence.num_pending -= 1
        if sequence.params.logprobs is not None and sequence.logprobs and not sequence.is_finished:
            sequence.logprobs.pop()
        self._probed.append(sequence)

    async def _enter(self) -> None:
        await super()._enter()
        while self._probed:
            sequence = self._probed.pop()
            logits = await self._readings.pop(sequence)
            if sequence.is_finished:
                continue
            try:
                biases = await self._processor.biases(logits)
                if len(biases) != len(logits):
                    raise ValueError(f"{len(biases) // WORD} logits came back, {len(logits) // WORD} were given")
            except Exception as error:  # the user's own
                sequence.error = RequestError(f"the logit processor failed: {error}")
                self.finish(sequence, "abort")
                continue
            self._draw_with(sequence, biases)

    def _draw_with(self, sequence: Sequence, biases: bytes) -> None:
        """The last token is computed once more, and what follows it drawn."""
        values = array("f", biases)
        for token_id, bias in sequence.params.logit_bias.items():
            values[token_id] += bias
        self._biases[sequence], sequence.probes = values.tobytes(), False
        if sequence.status != "running":
            return
        sequence.num_computed_tokens -= 1
        self._write_biases(sequence)
        if sequence.params.uses_penalties:
            self._write_counts(sequence, sequence.num_computed_tokens)

    def _set_up_slot(self, sequence: Sequence) -> None:
        super()._set_up_slot(sequence)
        if sequence in self._biases:
            self._write_biases(sequence)

    def _write_biases(self, sequence: Sequence) -> None:
        assert sequence.slot is not None
        biases = self._biases[sequence]
        self._device.write("logit_bias", sequence.slot * len(biases), biases)

    def _append_known(self, sequence: Sequence, token_ids: list[int]) -> None:
        """What a grammar forces is drawn too: the function sees every token."""
