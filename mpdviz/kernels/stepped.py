"""Neurons with equations of their own, one timestep after the other in plain tensor operations.

    v(t)       = charge(current(t), carried(t-1))
    s(t)       = 1[v(t) >= v_th(t)],  backward dL/dv += dL/ds h(v - v_th; kappa)
    carried(t) = settle(v(t), s(t), v_th(t), carried(t-1))

Autograd finds the way back through `charge` and `settle`. A learned width gets what `eager` gives it.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from mpdviz.kernels.base import Carried, Job, Rule, Step, potential_dtype
from mpdviz.surrogates import Surrogate


class Fire(torch.autograd.Function):
    """1[v >= v_th], whose derivative is the surrogate's."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, v_th: Tensor, kappa: Tensor, shape: Surrogate) -> Tensor:
        """Spikes like `v`."""
        ctx.save_for_backward(v, v_th, kappa)
        ctx.shape = shape
        return (v >= v_th).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients with respect to the potential and a learned width."""
        v, v_th, kappa = ctx.saved_tensors
        x = v - v_th
        grad = grads[0] * ctx.shape.h(x, kappa)
        grad_kappa = -(grad * x).sum() / kappa if ctx.needs_input_grad[2] else None
        return grad, None, grad_kappa, None


fire = cast(Callable[[Tensor, Tensor, Tensor, Surrogate], Tensor], Fire.apply)


def run(job: Job, step: Step) -> tuple[Tensor, Tensor | None]:
    """Spikes `[T, ...]` in the current's dtype and, if kept, the pre-reset potentials, cut off the graph."""
    current, dtype = job.current, potential_dtype(job.current)
    shapes = job.shapes if len(job.shapes) > 1 else job.shapes * len(current)
    carried: Carried | None = None
    spikes, potentials = [], []
    for t, entering in enumerate(current):
        v = step.charge(entering.to(dtype), carried)
        s = fire(v, job.v_th[t], job.kappa[t], shapes[t])
        spikes.append(s.to(current.dtype))
        if job.keep_potentials:
            potentials.append(v.detach())
        if t + 1 < len(current):
            carried = step.settle(v, s, job.v_th[t], carried)
    return torch.stack(spikes), torch.stack(potentials) if potentials else None


@torch.no_grad()
def follow(current: Tensor, step: Step, rule: Rule) -> None:
    """Run over `current` `[T, ...]` with the threshold that `rule` makes of each timestep's potentials."""
    dtype = potential_dtype(current)
    carried: Carried | None = None
    for entering in current:
        v = step.charge(entering.to(dtype), carried)
        threshold = rule(v)
        carried = step.settle(v, (v >= threshold).to(dtype), threshold, carried)
