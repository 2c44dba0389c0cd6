"""`tebn`: threshold-dependent batch norm with a learned factor for each timestep."""

from typing import Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.errors import BadInput
from mpdviz.norm.base import Kind
from mpdviz.norm.tdbn import TDBatchNorm


class TEBatchNorm(TDBatchNorm):
    """y[t] = p_t * BN(x)[t], BN that of `TDBatchNorm`, p_t learned, one a timestep, 1 at the start.

    Temporal effective batch norm (Duan et al., NeurIPS 2022), whose own BN is the ordinary one; with that of
    tdBN, weights stay in units of v_th and p = 1 is tdBN. So the current of channel c at timestep t has mean
    p_t * bias_c and standard deviation |p_t * weight_c| * alpha * v_th where BN, whose statistics are over
    all timesteps, gives each of them the same. Fewer timesteps than it was made for use the first factors.
    """

    p: nn.Parameter
    """The factors `[T]`."""

    def __init__(
        self,
        num_features: int,
        timesteps: int,
        v_th: float = 0.5,
        alpha: float = 1.0,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        """Start as tdBN does, with T factors of 1."""
        super().__init__(num_features, v_th, alpha, eps, momentum)
        self.p = nn.Parameter(torch.ones(timesteps))

    @classmethod
    @override
    def make(cls, num_features: int, *, timesteps: int, v_th: float) -> Self:
        return cls(num_features, timesteps, v_th)

    @override
    def factors(self, timesteps: int) -> Tensor:
        """The factors of the first timesteps.

        Raises:
            BadInput: there are fewer.
        """
        if timesteps > len(self.p):
            raise BadInput(
                f"norm 'tebn' holds factors of T={len(self.p)}, not of T={timesteps}",
                "use the network with at most the T it was trained with",
            )
        return self.p[:timesteps]

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` `[T, N, C, ...]`, then scale each timestep.

        Raises:
            BadInput: as of tdBN, or more timesteps than there are factors.
        """
        factors = self.factors(len(x))  # first: what is refused leaves the running statistics alone
        return super().forward(x) * factors.view(-1, *[1] * (x.dim() - 1))

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, timesteps={len(self.p)}"


class TEBatchNorm1d(TEBatchNorm):
    """TEBN for features `[T, N, C]`."""

    _dimensions = 3


class TEBatchNorm2d(TEBatchNorm):
    """TEBN for maps `[T, N, C, H, W]`."""

    _dimensions = 5


TEBN = Kind(
    TEBatchNorm1d, TEBatchNorm2d, "tdbn times a learned factor a timestep", "Duan et al., NeurIPS 2022"
)
