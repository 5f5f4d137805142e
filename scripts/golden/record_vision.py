"""Records what transformers (PyTorch, CPU, float32) makes of two pictures in a prompt, on the tiny checkpoints of
tiny_vision.py, into tests/golden/vision.

    python -m scripts.golden.record_vision [case ...]

Each record holds the prompt, what the tower and what follows it give of each picture, the logits at some positions, and 16
greedy ids. A picture that was left out, or taken for the other, would show: that is asked."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import forward, tiny_models, tiny_vision
from scripts.golden.record_transformers import digest_of, record_all

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "golden" / "vision"
CHATS = FOLDER.parent / "vision_chats"
NUM_GREEDY, NUM_CHAT, MARGIN, TELLING = 16, 12, 0.005, 0.02


class Seeing:
    def __init__(self, name: str, folder: Path):
        import torch
        import transformers

        self.name, self.case = name, tiny_vision.CASES[name]
        auto, options = transformers.AutoModelForImageTextToText, {"dtype": torch.float32, "attn_implementation": "eager"}
        self.model, info = auto.from_pretrained(folder, **options, output_loading_info=True)
        self.model.eval()
        if found := [*info["missing_keys"], *info["mismatched_keys"], *info["unexpected_keys"]]:
            raise ValueError(f"transformers does not take {found}")

    def pixels(self, numbers: tuple[int, ...]) -> Any:
        import torch

        pictures = np.stack([tiny_vision.picture_of(self.name, number) for number in numbers]).transpose(0, 3, 1, 2)
        values = torch.from_numpy(pictures.astype(np.float32) / 255)
        values = (values - self.case.mean) / self.case.std
        if "qwen" in self.case.config["model_type"]:
            return self.flat_patches(values)
        if self.case.config["model_type"] == "lfm2_vl":
            p = self.case.config["vision_config"]["patch_size"]
            cut = values.unflatten(3, (-1, p)).unflatten(2, (-1, p))  # [pictures, 3, rows, p, columns, p]
            return cut.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)  # of each patch, the colours of each pixel together
        return values[None] if self.case.config["model_type"] in ("idefics3", "smolvlm") else values

    def flat_patches(self, values: Any) -> Any:
        """Merged ones side by side, each twice. [pictures * patches, 3 * 2 * patch * patch]"""
        import torch

        vision = self.case.config["vision_config"]
        p, m = vision["patch_size"], vision["spatial_merge_size"]
        count, _, height, width = values.shape
        cut = values.reshape(count, 3, height // p // m, m, p, width // p // m, m, p).permute(0, 2, 5, 3, 6, 1, 4, 7)
        return torch.stack([cut, cut], dim=6).reshape(-1, 3 * 2 * p * p)

    def more(self, ids: Any, count: int) -> dict[str, Any]:
        import torch

        more = {}
        if "gemma3" in self.case.config["model_type"]:
            more["token_type_ids"] = (ids == self.case.image).long()
        if self.case.lines:
            more["image_sizes"] = torch.tensor([[self.case.size, self.case.across]] * count)
        if "qwen" in self.case.config["model_type"]:
            p = self.case.config["vision_config"]["patch_size"]
            more["image_grid_thw"] = torch.tensor([[1, self.case.size // p, self.case.across // p]] * count)
            more["mm_token_type_ids"] = (ids == self.case.image).int()
        if self.case.config["model_type"] == "lfm2_vl":
            p = self.case.config["vision_config"]["patch_size"]
            shape = self.case.size // p, self.case.across // p
            more["spatial_shapes"] = torch.tensor([shape] * count)
            more["pixel_attention_mask"] = torch.ones(count, shape[0] * shape[1], dtype=torch.long)
        return more

    def logits_of(self, token_ids: list[int], pictures: tuple[int, ...] = (0, 1)) -> np.ndarray:
        import torch

        ids = torch.tensor([token_ids])
        more = self.more(ids, len(pictures))
        with torch.inference_mode():
            return self.model(ids, pixel_values=self.pixels(pictures), use_cache=False, **more).logits[0].numpy()

    def rows_of(self) -> np.ndarray:
        """f32 [2, R, C]"""
        import torch

        with torch.inference_mode():
            shapes = ("image_grid_thw", "image_sizes", "spatial_shapes", "pixel_attention_mask")
            grid = {k: v for k, v in self.more(torch.tensor([[]]), 2).items() if k in shapes}
            found = self.model.model.get_image_features(self.pixels((0, 1)), **grid)
        found = getattr(found, "pooler_output", found)
        found = torch.cat(list(found)) if isinstance(found, (list, tuple)) else found
        return found.reshape(2, self.case.rows, -1).numpy()


def clear_answer(model: Seeing, prompt: list[int]) -> list[int] | None:
    """Its greedy ids, if all lead clearly, are ordinary ones, and do not just repeat."""
    token_ids = list(prompt)
    for _ in range(NUM_GREEDY):
        row = model.logits_of(token_ids)[-1]
        best = int(row.argmax())
        if forward.margin_of(row) < MARGIN or best <= tiny_models.EOS_TOKEN_ID or best == model.case.image:
            return None
        token_ids.append(best)
    answer = token_ids[len(prompt) :]
    return answer if len(set(answer)) >= 8 else None


def record(name: str, folder: Path) -> dict[str, Any]:
    model = Seeing(name, tiny_vision.make_checkpoint(name, folder))
    prompts = (tiny_vision.prompt_of(name, attempt) for attempt in range(1000))
    prompt, greedy = next((p, g) for p in prompts if (g := clear_answer(model, p)) is not None)
    logits = model.logits_of(prompt)
    for other in ((1, 0), (0, 0)):
        distance = float(np.abs(model.logits_of(prompt, other) - logits)[-1].max() / np.abs(logits).max())
        if distance < TELLING:
            raise RuntimeError(f"{name}: nobody could tell pictures {other} from (0, 1): {distance}")
    positions = [0, 8, 9, 10, *range(len(prompt) - 5, len(prompt))]
    np.savez_compressed(
        FOLDER / f"{name}.npz",
        prompt=np.array(prompt, np.int32),
        positions=np.array(positions, np.int32),
        logits=logits[positions].astype(np.float32),
        greedy=np.array(greedy, np.int32),
        rows=model.rows_of().astype(np.float32),
    )
    print(f"{name:24} {len(set(greedy))} different greedy ids; pictures told by {distance:.1e}", flush=True)
    return {"sha256": digest_of(folder)}


def processor_of(name: str, folder: Path) -> Any:
    import transformers

    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    case = tiny_vision.CASES[name]
    numbers = {key: value for key, value in case.preprocessor.items() if key != "image_processor_type"}
    pictures = getattr(transformers, case.preprocessor["image_processor_type"])(**numbers)
    template = tiny_vision.TEMPLATE.replace("MARK", case.mark)
    if "idefics3" in case.preprocessor["image_processor_type"].lower():
        return transformers.Idefics3Processor(pictures, tokenizer, image_seq_len=case.rows, chat_template=template)
    if "gemma3" in case.preprocessor["image_processor_type"].lower():
        tokens = {"boi_token": case.mark, "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
        tokenizer._set_model_specific_special_tokens(tokens)
        return transformers.Gemma3Processor(pictures, tokenizer, chat_template=template, image_seq_length=case.rows)
    if "clip" in case.preprocessor["image_processor_type"].lower():
        return transformers.LlavaProcessor(pictures, tokenizer, **case.processor, chat_template=template)
    if "pixtral" in case.preprocessor["image_processor_type"].lower():
        return transformers.PixtralProcessor(pictures, tokenizer, **case.processor, chat_template=template)
    if "lfm2" in case.preprocessor["image_processor_type"].lower():
        return transformers.Lfm2VlProcessor(pictures, tokenizer, chat_template=template)
    raise ValueError(name)


def record_chat(name: str, folder: Path) -> dict[str, Any]:
    """A conversation with a picture of no size that the tower reads: the prompt's tokens, and the answer's."""
    from PIL import Image

    model = Seeing(name, tiny_vision.make_checkpoint(name, folder))
    processor, picture = processor_of(name, folder), Image.fromarray(tiny_vision.wide_picture())
    for attempt in range(1000):
        chat = tiny_vision.chat_of(attempt)
        text = processor.apply_chat_template(chat, add_generation_prompt=True)
        inputs = processor(text=text, images=[picture], return_tensors="pt", add_special_tokens=False)
        if (answer := chat_answer(model.model, inputs, tiny_vision.IMAGE)) is not None:
            break
    return write_chat(CHATS, name, folder, attempt, inputs, answer)


def chat_answer(model: Any, inputs: Any, first_mark: int) -> list[int] | None:
    """NUM_CHAT greedy ids after what a processor made; None where one is not clear, or no text: an end, or a mark, whose ids
    begin with that of first_mark."""
    import torch

    made, answer = dict(inputs), []
    while len(answer) < NUM_CHAT:
        with torch.inference_mode():
            row = model(**made, use_cache=False).logits[0, -1].numpy()
        best = int(row.argmax())
        if forward.margin_of(row) < MARGIN or best <= tiny_models.EOS_TOKEN_ID or best >= first_mark:
            return None
        answer.append(best)
        made["input_ids"] = torch.cat([made["input_ids"], torch.tensor([[best]])], 1)
        made["attention_mask"] = torch.ones_like(made["input_ids"])
    return answer


def write_chat(chats: Path, name: str, folder: Path, attempt: int, inputs: Any, answer: list[int] | None) -> dict[str, Any]:
    if answer is None:
        raise ValueError(f"{name}: no clear answer in {attempt + 1} attempts")
    prompt = inputs["input_ids"][0].numpy().astype(np.int32)
    np.savez_compressed(chats / f"{name}.npz", attempt=attempt, prompt=prompt, greedy=np.array(answer, np.int32))
    print(f"{name:24} a chat of {len(prompt)} tokens, attempt {attempt}", flush=True)
    return {"sha256": digest_of(folder)}


def main(names: list[str]) -> None:
    import torch

    torch.set_num_threads(2)
    record_all(names or [*tiny_vision.CASES], FOLDER, record)
    with_chats = ("idefics3", "gemma3", "gemma3-published", "mistral3", "pixtral", "llava", "lfm2_vl")
    chats = [name for name in with_chats if not names or name in names]
    record_all(chats, CHATS, record_chat)


if __name__ == "__main__":
    main(sys.argv[1:])
