"""What input currents add up to over samples and positions, by channel and pair of timesteps."""

import torch
from torch import Tensor

BLOCK = 2**19
"""Values that are turned to float64 at once: what stays in the processor's cache."""


@torch.no_grad()
def channel_sums(current: Tensor) -> tuple[int, Tensor, Tensor]:
    """Sums of I(t) and of I(t) I(t') in each channel, in float64.

    Args:
        current: `[T, N, C, ...]`.

    Returns:
        How many sequences each channel has (samples x positions), the sums `[C, T]`, those of products
        `[C, T, T]`, both on the current's device.
    """
    timesteps, samples, channels = current.shape[:3]
    maps = current.detach().reshape(timesteps, samples, channels, -1)
    sums = maps.new_zeros(channels, timesteps, dtype=torch.float64)
    products = maps.new_zeros(channels, timesteps, timesteps, dtype=torch.float64)
    size = max(1, BLOCK * samples // max(1, maps.numel()))
    for block in maps.split(size, dim=1):
        series = block.permute(2, 0, 1, 3).to(torch.float64, memory_format=torch.contiguous_format)
        series = series.reshape(channels, timesteps, -1)
        sums += series.sum(2)
        products += torch.bmm(series, series.mT)
    return samples * maps.shape[3], sums, products
