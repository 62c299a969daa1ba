"""Decodes image files by pillow and brings images to a network's input size and channels."""

from __future__ import annotations

import io
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from archc.data.dataset import DataError, Images, Shape
from archc.text.extras import how_to_install

if TYPE_CHECKING:
    from PIL.Image import Image

# endings of files, and the decoders of pillow that may open them: none that runs another program
ENDINGS = (".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm")
DECODERS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
MOST_PIXELS = 89_478_485  # pillow's own limit: more is a decompression bomb
MOST_BYTES = 1 << 30  # of a file
CHANNELS = {1: "L", 3: "RGB"}
WHITES = (255, 1023, 4095, 16383, 65535)  # of 8, 10, 12, 14 and 16 bits
Found = TypeVar("Found")


class Unreadable(Exception):
    """A file that is not a readable image; its text says why."""


def image_shape(shape: tuple[int, ...], size: tuple[int, int] | None = None) -> Shape:
    """[C, H, W] of the images for an input of this shape. Raises DataError where no image fits it."""
    if len(shape) != 3:
        raise DataError(
            f"the network's input has the shape {_written(shape)}; images are [channels, height, width]",
            "write `input: [1, 28, 28]` and begin with flatten" if len(shape) == 1 else "",
        )
    if shape[0] not in CHANNELS:
        raise DataError(f"the network's input has {shape[0]} channels; images have 1 (grey) or 3 (RGB)")
    height, width = size or shape[1:]
    return shape[0], height, width


def _written(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def read_image(path: str | PathLike[str], shape: tuple[int, ...], white: int | None = None) -> Images:
    """The image of a file, [C, H, W]; `white` as in decode. Raises DataError."""
    wanted = image_shape(shape)
    file = Path(path)
    if file.is_dir() or not file.exists():
        raise DataError(f"there is no image {file}" if not file.exists() else f"{file} is a folder, not an image")
    try:
        return decode(file, wanted, white)
    except Unreadable as error:
        raise DataError(f"{file} is not a readable image: {error}") from None


def decode(content: Path | bytes, shape: Shape, white: int | None = None) -> Images:
    """The image of a file or of its content, [C, H, W]. Raises Unreadable.

    white: the value of 16-bit images that becomes 255; else the largest of 8, 10, 12, 14 or 16 bits, as the image itself needs
    """
    return _with(content, lambda image: from_pillow(image, shape, white))


def largest(content: Path | bytes) -> int | None:
    """The largest value of an image that has more than 8 bits; None for others, which are not decoded. Raises Unreadable."""
    return _with(content, lambda image: int(_deep(image).max(initial=0)) if image.mode.startswith("I") else None)


def white_for(most: int) -> int:
    """The largest value of the fewest bits, of those that cameras and scanners have, that hold a value: 4,095 for 3,000."""
    return next(white for white in WHITES if most <= white)


def head(content: Path | bytes) -> tuple[str, int, int]:
    """Mode, width and height of an image that is not decoded. Raises Unreadable."""
    return _with(content, lambda image: (image.mode, image.width, image.height))


def _with(content: Path | bytes, use: Callable[[Image], Found]) -> Found:
    """What `use` makes of the opened image. Raises Unreadable."""
    pillow = _pillow()
    try:
        if isinstance(content, Path) and content.exists() and not content.is_file():
            raise Unreadable("it is not a regular file")
        length = len(content) if isinstance(content, bytes) else content.stat().st_size
        if not length:
            raise Unreadable("it is empty")
        if length > MOST_BYTES:
            raise Unreadable(f"it has {length:,} bytes")
        with pillow.open(io.BytesIO(content) if isinstance(content, bytes) else content, formats=DECODERS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Unreadable(f"{image.width:,} x {image.height:,} pixels are more than {MOST_PIXELS:,}")
            return use(image)
    except Unreadable:
        raise
    except Exception as error:  # what a decoder raises for a stranger's bytes is not listed anywhere
        raise Unreadable(_reason(error)) from None


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError:
        raise DataError("images need pillow, which is not installed", how_to_install("train", "pillow")) from None
    return Image


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if type(error).__name__ == "UnidentifiedImageError":
        return "its content is none of " + ", ".join(DECODERS)
    if type(error).__name__ == "DecompressionBombError":
        return f"it has more than {MOST_PIXELS:,} pixels"
    return str(error)[:120] or type(error).__name__


def from_pillow(image: Image, shape: Shape, white: int | None = None) -> Images:
    """A picture upright, with the input's channels and size, [C, H, W].

    Its shorter side is brought to the size and the middle is cut out, so that what it shows keeps its proportions.
    """
    from PIL import Image, ImageOps

    channels, height, width = shape
    if image.format == "JPEG":  # decoded at a part of its size, where that is still twice what is wanted
        image.draft(image.mode, (2 * width, 2 * height))
    cut = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())) and not image.mode.startswith(
        "I"
    )  # as pillow reads colors of 16 bits
    image = ImageOps.exif_transpose(image)
    if cut and 0 < max(high for _, high in _extrema(image)) < 16:
        raise Unreadable("its 16-bit colors use 12 bits or fewer, of which pillow keeps the first 8: scale them to 8 or 16 bits")
    image = _opaque(image, white).convert(CHANNELS[channels])
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    found = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(found[None] if channels == 1 else found.transpose(2, 0, 1))


def _extrema(image: Image) -> list[tuple[float, float]]:
    """The least and largest value of each channel but that of transparency."""
    found = image.getextrema()
    pairs = [found] if isinstance(found[0], int | float) else list(found)
    return [(float(low), float(high)) for low, high in pairs[: len(image.getbands()) - ("A" in image.getbands())]]


def _deep(image: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The values of an image of more than 8 bits. Raises Unreadable where they are none of 16."""
    values = np.asarray(image, dtype=np.int64)
    if values.min(initial=0) < 0 or values.max(initial=0) > WHITES[-1]:
        raise Unreadable("its values lie outside of 0..65535")
    return values


def _opaque(image: Image, white: int | None) -> Image:
    """Without transparency, on white; values of 16 bits as 8."""
    from PIL import Image

    if image.mode.startswith("I"):
        values = _deep(image)
        most = int(values.max(initial=0))
        scale = white or white_for(most)
        if most > scale:
            raise Unreadable(f"its values go up to {most:,}, above the {scale:,} that is white; write `white: {white_for(most)}` in `data`")
        return Image.fromarray((values * 255 // scale).astype(np.uint8))
    if image.mode == "F":
        raise Unreadable("its values are floating-point numbers")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image


def fit_images(images: Images, shape: Shape) -> Images:
    """Images [N, C, H, W] of an array, with the input's channels and size: grey is repeated, RGB becomes luma, as in pillow."""
    channels, height, width = shape
    if images.shape[1] == 3 and channels == 1:
        images = luma(images)
    if images.shape[2:] != (height, width):
        images = _resize(images, height, width)
    if images.shape[1] == 1 and channels == 3:
        images = np.repeat(images, 3, axis=1)
    return images


def luma(images: Images) -> Images:
    """RGB [N, 3, H, W] to grey [N, 1, H, W]: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), in pillow's integers."""
    red, green, blue = (images[:, i : i + 1].astype(np.uint32) for i in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)


def _resize(images: Images, height: int, width: int) -> Images:
    _pillow()
    from PIL import Image, ImageOps

    out = np.empty((*images.shape[:2], height, width), np.uint8)
    for n, image in enumerate(images):
        for c, plane in enumerate(image):
            out[n, c] = np.asarray(ImageOps.fit(Image.fromarray(plane), (width, height), Image.Resampling.BILINEAR))
    return out
