"""Batch norm over the samples of all ranks of a team, as one batch."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from mpdviz.system.team import all_gather


class OverRanks(torch.autograd.Function):
    """Batch norm of all ranks' samples as one batch, by the fused kernels of batch norm in evaluation.

    The mean and variance of equal parts merge as mean = avg m_r, variance = avg (v_r + (m_r - mean)^2). With
    xhat = (x - mean) / sqrt(variance + eps) and N values per channel in all, the gradient is

        dx = weight / sqrt(variance + eps) * (dy - sum(dy) / N - xhat * sum(dy * xhat) / N)

    (Ioffe & Szegedy 2015), the sums over all ranks. What comes back to x is the gradient of the sum of the
    ranks' losses; to weight and bias that of the own loss, which is averaged with all other parameters'.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`x` `[B, C, ...]` normalised, and the mean and biased variance of all ranks' values `[C]`."""
        own = torch.stack(torch.batch_norm_update_stats(x, None, None, 0.0))
        means, variances = all_gather(own).unbind(1)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        ctx.eps = eps
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps), mean, variance

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients of x, weight and bias."""
        x, weight, mean, variance = ctx.saved_tensors
        # With fixed statistics: the first term of dx, sum(dy * xhat) and sum(dy).
        dx, dweight, dbias = torch.ops.aten.native_batch_norm_backward(
            dy, x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.stack((dweight, dbias))
        dist.all_reduce(sums)
        values = dist.get_world_size() * x.numel() // len(mean)
        slope, offset = sums * (weight * (variance + ctx.eps).rsqrt() / values)
        dx -= F.batch_norm(x, mean, variance, slope, offset, eps=ctx.eps)
        return dx, dweight, dbias, None
