"""Random changes of training images, a whole batch at once.

Every draw comes from the CPU generator that is handed in, whatever device the images are on, so a run's
augmentation is the same on every machine.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


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
