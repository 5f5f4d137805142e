"""Pictures become the tiles that transformers' processors make of them (scripts/golden/record_pictures.py), natively by Pillow;
and in a page, by web/src/pictures.ts, they become the same bytes."""

import base64
import hashlib
import json
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fanlight.errors import FanlightError, FormatError, RequestError, UnsupportedModel
from fanlight.images.pixels import open_picture, tiles_of
from fanlight.images.plan import Crop, Plan, Resize, Tile
from fanlight.images.preprocessor import preprocessor_from_gguf, read_preprocessor
from scripts.golden.record_pictures import CASES, FILE, picture
from tests.text.test_page import HAS_NODE, WEB

RECORDS = json.loads(FILE.read_text())
ALL = [(name, *map(int, size.split("x"))) for name, sizes in RECORDS.items() for size in sizes]
IN_PAGE = """
import { readFileSync, writeFileSync } from "node:fs";
const [module, folder] = process.argv.slice(1);
const { tilesOf, withoutAlpha } = await import(module);
for (const [i, { width, height, plan }] of JSON.parse(readFileSync(`${folder}/jobs.json`, "utf8")).entries()) {
  writeFileSync(`${folder}/${i}.out`, tilesOf(withoutAlpha(readFileSync(`${folder}/${i}.in`), width, height), plan));
}
"""


def plan_of(name: str, width: int, height: int) -> Plan:
    return read_preprocessor("", CASES[name]).plan(width, height)


@pytest.mark.parametrize(("name", "width", "height"), ALL)
def test_tiles_are_transformers(name: str, width: int, height: int) -> None:
    record, plan = RECORDS[name][f"{width}x{height}"], plan_of(name, width, height)
    assert [[tile.width, tile.height] for tile in plan.tiles] == record["sizes"]
    assert len(plan.tiles) == max(plan.rows * plan.columns + plan.has_whole, 1)
    data = tiles_of(Image.fromarray(picture(width, height)), plan)
    assert len(data) == plan.size
    if name != "lfm2_vl":
        assert hashlib.sha256(data).hexdigest() == record["sha256"]
        return
    ours, at = np.frombuffer(data, np.uint8), 0  # theirs is by torchvision, whose weights have fewer bits
    for tile, means in zip(plan.tiles, record["means"], strict=True):
        pixels = ours[at:][: 3 * tile.width * tile.height].reshape(-1, 3)
        assert np.abs(pixels.mean(0) - means).max() < 0.5
        at += pixels.size
    if "data" in record:
        theirs = zlib.decompress(base64.b85decode(record["data"]))
        assert np.abs(ours.astype(int) - np.frombuffer(theirs, np.uint8)).max() <= 1


@pytest.mark.skipif(not HAS_NODE, reason="needs node and web/node_modules: npm ci in web/")
def test_a_page_makes_the_same_bytes(tmp_path: Path) -> None:
    bundle = tmp_path / "pictures.mjs"
    esbuild = ["node_modules/.bin/esbuild", "src/pictures.ts", "--bundle", "--format=esm", "--log-level=error"]
    subprocess.run([*esbuild, f"--outfile={bundle}"], cwd=WEB, check=True)
    jobs = [(plan_of(*case), *case[1:]) for case in ALL if max(case[1:]) < 1000]
    sizes = [(1, 1), (3, 200), (200, 3), (61, 67), (122, 134), (67, 61), (40, 40), (5, 5)]
    jobs += [
        (Plan(filter, (Tile((Resize(*to),)),)), *size)
        for filter in ("lanczos", "bilinear", "bicubic")
        for size in [(61, 67), (1, 9), (40, 40), (300, 7)]
        for to in sizes
    ]
    jobs.append((Plan("bicubic", (Tile((Crop(3, 5, 20, 11), Resize(33, 21))), Tile((Crop(0, 0, 1, 1),)))), 61, 67))
    listed = [{"width": width, "height": height, "plan": plan.to_json()} for plan, width, height in jobs]
    (tmp_path / "jobs.json").write_text(json.dumps(listed))
    for i, (_, width, height) in enumerate(jobs):
        rgba = np.dstack([picture(width, height), np.full((height, width), i % 256, np.uint8)])
        (tmp_path / f"{i}.in").write_bytes(rgba.tobytes())
    subprocess.run(["node", "--input-type=module", "-e", IN_PAGE, str(bundle), str(tmp_path)], check=True)
    for i, (plan, width, height) in enumerate(jobs):
        expected = tiles_of(Image.fromarray(picture(width, height)), plan)
        assert (tmp_path / f"{i}.out").read_bytes() == expected, (plan, width, height)


def test_pictures_are_turned_as_their_files_say(tmp_path: Path) -> None:
    shown = Image.fromarray(picture(40, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    shown.save(tmp_path / "turned.png", exif=exif)
    assert open_picture((tmp_path / "turned.png").read_bytes()).tobytes() == shown.transpose(Image.ROTATE_270).tobytes()


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError, match="not a picture"):
        open_picture(data)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("smolvlm", {"do_resize": False}, "do_resize"),
        ("smolvlm", {"resample": 0}, "resample is 0"),
        ("smolvlm", {"antialias_more": 3}, "antialias_more"),
        ("smolvlm", {"size": {"longest_edge": 200, "shortest": 3}}, "size.shortest"),
        ("smolvlm", {"image_std": [0.5, 0.5]}, "image_std"),
        ("smolvlm", {"image_std": [0.5, 0.5, 0]}, "image_std"),
        ("llava", {"do_center_crop": False}, "not cropped"),
        ("llava", {"do_pad": True}, "do_pad"),
        ("llava", {"image_processor_type": "OtherImageProcessor"}, "OtherImageProcessor"),
        ("gemma3", {"do_pan_and_scan": True}, "numbers are missing"),
        ("pixtral", {"patch_size": {"height": 14, "width": 16}}, "squares"),
    ],
)
def test_what_is_not_understood_is_refused(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises((FormatError, UnsupportedModel), match=message):
        read_preprocessor("", {**CASES[name], **changes})


def test_the_processors_own_file_counts_before() -> None:
    """As transformers 5 saves it; and Pixtral's patches are those that the model merges."""
    given = {"patch_size": 14, "spatial_merge_size": 2, "image_processor": {**CASES["pixtral"], "size": {"longest_edge": 84}}}
    plan = read_preprocessor("mistral3", CASES["pixtral"], given).plan(200, 100)
    assert plan.tiles == (Tile((Resize(84, 56),)),)
    with pytest.raises(FormatError, match=r"no preprocessor_config\.json"):
        read_preprocessor("mistral3", None, {"patch_size": 14})


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_vl", "pixtral"])
def test_pictures_of_any_size_stay_within_what_an_encoder_holds(name: str) -> None:
    kind = read_preprocessor("", CASES[name]).within(20_000)
    for width, height in ((37, 53), (640, 427), (4000, 3000), (1200, 190)):
        (tile,) = kind.plan(width, height).tiles
        assert tile.width * tile.height <= 20_000
    (one,) = kind.plan(1200, 100).tiles  # its ratio stays, as near as patches allow
    assert 4 < one.width / one.height < 20


def test_the_kind_may_follow_from_the_model() -> None:
    unnamed = {key: value for key, value in CASES["qwen2_5_vl"].items() if key != "image_processor_type"}
    assert read_preprocessor("qwen2_5_vl", unnamed) == read_preprocessor("", CASES["qwen2_5_vl"])
    with pytest.raises(FanlightError, match="no kind of pictures"):
        read_preprocessor("llama", unnamed)


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("smolvlm", {"projector_type": "idefics3", "image_size": 64, "patch_size": 16, "vision.preproc_image_size": 200}),
        ("gemma3", {"projector_type": "gemma3", "image_size": 112, "patch_size": 14}),
        ("llava", {"projector_type": "mlp", "image_size": 84, "patch_size": 14}),
        ("pixtral", {"projector_type": "pixtral", "image_size": 240, "patch_size": 14, "vision.spatial_merge_size": 2}),
        (
            "qwen2_5_vl",
            {
                "projector_type": "qwen2.5vl_merger",
                "image_size": 560,
                "patch_size": 14,
                "vision.image_min_pixels": 3136,
                "vision.image_max_pixels": 50176,
            },
        ),
    ],
)
def test_a_gguf_file_gives_the_same_plans(name: str, metadata: dict[str, Any]) -> None:
    kind = read_preprocessor("", CASES[name])
    numbers = {"image_mean": list(kind.mean), "image_std": list(kind.std), **metadata}
    top = {"projector_type"}
    keys = {
        f"clip.{key}" if key in top or key.startswith("vision.") else f"clip.vision.{key}": value
        for key, value in numbers.items()
    }
    assert preprocessor_from_gguf(keys, "mmproj.gguf") == kind
    with pytest.raises(UnsupportedModel, match="projector_type"):
        preprocessor_from_gguf({**keys, "clip.projector_type": "resampler"}, "mmproj.gguf")
