"""Width strategies: which full width kappa the surrogate has at each layer and timestep.

Every neuron layer of a network owns one strategy object and asks it, at each forward pass, for the
widths of all timesteps. A strategy is a module, so one that learns or keeps moving averages has them in
the network's state dict.

A strategy is written as one string, its options after colons: `fixed`, `fixed:kappa=2.5`, `mpd-agl`.
"""

import warnings
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from mpdviz.errors import BadInput, MpdvizWarning, unknown_name


class Strategy(nn.Module, ABC):
    """One way to set the surrogate's width; `scope` says what one width is shared by."""

    name: ClassVar[str]
    scope: ClassVar[str]
    source: ClassVar[str]
    changes_forward: ClassVar[bool] = False
    """Whether it alters spikes too, not only their gradient."""

    @abstractmethod
    def kappa(
        self,
        timesteps: int,
        decay: Tensor | float,
        v_th: float,
        gamma: Tensor,
        beta: Tensor | None = None,
    ) -> Tensor:
        """Full widths of the surrogate, one for each timestep.

        Args:
            timesteps: T.
            decay: the neuron's decay, in [0, 1].
            v_th: the neuron's threshold.
            gamma: weights `[C]` of the tdBN just before the neuron, v_th excluded.
            beta: its biases `[C]`.

        Returns:
            `[T]`, detached, on gamma's device, in units of potential.
        """


class Fixed(Strategy):
    """One constant width everywhere, the practice the others are measured against (kappa = 1: STBP)."""

    name: ClassVar[str] = "fixed"
    scope: ClassVar[str] = "network"
    source: ClassVar[str] = "Wu et al., Frontiers in Neuroscience 2018 (STBP)"

    def __init__(self, kappa: float = 1.0) -> None:
        """Set the width.

        Raises:
            BadInput: `kappa` is not a positive number.
        """
        super().__init__()
        if not 0 < kappa < 3e38:
            raise BadInput(f"strategy 'fixed': kappa={kappa}", "give a positive width")
        self.width = float(kappa)

    def kappa(
        self,
        timesteps: int,
        decay: Tensor | float,
        v_th: float,
        gamma: Tensor,
        beta: Tensor | None = None,
    ) -> Tensor:
        """The constant, T times."""
        return gamma.new_full((timesteps,), self.width).detach()


class MPDAGL(Strategy):
    """Width equal to twice the predicted spread of the potential (Jiang et al., IJCAI 2025).

    With gamma_mean the mean of the tdBN's weights:

        kappa(1)     = 2 gamma_mean v_th
        kappa(t > 1) = 2 sqrt(1 + decay^2) gamma_mean v_th

    so the half-width is the standard deviation that Theorems 1 and 2 predict. The released code gives a
    surrogate that is zero everywhere (gamma_mean < 0) or NaN (gamma_mean = 0); a spread is a magnitude,
    so here gamma_mean <= 0 counts as max(|gamma_mean|, FLOOR), with a warning.
    """

    name: ClassVar[str] = "mpd-agl"
    scope: ClassVar[str] = "layer, t = 1 against t > 1"
    source: ClassVar[str] = "Jiang et al., IJCAI 2025, arXiv 2505.11863"

    FLOOR: ClassVar[float] = 0.01

    def kappa(
        self,
        timesteps: int,
        decay: Tensor | float,
        v_th: float,
        gamma: Tensor,
        beta: Tensor | None = None,
    ) -> Tensor:
        """See the class."""
        # The mean in gamma's precision, the rest in float64 and rounded once: exactly the reference's widths.
        gamma_mean = gamma.detach().mean().double()
        _warn_if_not_positive(gamma_mean, self.FLOOR)
        decay = torch.as_tensor(decay, dtype=torch.float64, device=gamma.device).detach()
        spread = torch.where(gamma_mean > 0, gamma_mean, gamma_mean.abs().clamp_min(self.FLOOR))
        first = 2 * spread * v_th
        later = first * torch.sqrt(1 + decay * decay)
        return torch.cat([first.reshape(1), later.expand(timesteps - 1)]).to(gamma.dtype)


def _warn_if_not_positive(gamma_mean: Tensor, floor: float) -> None:
    # Looking at a value on an accelerator would make every layer wait for it; training writes the widths
    # after each epoch on the CPU, so the warning is not lost there.
    if gamma_mean.device.type == "cpu" and not torch.compiler.is_compiling() and gamma_mean <= 0:
        warnings.warn(
            "mpd-agl: a layer's mean batch-norm weight is not positive, where the method defines no width; "
            f"its magnitude (at least {floor}) is used",
            MpdvizWarning,
            stacklevel=3,
        )


STRATEGIES: dict[str, type[Strategy]] = {strategy.name: strategy for strategy in (Fixed, MPDAGL)}


def get(name: str) -> Strategy:
    """A new strategy object from its string, e.g. `mpd-agl` or `fixed:kappa=2.5`.

    Raises:
        BadInput: unknown strategy or option, or a value out of range.
    """
    base, *pairs = name.split(":")
    if base not in STRATEGIES:
        raise unknown_name("strategy", base, STRATEGIES)
    options: dict[str, float] = {}
    for pair in pairs:
        option, _, value = pair.partition("=")
        try:
            options[option] = float(value)
        except ValueError:
            raise BadInput(
                f"strategy {name!r}: {pair!r} is no option", "write NAME:option=number, e.g. fixed:kappa=2.5"
            ) from None
    try:
        return STRATEGIES[base](**options)
    except TypeError:
        raise BadInput(
            f"strategy {base!r} has no option {' or '.join(map(repr, options))}",
            "see `mpdviz list strategies`",
        ) from None
