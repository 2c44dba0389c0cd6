"""Measuring a layer's potentials with whatever is fastest: tensor operations, or a compiled scan."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from mpdviz.accumulations.layer import LayerStatistics
from mpdviz.recording.adapters import Adapter
from mpdviz.recording.measure.statistics import measure, shift

COMPILE_AFTER = 50_000_000
"""Potentials after which compiling the scan (about a second) has been outweighed by what it saves."""


class Meter:
    """Measures the layers of one recording; compiles the scan once that pays."""

    def __init__(self, epsilon: float, what_if: tuple[float, ...]) -> None:
        """Measure with this epsilon and count the potentials inside these what-if widths besides."""
        self.epsilon, self.what_if = epsilon, what_if
        self._measured = 0
        self._pool: ThreadPoolExecutor | None = None

    def measure(
        self, v: Tensor, kappa: Tensor, v_th: Tensor, adapter: Adapter, seen: Tensor
    ) -> LayerStatistics:
        """Statistics of one sequence of one layer.

        Args:
            v: pre-reset potentials `[T, N, ...]`.
            kappa: widths `[T]`, of v's dtype.
            v_th: thresholds in force `[T]`, of v's dtype.
            adapter: the layer's constants, and the shape of the derivative, which says where it is available.
            seen: the layer's census, flat uint8 `[neurons]` on v's device, updated in place.
        """
        flat, unit, surrogate = v.reshape(len(v), -1), adapter.v_th, adapter.surrogate
        half = surrogate.half_width(self.epsilon)
        halves = kappa * half
        others = torch.tensor(self.what_if, dtype=v.dtype, device=v.device) * half
        self._measured += v.numel()
        if v.device.type == "cpu" and self._measured > COMPILE_AFTER:
            statistics = self._scan(flat, unit, v_th, halves, others, seen, adapter)
        else:
            carries, strict = adapter.carries, adapter.strict
            statistics = measure(flat, unit, v_th, halves, others, seen, carries=carries, strict=strict)
        if surrogate.name == "rectangular":
            statistics.gain += statistics.available / kappa.double().cpu().numpy()
        else:
            for t in range(len(flat)):
                h = surrogate.h(flat[t] - v_th[t], kappa[t])
                statistics.gain[t] = torch.where(flat[t].isfinite(), h, 0).sum(dtype=torch.float64)
        return statistics

    def _scan(
        self,
        flat: Tensor,
        unit: float,
        v_th: Tensor,
        halves: Tensor,
        others: Tensor,
        seen: Tensor,
        adapter: Adapter,
    ) -> LayerStatistics:
        from mpdviz.recording.measure.scan import scan  # numba takes a while to import

        threads = torch.get_num_threads()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(threads)
        return scan(
            flat.contiguous().numpy(),
            unit,
            v_th.numpy(),
            shift(v_th, unit).numpy(),
            halves.numpy(),
            others.numpy(),
            seen.numpy(),
            self._pool,
            threads,
            adapter.carries,
            adapter.strict,
        )

    def close(self) -> None:
        """Let the threads go."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
