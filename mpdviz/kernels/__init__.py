"""Multi-step neuron kernels behind one function; backends are picked in `backend`."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from mpdviz.kernels import backend
from mpdviz.kernels.eager import MultiStepLIF, Rule, Scalar, charge, potential_dtype
from mpdviz.surrogates import Surrogate


def multistep_lif(
    current: Tensor,
    decay: Scalar,
    v_th: Tensor | float,
    kappa: Tensor | float,
    surrogate: Surrogate,
    *,
    keep_potentials: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Leaky integrate-and-fire over all timesteps, hard reset to 0, gradient through the reset.

    Args:
        current: input current `[T, ...]`.
        decay: share of the potential kept from one step to the next, in [0, 1]; a 0-d tensor may learn.
        v_th: threshold, one number or one for each timestep `[T]`; a neuron spikes where v >= v_th. It
            carries no gradient.
        kappa: full width of the surrogate, one number or one for each timestep `[T]`; carries no gradient.
        surrogate: shape of the spike's derivative.
        keep_potentials: also return the pre-reset potentials.

    Returns:
        Spikes `[T, ...]` in the current's dtype, and the pre-reset potentials `[T, ...]` in at least
        float32, or None where they were not asked for and not at hand.
    """
    needs_grad = torch.is_grad_enabled() and (
        current.requires_grad or (isinstance(decay, Tensor) and decay.requires_grad)
    )
    thresholds, widths = _each_timestep(v_th, current), _each_timestep(kappa, current)
    if backend.active() == "compiled" and current.numel() > len(current):
        from mpdviz.kernels import compiled  # not imported where nothing is compiled

        return compiled.run(
            current,
            decay,
            thresholds,
            widths,
            surrogate,
            keep_potentials=keep_potentials,
            needs_grad=needs_grad,
        )
    if not needs_grad:
        return charge(current, decay, thresholds, keep_potentials=keep_potentials)
    run = cast(Callable[..., tuple[Tensor, Tensor]], MultiStepLIF.apply)
    return run(current, decay, thresholds, widths, surrogate)


@torch.no_grad()
def follow(current: Tensor, decay: Scalar, rule: Rule) -> None:
    """Run the neurons over `current` `[T, ...]` with the threshold that `rule` gives at each timestep.

    The thresholds given to `multistep_lif` afterwards make the same potentials.
    """
    charge(current, decay, rule, keep_potentials=False)


def _each_timestep(values: Tensor | float, current: Tensor) -> Tensor:
    each = torch.as_tensor(values, dtype=potential_dtype(current), device=current.device)
    return each.detach().expand(len(current))
