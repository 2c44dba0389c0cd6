"""Advice on a recording: what `analysis.advisor` asks of surrogates and strategies, which need torch."""

import warnings
from collections.abc import Callable

import torch

from mpdviz import strategies, surrogates
from mpdviz.accumulations.contents import Contents
from mpdviz.accumulations.histogram import Floats
from mpdviz.accumulations.info import LayerInfo
from mpdviz.analysis import advisor
from mpdviz.analysis.advice import Advice
from mpdviz.analysis.cases import Shape
from mpdviz.analysis.limits import Limits
from mpdviz.errors import MpdvizWarning

WIDTHS = ("mpd-agl", "mpd-agl-reset")
"""Strategies whose widths follow from a batch norm and a decay alone."""
FOLLOWS = {"mpd-agl": ("v_th", "gamma"), "mpd-agl-reset": ("v_th", "gamma"), "lsg": ("v_th",)}
"""Settings that the widths of a strategy are in proportion to."""


def advise(contents: Contents, target: float, limits: Limits | None, epsilon: float) -> Advice:
    """What to do about the layers of a recording; arguments and errors are those of `Recording.advice`."""
    infos = {number: layer.info for number, layer in contents.layers.items()}
    epsilon = next((info.epsilon for info in infos.values() if info.epsilon is not None), epsilon)
    # Recordings of our networks, and of no others, know their strategy.
    own = contents.origin.get("strategy", "").partition(":")[0]
    return advisor.advise(
        contents.layers,
        shapes={name: _plain(surrogates.get(name), epsilon) for name in surrogates.SHAPES},
        widths={name: _widths(name, infos) for name in WIDTHS if name != own},
        target=target,
        limits=limits,
        tdbn=bool(own),
        follows=FOLLOWS.get(own, ()),
    )


def _plain(shape: surrogates.Surrogate, epsilon: float) -> Shape:
    return Shape(shape.name, shape.half_width(epsilon), plain(shape), keeps_height=shape.keeps_height)


def plain(shape: surrogates.Surrogate) -> Callable[[Floats, Floats], Floats]:
    """A surrogate's h(x; kappa) as a function of NumPy arrays."""
    return lambda x, kappa: shape.h(torch.from_numpy(x), torch.tensor(kappa)).numpy()


def _widths(strategy: str, infos: dict[int, LayerInfo]) -> dict[int, list[float]]:
    """Widths `[T]` that a strategy would set for the layers whose batch norm and decay are known."""
    found = {}
    for number, info in infos.items():
        predictable = "predicted_ratio" not in info.not_measured
        if predictable and info.gamma and 0 <= info.decay <= 1 and info.v_th > 0:
            gamma, beta = (torch.tensor(values, dtype=torch.float64) for values in (info.gamma, info.beta))
            with warnings.catch_warnings():  # what a strategy says of gamma is a check of its own
                warnings.simplefilter("ignore", MpdvizWarning)
                kappa = strategies.get(strategy).kappa(info.timesteps, info.decay, info.v_th, gamma, beta)
            found[number] = kappa.tolist()
    return found
