"""Strategies: which surrogate, how wide, at each layer and timestep.

Every neuron layer of a network owns one strategy object and asks it at each forward pass (`Situation`) for
the widths, and the shape if it sets one, of all timesteps (`Response`). A strategy is a module, so one that
learns or keeps moving averages has them in the network's state dict.

A strategy is written as one string, options after colons: `fixed`, `fixed:kappa=2.5`, `mpd-agl:shape=atan`.
A new one is a file here and a line below.
"""

from mpdviz import surrogates
from mpdviz.errors import BadInput
from mpdviz.registry import Registry
from mpdviz.strategies.base import Response, Situation, Strategy
from mpdviz.strategies.fixed import Fixed
from mpdviz.strategies.mpd_agl import MPDAGL

__all__ = ["MPDAGL", "STRATEGIES", "Fixed", "Response", "Situation", "Strategy", "get"]

STRATEGIES: Registry[type[Strategy]] = Registry(
    "strategy",
    "mpdviz.strategies",
    {
        "fixed": "mpdviz.strategies.fixed:Fixed",
        "lsg": "mpdviz.strategies.lsg:LSG",
        "mpd-agl": "mpdviz.strategies.mpd_agl:MPDAGL",
        "mpd-agl-reset": "mpdviz.strategies.mpd_agl_reset:MPDAGLReset",
        "mpd-agl-correlated": "mpdviz.strategies.mpd_agl_correlated:MPDAGLCorrelated",
        "observed": "mpdviz.strategies.observed:Observed",
        "ds-atgo": "mpdviz.strategies.ds_atgo:DSATGO",
    },
    Strategy,
)


def get(name: str) -> Strategy:
    """A new strategy object from its string, e.g. `mpd-agl`, `fixed:kappa=2.5` or `fixed:shape=atan`.

    Raises:
        BadInput: unknown strategy, option or shape, or a value out of range.
    """
    base, *pairs = name.split(":")
    kind = STRATEGIES.find(base)
    options: dict[str, float] = {}
    shape = None
    for pair in pairs:
        option, _, value = pair.partition("=")
        if option == "shape":
            shape = surrogates.get(value)
            continue
        try:
            options[option] = float(value)
        except ValueError:
            raise BadInput(
                f"strategy {name!r}: {pair!r} is no option", "write NAME:option=number, e.g. fixed:kappa=2.5"
            ) from None
    try:
        strategy = kind(**options)
    except TypeError:
        raise BadInput(
            f"strategy {base!r} has no option {' or '.join(map(repr, options))}",
            "see `mpdviz list strategies`",
        ) from None
    strategy.shape = shape
    return strategy
