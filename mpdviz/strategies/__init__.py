"""Strategies: which surrogate, how wide, at each layer and timestep.

Every neuron layer of a network owns one strategy object and asks it at each forward pass (`Situation`) for
the widths, and the shape if it sets one, of all timesteps (`Response`). A strategy is a module, so one that
learns or keeps moving averages has them in the network's state dict.

A strategy is written as one string, options after colons: `fixed`, `fixed:kappa=2.5`, `mpd-agl:shape=atan`.
What follows a shape and is a parameter of it is the shape's: `fixed:shape=fast-sigmoid:k=10`.
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
        "observed": "mpdviz.strategies.observed:Observed",
        "ds-atgo": "mpdviz.strategies.ds_atgo:DSATGO",
        "dspike": "mpdviz.strategies.dspike:DSpike",
        "asgl": "mpdviz.strategies.asgl:ASGL",
        "deeptage": "mpdviz.strategies.deeptage:DeepTAGE",
        "slope-schedule": "mpdviz.strategies.slope_schedule:SlopeSchedule",
    },
    Strategy,
)


def get(name: str) -> Strategy:
    """A new strategy object from its string, e.g. `mpd-agl`, `fixed:kappa=2.5` or `fixed:shape=atan`.

    Raises:
        BadInput: unknown strategy, option or shape, a value out of range, or a shape for a strategy that has
            one.
    """
    base, *pairs = name.split(":")
    kind = STRATEGIES.find(base)
    options: dict[str, float] = {}
    shape: str | None = None
    parameters: dict[str, float] = {}
    for pair in pairs:
        option, _, value = pair.partition("=")
        if option == "shape":
            shape = value
            continue
        of_shape = shape is not None and option in surrogates.parameters(shape)
        try:
            (parameters if of_shape else options)[option] = float(value)
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
    if shape is not None:
        if kind.own_shape is not None:
            raise BadInput(f"strategy {base!r} has a shape of its own, {kind.own_shape}", "leave shape= out")
        strategy.shape = surrogates.get(shape, **parameters)
    return strategy
