"""Strategies: which surrogate, how wide, at each layer and timestep.

Every neuron layer of a network owns one strategy object and asks it at each forward pass (`Situation`) for
the widths, and the shape if it sets one, of all timesteps (`Response`). A strategy is a module, so one that
learns or keeps moving averages has them in the network's state dict.

A strategy is written as one string, options after colons: `fixed`, `fixed:kappa=2.5`, `mpd-agl:shape=atan`,
`prescribed:FILE`. What follows a shape and is a parameter of it is the shape's:
`fixed:shape=fast-sigmoid:k=10`.
A new one is a file here and a line below.
"""

from mpdviz import surrogates
from mpdviz.errors import BadInput
from mpdviz.registry import Registry, made
from mpdviz.strategies.base import Place, Response, Situation, Strategy
from mpdviz.strategies.fixed import Fixed
from mpdviz.strategies.mpd_agl import MPDAGL

__all__ = ["MPDAGL", "STRATEGIES", "Fixed", "Place", "Response", "Situation", "Strategy", "get"]

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
        "prescribed": "mpdviz.strategies.prescribed:Prescribed",
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
    strategy, parts = made(STRATEGIES, name, example="fixed:kappa=2.5", parts={"shape": surrogates.SHAPES})
    if "shape" in parts:
        if strategy.own_shape is not None:
            problem = f"strategy {strategy.name!r} has a shape of its own, {strategy.own_shape}"
            raise BadInput(problem, "leave shape= out")
        strategy.shape = parts["shape"]
    return strategy
