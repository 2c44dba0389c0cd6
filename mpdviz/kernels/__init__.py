"""Multi-step neuron kernels behind one function; `backends` picks which one runs."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mpdviz.kernels import backends, stepped
from mpdviz.kernels.base import RESETS, Carried, Job, Reset, Rule, Scalar, Step, potential_dtype
from mpdviz.kernels.eager import charge
from mpdviz.surrogates import Surrogate

__all__ = [
    "RESETS",
    "Carried",
    "Reset",
    "Step",
    "follow",
    "follow_step",
    "multistep",
    "multistep_lif",
    "potentials",
]


def multistep_lif(
    current: Tensor,
    decay: Scalar,
    v_th: Tensor | float,
    kappa: Tensor | float,
    surrogate: Surrogate | Sequence[Surrogate],
    *,
    reset: Reset = Reset(),  # noqa: B008 - frozen
    keep_potentials: bool = False,
    spiking: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Leaky integrate-and-fire over all timesteps; see `eager` for the equations.

    Args:
        current: input current `[T, ...]`.
        decay: share of the potential kept from one step to the next, in [0, 1]; a 0-d tensor may learn.
        v_th: threshold, one number, one for each timestep `[T]`, or `[T, ...]` broadcast to the current; a
            neuron spikes where v >= v_th. It carries no gradient.
        kappa: full width of the surrogate, one number or one for each timestep `[T]`; one that requires a
            gradient gets that of the spike as a function of x / kappa.
        surrogate: shape of the spike's derivative, one or one for each timestep.
        reset: what a spike does to the potential.
        keep_potentials: also return the pre-reset potentials.
        spiking: which outputs are spikes, `[T, ...]` of truth values; the others are the surrogate's integral
            at v - v_th, and count as spikes of that size in the reset. None: all are spikes.

    Returns:
        Spikes `[T, ...]` in the current's dtype, and the pre-reset potentials `[T, ...]` in at least
        float32, or None where they were not asked for and not at hand.
    """
    thresholds, widths, shapes = _by_timestep(current, v_th, kappa, surrogate)
    job = Job(current, decay, thresholds, widths, shapes, reset, keep_potentials, spiking=spiking)
    return backends.pick(job).run(job)


def multistep(
    current: Tensor,
    step: Step,
    v_th: Tensor | float,
    kappa: Tensor | float,
    surrogate: Surrogate | Sequence[Surrogate],
    *,
    keep_potentials: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Neurons with equations of their own over all timesteps; see `stepped`.

    Args:
        current: input current `[T, ...]`.
        step: one timestep.
        v_th: as of `multistep_lif`, and so are the others and what is returned.
        kappa: width.
        surrogate: shape.
        keep_potentials: also return the pre-reset potentials.
    """
    thresholds, widths, shapes = _by_timestep(current, v_th, kappa, surrogate)
    job = Job(current, 0.0, thresholds, widths, shapes, Reset(), keep_potentials, step=step)
    return backends.pick(job).run(job)


follow_step = stepped.follow


@torch.no_grad()
def potentials(current: Tensor, decay: Scalar, v_th: Tensor, reset: Reset) -> Tensor:
    """The pre-reset potentials `[T, ...]` of `multistep_lif` for the same arguments, by the definition."""
    _, v = charge(current.detach(), decay, v_th, reset, keep_potentials=True)
    assert v is not None
    return v


@torch.no_grad()
def follow(current: Tensor, decay: Scalar, rule: Rule, reset: Reset) -> None:
    """Run the neurons over `current` `[T, ...]` with the threshold that `rule` gives at each timestep.

    The thresholds given to `multistep_lif` afterwards make the same potentials.
    """
    charge(current, decay, rule, reset, keep_potentials=False)


def _by_timestep(
    current: Tensor,
    v_th: Tensor | float,
    kappa: Tensor | float,
    surrogate: Surrogate | Sequence[Surrogate],
) -> tuple[Tensor, Tensor, tuple[Surrogate, ...]]:
    shapes = (surrogate,) if isinstance(surrogate, Surrogate) else tuple(surrogate)
    shapes = shapes[:1] if len(set(shapes)) == 1 else shapes
    thresholds, widths = (_each_timestep(values, current) for values in (v_th, kappa))
    return thresholds.detach(), widths, shapes


def _each_timestep(values: Tensor | float, current: Tensor) -> Tensor:
    each = torch.as_tensor(values, dtype=potential_dtype(current), device=current.device)
    return each.expand(len(current), *each.shape[1:])
