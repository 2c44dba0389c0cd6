"""The trial kernels of `triton_kernels` as one differentiable function of the current."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
import triton
from torch import Tensor
from triton_kernels import NEURONS_A_WORD, SHAPES, backward_bits_kernel, backward_kernel, forward_kernel

from mpdviz.kernels import Reset
from mpdviz.kernels.base import Scalar, potential_dtype
from mpdviz.surrogates import Rectangular, Surrogate

PARAMETERS = {
    "triangular": "half_base",
    "atan": "a",
    "sigmoid": "a",
    "fast-sigmoid": "k",
    "dspike": "alpha",
}


@dataclass(frozen=True)
class Plan:
    """How a run is launched, and what it makes."""

    surrogate: Surrogate
    reset: Reset
    keep: bool = False
    """Whether the potentials are handed out."""
    rows: int = 64
    """Neurons a program, in words of 16."""
    warps: int = 4

    def launch(self, kernel: Any, size: int, *arguments: Any, **constants: Any) -> None:
        """Run a kernel over `size` neurons; no product is fused with a sum."""
        programs = triton.cdiv(size, self.rows * NEURONS_A_WORD)
        kernel[(programs,)](
            *arguments, **constants, ROWS=self.rows, num_warps=self.warps, enable_fp_fusion=False
        )

    @property
    def shape(self) -> dict[str, Any]:
        """The surrogate as the kernels know it."""
        name = self.surrogate.name
        a = float(getattr(self.surrogate, PARAMETERS[name])) if name in PARAMETERS else 0.0
        height = a / (2 * math.tanh(a / 2)) if name == "dspike" else 0.0
        return {"SHAPE": SHAPES.index(name), "A": a, "HEIGHT": height}

    def bits_suffice(self, decay: Tensor) -> bool:
        """Whether the backward pass asks no more of a potential than whether it fired and was available."""
        forgets = self.reset.detached or self.reset.soft
        return forgets and isinstance(self.surrogate, Rectangular) and not decay.requires_grad


class TritonLIF(torch.autograd.Function):
    """Flat currents `[T, M]` to spikes, and to potentials and counts where they were asked for."""

    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        decay: Tensor,
        v_th: Tensor,
        kappa: Tensor,
        halves: Tensor | None,
        plan: Plan,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Run; see `triton_lif`."""
        timesteps, size = current.shape
        number = decay.detach().to(potential_dtype(current))
        bits = current.requires_grad and plan.bits_suffice(decay)
        spikes = torch.empty_like(current)
        potentials = torch.empty_like(current, dtype=number.dtype) if plan.keep else None
        words = current.new_empty(timesteps, triton.cdiv(size, NEURONS_A_WORD), dtype=torch.int32)
        words = words if bits else None
        counts = None if halves is None else current.new_zeros(timesteps, 3, dtype=torch.int64)
        made = [spikes if x is None else x for x in (potentials, words, counts, number, v_th, kappa, halves)]
        wanted = {"KEEP": plan.keep, "BITS": bits, "COUNT": counts is not None}
        plan.launch(
            forward_kernel, size, current, spikes, *made, size, T=timesteps, SOFT=plan.reset.soft, **wanted
        )
        ctx.save_for_backward(words if bits else current, number, v_th, kappa)
        ctx.bits, ctx.plan = bits, plan
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(x for x in (potentials, counts) if x is not None))
        return spikes, potentials, counts

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients with respect to the current and a learned decay."""
        if grads[0] is None:
            return (None,) * 6
        kept, decay, v_th, kappa = ctx.saved_tensors
        plan, grad = ctx.plan, grads[0].contiguous()
        timesteps, size = grad.shape
        grad_current = torch.empty_like(grad)
        flags = {"T": timesteps, "SOFT": plan.reset.soft, "DETACHED": plan.reset.detached}
        if ctx.bits:
            plan.launch(
                backward_bits_kernel, size, kept, grad, grad_current, decay, v_th, kappa, size, **flags
            )
            return (grad_current, *(None,) * 5)
        learned = ctx.needs_input_grad[1]
        # One sum a program, added up in a fixed order: the same gradient every time.
        parts = decay.new_empty(triton.cdiv(size, plan.rows * NEURONS_A_WORD) if learned else 1)
        plan.launch(
            backward_kernel,
            size,
            *(kept, grad, grad_current, parts, decay, v_th, kappa, size),
            **flags,
            **plan.shape,
            LEARNED=learned,
        )
        return (grad_current, parts.sum() if learned else None, *(None,) * 4)


def triton_lif(
    current: Tensor,
    decay: Scalar,
    v_th: Tensor,
    kappa: Tensor,
    plan: Plan,
    halves: Tensor | None = None,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """What `mpdviz.kernels.multistep_lif` computes, for one shape and thresholds and widths by timestep.

    Args:
        current: `[T, ...]`, contiguous, of two neurons or more.
        decay: a number, or a 0-d tensor of the potentials' dtype, which may learn.
        v_th: thresholds `[T]` of the potentials' dtype.
        kappa: widths `[T]`, likewise, without gradient.
        plan: surrogate, reset and launch.
        halves: half widths of the available interval `[T]`, likewise: count potentials by them.

    Returns:
        Spikes like `current`; the potentials if the plan keeps them; and counts `[T, 3]` of finite potentials
        below, in and above the interval if `halves` is given.
    """
    number = torch.as_tensor(decay, dtype=potential_dtype(current), device=current.device)
    run = cast(Callable[..., tuple[Tensor, Tensor | None, Tensor | None]], TritonLIF.apply)
    spikes, potentials, counts = run(current.flatten(1), number, v_th, kappa, halves, plan)
    restored = None if potentials is None else potentials.view(current.shape)
    return spikes.view(current.shape), restored, counts
