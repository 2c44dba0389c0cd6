"""Timesteps of a layer that is stepped from outside, put together to sequences."""

from dataclasses import replace

import torch

from mpdviz.recording.adapters import Reading


class Steps:
    """The sequence that a stepped layer is in."""

    def __init__(self) -> None:
        """None yet."""
        self._length, self._readings = 0, list[Reading]()

    def __len__(self) -> int:
        """Timesteps so far, those included that nobody wants recorded."""
        return self._length

    def add(self, reading: Reading, wanted: bool) -> None:
        """The next timestep."""
        self._length += 1
        if wanted:
            self._readings.append(replace(reading, current=reading.current.detach()))

    def finish(self) -> Reading | None:
        """The wanted timesteps as one reading `[T, N, ...]`, None where there are none; begin anew."""
        readings, self._readings, self._length = self._readings, [], 0
        if not readings:
            return None
        return Reading(
            torch.stack([reading.current for reading in readings]),
            torch.cat([reading.v for reading in readings]),
            torch.cat([reading.kappa for reading in readings]),
            torch.cat([reading.v_th for reading in readings]),
            readings[0].fresh,
        )
