"""Random changes of training images, a whole batch at once.

Every draw comes from the CPU generator that is handed in, whatever device the images are on, so a run's
augmentation is the same on every machine.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from mpdviz.data.autoaugment import auto_augment
from mpdviz.data.base import Dataset
from mpdviz.errors import BadInput

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""A random change of images `[N, C, H, W]` in raw units."""


def with_augmentation(dataset: Dataset, *, own: bool, auto: bool, cutout: int | None) -> Dataset:
    """The data set with the augmentation that a run asks for, one step after the other.

    Args:
        dataset: with its own augmentation, or none.
        own: whether to keep that.
        auto: then the AutoAugment policy for CIFAR-10.
        cutout: then a square of so many pixels at a random place set to the mean.

    Raises:
        BadInput: AutoAugment or cutout for data that are no images of three colours, 0 to 255.
    """
    steps: list[Augmentation] = []
    if own and dataset.augment is not None:
        steps.append(dataset.augment)
    photographs = dataset.train.x.dtype == torch.uint8 and dataset.sample_shape[0] == 3 and not dataset.frames
    for option, wanted in (("auto_augment", auto), ("cutout", cutout is not None)):
        if wanted and not photographs:
            remedy = "it is for colour images of 8 bits; leave it out"
            raise BadInput(f"`{option}` for {dataset.name}", remedy)
    if auto:
        steps.append(auto_augment)
    if cutout is not None:
        steps.append(lambda x, generator: random_cutout(x, cutout, dataset.mean, generator))

    def augment(x: Tensor, generator: torch.Generator) -> Tensor:
        for step in steps:
            x = step(x, generator)
        return x

    return replace(dataset, augment=augment if steps else None)


def random_cutout(x: Tensor, size: int, fill: Sequence[float], generator: torch.Generator) -> Tensor:
    """Set a square of each image to `fill` (DeVries & Taylor 2017).

    Args:
        x: images `[N, C, H, W]`.
        size: side of the square in pixels; its centre is any pixel, what lies outside is cut off.
        fill: one value a channel; none means 0.
        generator: CPU generator.

    Returns:
        Images of the same shape, dtype and device.
    """
    count, channels, height, width = x.shape
    rows = torch.randint(height, (count, 1), generator=generator).to(x.device) - size // 2
    columns = torch.randint(width, (count, 1), generator=generator).to(x.device) - size // 2
    down, across = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    hidden_rows = (down >= rows) & (down < rows + size)
    hidden_columns = (across >= columns) & (across < columns + size)
    hidden = hidden_rows[:, None, :, None] & hidden_columns[:, None, None, :]
    value = torch.tensor(tuple(fill) or (0.0,) * channels, dtype=x.dtype, device=x.device)
    return torch.where(hidden, value.view(1, -1, 1, 1), x)


def random_shift(x: Tensor, pad: int, generator: torch.Generator) -> Tensor:
    """Move each image by its own whole number of pixels, zeros coming in: a crop of the padded image.

    Args:
        x: images `[N, C, H, W]` in raw units, where 0 is the background.
        pad: largest shift in pixels; every shift of `-pad .. pad`, down and across, is equally likely.
        generator: CPU generator.

    Returns:
        Images of the same shape, dtype and device.
    """
    count, channels, height, width = x.shape
    down, across = torch.randint(2 * pad + 1, (2, count, 1), generator=generator).to(x.device)
    rows = down + torch.arange(height, device=x.device)
    columns = across + torch.arange(width, device=x.device)
    sample = torch.arange(count, device=x.device).reshape(-1, 1, 1, 1)
    channel = torch.arange(channels, device=x.device).reshape(-1, 1, 1)
    return F.pad(x, [pad] * 4)[sample, channel, rows[:, None, :, None], columns[:, None, None, :]]


def random_flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability 1/2.

    Args:
        x: images `[N, C, H, W]`.
        generator: CPU generator.

    Returns:
        Images of the same shape, dtype and device.
    """
    mirrored = (torch.rand(len(x), generator=generator) < 0.5).to(x.device)
    return torch.where(mirrored.reshape(-1, 1, 1, 1), x.flip(-1), x)
