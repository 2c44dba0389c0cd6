"""Threshold-dependent batch norm (tdBN, Zheng et al. 2021) over batch, time and space."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from mpdviz.errors import BadInput
from mpdviz.system.team import all_gather


class _TDBatchNorm(nn.Module):
    """y = weight * alpha * v_th * (x - mean) / sqrt(var + eps) + bias, statistics per channel.

    This equals ordinary batch norm on the flattened (T * N) batch with weight alpha * v_th * weight, so
    the framework's fused kernel does the work. In training the statistics are those of the batch (over
    time, samples and space) and the running ones are updated with `momentum` (the running variance
    unbiased); in evaluation the running ones are used.
    """

    _dimensions: int
    weight: nn.Parameter
    bias: nn.Parameter
    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        num_features: int,
        v_th: float = 0.5,
        alpha: float = 1.0,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        """Start with weight 1, bias 0, running mean 0 and running variance 1, all `[num_features]`."""
        super().__init__()
        self.num_features, self.v_th, self.alpha = num_features, float(v_th), float(alpha)
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.frozen = False
        self.synchronised = False
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` `[T, N, C, ...]`; same shape and dtype out.

        Raises:
            BadInput: wrong number of dimensions or channels, or one single value per channel in training.
        """
        if x.dim() != self._dimensions or x.shape[2] != self.num_features:
            raise BadInput(
                f"{type(self).__name__}({self.num_features}) got an input {list(x.shape)}",
                f"give [T, N, {self.num_features}, ...] with {self._dimensions} dimensions",
            )
        if self.training and not self.synchronised and x.numel() == self.num_features:
            raise BadInput(
                "batch norm in training got one single value per channel",
                "use a larger batch or more timesteps",
            )
        # A convolution may run in less (mixed precision); potentials never do.
        x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        if self.training and self.synchronised:
            return self._normalise_over_ranks(x.flatten(0, 1)).view_as(x)
        batch_only = self.training and self.frozen
        y = F.batch_norm(
            x.flatten(0, 1),
            None if batch_only else self.running_mean,
            None if batch_only else self.running_var,
            self.weight * (self.alpha * self.v_th),
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )
        return y.view_as(x)

    def _normalise_over_ranks(self, x: Tensor) -> Tensor:
        """Normalise `x` `[B, C, ...]` with the statistics of all ranks' samples, as one batch."""
        weight = self.weight * (self.alpha * self.v_th)
        y, mean, variance = _OverRanks.apply(x, weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        if not self.frozen:
            values = dist.get_world_size() * x.numel() // self.num_features
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (values / (values - 1)), self.momentum)
        normalised: Tensor = y
        return normalised

    def extra_repr(self) -> str:
        """Sizes and constants, for print(network)."""
        return f"{self.num_features}, v_th={self.v_th:g}, alpha={self.alpha:g}"


@contextmanager
def frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Inside the block, tdBN layers in training mode use the batch's statistics and keep the running ones."""
    norms = [module for module in model.modules() if isinstance(module, _TDBatchNorm) and not module.frozen]
    for norm in norms:
        norm.frozen = True
    try:
        yield
    finally:
        for norm in norms:
            norm.frozen = False


class TDBatchNorm1d(_TDBatchNorm):
    """tdBN for features `[T, N, C]`; see the module's docstring for the formula."""

    _dimensions = 3


class TDBatchNorm2d(_TDBatchNorm):
    """tdBN for maps `[T, N, C, H, W]`; see the module's docstring for the formula."""

    _dimensions = 5


class _OverRanks(torch.autograd.Function):
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
