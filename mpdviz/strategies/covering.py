"""How wide an interval about the threshold has to be to hold a share of a normal law."""

import math
from statistics import NormalDist

import torch
from torch import Tensor

STEPS = 48
"""Halvings of the range in which the half-width lies: float64 has no more to tell."""


@torch.no_grad()
def half_width(share: float, mean: Tensor, std: Tensor, v_th: float) -> Tensor:
    """The half-width h at which `share` of N(mean, std^2) lies between v_th - h and v_th + h.

    With a = |v_th - mean| / std it is the one root of

        Phi(h / std - a) - Phi(-h / std - a) = share,

    which lies between 0 and (a + z) std, z the quantile of (1 + share) / 2, and is found by bisection.

    Args:
        share: between 0 and 1, both excluded.
        mean: of each law, float64 `[n]`.
        std: of each law, positive, float64 `[n]`.
        v_th: where the interval is centred.

    Returns:
        float64 `[n]`, without a gradient.
    """
    a = ((v_th - mean) / std).abs()
    low, high = torch.zeros_like(a), a + NormalDist().inv_cdf((1 + share) / 2)
    for _ in range(STEPS):
        middle = (low + high) / 2
        inside = _below(middle - a) - _below(-middle - a)
        low, high = torch.where(inside < share, middle, low), torch.where(inside < share, high, middle)
    half: Tensor = std * (low + high) / 2
    return half


def _below(x: Tensor) -> Tensor:
    """The normal distribution; by erfc, which is right in the lower tail too."""
    return 0.5 * torch.erfc(-x / math.sqrt(2))
