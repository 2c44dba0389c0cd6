"""The definition of the multi-step LIF neuron, forward and backward, in plain tensor operations.

Forward (Jiang et al., IJCAI 2025), with v(0) = 0, s(0) = 0:

    v(t) = decay * v(t-1) * (1 - s(t-1)) + current(t)
    s(t) = 1[v(t) >= v_th(t)]

Backward, with h the surrogate derivative and the gradient flowing through the reset:

    dL/dv(t) = dL/ds(t) * h(v(t) - v_th(t)) + dL/dv(t+1) * decay * [(1 - s(t)) - v(t) * h(v(t) - v_th(t))]

and dL/dcurrent(t) = dL/dv(t). One pass each way over all timesteps: the cost is linear in T, where a
loop over autograd's own operations that writes each step into one output grows as T^2.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mpdviz.surrogates import Surrogate

Scalar = Tensor | float
Rule = Callable[[Tensor], Tensor]
"""A threshold, 0-d, from the potentials of its timestep."""


def potential_dtype(current: Tensor) -> torch.dtype:
    """Potentials are accumulated in float32, or in float64 where the current is float64."""
    return torch.promote_types(current.dtype, torch.float32)


def charge(
    current: Tensor, decay: Scalar, v_th: Tensor | Rule, *, keep_potentials: bool
) -> tuple[Tensor, Tensor | None]:
    """Run the neuron over `current` [T, ...], its thresholds given for every timestep [T] or by a rule.

    Returns:
        The spikes [T, ...] (0 or 1, in the current's dtype) and, if kept, the pre-reset potentials.
    """
    dtype = potential_dtype(current)
    kept = torch.empty_like(current, dtype=dtype) if keep_potentials else None
    spikes = torch.empty_like(current)
    carried: Tensor | None = None  # decay * v(t-1) * (1 - s(t-1))
    for t, step in enumerate(current):
        v = kept[t] if kept is not None else torch.empty_like(step, dtype=dtype)
        # Product and sum stay two operations: a fused multiply-add rounds once and would flip spikes.
        if carried is None:
            v.copy_(step)
        else:
            torch.add(carried, step, out=v)
        fired = torch.ge(v, v_th[t] if isinstance(v_th, Tensor) else v_th(v), out=spikes[t])
        if t + 1 < len(current):
            # Multiplying by (1 - s), rather than selecting, lets an infinite potential turn to NaN as in
            # the equation instead of vanishing in the reset.
            carried = torch.mul(v, decay, out=carried)
            carried.mul_(1 - fired)
    return spikes, kept


class MultiStepLIF(torch.autograd.Function):
    """`charge` with the backward pass above; also hands out the potentials, which carry no gradient."""

    @staticmethod
    def forward(
        ctx: Any, current: Tensor, decay: Scalar, v_th: Tensor, kappa: Tensor, surrogate: Surrogate
    ) -> tuple[Tensor, Tensor]:
        """Spikes and pre-reset potentials, both [T, ...]."""
        spikes, v = charge(current, decay, v_th, keep_potentials=True)
        assert v is not None
        learned = isinstance(decay, Tensor)
        ctx.save_for_backward(v, v_th, kappa, *([decay] if learned else []))
        ctx.decay, ctx.surrogate, ctx.dtype = None if learned else decay, surrogate, current.dtype
        ctx.mark_non_differentiable(v)
        ctx.set_materialize_grads(False)
        return spikes, v

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        """Gradients with respect to the current and, where it is a tensor, the decay."""
        grad_spikes = grads[0]
        if grad_spikes is None:
            return None, None, None, None, None
        v, v_th, kappa, *saved = ctx.saved_tensors
        decay = saved[0] if saved else ctx.decay
        wants_decay = ctx.needs_input_grad[1]
        grad_current = torch.empty_like(v)
        grad_decay = torch.zeros((), dtype=v.dtype, device=v.device)
        later: Tensor | None = None  # dL/dv(t+1)
        for t in range(len(v) - 1, -1, -1):
            h = ctx.surrogate.h(v[t] - v_th[t], kappa[t])
            grad_v = grad_current[t]
            if later is None:
                torch.mul(h, grad_spikes[t], out=grad_v)
            else:
                kept = (v[t] < v_th[t]).to(v.dtype)  # 1 - s(t)
                if wants_decay:
                    grad_decay += (later * v[t] * kept).sum()
                carried = later * decay
                torch.mul(carried, v[t], out=grad_v).neg_().add_(grad_spikes[t]).mul_(h)
                grad_v.add_(carried.mul_(kept))
            later = grad_v
        return (
            grad_current.to(ctx.dtype) if ctx.needs_input_grad[0] else None,
            grad_decay.to(decay.dtype) if wants_decay else None,
            None,
            None,
            None,
        )
