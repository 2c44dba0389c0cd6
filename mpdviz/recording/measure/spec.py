"""What the potentials of a layer are measured against."""

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Spec:
    """Thresholds, available intervals and the kind of neuron, for one forward of one layer."""

    unit: float
    """Threshold that the neurons were made with, the histogram's unit."""
    v_th: Tensor
    """Thresholds in force `[T]`, of the potentials' dtype."""
    halves: Tensor
    """Half the available interval's width at each timestep `[T]`, of the potentials' dtype."""
    what_if: Tensor
    """Half of each what-if width at each timestep `[T, W]`, of the potentials' dtype."""
    carries: tuple[bool, bool] = (True, False)
    """Whether the next potential's gradient comes back without a spike, and with one."""
    strict: bool = False
    """Whether neurons spike at v > v_th, not at v >= v_th."""
    floor: float = -math.inf
    """Potentials at or below it let no gradient through."""

    @property
    def shifts(self) -> Tensor:
        """How far the thresholds in force lie above `unit`, `[T]` in float64."""
        return shifts(self.v_th, self.unit)


def shifts(v_th: Tensor, unit: float) -> Tensor:
    """How far the thresholds in force `[T]` lie above `unit`, float64: exactly 0 where they are the same."""
    return v_th.double() - v_th.new_tensor(unit).double()
