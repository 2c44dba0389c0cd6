"""Surrogate derivatives h(x) of the spike, x = v - v_th, each with its gradient-available interval.

A spike's true derivative is zero almost everywhere; training replaces it with h. Every shape here is
given at width kappa = 1 and widened in one way, keeping its area:

    h(x; kappa) = h(x / kappa; 1) / kappa

so a strategy that sets kappa works with every shape; only `lorentz` and `superspike`, which belong to methods
that set a width alone, keep their height, h(x; kappa) = h(x / kappa; 1). A spike gets a gradient only where h
is not negligible: where a shape has compact support that is its support; elsewhere it is where
h >= epsilon * max h, and whoever reports such an interval reports epsilon with it.

Shapes and defaults: Wu et al. 2018 (rectangular), Esser et al. 2016 (triangular),
SpikingJelly (sigmoid, atan), Zenke & Ganguli 2018 (fast sigmoid, superspike), Li et al. 2021 (dspike),
Liu et al. 2025 (lorentz). A new one is a file here and a line below.
"""

from dataclasses import fields

from mpdviz.errors import unknown_name
from mpdviz.registry import Registry
from mpdviz.surrogates.atan import ATan
from mpdviz.surrogates.base import EPSILON, Surrogate
from mpdviz.surrogates.fast_sigmoid import FastSigmoid
from mpdviz.surrogates.rectangular import Rectangular
from mpdviz.surrogates.sigmoid import Sigmoid
from mpdviz.surrogates.triangular import Triangular

__all__ = [
    "EPSILON",
    "SHAPES",
    "ATan",
    "FastSigmoid",
    "Rectangular",
    "Sigmoid",
    "Surrogate",
    "Triangular",
    "get",
]

SHAPES: Registry[type[Surrogate]] = Registry(
    "surrogate",
    "mpdviz.surrogates",
    {
        "rectangular": "mpdviz.surrogates.rectangular:Rectangular",
        "triangular": "mpdviz.surrogates.triangular:Triangular",
        "sigmoid": "mpdviz.surrogates.sigmoid:Sigmoid",
        "atan": "mpdviz.surrogates.atan:ATan",
        "fast-sigmoid": "mpdviz.surrogates.fast_sigmoid:FastSigmoid",
        "dspike": "mpdviz.surrogates.dspike:DSpike",
        "lorentz": "mpdviz.surrogates.lorentz:Lorentz",
        "superspike": "mpdviz.surrogates.superspike:SuperSpike",
    },
    Surrogate,
)


def get(name: str, **parameters: float) -> Surrogate:
    """The shape called `name` with its parameters, defaults where none is given.

    Raises:
        BadInput: an unknown shape or parameter, or a parameter that is not a positive number.
    """
    shape = SHAPES.find(name)
    known = [field.name for field in fields(shape)]
    for parameter in parameters:
        if parameter not in known:
            raise unknown_name(f"parameter of surrogate {name!r}:", parameter, known or ["(it has none)"])
    return shape(**parameters)
