"""Records what transformers (PyTorch, CPU, float32) makes of two sounds in a prompt, on the tiny checkpoints of
tiny_hearing.py, into tests/golden/hearing.

    python -m scripts.golden.record_hearing [case ...]

Each record holds the prompt, the log-mel features, what the encoder and what follows it give of each sound, the logits at some
positions, and 16 greedy ids; of Qwen2-Audio a chat too, by its processor. A sound that was left out, or taken for the other,
would show: that is asked."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import tiny_hearing, tiny_whisper
from scripts.golden.record_transformers import GOLDEN, digest_of, record_all
from scripts.golden.record_vision import chat_answer, clear_answer, write_chat
from scripts.golden.tiny_hearing import ROWS, WINDOW

FOLDER, CHATS = GOLDEN / "hearing", GOLDEN / "hearing_chats"
TELLING = 0.02


class Hearing:
    def __init__(self, name: str, folder: Path):
        import torch
        import transformers

        self.name, self.case = name, tiny_hearing.CASES[name]
        options = {"dtype": torch.float32, "attn_implementation": "eager"}
        auto = getattr(transformers, self.case.config["architectures"][0])
        self.model, info = auto.from_pretrained(folder, **options, output_loading_info=True)
        self.model.eval()
        if found := [*info["missing_keys"], *info["mismatched_keys"], *info["unexpected_keys"]]:
            raise ValueError(f"transformers does not take {found}")
        self.extractor = transformers.WhisperFeatureExtractor(feature_size=self.case.mels)
        self.is_voxtral = self.case.config["model_type"] == "voxtral"

    def heard(self, numbers: tuple[int, ...]) -> dict[str, Any]:
        """What the processors give the model. Voxtral's: filled up to whole windows, then cut."""
        import torch

        sounds = [tiny_whisper.floats(tiny_hearing.sound_of(self.name, number)) for number in numbers]
        if not self.is_voxtral:
            options = {"padding": "max_length", "max_length": WINDOW, "return_attention_mask": True, "return_tensors": "pt"}
            made = self.extractor(sounds, sampling_rate=16000, **options)
            return {"input_features": made["input_features"], "feature_attention_mask": made["attention_mask"]}
        whole = {"padding": True, "truncation": False, "pad_to_multiple_of": WINDOW, "return_tensors": "pt"}
        found = [self.extractor(sound, sampling_rate=16000, **whole)["input_features"] for sound in sounds]
        cut = [features.reshape(self.case.mels, -1, 2 * ROWS).transpose(0, 1) for features in found]
        return {"input_features": torch.cat(cut)}

    def logits_of(self, token_ids: list[int], sounds: tuple[int, ...] = (0, 1)) -> np.ndarray:
        import torch

        ids = torch.tensor([token_ids])
        with torch.inference_mode():
            more = {"attention_mask": torch.ones_like(ids), **self.heard(sounds)}
            return self.model(ids, use_cache=False, **more).logits[0].numpy()

    def rows_of(self, prompt: list[int]) -> np.ndarray:
        """f32 [R, C], of both sounds, as they take the places of tokens."""
        found: list[np.ndarray] = []
        keep = lambda module, args, kwargs: found.append(kwargs["inputs_embeds"][0].numpy())  # noqa: E731
        hook = self.model.model.language_model.register_forward_pre_hook(keep, with_kwargs=True)
        self.logits_of(prompt)
        hook.remove()
        return found[0][[token == self.case.image for token in prompt]]


def record(name: str, folder: Path) -> dict[str, Any]:
    model = Hearing(name, tiny_hearing.make_checkpoint(name, folder))
    prompts = (tiny_hearing.prompt_of(name, attempt) for attempt in range(1000))
    prompt, greedy = next((p, g) for p in prompts if (g := clear_answer(model, p)) is not None)
    logits = model.logits_of(prompt)
    for other in ((2, 1), (0, 3)):
        distance = float(np.abs(model.logits_of(prompt, other) - logits)[-1].max() / np.abs(logits).max())
        if distance < TELLING:
            raise RuntimeError(f"{name}: nobody could tell sounds {other} from (0, 1): {distance}")
    positions = [0, 8, 9, 10, *range(len(prompt) - 5, len(prompt))]
    np.savez_compressed(
        FOLDER / f"{name}.npz",
        prompt=np.array(prompt, np.int32),
        positions=np.array(positions, np.int32),
        features=model.heard((0, 1))["input_features"].numpy(),
        logits=logits[positions].astype(np.float32),
        greedy=np.array(greedy, np.int32),
        rows=model.rows_of(prompt).astype(np.float32),
    )
    print(f"{name:24} {len(set(greedy))} different greedy ids; sounds told by {distance:.1e}", flush=True)
    return {"sha256": digest_of(folder)}


def record_chat(name: str, folder: Path) -> dict[str, Any]:
    """A conversation with a sound, by Qwen2-Audio's processor: the prompt's tokens, and the answer's."""
    import transformers

    model = Hearing(name, tiny_hearing.make_checkpoint(name, folder))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    processor = transformers.Qwen2AudioProcessor(model.extractor, tokenizer, chat_template=model.case.template)
    sound = tiny_whisper.floats(tiny_hearing.sound_of(name, 0))
    for attempt in range(1000):
        text = processor.apply_chat_template(tiny_hearing.chat_of(attempt), add_generation_prompt=True, tokenize=False)
        options = {"padding": "max_length", "max_length": WINDOW}
        inputs = processor(text=text, audio=[sound], sampling_rate=16000, return_tensors="pt", audio_kwargs=options)
        if (answer := chat_answer(model.model, inputs, tiny_hearing.FIRST_TOKEN)) is not None:
            break
    return write_chat(CHATS, name, folder, attempt, inputs, answer)


if __name__ == "__main__":
    asked = sys.argv[1:] or [*tiny_hearing.CASES]
    record_all(asked, FOLDER, record)
    record_all([name for name in ("qwen2_audio",) if name in asked], CHATS, record_chat)
