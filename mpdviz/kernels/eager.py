"""The definition of the multi-step LIF neuron, forward and backward, in plain tensor operations.

Forward (Jiang et al., IJCAI 2025), with k(0) = 0:

    v(t) = k(t-1) + current(t)
    s(t) = 1[v(t) >= v_th(t)]
    k(t) = decay * v(t) * (1 - s(t))             hard reset
    k(t) = decay * (v(t) - v_th(t) * s(t))       soft reset

Backward, with h the surrogate derivative at v(t) - v_th(t) and c = dL/dv(t+1) * decay:

    dL/dv(t) = (dL/ds(t) - c * v(t)) * h + c * (1 - s(t))       hard reset
    dL/dv(t) = (dL/ds(t) - c * v_th(t)) * h + c                 soft reset

where a detached reset leaves the term in c out of the bracket, and dL/dcurrent(t) = dL/dv(t). A learned width
gets dL/dkappa(t) = -sum of bracket * h * (v - v_th) / kappa: the spike is taken as a smooth function of
(v - v_th) / kappa whose derivative is h. Where an output is analog, that function, the surrogate's integral,
stands for s(t) in all of the above. One pass each way over all timesteps: the cost is linear in T, where a
loop over autograd's own operations that writes each step into one output grows as T^2.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from mpdviz.kernels import stepped
from mpdviz.kernels.base import Job, Kernel, Reset, Rule, Scalar, potential_dtype
from mpdviz.surrogates import Surrogate

Mix = Callable[[int, Tensor, Tensor], None]
"""Given a timestep, v - v_th and the spikes: puts analog values in the place of some of them."""


def charge(
    current: Tensor,
    decay: Scalar,
    v_th: Tensor | Rule,
    reset: Reset,
    *,
    keep_potentials: bool,
    mix: Mix | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Run the neuron over `current` [T, ...], its thresholds given for every timestep [T, ...] or by a rule.

    Returns:
        The spikes [T, ...] (0 or 1 unless mixed, in the current's dtype) and, if kept, the potentials.
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
        threshold = v_th[t] if isinstance(v_th, Tensor) else v_th(v)
        fired = torch.ge(v, threshold, out=spikes[t])
        if mix is not None:
            mix(t, v - threshold, fired)
        if t + 1 == len(current):
            break
        if reset.soft:
            # A threshold times spikes of half precision would be rounded to it.
            carried = (v - threshold * fired.to(dtype)).mul_(decay)
        else:
            # Multiplying by (1 - s), rather than selecting, lets an infinite potential turn to NaN as in
            # the equation instead of vanishing in the reset.
            carried = torch.mul(v, decay, out=carried)
            carried.mul_(1 - fired)
    return spikes, kept


def mixing(spiking: Tensor | None, shapes: tuple[Surrogate, ...], kappa: Tensor) -> Mix | None:
    """Where `spiking` `[T, ...]` is false, the surrogate's integral; None where all are spikes."""
    if spiking is None:
        return None

    def mix(t: int, x: Tensor, fired: Tensor) -> None:
        analog = shapes[t % len(shapes)].integral(x, kappa[t])
        fired.copy_(torch.where(spiking[t], fired, analog.to(fired.dtype)))

    return mix


class MultiStepLIF(torch.autograd.Function):
    """`charge` with the backward pass above; also hands out the potentials, which carry no gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        decay: Scalar,
        v_th: Tensor,
        kappa: Tensor,
        shapes: tuple[Surrogate, ...],
        reset: Reset,
        spiking: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Spikes and pre-reset potentials, both [T, ...]."""
        mix = mixing(spiking, shapes, kappa)
        spikes, v = charge(current, decay, v_th, reset, keep_potentials=True, mix=mix)
        assert v is not None
        learned = isinstance(decay, Tensor)
        mixed = None if mix is None else spikes
        ctx.save_for_backward(v, v_th, kappa, mixed, *([decay] if learned else []))
        ctx.decay, ctx.dtype = None if learned else decay, current.dtype
        ctx.shapes, ctx.reset = shapes if len(shapes) > 1 else shapes * len(current), reset
        ctx.mark_non_differentiable(v)
        ctx.set_materialize_grads(False)
        return spikes, v

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients with respect to the current and, where they learn, the decay and the widths."""
        grad_spikes = grads[0]
        if grad_spikes is None:
            return (None,) * 7
        v, v_th, kappa, mixed, *saved = ctx.saved_tensors
        decay, reset = saved[0] if saved else ctx.decay, ctx.reset
        wants_decay, wants_kappa = ctx.needs_input_grad[1], ctx.needs_input_grad[3]
        grad_current, grad_kappa = torch.empty_like(v), torch.zeros_like(kappa)
        grad_decay = torch.zeros((), dtype=v.dtype, device=v.device)
        later: Tensor | None = None  # dL/dv(t+1)
        for t in range(len(v) - 1, -1, -1):
            x = v[t] - v_th[t]
            h = ctx.shapes[t].h(x, kappa[t])
            grad_v = grad_current[t]
            if later is None:
                torch.mul(h, grad_spikes[t], out=grad_v)
            else:
                # What the reset leaves, 1 - s(t).
                paused = (v[t] < v_th[t]).to(v.dtype) if mixed is None else 1 - mixed[t].to(v.dtype)
                if wants_decay:
                    kept = v[t] - v_th[t] * (1 - paused) if reset.soft else v[t] * paused
                    grad_decay += (later * kept).sum()
                carried = later * decay
                if reset.detached:
                    torch.mul(h, grad_spikes[t], out=grad_v)
                else:
                    torch.mul(carried, v_th[t] if reset.soft else v[t], out=grad_v)
                    grad_v.neg_().add_(grad_spikes[t]).mul_(h)
            if wants_kappa:
                grad_kappa[t] = -(grad_v * x).sum() / kappa[t]
            if later is not None:
                grad_v.add_(carried if reset.soft else carried.mul_(paused))
            later = grad_v
        return (
            grad_current.to(ctx.dtype) if ctx.needs_input_grad[0] else None,
            grad_decay.to(decay.dtype) if wants_decay else None,
            None,
            grad_kappa if wants_kappa else None,
            None,
            None,
            None,
        )


class Eager(Kernel):
    """The definition; it can do all that a job may need."""

    meaning = "the definition, plain tensor operations"
    can = frozenset(
        {
            "soft reset",
            "detached reset",
            "thresholds by neuron",
            "learned widths",
            "shapes by timestep",
            "equations of their own",
            "analog outputs",
            "other devices",
            "other types",
            "surrogates of no closed form",
        }
    )

    def run(self, job: Job) -> tuple[Tensor, Tensor | None]:
        """`charge`, through autograd where a backward pass may follow; or the neurons' own equations."""
        if job.step is not None:
            return stepped.run(job, job.step)
        if not job.needs_grad:
            mix, keep = mixing(job.spiking, job.shapes, job.kappa), job.keep_potentials
            return charge(job.current, job.decay, job.v_th, job.reset, keep_potentials=keep, mix=mix)
        run = cast(Callable[..., tuple[Tensor, Tensor]], MultiStepLIF.apply)
        return run(job.current, job.decay, job.v_th, job.kappa, job.shapes, job.reset, job.spiking)


EAGER = Eager()
