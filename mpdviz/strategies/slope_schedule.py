"""`slope-schedule`: a fast sigmoid that becomes steeper while the network trains."""

import math
from typing import ClassVar

from torch import Tensor

from mpdviz.errors import BadInput
from mpdviz.strategies.base import Situation, Strategy
from mpdviz.surrogates.superspike import SuperSpike


class SlopeSchedule(Strategy):
    """A fast sigmoid whose slope grows evenly over training (Van den Berghe et al., arXiv 2510.24461).

        h(x) = 1 / (1 + slope |x|)^2,    slope = start + (end - start) progress

    with x = v - v_th and `progress` the share of all training steps that is done: the first step has `start`,
    a finished network `end`, one saved on the way the slope of that moment. As kappa stands 1 / slope, the
    width of the shape `superspike`.
    """

    name: ClassVar[str] = "slope-schedule"
    scope: ClassVar[str] = "network, moment of training"
    source: ClassVar[str] = "Van den Berghe et al., 2025, arXiv 2510.24461"
    knows_factors: ClassVar[bool] = True
    follows_training: ClassVar[bool] = True
    own_shape: ClassVar[str | None] = "superspike"

    def __init__(self, start: float = 1.0, end: float = 100.0) -> None:
        """Set the first and the last slope.

        Raises:
            BadInput: one of them is not a positive number.
        """
        super().__init__()
        for option, slope in (("start", start), ("end", end)):
            if not 0 < slope < math.inf:
                raise BadInput(f"strategy {self.name!r}: {option}={slope}", "give a positive slope")
        self.start, self.end = float(start), float(end)
        self.shape = SuperSpike()

    def widths(self, situation: Situation) -> Tensor:
        """1 / slope at this moment, T times."""
        slope = self.start + (self.end - self.start) * situation.progress
        return situation.gamma.new_full((situation.timesteps,), 1 / slope).detach()
