"""Sounds of a chat request: from a file to the windows that the engine takes in (placing.py has the rest). Files are read as
for transcriptions (sounds.py)."""

from fanlight.api.placing import Fetcher, Placing, Seen
from fanlight.api.sounds import read_sound
from fanlight.driver import in_thread
from fanlight.engine.sounds import Sounds, windows_of
from fanlight.errors import RequestError
from fanlight.models.hearing import RATE, ROW_SAMPLES
from fanlight.text.placeholders import Layout, Placeholder


class Heard(Placing):
    kind, what = "audio_url", "sound"

    def __init__(self, sounds: Sounds, placeholder: Placeholder, row_token_id: int, reader: Fetcher, most: int) -> None:
        """most: rows of the language model that a sound may become."""
        super().__init__(sounds, placeholder, row_token_id, reader)
        self._sounds, windows = sounds, most // sounds.most_rows
        self._most = min(windows, sounds.windows) if sounds.windows else windows

    async def made(self, data: bytes, how: object) -> Seen:
        try:
            samples = await in_thread(lambda: read_sound(data))
        except RequestError as error:
            raise RequestError(error.message, param="messages", hint=error.hint) from None
        if not samples:
            raise RequestError("the sound is empty", param="messages")
        window = self._sounds.rows * ROW_SAMPLES
        if len(samples) > self._most * window:
            most, why = self._most * window / RATE, "" if self._sounds.windows else ", with this context"
            message = f"a sound of {len(samples) / RATE:.1f} s; this model hears up to {most:g} s{why}"
            raise RequestError(message, param="messages", hint="shorter parts")
        windows = tuple(windows_of(samples, self._sounds.rows))
        return Seen(windows, Layout(tuple(map(self._sounds.shape, windows))))
