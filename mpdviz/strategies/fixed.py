"""`fixed`: one constant width."""

from typing import ClassVar

from torch import Tensor

from mpdviz.errors import BadInput
from mpdviz.strategies.base import Situation, Strategy


class Fixed(Strategy):
    """One constant width, what the others are measured against (kappa = 1: STBP)."""

    name: ClassVar[str] = "fixed"
    scope: ClassVar[str] = "network"
    source: ClassVar[str] = "Wu et al., Frontiers in Neuroscience 2018 (STBP)"
    knows_factors: ClassVar[bool] = True

    def __init__(self, kappa: float = 1.0) -> None:
        """Set the width.

        Raises:
            BadInput: `kappa` is not a positive number.
        """
        super().__init__()
        if not 0 < kappa < 3e38:
            raise BadInput(f"strategy {self.name!r}: kappa={kappa}", "give a positive width")
        self.width = float(kappa)

    def widths(self, situation: Situation) -> Tensor:
        """The constant, T times."""
        return situation.gamma.new_full((situation.timesteps,), self.width).detach()
