"""Multi-step neuron kernels behind one function; the only place that knows which ones there are."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

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
        keep_potentials: also return the pre-reset potentials (they are at hand when a gradient is wanted).

    Returns:
        Spikes `[T, ...]` in the current's dtype, and the pre-reset potentials `[T, ...]` in at least
        float32 or None.
    """
    needs_grad = torch.is_grad_enabled() and (
        current.requires_grad or (isinstance(decay, Tensor) and decay.requires_grad)
    )
    if not needs_grad:
        return charge(current, decay, v_th, keep_potentials=keep_potentials)
    widths = torch.as_tensor(kappa, dtype=potential_dtype(current), device=current.device).detach()
    run = cast(Callable[..., tuple[Tensor, Tensor]], MultiStepLIF.apply)
    return run(current, decay, v_th, widths.expand(len(current)), surrogate)
