"""Measuring potentials with whatever is fastest: tensor operations, or compiled scans."""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from mpdviz.accumulations.layer import LayerStatistics
from mpdviz.recording.measure import step as single
from mpdviz.recording.measure.reading import Reading
from mpdviz.recording.measure.spec import Spec
from mpdviz.recording.measure.statistics import by_tensors
from mpdviz.recording.measure.step import Pending, Step
from mpdviz.recording.measure.tally import Tally

SCAN_AFTER = 30_000_000
"""Potentials of a recording after which the scans have saved what loading them takes.

That is 0.7 to 0.8 s, where tensor operations take 25 ns a potential (two cores of an AMD EPYC, n = 3 and 15).
Once on a machine it is what compiling takes. For a run nothing else decides, such as what was compiled
before: the last digit of a mean depends on how it was summed up, and a resumed run must give the same.
"""
SCAN_SOON_AFTER = 1_000_000
"""The same of recordings in a user's own process, which loads them once and gains in every recording."""
A_CALL = 20_000
"""Potentials that take as long as one timestep of any size does by tensor operations, 0.5 ms there."""
SCANNED = (torch.float32, torch.float64)
"""Types that the compiled scans read; the values of others are exact in the first."""


@cache
def is_compiled(scan: str) -> bool:
    """Whether the scan of that file has been compiled on this machine, as far as is seen without numba."""
    return any(Path(__file__).parent.glob(f"__pycache__/{scan}._*.nbi"))


class Meter:
    """Measures the layers of one recording; by the scans once that pays."""

    def __init__(self, epsilon: float, what_if: tuple[float, ...], *, soon: bool = False) -> None:
        """Measure with this epsilon and count the potentials inside these what-if widths besides.

        Args:
            epsilon: see `mpdviz.record`.
            what_if: see `mpdviz.record`.
            soon: scan from early on, where that takes no compiling.
        """
        self.epsilon, self.what_if = epsilon, what_if
        self._soon = soon
        self._measured = 0

    def begin(self) -> None:
        """Begin a recording, which is measured like the first one."""
        self._measured = 0

    def step(
        self,
        u: Tensor,
        emitted: Tensor,
        step: Step,
        seen: Tensor,
        pending: Pending | None,
        timestep: int,
        tally: Tally,
        offset: float,
    ) -> int:
        """Count one timestep's potentials; how many of them have another spike than was emitted.

        Args:
            u: the spike function's arguments `[N, ...]`, detached.
            emitted: what it returned, like `u`.
            step: what they are measured against.
            seen: the layer's census, flat uint8 `[neurons]`, updated in place.
            pending: runs of the sequence, updated in place; None where reach is not known.
            timestep: from 0.
            tally: what is added to.
            offset: what the potentials are larger by than `u`.
        """
        if u.dtype not in SCANNED:
            u = u.float()
        if emitted.dtype != u.dtype:
            emitted = emitted.to(u.dtype)
        if u.device.type == "cpu" and self._scans(u.numel(), "stepscan"):
            from mpdviz.recording.measure import stepscan  # numba takes a while to import

            if stepscan.readable(step):
                threads = torch.get_num_threads()
                arrays = u.numpy().reshape(-1), emitted.numpy().reshape(-1)
                return stepscan.in_one_pass(
                    *arrays, step, seen.numpy(), pending, timestep, tally, offset, threads
                )
        return single.by_tensors(
            u.reshape(-1), emitted.reshape(-1), step, seen, pending, timestep, tally, offset
        )

    def _scans(self, potentials: int, scan: str) -> bool:
        # However few there are, a call of many operations takes as long as that of one scan over thousands.
        self._measured += max(potentials, A_CALL)
        soon = self._soon and self._measured > SCAN_SOON_AFTER and is_compiled(scan)
        return potentials > 0 and (soon or self._measured > SCAN_AFTER)

    def measure(self, reading: Reading, seen: Tensor) -> LayerStatistics:
        """Statistics of one call of a layer of ours.

        Args:
            reading: whole sequences `[T, N, ...]`.
            seen: the layer's census, flat uint8 `[neurons]` on the potentials' device, updated in place.
        """
        kappa, shapes = reading.kappa, reading.shapes
        # Once a shape, not once a timestep.
        halves = {shape: shape.half_width(self.epsilon) for shape in dict.fromkeys(shapes)}
        half = kappa.new_tensor([halves[shape] for shape in shapes])
        others = torch.outer(half, kappa.new_tensor(self.what_if))
        spec = Spec(
            reading.unit, reading.v_th, kappa * half, others, reading.carries, reading.strict, reading.floor
        )
        if reading.spikes.device.type == "cpu" and self._scans(reading.spikes.numel(), "scan"):
            from mpdviz.recording.measure import scan  # numba takes a while to import

            if reading.kept is None and scan.reads(reading.current):
                recurrence = reading.dynamics.recurrence
                statistics = scan.in_one_pass(reading.current.detach(), spec, seen, recurrence)
            else:
                statistics = scan.in_one_pass(reading.v, spec, seen)
        else:
            statistics = LayerStatistics.empty(*spec.what_if.shape)
            for part in reading.parts():
                statistics += by_tensors(part.v.reshape(len(reading.spikes), -1), spec, seen)
        self._add_gain(statistics, reading)
        return statistics

    def _add_gain(self, statistics: LayerStatistics, reading: Reading) -> None:
        for t, (shape, width) in enumerate(zip(reading.shapes, reading.kappa.tolist(), strict=True)):
            if shape.name == "rectangular":
                statistics.gain[t] = statistics.available[t] / width
        others = [t for t, shape in enumerate(reading.shapes) if shape.name != "rectangular"]
        for part in reading.parts() if others else ():
            v = part.v
            for t in others:
                h = reading.shapes[t].h(v[t] - reading.v_th[t], reading.kappa[t])
                passes = v[t].isfinite() & (v[t] > reading.floor)
                statistics.gain[t] += torch.where(passes, h, 0).sum(dtype=torch.float64)
