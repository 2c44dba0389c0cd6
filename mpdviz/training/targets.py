"""What a batch is trained towards where that is more than its labels: mixed samples and smoothed labels."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def mixed(
    x: Tensor, y: Tensor, alpha: float, classes: int, generator: torch.Generator, *, axis: int = 0
) -> tuple[Tensor, Tensor]:
    """A batch whose samples are mixed in pairs (Zhang et al., "mixup", ICLR 2018).

    Sample i becomes s x_i + (1 - s) x_j, and its label likewise, with j a permutation and one s of
    Beta(alpha, alpha) for the batch.

    Args:
        x: samples, batch-first or time-major.
        y: labels `[N]`.
        alpha: of the Beta distribution.
        classes: K.
        generator: CPU generator that everything is drawn from.
        axis: of `x`, the one that counts samples.

    Returns:
        `x` of the same shape, and shares of the classes, float32 `[N, K]`.
    """
    seed = int(torch.randint(2**32, (), generator=generator))
    # The legacy generator, since it alone promises the same stream in every version of NumPy.
    share = float(np.random.RandomState(seed).beta(alpha, alpha))
    others = torch.randperm(len(y), generator=generator).to(y.device)
    shares = F.one_hot(y, classes).float()
    return torch.lerp(x.index_select(axis, others), x, share), torch.lerp(shares[others], shares, share)


def smoothed(y: Tensor, smoothing: float, classes: int) -> Tensor:
    """Labels of which a share goes to all classes alike (Szegedy et al., CVPR 2016, section 7).

    Args:
        y: labels `[N]` or shares of the classes `[N, K]`.
        smoothing: the share.
        classes: K.

    Returns:
        Shares of the classes, float32 `[N, K]`.
    """
    shares = y if y.dim() == 2 else F.one_hot(y, classes).float()
    return (1 - smoothing) * shares + smoothing / classes


def labels(y: Tensor) -> Tensor:
    """Labels `[N]` of labels or shares `[N, K]`: the class with the largest share."""
    return y if y.dim() == 1 else y.argmax(1)
