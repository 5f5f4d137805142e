"""What a model's files say of its pictures: preprocessor_config.json or the part `image_processor` of processor_config.json
(transformers), or the keys of a GGUF file of the vision encoder (mmproj).

Absent and null keys count as transformers has them. What would change the pixels and was not read is an error that names it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.images.families import CentreCrop, Family, Fixed, Multiples, PanAndScan, Tiled, TiledByRatio, UpToPatches, within
from fanlight.images.plan import FILTERS, Plan
from fanlight.models.config import Keys

HALVES = (0.5, 0.5, 0.5)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
LANCZOS, BILINEAR, BICUBIC = 1, 2, 3

# Nothing of a picture, or only of how several are laid into one batch, or of videos.
HARMLESS = (
    "image_processor_type feature_extractor_type processor_class video_processor_type return_tensors device data_format"
    " input_data_format disable_grouping default_to_square do_convert_rgb do_pad pad_size return_row_col_info image_seq_length"
    " image_seq_len num_additional_image_tokens vision_feature_select_strategy temporal_patch_size fps max_frames min_frames"
    " num_frames do_sample_frames video_sampling max_num_patches"
).split()
KINDS_OF = {  # of models whose files do not name the kind
    "gemma3": "Gemma3ImageProcessor",
    "idefics3": "Idefics3ImageProcessor",
    "lfm2_vl": "Lfm2VlImageProcessor",
    "llava": "CLIPImageProcessor",
    "mistral3": "PixtralImageProcessor",
    "pixtral": "PixtralImageProcessor",
    "qwen2_5_vl": "Qwen2VLImageProcessor",
    "qwen2_vl": "Qwen2VLImageProcessor",
    "qwen3_5_moe": "Qwen2VLImageProcessor",
    "qwen3_5": "Qwen2VLImageProcessor",
    "qwen3_vl": "Qwen2VLImageProcessor",
    "smolvlm": "SmolVLMImageProcessor",
}


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """An encoder reads (pixel * scale - mean) / std for each of red, green and blue; pixels are 0 to 255."""

    family: Family
    filter: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def plan(self, width: int, height: int) -> Plan:
        """width, height: the picture's, as it is seen: turned as its file says."""
        return self.family.plan(width, height, self.filter)

    def within(self, pixels: int) -> "Preprocessor":
        """For pictures of any size: of no more than so many pixels, as an encoder's buffers hold."""
        return replace(self, family=within(self.family, pixels))


def read_preprocessor(
    model_type: str, preprocessor: Mapping[str, Any] | None, processor: Mapping[str, Any] | None = None
) -> Preprocessor:
    """preprocessor, processor: preprocessor_config.json and processor_config.json, None where there is none. Of the image's
    numbers those in `processor` count, as in transformers."""
    outer = Keys(processor or {}, "processor_config.json")
    keys = outer.inner("image_processor") or Keys(preprocessor or {}, "preprocessor_config.json")
    if preprocessor is None and not outer.has("image_processor"):
        raise FormatError("the model has no preprocessor_config.json, nor an image_processor in processor_config.json")
    kind = _kind(keys, model_type)
    keys.ignore(*HARMLESS)
    read, mean, std, resample = KINDS[kind]
    family = read(keys, outer)
    for name in ("do_resize", "do_rescale"):
        keys.only(name, True)
    resample = keys.count("resample", resample) if keys.has("resample") else resample
    if resample not in FILTERS:
        raise UnsupportedModel(f"resample is {resample}; known are {FILTERS}, as Pillow numbers them", where=keys.file)
    mean = _channels(keys, "image_mean", mean)
    std = _channels(keys, "image_std", std)
    if not _flag(keys, "do_normalize", True):
        mean, std = (0.0,) * 3, (1.0,) * 3
    scale = keys.optional_positive("rescale_factor") or 1 / 255
    keys.ignore("resample", "rescale_factor", "do_center_crop", "crop_size")  # families that crop have read them
    keys.check_all_read()
    return Preprocessor(family, FILTERS[resample], scale, mean, std)


def _kind(keys: Keys, model_type: str) -> str:
    """The `image_processor_type` without what says by which library it is carried out."""
    for key in ("image_processor_type", "feature_extractor_type"):
        if keys.has(key):
            named = keys.choice(key, {f"{kind}{end}": kind for kind in KINDS for end in ("", "Fast", "Pil")})
            return named.removesuffix("Fast").removesuffix("Pil")
    if model_type not in KINDS_OF:
        raise UnsupportedModel(f"no kind of pictures is known for {model_type!r}", where=keys.file)
    return KINDS_OF[model_type]


def _channels(keys: Keys, key: str, absent: tuple[float, ...]) -> tuple[float, ...]:
    if not keys.has(key):
        keys.ignore(key)
        return absent
    values = keys.reals(key, 3)
    if key == "image_std" and min(values) <= 0:
        raise FormatError(f"{keys.name(key)} is {values}, expected numbers above 0", where=keys.file)
    return values


def _flag(keys: Keys, key: str, absent: bool) -> bool:
    given = keys.optional_flag(key)
    return absent if given is None else given


def _number(keys: Keys, key: str, absent: int) -> int:
    return keys.optional_number(key, absent) or absent


def _edges(keys: Keys, key: str, names: tuple[str, ...], absent: tuple[int, ...]) -> tuple[int, ...]:
    """An object with a number of each name; or one number for all of them."""
    given = keys.has(key)
    if not given:
        keys.ignore(key)
        return absent
    if not keys.is_object(key):
        return (keys.number(key),) * len(names)
    inner = keys.inner(key)
    return absent if inner is None else tuple(inner.number(name) for name in names)


# --- kinds: (keys of the image's part, of the processor around it) -> its sizes ----------------------------------------
def _gemma3(keys: Keys, outer: Keys) -> Family:
    height, width = _edges(keys, "size", ("height", "width"), (224, 224))
    numbers = [keys.optional_number(f"pan_and_scan_{name}") for name in ("min_crop_size", "max_num_crops")]
    ratio = keys.optional_positive("pan_and_scan_min_ratio_to_activate")
    if not _flag(keys, "do_pan_and_scan", False):
        return Fixed(width, height)
    least, most = numbers
    if least is None or most is None or ratio is None:
        raise FormatError("do_pan_and_scan is true, and its numbers are missing", where=keys.file)
    return PanAndScan(width, height, least, most, ratio)


def _siglip(keys: Keys, outer: Keys) -> Family:
    height, width = _edges(keys, "size", ("height", "width"), (224, 224))
    return Fixed(width, height)


def _clip(keys: Keys, outer: Keys) -> Family:
    crops = _flag(keys, "do_center_crop", True)
    keys.only("do_pad", False)
    (short,) = _edges(keys, "size", ("shortest_edge",), (224,))
    height, width = _edges(keys, "crop_size", ("height", "width"), (224, 224))
    if not crops or max(width, height) > short:
        raise UnsupportedModel("pictures that are not cropped, or to more than their short edge", where=keys.file)
    return CentreCrop(short, width, height)


def _idefics3(keys: Keys, outer: Keys) -> Family:
    (longest,) = _edges(keys, "size", ("longest_edge",), (4 * 364,))
    (tile,) = _edges(keys, "max_image_size", ("longest_edge",), (364,))
    return Tiled(longest, tile, _flag(keys, "do_image_splitting", True))


def _qwen2_vl(keys: Keys, outer: Keys) -> Family:
    bounds = [keys.optional_number(name) for name in ("min_pixels", "max_pixels")]
    size, absent = keys.inner("size"), (56 * 56, 28 * 28 * 1280)
    for i, name in enumerate(("shortest_edge", "longest_edge")):
        if size and size.has(name):
            bounds[i] = bounds[i] or size.number(name)
    if size:  # in the first files these two stand there once more
        size.ignore("shortest_edge", "longest_edge", *(("min_pixels", "max_pixels") if None not in bounds else ()))
    factor = _number(keys, "patch_size", 14) * _number(keys, "merge_size", 2)
    return Multiples(factor, bounds[0] or absent[0], bounds[1] or absent[1])


def _pixtral(keys: Keys, outer: Keys) -> Family:
    (longest,) = _edges(keys, "size", ("longest_edge",), (1024,))
    height, width = _edges(keys, "patch_size", ("height", "width"), (16, 16))
    if outer.has("patch_size"):  # the processor's counts, and what the model merges
        height = width = outer.number("patch_size") * _number(outer, "spatial_merge_size", 1)
    if height != width:
        raise UnsupportedModel(f"patches of {width} x {height} pixels; expected squares", where=keys.file)
    return UpToPatches(longest, height)


def _lfm2_vl(keys: Keys, outer: Keys) -> Family:
    splits, has_whole = _flag(keys, "do_image_splitting", True), _flag(keys, "use_thumbnail", True)
    least, most = _number(keys, "min_tiles", 2), _number(keys, "max_tiles", 10)
    keys.ignore("size")  # tiles have tile_size
    family = TiledByRatio(
        tile=_number(keys, "tile_size", 512),
        patch=_number(keys, "encoder_patch_size", 16),
        merge=_number(keys, "downsample_factor", 2),
        min_tiles=least if splits else 1,
        max_tiles=most if splits else 1,
        min_tokens=_number(keys, "min_image_tokens", 64),
        max_tokens=_number(keys, "max_image_tokens", 256),
        tolerance=keys.optional_positive("max_pixels_tolerance", 2.0) or 2.0,
        has_whole=has_whole,
    )
    if family.min_tiles > family.max_tiles or family.tile % (family.patch * family.merge):
        raise FormatError(f"no tiles from these numbers: {family}", where=keys.file)
    return family


Reader = Callable[[Keys, Keys], Family]
# transformers' kind -> its reader, and the mean, std and filter of files that have none
KINDS: dict[str, tuple[Reader, tuple[float, ...], tuple[float, ...], int]] = {
    "CLIPImageProcessor": (_clip, CLIP_MEAN, CLIP_STD, BICUBIC),
    "Gemma3ImageProcessor": (_gemma3, HALVES, HALVES, BILINEAR),
    "Idefics3ImageProcessor": (_idefics3, HALVES, HALVES, LANCZOS),
    "Lfm2VlImageProcessor": (_lfm2_vl, HALVES, HALVES, BILINEAR),
    "LlavaImageProcessor": (_clip, CLIP_MEAN, CLIP_STD, BICUBIC),
    "PixtralImageProcessor": (_pixtral, CLIP_MEAN, CLIP_STD, BICUBIC),
    "Qwen2VLImageProcessor": (_qwen2_vl, CLIP_MEAN, CLIP_STD, BICUBIC),
    "SiglipImageProcessor": (_siglip, HALVES, HALVES, BICUBIC),
    "SmolVLMImageProcessor": (_idefics3, HALVES, HALVES, LANCZOS),
}


# --- GGUF --------------------------------------------------------------------------------------------------------------
def preprocessor_from_gguf(metadata: Mapping[str, Any], file: str) -> Preprocessor:
    """metadata: of the file of the vision encoder. What its keys leave out is as transformers has it for the family."""
    keys = Keys({key.removeprefix("clip.vision."): value for key, value in metadata.items()}, file, "clip.vision.")
    kind = str(metadata.get("clip.vision.projector_type") or metadata.get("clip.projector_type"))
    if kind not in PROJECTORS:
        raise UnsupportedModel(f"clip.projector_type is {kind!r}; known are {', '.join(PROJECTORS)}", where=file)
    read, filter = PROJECTORS[kind]
    family = read(keys, keys.number("image_size"), keys.number("patch_size"))
    return Preprocessor(family, FILTERS[filter], 1 / 255, keys.reals("image_mean", 3), keys.reals("image_std", 3))


def _qwen_bounds(keys: Keys, image: int, patch: int, least: int, most: int) -> Family:
    factor = patch * keys.number("spatial_merge_size", 2)
    return Multiples(factor, keys.number("image_min_pixels", least), keys.number("image_max_pixels", most))


def _lfm2_defaults(keys: Keys, image: int, patch: int) -> Family:
    merge = keys.number("projector.scale_factor", 2)
    return TiledByRatio(512, patch, merge, 2, 10, 64, 256, 2.0, has_whole=True)


# clip.projector_type -> sizes of (keys, image_size, patch_size), and the filter
PROJECTORS: dict[str, tuple[Callable[[Keys, int, int], Family], int]] = {
    "gemma3": (lambda keys, image, patch: Fixed(image, image), BILINEAR),
    "idefics3": (lambda keys, image, patch: Tiled(keys.number("preproc_image_size", 4 * image), image, True), LANCZOS),
    "lfm2": (_lfm2_defaults, BILINEAR),
    "mlp": (lambda keys, image, patch: CentreCrop(image, image, image), BICUBIC),
    "pixtral": (lambda keys, image, patch: UpToPatches(image, patch * keys.number("spatial_merge_size", 1)), BICUBIC),
    "qwen2vl_merger": (lambda keys, image, patch: _qwen_bounds(keys, image, patch, 3136, 12845056), BICUBIC),
    "qwen2.5vl_merger": (lambda keys, image, patch: _qwen_bounds(keys, image, patch, 3136, 12845056), BICUBIC),
    "qwen3vl_merger": (lambda keys, image, patch: _qwen_bounds(keys, image, patch, 65536, 16777216), BICUBIC),
}
