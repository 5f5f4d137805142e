"""Records what transformers (PyTorch, CPU, float32) hears in a sound on the tiny Whispers, into tests/golden/whisper.

    python -m scripts.golden.record_whisper [case ...]

Each record holds the log-mel features, the encoder's states, logits after a prompt, greedy tokens without and with timestamps
by transformers' own rules, and what its `generate` gives. Sounds are drawn until every greedy step leads by a clear margin.
Only this recorder needs torch and transformers, the tests do not."""

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import tiny_whisper
from scripts.golden.record_transformers import GOLDEN, digest_of, record_all
from scripts.golden.tiny_whisper import GENERATION, IDS, RATE, ROWS

FOLDER = GOLDEN / "whisper"
NUM_GREEDY = 20
MARGIN = 0.02
PROMPT = [IDS[name] for name in ("<|startoftranscript|>", "<|de|>", "<|transcribe|>")]
PLAIN = [*PROMPT, IDS["<|notimestamps|>"]]


class Whisper:
    def __init__(self, folder: Path, mels: int):
        import torch
        from transformers import GenerationConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

        self.torch = torch
        self.heard: tuple[Any, Any] | None = None
        model, info = WhisperForConditionalGeneration.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
        if {*info["missing_keys"]} - {"proj_out.weight"} or info["unexpected_keys"]:
            raise ValueError(f"{info}")
        self.model = model.eval()
        self.model.generation_config = GenerationConfig(**GENERATION)
        self.extractor = WhisperFeatureExtractor(feature_size=mels, chunk_length=ROWS // 50)

    def features(self, samples: np.ndarray) -> Any:
        """[1, mels, frames]"""
        return self.extractor(tiny_whisper.floats(samples), sampling_rate=RATE, return_tensors="pt").input_features

    def states(self, features: Any) -> np.ndarray:
        with self.torch.inference_mode():
            return self.model.model.encoder(features).last_hidden_state[0].numpy()

    def logits(self, features: Any, ids: list[int]) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        with self.torch.inference_mode():
            if self.heard is None or self.heard[0] is not features:
                self.heard = features, self.model.model.encoder(features).last_hidden_state
            states = BaseModelOutput(last_hidden_state=self.heard[1])
            return self.model(encoder_outputs=states, decoder_input_ids=self.torch.tensor([ids])).logits[0]

    def greedy(self, features: Any, prompt: list[int], with_stamps: bool) -> list[int] | None:
        """None where two tokens come close, or a timestamp and the rest."""
        ids = list(prompt)
        rules = self.rules(len(prompt), with_stamps)
        for _ in range(NUM_GREEDY):
            scores = self.logits(features, ids)[-1:].clone()
            for rule in rules:
                scores = rule(self.torch.tensor([ids]), scores)
            first, second = self.torch.topk(scores[0], 2).values.tolist()
            if first - second < MARGIN:
                return None
            ids.append(int(scores[0].argmax()))
            if ids[-1] == GENERATION["eos_token_id"]:
                break
        return ids[len(prompt) :]

    def rules(self, begin: int, with_stamps: bool) -> list[Any]:
        from transformers import generation

        made: list[Any] = [
            generation.SuppressTokensLogitsProcessor(GENERATION["suppress_tokens"]),
            generation.SuppressTokensAtBeginLogitsProcessor(GENERATION["begin_suppress_tokens"], begin),
        ]
        if with_stamps:
            made.append(generation.WhisperTimeStampLogitsProcessor(self.model.generation_config, begin))
        return made

    def generated(self, features: Any, **options: Any) -> list[int]:
        with self.torch.inference_mode():
            made = self.model.generate(features, max_new_tokens=NUM_GREEDY, return_dict_in_generate=True, **options)
        return made["sequences"][0].tolist() if isinstance(made, dict) else made[0].tolist()


def record_cuts() -> None:
    """Where transformers cuts what a decoder wrote into segments: cuts.json has tokens, starts and ends, and where to go on."""
    import torch
    from transformers.models.whisper.generation_whisper import WhisperGenerationMixin

    begin, found = IDS["<|0.00|>"], []
    for i in range(60):
        words = [int(word >> np.uint64(40)) for word in tiny_whisper.draw_words(f"cut {i}", 40)]
        at, ids = words[0] % 6, []
        for word in words[2 : 4 + words[1] % 24]:
            is_stamp = word % 3 == 0
            at = min(at + word // 3 % 5, ROWS) if is_stamp else at
            ids += [begin + at] * (1 + (word // 15 % 2)) if is_stamp else [word % 200]
        rows = ROWS - words[39] % 9
        offsets, counts = torch.tensor([0.0], dtype=torch.float64), torch.tensor([2 * rows])
        segments, move = WhisperGenerationMixin._retrieve_segment(
            seek_sequence=torch.tensor(ids),
            seek_outputs=[None],
            time_offset=offsets,
            timestamp_begin=begin,
            seek_num_frames=counts,
            time_precision=0.02,
            time_precision_features=0.01,
            input_stride=2,
            prev_idx=0,
            idx=0,
            return_token_timestamps=False,
            decoder_input_ids=torch.tensor([PROMPT]),
        )
        times = [[round(float(segment[edge]) * 50) for edge in ("start", "end")] for segment in segments]
        found.append({"token_ids": ids, "rows": rows, "segments": times, "frames": int(move)})
    (FOLDER / "cuts.json").write_text(json.dumps(found) + "\n")


def record(name: str, folder: Path) -> dict[str, Any]:
    """Writes the record; returns what about.json says of it."""
    case = tiny_whisper.CASES[name]
    tiny_whisper.make_checkpoint(name, folder)
    whisper = Whisper(folder, case.config["num_mel_bins"])
    for attempt in range(300):
        samples = tiny_whisper.sound(f"{name} {attempt}", ROWS * RATE // 50 * 4 // 5)
        features = whisper.features(samples)
        plain, stamped = whisper.greedy(features, PLAIN, False), whisper.greedy(features, PROMPT, True)
        print(attempt, plain, stamped)
        pairs = stamped and sum(a >= IDS["<|0.00|>"] and b >= IDS["<|0.00|>"] for a, b in pairwise(stamped))
        if plain and stamped and pairs and min(len(set(plain)), len(set(stamped))) > 4:
            break
    else:
        raise RuntimeError(f"{name}: no sound is clear")
    first = whisper.logits(features, PROMPT[:1])[-1]
    languages = [IDS["<|en|>"], IDS["<|de|>"]]
    other = whisper.states(whisper.features(tiny_whisper.sound(f"{name} other", len(samples))))
    states = whisper.states(features)
    found = whisper.generated(features, language="de", task="transcribe", return_timestamps=True)
    print(name, attempt, "plain", plain, "stamped", stamped)
    print("generate", found)
    print("another sound's states are", np.abs(states - other).max() / np.abs(states).max(), "away")
    np.savez_compressed(
        FOLDER / f"{name}.npz",
        features=features[0].numpy(),
        states=states,
        logits=whisper.logits(features, [*PLAIN, 72, 101, 108]).numpy(),
        plain=np.array(plain),
        stamped=np.array(stamped),
        generated=np.array(found),
        language=languages[int(first[languages].argmax())],
        no_speech=float(first.softmax(0)[IDS["<|nospeech|>"]]),
        attempt=attempt,
    )
    return {"sha256": digest_of(folder)}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    record_cuts()
    record_all(sys.argv[1:] or list(tiny_whisper.CASES), FOLDER, record)
