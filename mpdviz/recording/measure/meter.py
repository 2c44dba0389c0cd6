"""Measuring a layer's potentials with whatever is fastest: tensor operations, or a compiled scan."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from mpdviz.accumulations.layer import LayerStatistics
from mpdviz.recording.adapters import Adapter, Reading
from mpdviz.recording.measure.spec import Spec
from mpdviz.recording.measure.statistics import by_tensors

COMPILE_AFTER = 50_000_000
"""Potentials after which compiling the scan (about a second) has been outweighed by what it saves."""


class Meter:
    """Measures the layers of one recording; compiles the scan once that pays."""

    def __init__(self, epsilon: float, what_if: tuple[float, ...]) -> None:
        """Measure with this epsilon and count the potentials inside these what-if widths besides."""
        self.epsilon, self.what_if = epsilon, what_if
        self._measured = 0
        self._pool: ThreadPoolExecutor | None = None

    def measure(self, reading: Reading, adapter: Adapter, seen: Tensor) -> LayerStatistics:
        """Statistics of one sequence of one layer.

        Args:
            reading: a whole sequence `[T, N, ...]`.
            adapter: the layer's constants, and the shape of the derivative, which says where it is available.
            seen: the layer's census, flat uint8 `[neurons]` on the potentials' device, updated in place.
        """
        flat, v_th, kappa = reading.v.reshape(len(reading.v), -1), reading.v_th, reading.kappa
        shapes = reading.shapes_of(adapter)
        # Once a shape: one that is only known by what it does takes a hundred derivatives.
        halves = {shape: shape.half_width(self.epsilon) for shape in dict.fromkeys(shapes)}
        half = flat.new_tensor([halves[shape] for shape in shapes])
        others = torch.outer(half, flat.new_tensor(self.what_if))
        spec = Spec(adapter.v_th, v_th, kappa * half, others, adapter.carries, adapter.strict)
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
                statistics.gain[t] = torch.where(flat[t].isfinite(), h, 0).sum(dtype=torch.float64)
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
