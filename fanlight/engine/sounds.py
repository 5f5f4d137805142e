"""Sounds among a prompt's tokens, as images.py has pictures: what an encoder made of a window of one (taken.py)."""

from array import array
from dataclasses import dataclass
from hashlib import sha256

from fanlight.compiler.program import Program, SoundStep, sound_record
from fanlight.engine.step_plan import StepPlan
from fanlight.engine.taken import Taking
from fanlight.errors import RequestError
from fanlight.models.hearing import QUIETEST, RATE, ROW_SAMPLES
from fanlight.runtime.device import Device

EDGE = 200  # samples before and after a window, of which a frame reads half
HOP = ROW_SAMPLES // 2  # samples from one frame to the next
NOTHING_HEARD = array("f", [QUIETEST]).tobytes()


@dataclass(frozen=True, slots=True)
class Sound:
    """A window of a sound. others: the sound's other windows, by the loudest of which it is heard too. num_frames: of 10 ms, up
    to the sound's end. digest: of all that it depends on."""

    samples: bytes  # f32, EDGE more before and after
    num_frames: int
    others: tuple[bytes, ...]
    digest: bytes


def mirrored(sound: "array[float]") -> "array[float]":
    """With EDGE samples more before and after, which are its own from each end on."""
    return sound[EDGE:0:-1] + sound + sound[-2 : -EDGE - 2 : -1]


def windows_of(samples: "array[float]", rows: int) -> list[Sound]:
    """A sound at RATE, cut into windows of so many rows, the last of which is filled up with silence."""
    size = rows * ROW_SAMPLES
    count = max(1, -(-len(samples) // size))
    whole = mirrored(samples + array("f", bytes(4 * (count * size - len(samples)))))
    parts = [whole[i * size : (i + 1) * size + 2 * EDGE].tobytes() for i in range(count)]
    digest = sha256(samples.tobytes()).digest()
    made = []
    for i, part in enumerate(parts):
        frames = min(2 * rows, -(-(len(samples) - i * size) // HOP))
        own = sha256(digest + i.to_bytes(4, "little")).digest()
        made.append(Sound(part, frames, (*parts[:i], *parts[i + 1 :]), own))
    return made


class Sounds(Taking):
    what = "sound"

    def __init__(self, program: Program) -> None:
        super().__init__(program, program.sound_step)
        self._step = program.sound_step

    @property
    def rows(self) -> int:
        """Of the encoder, that a window has."""
        return self._sound_step.step.rows

    @property
    def most_rows(self) -> int:
        """Of the language model, that a window becomes."""
        return self._sound_step.most_rows

    @property
    def windows(self) -> int:
        """Of a sound, at most; 0: any number."""
        return self._sound_step.windows

    @property
    def _sound_step(self) -> SoundStep:
        assert self._step is not None
        return self._step

    def shape(self, image: Sound) -> tuple[int, int]:
        step = self._sound_step
        rows = self._end(image) // step.merge
        if not rows or len(image.samples) != 4 * (step.step.rows * ROW_SAMPLES + 2 * EDGE):
            seconds = image.num_frames * HOP / RATE
            raise RequestError(f"a sound of {seconds:.2f} s, which is too short for this model", param="messages")
        return rows, 1

    def _end(self, image: Sound) -> int:
        """The row of the encoder that is the first beyond the sound."""
        step = self._sound_step
        return (image.num_frames - 1) // 2 + 1 if step.ends else step.step.rows

    def take_in(self, plan: StepPlan, device: Device) -> None:
        for sound, at in plan.images:
            assert isinstance(sound, Sound)
            step, (rows, _) = self._sound_step, self.shape(sound)
            device.write("inputs", 0, sound_record(step.step.rows, self._end(sound), at, rows, self._max_num_seqs))
            device.write("loudest", 0, NOTHING_HEARD)
            for other in sound.others:
                device.write("sound", 0, other)
                device.launch(step.leveling)
            device.write("sound", 0, sound.samples)
            device.launch(step.step.launches)
