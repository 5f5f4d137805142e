"""How a model that hears is asked, and what it may write: Whisper's special tokens, by their names in tokenizer.json, and the
lists of generation_config.json."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from fanlight.compiler.graph import Node, make
from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.checkpoint import Checkpoint
from fanlight.kernels import level, mel
from fanlight.kernels.timestamps import Transcript

RATE = mel.RATE  # samples a second
ROW_SAMPLES = mel.PER_ROW * mel.HOP  # of sound, that a row of the encoder's step hears, and from one timestamp to the next
ROWS_PER_SECOND = RATE // ROW_SAMPLES
QUIETEST = level.QUIETEST  # what the buffer `loudest` has before a sound
LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")
NO_SPEECH = ("<|nospeech|>", "<|nocaptions|>")


@dataclass(frozen=True, slots=True)
class Hearing:
    """Token ids by what they mean. languages: by their codes; none where the model knows but one, which is English, and takes
    no task either. rows: of a window."""

    transcript: Transcript
    languages: Mapping[str, int]
    tasks: Mapping[str, int]
    before: int | None  # what went before stands behind it
    no_speech: int | None
    rows: int

    @property
    def num_samples(self) -> int:
        """Of a window."""
        return self.rows * ROW_SAMPLES


def read_hearing(checkpoint: Checkpoint, config: Any, architecture: ModuleType) -> Hearing | None:
    """None of a model that does not hear. Raises FormatError for files that do not say how it is asked."""
    if not hasattr(architecture, "listen"):
        return None
    tokens, file = _special_tokens(checkpoint), "tokenizer.json"
    given = checkpoint.metadata.get("generation_config") or {}
    listed = checkpoint.metadata.get("config") or {}

    def needed(name: str) -> int:
        if name not in tokens:
            raise FormatError(f"there is no token {name}", where=file, hint="the tokenizer.json of a Whisper model")
        return tokens[name]

    def several(name: str) -> tuple[int, ...]:
        found = given.get(name, listed.get(name)) or []
        if not isinstance(found, list | tuple) or any(type(i) is not int for i in found):
            raise FormatError(f"{name} is {found!r:.80}, expected a list of token ids", where="generation_config.json")
        return tuple(i for i in found if 0 <= i < config.vocab_size)

    languages = {match[1]: i for name, i in tokens.items() if (match := LANGUAGE.fullmatch(name))}
    if given.get("is_multilingual") is False:
        languages = {}
    tasks = {name: needed(f"<|{name}|>") for name in ("transcribe", "translate")} if languages else {}
    transcript = Transcript(
        vocab_size=config.vocab_size,
        start=needed("<|startoftranscript|>"),
        end=needed("<|endoftext|>"),
        no_stamps=needed("<|notimestamps|>"),
        most_initial=given.get("max_initial_timestamp_index"),
        never=several("suppress_tokens"),
        not_first=several("begin_suppress_tokens"),
        languages=tuple(sorted(languages.values())),
    )
    no_speech = next((tokens[name] for name in NO_SPEECH if name in tokens), None)
    ids = [transcript.start, transcript.end, transcript.no_stamps, *languages.values(), *tasks.values(), no_speech or 0]
    if max(ids) >= config.vocab_size:
        raise FormatError(f"token {max(ids)} is beyond the vocabulary of {config.vocab_size}", where=file)
    return Hearing(transcript, languages, tasks, tokens.get("<|startofprev|>"), no_speech, config.max_source_positions)


def _special_tokens(checkpoint: Checkpoint) -> dict[str, int]:
    """By name."""
    text = checkpoint.metadata.get("tokenizer")
    if not text:
        raise UnsupportedModel(
            "tokenizer.json is missing", where=checkpoint.sources[0].name, hint="give all files of the folder"
        )
    try:
        return {str(token["content"]): int(token["id"]) for token in json.loads(text)["added_tokens"]}
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"added_tokens are not as expected: {error!r:.80}", where="tokenizer.json") from error


def by_rules(root: Node, transcript: Transcript) -> Node:
    """sample(x) -> sample(timestamps(x)); a step that draws nothing stays."""
    if root.op != "sample":
        return root
    x = root["x"]
    return root.with_({"x": make("timestamps", {"x": x}, x.shape, "timestamps", layer=0, transcript=transcript)})
