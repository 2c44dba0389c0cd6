"""The AutoAugment policy for CIFAR-10 (Cubuk et al., CVPR 2019), on whole batches.

Every image draws one of 25 pairs of operations, each of which happens with its own probability and strength.
Strengths are levels 0 .. 9 of the paper's ranges; what has a direction goes either way with equal chance.
The operations are Pillow's, value for value: images that wander through this module come out as if each had
gone through Pillow alone. What a shifted, sheared or turned image leaves bare becomes grey (128).
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Operation = Callable[[Tensor, Tensor], Tensor]
"""From images `[n, 3, H, W]` of whole values 0 .. 255 (float32) and a strength `[n]` to such images."""

GREY = 128.0
# (operation, probability, level), twice.
POLICY = (
    (("invert", 0.1, 0), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.5, 0), ("equalize", 0.9, 0)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 0), ("equalize", 0.5, 0)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 0), ("autocontrast", 0.4, 0)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 0)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 0), ("equalize", 0.6, 0)),
    (("color", 0.9, 9), ("equalize", 0.6, 0)),
    (("autocontrast", 0.8, 0), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 0)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.9, 0), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 0), ("invert", 0.1, 0)),
    (("translate_y", 0.7, 9), ("autocontrast", 0.9, 0)),
)


def auto_augment(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each image changed by a pair of its own.

    Args:
        x: images `[N, 3, H, W]`, whole values from 0 to 255.
        generator: CPU generator.

    Returns:
        Images of the same shape, dtype and device, whole values from 0 to 255.
    """
    pairs = torch.randint(len(POLICY), (len(x),), generator=generator)
    chance, sign = torch.rand(2, len(x), 2, generator=generator)
    out = x.clone()
    for place in (0, 1):
        steps = [POLICY[pair][place] for pair in pairs.tolist()]
        happens = [draw < step[1] for draw, step in zip(chance[:, place].tolist(), steps, strict=True)]
        for name, operation in OPERATIONS.items():
            chosen = [i for i, step in enumerate(steps) if happens[i] and step[0] == name]
            if not chosen:
                continue
            levels = torch.tensor([steps[i][2] for i in chosen])
            signs = torch.where(sign[chosen, place] < 0.5, -1.0, 1.0)
            strength = STRENGTHS[name](levels, signs, x.shape[-1]).to(x.device)
            rows = torch.tensor(chosen, device=x.device)
            out[rows] = operation(out[rows], strength)
    return out


def invert(x: Tensor, _: Tensor) -> Tensor:
    """255 - x."""
    return 255 - x


def solarize(x: Tensor, threshold: Tensor) -> Tensor:
    """Values from the threshold on inverted."""
    return torch.where(x < _each(threshold), x, 255 - x)


def posterize(x: Tensor, bits: Tensor) -> Tensor:
    """The leading bits of every value, the others zero."""
    step = _each(2.0 ** (8 - bits))
    return (x / step).floor() * step


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Away from black by the factor."""
    return _blend(torch.zeros_like(x), x, factor)


def color(x: Tensor, factor: Tensor) -> Tensor:
    """Away from the image's own greys by the factor."""
    return _blend(_grey(x).expand_as(x), x, factor)


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Away from the image's mean grey by the factor."""
    mean = (_grey(x).double().mean((1, 2, 3), keepdim=True) + 0.5).floor().float()
    return _blend(mean.expand_as(x), x, factor)


def sharpness(x: Tensor, factor: Tensor) -> Tensor:
    """Away from a smoothed image by the factor; the outermost pixels stay."""
    kernel = x.new_tensor([[1, 1, 1], [1, 5, 1], [1, 1, 1]]).expand(3, 1, 3, 3)
    smooth = x.clone()
    # Whole numbers first: thirteenths add up with an error that could cross a rounding step.
    smooth[:, :, 1:-1, 1:-1] = (F.conv2d(x, kernel, groups=3) / 13 + 0.5).floor()
    return _blend(smooth, x, factor)


def autocontrast(x: Tensor, _: Tensor) -> Tensor:
    """Every channel stretched to 0 .. 255; one of a single value stays."""
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    range_ = (high - low).double().clamp_min(1)
    scale = torch.full_like(range_, 255.0) / range_  # a plain 255 / range_ would round twice
    stretched = (x * scale - low * scale).trunc().clamp(0, 255).float()
    return torch.where(high > low, stretched, x)


def equalize(x: Tensor, _: Tensor) -> Tensor:
    """Every channel's values spread evenly; one of a single value stays."""
    flat = x.flatten(2).long()
    counts = torch.zeros(*x.shape[:2], 256, dtype=torch.long, device=x.device)
    counts.scatter_add_(2, flat, torch.ones_like(flat))
    last = counts.gather(2, flat.amax(2, keepdim=True))
    step = (flat.shape[2] - last) // 255
    below = counts.cumsum(2) - counts
    table = ((step // 2 + below) // step.clamp_min(1)).clamp(0, 255)
    equal = table.gather(2, flat).view_as(x).to(x.dtype)
    return torch.where((step > 0).unsqueeze(3), equal, x)


MOVES = {"shear_x": 1, "translate_x": 2, "shear_y": 3, "translate_y": 5}
"""Places in the matrix of `_moved` that hold their strengths."""


def _along(place: int) -> Operation:
    """A shift or shear: the identity of `_moved` with the strength at one place of its matrix."""

    def move(x: Tensor, strength: Tensor) -> Tensor:
        one, zero = torch.ones_like(strength), torch.zeros_like(strength)
        matrix = [one, zero, zero, zero, one, zero]
        matrix[place] = strength
        return _moved(x, matrix)

    return move


def rotate(x: Tensor, degrees: Tensor) -> Tensor:
    """Turned around the centre, counterclockwise."""
    angle = -torch.deg2rad(degrees.double())
    # As Pillow, which rounds so that quarter turns stay exact.
    cos, sin = (torch.round(part, decimals=15) for part in (angle.cos(), angle.sin()))
    across, down = x.shape[3] / 2, x.shape[2] / 2
    offset_x = across - cos * across - sin * down
    offset_y = down + sin * across - cos * down
    return _moved(x, (cos, sin, offset_x, -sin, cos, offset_y))


def _moved(x: Tensor, matrix: Sequence[Tensor]) -> Tensor:
    """For each pixel the one that holds its centre after (x, y) -> (ax + by + c, dx + ey + f), or grey."""
    # In 65536ths of a pixel, as Pillow reckons: at such ties as a shear by 1/5 real numbers would differ.
    a, b, c, d, e, f = (part.double().view(-1, 1, 1) for part in matrix)
    c, f = c + a / 2 + b / 2, f + d / 2 + e / 2
    a, b, c, d, e, f = ((part * 65536 + 0.5).floor().long() for part in (a, b, c, d, e, f))
    height, width = x.shape[2:]
    down = torch.arange(height, device=x.device).view(1, -1, 1)
    across = torch.arange(width, device=x.device).view(1, 1, -1)
    column, row = (a * across + b * down + c) >> 16, (d * across + e * down + f) >> 16
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    place = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    found = x.flatten(2).gather(2, place.flatten(1).unsqueeze(1).expand(-1, x.shape[1], -1))
    return torch.where(inside.unsqueeze(1), found.view_as(x), GREY)


def _blend(other: Tensor, x: Tensor, factor: Tensor) -> Tensor:
    # Single precision, one operation after the other and cut off, as in Pillow.
    return (other + _each(factor.float()) * (x - other)).clamp(0, 255).trunc()


def _grey(x: Tensor) -> Tensor:
    red, green, blue = x.long().unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).unsqueeze(1).to(x.dtype)


def _each(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


OPERATIONS: dict[str, Operation] = {
    function.__name__: function
    for function in (
        invert, solarize, posterize, brightness, color, contrast, sharpness, autocontrast, equalize, rotate,
    )
}  # fmt: skip
OPERATIONS |= {name: _along(place) for name, place in MOVES.items()}
"""By name, in the order in which a batch goes through them."""


def _factor(level: Tensor, sign: Tensor, _: int) -> Tensor:
    return 1 + sign * 0.1 * level


def _shear(level: Tensor, sign: Tensor, _: int) -> Tensor:
    return sign * 0.3 / 9 * level


def _shift(level: Tensor, sign: Tensor, width: int) -> Tensor:
    return sign * (150 / 331 / 9 * width * level).trunc()


def _none(level: Tensor, _: Tensor, __: int) -> Tensor:
    return level.float()


STRENGTHS: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "invert": _none,
    "solarize": lambda level, _, __: 255 - 255 / 9 * level,
    "posterize": lambda level, _, __: 8 - (level * 4 / 9).round(),
    "brightness": _factor,
    "color": _factor,
    "contrast": _factor,
    "sharpness": _factor,
    "autocontrast": _none,
    "equalize": _none,
    "shear_x": _shear,
    "shear_y": _shear,
    "translate_x": _shift,
    "translate_y": _shift,
    "rotate": lambda level, sign, _: sign * 30 / 9 * level,
}
"""From levels 0 .. 9, signs and the image's width to what the operation takes."""
