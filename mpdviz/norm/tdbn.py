"""`tdbn`: threshold-dependent batch norm (tdBN, Zheng et al. 2021) over batch, time and space."""

from typing import Self

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.errors import BadInput
from mpdviz.norm.base import Kind, Norm
from mpdviz.norm.ranks import OverRanks


class TDBatchNorm(Norm):
    """y = weight * alpha * v_th * (x - mean) / sqrt(var + eps) + bias, statistics per channel.

    This equals ordinary batch norm on the flattened (T * N) batch with weight alpha * v_th * weight, so
    the framework's fused kernel does the work. In training the statistics are those of the batch (over
    time, samples and space) and the running ones are updated with `momentum` (the running variance
    unbiased); in evaluation the running ones are used.
    """

    _dimensions: int
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
        self.synchronised = False
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    @classmethod
    @override
    def make(cls, num_features: int, *, timesteps: int, v_th: float) -> Self:
        return cls(num_features, v_th)

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
        y, mean, variance = OverRanks.apply(x, weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        if not self.frozen:
            values = dist.get_world_size() * x.numel() // self.num_features
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (values / (values - 1)), self.momentum)
        normalised: Tensor = y
        return normalised

    def extra_repr(self) -> str:
        """Sizes and constants, for print(network)."""
        return f"{self.num_features}, v_th={self.v_th:g}, alpha={self.alpha:g}"


class TDBatchNorm1d(TDBatchNorm):
    """tdBN for features `[T, N, C]`; `TDBatchNorm` has the formula."""

    _dimensions = 3


class TDBatchNorm2d(TDBatchNorm):
    """tdBN for maps `[T, N, C, H, W]`; `TDBatchNorm` has the formula."""

    _dimensions = 5


TDBN = Kind(
    TDBatchNorm1d,
    TDBatchNorm2d,
    "threshold-dependent batch norm, spread weight v_th",
    "Zheng et al., AAAI 2021",
)
