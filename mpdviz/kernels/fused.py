"""The recurrences of `eager` in one pass over memory each way, compiled by numba for the CPU.

Nothing is kept between the passes but the current, and not even that where the surrogate is a rectangle and
the reset soft or detached: two bits a potential then tell what the backward pass needs. Any T, size and
surrogate of a closed form runs in the same compiled code, which lies on disk after its first use here.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from mpdviz.kernels.base import Job, Kernel, Reset, flattened, potential_dtype
from mpdviz.kernels.eager import EAGER
from mpdviz.surrogates import Surrogate
from mpdviz.surrogates.closed import Form
from mpdviz.system.threads import divided

Array = NDArray[Any]
PARALLEL = 1 << 17
"""Potentials from which threads are worth waking."""


@dataclass(frozen=True)
class _Constants:
    """What the loops compare and multiply with, of the potentials' precision."""

    v_th: Array
    """`[T]`."""
    decay: Any
    reset: Reset
    kinds: Array
    """Of the surrogate, `[T]` like the next three; nothing where no gradient is wanted."""
    tops: Array
    scales: Array
    ends: Array

    @property
    def surrogate(self) -> tuple[Array, ...]:
        """All of them."""
        return self.kinds, self.tops, self.scales, self.ends

    @classmethod
    def of(cls, job: Job, *, graded: bool) -> "_Constants":
        """Those of a job."""
        dtype = potential_dtype(job.current)
        kind: Any = np.float64 if dtype == torch.float64 else np.float32
        forms = _forms(job.shapes, job.kappa.detach()) if graded else []
        numbers = np.array([(form.top, form.scale, form.high) for form in forms], kind).reshape(-1, 3)
        return cls(
            job.v_th.to(dtype).contiguous().numpy(),
            kind(job.decay.detach() if isinstance(job.decay, Tensor) else job.decay),
            job.reset,
            np.array([form.kind for form in forms], np.int64),
            *np.ascontiguousarray(numbers.T),
        )


class MultiStepLIF(torch.autograd.Function):
    """`eager.MultiStepLIF` on flat currents `[T, M]`; the second output is None unless kept."""

    @staticmethod
    def forward(
        ctx: Any, current: Tensor, decay: Tensor | float, kappa: Tensor, job: Job
    ) -> tuple[Tensor, Tensor | None]:
        """Spikes `[T, M]` and, if kept, the pre-reset potentials."""
        constants = _Constants.of(job, graded=True)
        learns = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        ctx.by_bits = (job.reset.detached or job.reset.soft) and not learns and not constants.kinds.any()
        spikes, potentials, bits = _run(current, constants, keep=job.keep_potentials, bits=ctx.by_bits)
        ctx.save_for_backward(bits if ctx.by_bits else current, kappa)
        ctx.constants, ctx.shape = constants, current.shape
        ctx.of_decay = decay.dtype if isinstance(decay, Tensor) else None
        ctx.set_materialize_grads(False)
        if potentials is not None:
            ctx.mark_non_differentiable(potentials)
        return spikes, potentials

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients with respect to the current and, where they learn, the decay and the widths."""
        from mpdviz.kernels import loops  # numba takes a while to import

        if grads[0] is None:
            return (None,) * 4
        saved, kappa = ctx.saved_tensors
        known: _Constants = ctx.constants
        soft = known.reset.soft
        entering, out = grads[0].contiguous(), torch.empty(ctx.shape, dtype=grads[0].dtype)
        parts = _parts(ctx.shape)
        _, learned, widths, _ = ctx.needs_input_grad
        grad_decay, grad_kappa = np.zeros((len(parts), 1)), np.zeros((len(parts), len(known.v_th)))

        if ctx.by_bits:
            run: Any = loops.backward_of_bits  # a compiled function has no signature to speak of
            numbers = known.v_th, known.tops, known.decay, soft, known.reset.detached
            arguments = *saved.numpy(), array(entering), *numbers, array(out)
            divided(lambda i: run(*arguments, *parts[i]), len(parts))
        else:
            run = loops.backward
            known_here = known.v_th, known.decay, soft, known.reset.detached
            arguments = array(saved.detach()), array(entering), *known_here, *known.surrogate, array(out)
            divided(
                lambda i: run(*arguments, learned, grad_decay[i], widths, grad_kappa[i], *parts[i]),
                len(parts),
            )
        moment = torch.from_numpy(grad_kappa.sum(0)).to(kappa.dtype)
        return (
            out if ctx.needs_input_grad[0] else None,
            torch.tensor(grad_decay.sum(), dtype=ctx.of_decay) if learned else None,
            -moment / kappa.detach() if widths else None,
            None,
        )


class Fused(Kernel):
    """numba on the CPU, for surrogates of a closed form and thresholds that all neurons of a layer share."""

    meaning = "numba, one pass over memory, on the CPU"
    can = frozenset({"soft reset", "detached reset", "learned widths", "shapes by timestep"})

    def missing(self) -> str | None:
        """Numba."""
        return None if find_spec("numba") else "the package numba is not installed"

    def run(self, job: Job) -> tuple[Tensor, Tensor | None]:
        """Spikes and, if kept, potentials, both in the current's memory layout."""
        if torch.compiler.is_compiling():
            return EAGER.run(job)  # which torch.compile fuses itself
        current = job.current
        flat, restored = flattened(current)
        if job.needs_grad:
            spikes, potentials = MultiStepLIF.apply(flat, job.decay, job.kappa, job)  # type: ignore[no-untyped-call]
        else:
            constants = _Constants.of(job, graded=False)
            spikes, potentials, _ = _run(flat, constants, keep=job.keep_potentials)
        return restored(spikes), None if potentials is None else restored(potentials)


FUSED = Fused()


def _run(
    current: Tensor, constants: _Constants, *, keep: bool, bits: bool = False
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Spikes `[T, M]`, potentials if kept, and the bits `[2, T, M / 8]`, with no rows unless wanted."""
    from mpdviz.kernels import loops  # numba takes a while to import

    spikes = torch.empty_like(current)
    dtype = potential_dtype(current)
    potentials = torch.empty(current.shape if keep else (0, 0), dtype=dtype)
    packed = torch.empty(
        2, *((len(current), -(-current.shape[1] // 8)) if bits else (0, 0)), dtype=torch.uint8
    )
    known = constants.v_th, constants.ends, constants.decay, constants.reset.soft
    outputs = array(spikes), potentials.numpy(), *packed.numpy()
    parts = _parts(current.shape)
    run: Any = loops.forward  # a compiled function has no signature to speak of
    divided(lambda i: run(array(current.detach()), *known, *outputs, *parts[i]), len(parts))
    return spikes, potentials if keep else None, packed


def _parts(shape: torch.Size) -> list[tuple[int, int]]:
    """Where each thread begins and ends, in whole blocks."""
    from mpdviz.kernels.loops import BLOCK

    timesteps, size = shape
    blocks = -(-size // BLOCK)
    number = min(torch.get_num_threads(), blocks) if timesteps * size >= PARALLEL else 1
    ends = [min(blocks * i // number * BLOCK, size) for i in range(number + 1)]
    return list(pairwise(ends))


def _forms(shapes: tuple[Surrogate, ...], kappa: Tensor) -> list[Form]:
    each = shapes if len(shapes) > 1 else shapes * len(kappa)
    forms = (shape.form(width) for shape, width in zip(each, kappa.tolist(), strict=True))
    return [form for form in forms if form is not None]


def array(values: Tensor) -> Array:
    """It, without a copy; bfloat16, which NumPy lacks, as its bits."""
    return (values.view(torch.uint16) if values.dtype == torch.bfloat16 else values).numpy()
