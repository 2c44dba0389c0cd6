"""Measuring potentials with whatever is fastest: tensor operations, or compiled scans."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from mpdviz.accumulations.layer import LayerStatistics
from mpdviz.recording.measure import step as single
from mpdviz.recording.measure.reading import Reading
from mpdviz.recording.measure.spec import Spec
from mpdviz.recording.measure.statistics import by_tensors
from mpdviz.recording.measure.step import Pending, Step
from mpdviz.recording.measure.tally import Tally

COMPILE_AFTER = 50_000_000
"""Potentials after which compiling a scan (seconds) has been outweighed by what it saves."""
SCANNED = (torch.float32, torch.float64)
"""Types that the compiled scans read; the values of others are exact in the first."""


class Meter:
    """Measures the layers of one recording; compiles the scans once that pays, or was done before."""

    def __init__(self, epsilon: float, what_if: tuple[float, ...]) -> None:
        """Measure with this epsilon and count the potentials inside these what-if widths besides."""
        self.epsilon, self.what_if = epsilon, what_if
        self._measured = 0
        self._pool: ThreadPoolExecutor | None = None
        self._kept: bool | None = None  # whether an earlier process left the timestep's scan compiled

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
        self._measured += u.numel()
        if u.device.type == "cpu" and u.numel() and self._scans():
            from mpdviz.recording.measure import stepscan  # numba takes a while to import

            if stepscan.readable(step):
                threads = torch.get_num_threads()
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(threads)
                arrays = u.numpy().reshape(-1), emitted.numpy().reshape(-1)
                return stepscan.in_one_pass(
                    *arrays, step, seen.numpy(), pending, timestep, tally, offset, self._pool, threads
                )
        return single.by_tensors(
            u.reshape(-1), emitted.reshape(-1), step, seen, pending, timestep, tally, offset
        )

    def _scans(self) -> bool:
        if self._kept is None:
            self._kept = single.scan_is_kept()
        return self._kept or self._measured > COMPILE_AFTER

    def measure(self, reading: Reading, seen: Tensor) -> LayerStatistics:
        """Statistics of one call of a layer of ours.

        Args:
            reading: whole sequences `[T, N, ...]`.
            seen: the layer's census, flat uint8 `[neurons]` on the potentials' device, updated in place.
        """
        flat, v_th, kappa = reading.v.reshape(len(reading.v), -1), reading.v_th, reading.kappa
        shapes = reading.shapes
        # Once a shape, not once a timestep.
        halves = {shape: shape.half_width(self.epsilon) for shape in dict.fromkeys(shapes)}
        half = flat.new_tensor([halves[shape] for shape in shapes])
        others = torch.outer(half, flat.new_tensor(self.what_if))
        spec = Spec(reading.unit, v_th, kappa * half, others, reading.carries, reading.strict, reading.floor)
        self._measured += flat.numel()
        if flat.device.type == "cpu" and self._measured > COMPILE_AFTER:
            statistics = self._scan(flat, spec, seen)
        else:
            statistics = by_tensors(flat, spec, seen)
        for t, shape in enumerate(shapes):
            if shape.name == "rectangular":
                statistics.gain[t] = statistics.available[t] / float(kappa[t])
            else:
                h = shape.h(flat[t] - v_th[t], kappa[t])
                passes = flat[t].isfinite() & (flat[t] > reading.floor)
                statistics.gain[t] = torch.where(passes, h, 0).sum(dtype=torch.float64)
        return statistics

    def _scan(self, flat: Tensor, spec: Spec, seen: Tensor) -> LayerStatistics:
        from mpdviz.recording.measure.scan import in_one_pass  # numba takes a while to import

        threads = torch.get_num_threads()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(threads)
        return in_one_pass(flat.contiguous().numpy(), spec, seen.numpy(), self._pool, threads)

    def close(self) -> None:
        """Let the threads go."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
