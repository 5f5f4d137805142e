"""Records what transformers' image processors make of small pictures, for tests/images: as pixels of 8 bits, tile by tile.

python -m scripts.golden.record_pictures"""

import base64
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parents[2] / "tests" / "golden" / "pictures" / "tiles.json"
SIZES = ((37, 53), (97, 31), (640, 427), (211, 500), (64, 64), (1200, 190))
CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
# Of the shape of published files, with smaller numbers.
CASES: dict[str, dict[str, Any]] = {
    "smolvlm": {
        "image_processor_type": "Idefics3ImageProcessor",
        "do_image_splitting": True,
        "max_image_size": {"longest_edge": 64},
        "size": {"longest_edge": 200},
        "resample": 1,
    },
    "smolvlm_whole": {
        "image_processor_type": "SmolVLMImageProcessor",
        "do_image_splitting": False,
        "max_image_size": {"longest_edge": 48},
        "size": {"longest_edge": 100},
        "resample": 1,
    },
    "gemma3": {"image_processor_type": "Gemma3ImageProcessor", "size": {"height": 112, "width": 112}, "resample": 2},
    "gemma3_pan_and_scan": {
        "image_processor_type": "Gemma3ImageProcessor",
        "size": {"height": 56, "width": 56},
        "resample": 2,
        "do_pan_and_scan": True,
        "pan_and_scan_min_crop_size": 100,
        "pan_and_scan_max_num_crops": 4,
        "pan_and_scan_min_ratio_to_activate": 1.2,
    },
    "llava": {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 84},
        "crop_size": {"height": 84, "width": 84},
        "resample": 3,
        **CLIP,
    },
    "qwen2_5_vl": {
        "image_processor_type": "Qwen2VLImageProcessor",
        "min_pixels": 3136,
        "max_pixels": 50176,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        **CLIP,
    },
    "qwen3_vl": {
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "size": {"shortest_edge": 4096, "longest_edge": 65536},
        "patch_size": 16,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    },
    "pixtral": {
        "image_processor_type": "PixtralImageProcessor",
        "size": {"longest_edge": 240},
        "patch_size": {"height": 28, "width": 28},
        "resample": 3,
        **CLIP,
    },
    "lfm2_vl": {
        "image_processor_type": "Lfm2VlImageProcessorFast",
        "tile_size": 64,
        "encoder_patch_size": 8,
        "downsample_factor": 2,
        "min_image_tokens": 4,
        "max_image_tokens": 16,
        "min_tiles": 2,
        "max_tiles": 6,
        "use_thumbnail": True,
        "resample": 2,
    },
}


def picture(width: int, height: int) -> np.ndarray:
    """Waves, edges and noise. u8 [height, width, 3]"""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    noise = (x * 7919 + y * 104729 + x * y * 31) % 61
    red = (x * 255 // max(width - 1, 1) + noise) % 256
    green = np.where((x // 9 + y // 7) % 2 == 0, 230, 15)
    blue = (x * x + 3 * y * y) // 16 % 256
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def main() -> None:
    made = {name: {f"{w}x{h}": record(config, w, h) for w, h in SIZES} for name, config in CASES.items()}
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(made, indent=1) + "\n")


def record(config: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    from transformers.models.auto import image_processing_auto as auto

    kind = config["image_processor_type"].removesuffix("Fast")
    is_torch = kind == "Lfm2VlImageProcessor"  # by torchvision alone, whose last bit may differ
    processor = auto.get_image_processor_class_from_name(kind if is_torch else f"{kind}Pil")(**config)
    out = processor(images=[picture(width, height)], return_tensors="np" if not is_torch else "pt")
    values = np.asarray(out["pixel_values"])
    mean, std = (np.array(getattr(processor, f"image_{name}")) for name in ("mean", "std"))
    tiles = [(tile * std + mean) * 255 for tile in tiles_of(values, out, config)]
    whole = [np.rint(tile) for tile in tiles]
    assert max(np.abs(a - b).max() for a, b in zip(tiles, whole, strict=True)) < 0.01
    data = b"".join(tile.astype(np.uint8).tobytes() for tile in whole)
    sizes = [[tile.shape[1], tile.shape[0]] for tile in whole]
    found: dict[str, Any] = {"sizes": sizes, "sha256": hashlib.sha256(data).hexdigest()}
    if is_torch:
        found["means"] = [[round(float(mean), 2) for mean in tile.mean((0, 1))] for tile in whole]
        if len(data) < 10_000:
            found["data"] = base64.b85encode(zlib.compress(data, 9)).decode()
    return found


def tiles_of(values: np.ndarray, out: Any, config: dict[str, Any]) -> list[np.ndarray]:
    """[height, width, 3] each."""
    if "image_grid_thw" in out:
        _, rows, columns = (int(n) for n in np.asarray(out["image_grid_thw"])[0])
        p, m = config["patch_size"], config["merge_size"]
        patches = values.reshape(rows // m, columns // m, m, m, 3, 2, p, p)
        assert (patches[..., 0, :, :] == patches[..., 1, :, :]).all()
        return [patches[..., 0, :, :].transpose(0, 2, 5, 1, 3, 6, 4).reshape(rows * p, columns * p, 3)]
    if "spatial_shapes" in out:
        p = config["encoder_patch_size"]
        tiles = []
        for tile, (rows, columns) in zip(values, np.asarray(out["spatial_shapes"]), strict=True):
            patches = tile[: rows * columns].reshape(rows, columns, p, p, 3)
            tiles.append(patches.transpose(0, 2, 1, 3, 4).reshape(rows * p, columns * p, 3))
        return tiles
    return list(values.reshape(-1, *values.shape[-3:]).transpose(0, 2, 3, 1))


if __name__ == "__main__":
    main()
