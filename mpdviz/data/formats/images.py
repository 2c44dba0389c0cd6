"""Pictures, decoded by Pillow: what is damaged, too large or of more than 8 bits is refused by its name."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mpdviz.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "PPM")
"""Pillow's names of them; it decodes no others, whatever a file is called."""
GREY, COLOUR = ("1", "L", "LA"), ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
"""Pillow's modes of 8 bits and fewer a channel."""
MOST_PIXELS = 1 << 26
"""Of a picture, beyond which it is a decompression bomb, or nothing to make a small picture from."""


@contextmanager
def opened_image(content: bytes, what: str, remedy: str) -> Iterator["Image"]:
    """A picture whose size and mode are known; its pixels are decoded when asked for, inside the block.

    Args:
        content: the file.
        what: how errors call it.
        remedy: what to do about one that is damaged.

    Raises:
        BadInput: no picture, a damaged one, one of more than 67 megapixels or of more than 8 bits a channel.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's of bombs: smaller ones are refused below
            image = Image.open(io.BytesIO(content), formats=FORMATS)
    except Exception as error:  # its decoders answer damage with exceptions of many kinds
        bomb = isinstance(error, Image.DecompressionBombError)
        # What it cannot identify it calls by an address in memory.
        reason = "too many pixels" if bomb else "not identified" if "BytesIO" in str(error) else str(error)
        raise BadInput(f"{what} cannot be read as a picture: {reason[:200]}", remedy) from None
    with image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise BadInput(f"{what} has {width} x {height} pixels", "make it smaller, or leave it out")
        check_mode(image, what)
        try:
            yield image
        except BadInput:
            raise
        except Exception as error:
            raise BadInput(f"{what} is damaged: {str(error)[:200]}", remedy) from None


def check_mode(image: "Image", what: str) -> None:
    """Refuse a picture whose values are not of 8 bits: Pillow would cut them off.

    Raises:
        BadInput: it is one.
    """
    if image.mode not in GREY + COLOUR:
        remedy = "save pictures of 8 bits, or the values as npz:FILE"
        raise BadInput(f"{what} has Pillow's mode {image.mode}, more than 8 bits a channel", remedy)


def pixels(image: "Image", *, grey: bool) -> np.ndarray:
    """The values of a picture; transparency is left out, and of several frames the first is taken.

    Args:
        image: of 8 bits a channel.
        grey: as one channel, not three.

    Returns:
        uint8 `[C, H, W]`.
    """
    values = np.asarray(image.convert("L" if grey else "RGB"))
    return values[None] if grey else values.transpose(2, 0, 1)


def fitted(image: "Image", size: int) -> "Image":
    """The middle square of a picture, resized to `size` pixels each way (bilinear, antialiased)."""
    from PIL import Image, ImageOps

    if image.size == (size, size):
        return image
    return ImageOps.fit(
        image.convert("L" if image.mode in GREY else "RGB"), (size, size), Image.Resampling.BILINEAR
    )


def statistics(x: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every channel.

    Args:
        x: uint8 `[N, C, H, W]`.

    Returns:
        Both of C values; a channel without spread has deviation 1, so that it can be divided by.
    """
    # From counts of the 256 values: exact, and without a copy of the samples as floats.
    counts = torch.stack(
        [torch.bincount(x[:, c].flatten(), minlength=256) for c in range(x.shape[1])]
    ).double()
    values, total = torch.arange(256, dtype=torch.float64), counts.sum(1)
    mean = counts @ values / total
    variance = (counts * (values - mean[:, None]) ** 2).sum(1) / total
    std = variance.sqrt()
    return tuple(mean.tolist()), tuple(torch.where(std > 0, std, 1.0).tolist())
