"""Multi-step neuron kernels behind one function; backends are picked in `backend`."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from mpdviz.kernels import backend
from mpdviz.kernels.eager import MultiStepLIF, Scalar, charge, potential_dtype
from mpdviz.surrogates import Surrogate


def multistep_lif(
    current: Tensor,
    decay: Scalar,
    v_th: float,
    kappa: Tensor | float,
    surrogate: Surrogate,
    *,
    keep_potentials: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Leaky integrate-and-fire over all timesteps, hard reset to 0, gradient through the reset.

    Args:
        current: input current `[T, ...]`.
        decay: share of the potential kept from one step to the next, in [0, 1]; a 0-d tensor may learn.
        v_th: threshold; a neuron spikes where v >= v_th.
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
    widths = torch.as_tensor(kappa, dtype=potential_dtype(current), device=current.device).detach()
    widths = widths.expand(len(current))
    if backend.active() == "compiled" and current.numel() > len(current):
        from mpdviz.kernels import compiled  # not imported where nothing is compiled

        return compiled.run(
            current,
            decay,
            v_th,
            widths,
            surrogate,
            keep_potentials=keep_potentials,
            needs_grad=needs_grad,
        )
    if not needs_grad:
        return charge(current, decay, v_th, keep_potentials=keep_potentials)
    run = cast(Callable[..., tuple[Tensor, Tensor]], MultiStepLIF.apply)
    return run(current, decay, v_th, widths, surrogate)
