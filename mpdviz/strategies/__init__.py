"""Width strategies: which full width kappa the surrogate has at each layer and timestep.

Every neuron layer of a network owns one strategy object and asks it, at each forward pass, for the
widths of all timesteps. A strategy is a module, so one that learns or keeps moving averages has them in
the network's state dict.

A strategy is written as one string, its options after colons: `fixed`, `fixed:kappa=2.5`, `mpd-agl`.
"""

from mpdviz.errors import BadInput, unknown_name
from mpdviz.strategies.base import Strategy
from mpdviz.strategies.ds_atgo import DSATGO
from mpdviz.strategies.fixed import Fixed
from mpdviz.strategies.lsg import LSG
from mpdviz.strategies.mpd_agl import MPDAGL
from mpdviz.strategies.mpd_agl_reset import MPDAGLReset
from mpdviz.strategies.observed import Observed

__all__ = ["DSATGO", "LSG", "MPDAGL", "STRATEGIES", "Fixed", "MPDAGLReset", "Observed", "Strategy", "get"]

STRATEGIES: dict[str, type[Strategy]] = {
    strategy.name: strategy for strategy in (Fixed, LSG, MPDAGL, MPDAGLReset, Observed, DSATGO)
}


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
