"""What every single neuron of a layer did over the data, one byte a neuron (no torch)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PAUSED, SPIKED, AVAILABLE, DRIVEN = 1, 2, 4, 8
"""Bits: at some timestep of some sample the neuron did not spike, did spike, had its potential inside the
available interval, or got an input that is not exactly zero."""
OF_NEURONS = ("neurons", "silent", "saturated", "gradient_dead", "silent_input")
"""Columns of the table of layers that only a census can fill."""


@dataclass
class Census:
    """One byte for each neuron `[C, ...]`, the bits above set once the event was seen."""

    seen: NDArray[np.uint8]

    def __add__(self, other: "Census") -> "Census | None":
        """What was seen in either; None for layers of different shapes, whose neurons are not the same ones.

        That happens where images of several sizes are recorded.
        """
        return Census(self.seen | other.seen) if self.seen.shape == other.seen.shape else None

    @property
    def silent(self) -> NDArray[np.bool_]:
        """Neurons that never spiked, like `seen`."""
        return self._never(SPIKED)

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Neurons that spiked at every timestep of every sample."""
        return self._never(PAUSED)

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Neurons that never got their spike gradient, at any timestep of any sample."""
        return self._never(AVAILABLE)

    @property
    def undriven(self) -> NDArray[np.bool_]:
        """Neurons whose input was exactly zero throughout."""
        return self._never(DRIVEN)

    def _never(self, bit: int) -> NDArray[np.bool_]:
        never: NDArray[np.bool_] = self.seen & bit == 0
        return never
