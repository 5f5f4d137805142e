"""A sound file's bytes as samples at 16 kHz: WAV in the standard library alone, other rates with NumPy where it is there, other
formats with PyAV (FFmpeg) where that is there. In a page the browser decodes them before they come here (web/src/client).

https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html"""

import io
import struct
import sys
from array import array
from collections.abc import Callable
from math import gcd

from fanlight.errors import RequestError
from fanlight.models.hearing import RATE

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
MAX_RATE = 384_000
MAX_SECONDS = 4 * 3600
WIDTH = 24  # zero crossings of the filter on each side
# How files begin -> what they are, and FFmpeg's name of what reads them: it is named, since others of its readers, which it
# would find by itself, open addresses that a file holds.
OTHERS = {
    b"ID3": ("MP3", "mp3"),
    b"\xff\xfb": ("MP3", "mp3"),
    b"\xff\xf3": ("MP3", "mp3"),
    b"\xff\xf2": ("MP3", "mp3"),
    b"\xff\xfa": ("MP3", "mp3"),
    b"\xff\xf1": ("AAC", "aac"),
    b"\xff\xf9": ("AAC", "aac"),
    b"OggS": ("Ogg", "ogg"),
    b"fLaC": ("FLAC", "flac"),
    b"\x1aE\xdf\xa3": ("WebM", "matroska"),
    b"FORM": ("AIFF", "aiff"),
}
MP4 = "MP4", "mov"  # which says so after its first four bytes
HINT = "ffmpeg -i FILE -ac 1 -ar 16000 sound.wav"
DECODER_HINT = f"pip install 'fanlight[audio]'; or {HINT}"


def read_sound(data: bytes) -> "array[float]":
    """f32 samples at 16 kHz, channels averaged. Raises RequestError."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        samples, rate = _decoded(data)
        return samples if rate == RATE else resampled(samples, rate)
    kind, channels, rate, bits, body = _chunks(data)
    read = READERS.get((kind, bits))
    if read is None:
        raise _wrong(f"a WAV of kind {kind} with {bits} bits; expected PCM of 8, 16, 24 or 32 bits, or floats of 32 or 64")
    if not 1 <= channels <= 32 or not 1000 <= rate <= MAX_RATE:
        raise _wrong(f"a WAV of {channels} channels at {rate} Hz")
    size = channels * bits // 8
    if len(body) // size > MAX_SECONDS * rate:
        raise _too_long()
    samples = read(body[: len(body) // size * size])
    if channels > 1:
        samples = array("f", (sum(samples[i : i + channels]) / channels for i in range(0, len(samples), channels)))
    return samples if rate == RATE else resampled(samples, rate)


def _chunks(data: bytes) -> tuple[int, int, int, int, bytes]:
    """Kind of samples, channels, rate, bits of a sample, and the samples' bytes."""
    at, form = 12, b""
    while at + 8 <= len(data):
        name, (size,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        if name == b"fmt ":
            form = data[at + 8 : at + 8 + size]
        elif name == b"data":  # a stream's length may not be known when its header is written
            if len(form) < 16:
                break
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
            if kind == EXTENSIBLE and len(form) >= 26:
                (kind,) = struct.unpack_from("<H", form, 24)
            return kind, channels, rate, bits, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    raise _wrong("a WAV file that ends before its samples")


def _scaled(code: str, scale: float) -> Callable[[bytes], "array[float]"]:
    def read(body: bytes) -> "array[float]":
        values = array(code, body)
        if sys.byteorder == "big":
            values.byteswap()
        return array("f", values if scale == 1 else (value * scale for value in values))

    return read


def _bytes(body: bytes) -> "array[float]":
    return array("f", ((value - 128) / 128 for value in body))


def _three_bytes(body: bytes) -> "array[float]":
    """As the upper part of 32 bits."""
    wide = bytearray(len(body) // 3 * 4)
    for i in range(3):
        wide[i + 1 :: 4] = body[i::3]
    return _scaled("i", 2.0**-31)(bytes(wide))


READERS: dict[tuple[int, int], Callable[[bytes], "array[float]"]] = {
    (PCM, 8): _bytes,
    (PCM, 16): _scaled("h", 2.0**-15),
    (PCM, 24): _three_bytes,
    (PCM, 32): _scaled("i", 2.0**-31),
    (FLOAT, 32): _scaled("f", 1),
    (FLOAT, 64): _scaled("d", 1),
}


def resampled(samples: "array[float]", rate: int) -> "array[float]":
    """By a sinc under a Hann window, of which a sample meets as many phases as both rates share.
    https://ccrma.stanford.edu/~jos/resample/"""
    try:
        import numpy as np
    except ImportError:
        raise _wrong(f"at {rate} Hz, and here nothing resamples", "16000 Hz") from None
    up, down = RATE // gcd(RATE, rate), rate // gcd(RATE, rate)
    cut = min(1.0, RATE / rate)  # of the band, below half of either rate
    reach = int(np.ceil(WIDTH / cut))
    x = np.pad(np.frombuffer(samples, np.float32), reach + down)
    count = len(samples) * up // down
    y = np.zeros(count, np.float32)
    taps = np.arange(-reach, reach + 1)
    windows = np.lib.stride_tricks.sliding_window_view(x, len(taps))
    for phase in range(min(up, count)):
        whole, part = divmod(phase * down, up)
        distance = taps - part / up
        kernel = cut * np.sinc(cut * distance) * np.cos(np.pi / 2 * np.clip(distance * cut / WIDTH, -1, 1)) ** 2
        y[phase::up] = windows[down + whole :: down][: len(y[phase::up])] @ kernel.astype(np.float32)
    return array("f", y.tobytes())


def _decoded(data: bytes) -> tuple["array[float]", int]:
    """Of a file that is no WAV: f32 samples, channels averaged, and their rate. Raises RequestError."""
    kind, reader = next((other for start, other in OTHERS.items() if data.startswith(start)), ("", ""))
    kind, reader = MP4 if data[4:8] == b"ftyp" else (kind, reader)
    if not reader:
        known = ", ".join(("WAV", MP4[0], *dict(OTHERS.values())))
        raise _wrong(f"no sound that is known here; known are {known}" if data else "empty")
    try:
        import av
        import numpy as np
    except ImportError:
        raise _wrong(f"{kind}; here only WAV is read", DECODER_HINT) from None
    parts: list[bytes] = []
    try:
        with av.open(io.BytesIO(data), "r", format=reader) as file:
            if not file.streams.audio:
                raise _wrong(f"{kind} without sound")
            stream = file.streams.audio[0]
            rate, layout, left = stream.rate, stream.layout, MAX_SECONDS * stream.rate
            floats = av.AudioResampler(format="fltp", layout=layout, rate=rate)
            for frame in file.decode(stream):
                for made in floats.resample(frame):
                    parts.append(made.to_ndarray().mean(axis=0, dtype=np.float32).tobytes())
                    left -= made.samples
                if left < 0:
                    raise _too_long()
    except av.FFmpegError as error:
        raise _wrong(f"{kind}, which cannot be read: {error}") from error
    return array("f", b"".join(parts)), rate


def _too_long() -> RequestError:
    return _wrong(f"longer than {MAX_SECONDS // 3600} hours", "shorter parts")


def _wrong(what: str, hint: str = HINT) -> RequestError:
    return RequestError(f"the sound is {what}", param="file", hint=hint)
