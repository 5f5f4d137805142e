"""A picture's pixels natively: read and resized by Pillow. (In a page: web/src/pictures.ts.)"""

import io
from typing import TYPE_CHECKING

from fanlight.errors import RequestError
from fanlight.images.plan import Crop, Plan, Resize, Step

if TYPE_CHECKING:
    from PIL import Image

KNOWN = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # what browsers read too
MAX_PIXELS = 100_000_000


def open_picture(data: bytes) -> "Image.Image":
    """Red, green and blue, turned as its file says; of an animation the first picture. Transparency is left out, as by
    transformers."""
    from PIL import Image, ImageOps

    try:
        picture = Image.open(io.BytesIO(data), formats=KNOWN)
        if picture.width * picture.height > MAX_PIXELS:
            raise RequestError(f"a picture of {picture.width} x {picture.height} pixels; at most {MAX_PIXELS} are read")
        return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RequestError(f"not a picture that can be read ({', '.join(KNOWN)}), or a broken one: {error}") from error


def tiles_of(picture: "Image.Image", plan: Plan) -> bytes:
    """The pixels of all tiles, one after the other: 3 bytes a pixel, row by row."""
    made: dict[tuple[Step, ...], Image.Image] = {(): picture}
    for tile in plan.tiles:
        for count in range(1, len(tile.steps) + 1):
            steps = tile.steps[:count]
            if steps not in made:
                made[steps] = _step(made[steps[:-1]], steps[-1], plan.filter)
    return b"".join(made[tile.steps].tobytes() for tile in plan.tiles)


def _step(picture: "Image.Image", step: Step, filter: str) -> "Image.Image":
    from PIL import Image

    if isinstance(step, Resize):
        return picture.resize(step, Image.Resampling[filter.upper()])
    assert isinstance(step, Crop)
    return picture.crop((step.left, step.top, step.left + step.width, step.top + step.height))
