"""`mpdviz list`: what there is to choose from, and what the columns mean."""

import inspect
import re
from collections.abc import Callable
from typing import Annotated

import typer

from mpdviz.errors import unknown_name

from .completion import names
from .fitted import Column, print_table
from .output import show

HELP = """List what there is to choose from: models, neurons, strategies, surrogates, backends, data, recipes,
samples, columns."""

WORDS = ("models", "neurons", "strategies", "surrogates", "backends", "data", "recipes", "samples", "columns")
Rows = list[tuple[str, ...]]


def list_(
    what: Annotated[
        str,
        typer.Argument(metavar="WHAT", help="one of the words above", autocompletion=names(WORDS)),
    ],
) -> None:
    """Print one registry as a table."""
    if what not in LISTINGS:
        raise unknown_name("list", what, LISTINGS)
    (*heads, words), *rows = LISTINGS[what]()
    cells = [list(column) for column in zip(*rows, strict=True)]
    # The first says what to type; the last in a line what it is; what lies between is for wide terminals.
    columns = [
        Column(head, cells[at], "text", keep=None if at == 0 else len(heads) - at)
        for at, head in enumerate(heads)
    ]
    print_table([*columns, Column(words, cells[-1], "words")])
    if what == "strategies":
        show(_options())


def _models() -> Rows:
    from mpdviz.networks import NETWORKS

    return [("model", "stages"), *((name, _summary(network)) for name, network in NETWORKS.items())]


def _neurons() -> Rows:
    from mpdviz.neurons import LIF, PLIF

    return [("neuron", "what it is"), *((neuron.kind, _summary(neuron)) for neuron in (LIF, PLIF))]


def _strategies() -> Rows:
    from mpdviz.strategies import STRATEGIES

    return [
        ("strategy", "one width for each", "changes spikes", "source", "what it does"),
        *(
            (name, kind.scope, "yes" if kind.changes_forward else "no", kind.source, _summary(kind))
            for name, kind in STRATEGIES.items()
        ),
    ]


def _options() -> str:
    """The options of the strategies that have some."""
    from mpdviz.strategies import STRATEGIES

    found = {
        name: [
            parameter.name
            for parameter in inspect.signature(kind).parameters.values()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        for name, kind in STRATEGIES.items()
    }
    told = "; ".join(f"{name}: {', '.join(options)}" for name, options in found.items() if options)
    return f"options, as in fixed:kappa=2.5 or mpd-agl:shape=atan: all take shape; {told}"


def _surrogates() -> Rows:
    from mpdviz.surrogates import EPSILON, SHAPES

    rows: Rows = [("surrogate", "available at kappa = 1", "formula")]
    for name, shape in SHAPES.items():
        exact = "" if shape.compact else f" (epsilon {EPSILON})"
        rows.append((name, f"v_th +- {shape().half_width():.4g}{exact}", _summary(shape)))
    return rows


def _samples() -> Rows:
    from mpdviz.system.places import SAMPLE, samples

    return [
        ("sample", "where it lies"),
        *((f"{SAMPLE}{name}", str(path)) for name, path in samples().items()),
    ]


def _backends() -> Rows:
    from mpdviz.kernels import backends

    return [("backend", "here"), *backends.describe().items()]


def _data() -> Rows:
    from mpdviz import data

    return [("data", "what it is"), *data.describe().items()]


def _recipes() -> Rows:
    from mpdviz.config import recipes

    return [("recipe", "what it is"), *recipes().items()]


def _columns() -> Rows:
    from mpdviz.analysis import columns

    groups = {
        "": (*columns.MAIN, *columns.BOUNDS, columns.BEST),
        "with --gradients": columns.FLOW,
        "table of layers": columns.LAYER,
        "what-if": columns.WHAT_IF,
        "spread error": columns.SPREAD,
    }
    rows: Rows = [("column", "unit", "table", "meaning")]
    for group, members in groups.items():
        rows += [(column.name, column.unit, group, column.meaning) for column in members]
    others = (
        "predicted_*, ks*, wasserstein* of a normal per channel; for decay over the actual t; with the "
        "reset; with it and the recorded currents' correlation over time"
    )
    rows.append(("*_mixture, *_time, *_reset, *_correlated", "", "", others))
    return rows


def _summary(thing: object) -> str:
    """The first line of its docstring, without the full stop and what stands in brackets at its end."""
    first = (thing.__doc__ or "").strip().partition("\n")[0].strip().removesuffix(".")
    return re.sub(r" \([^()]*\)$", "", first)


LISTINGS: dict[str, Callable[[], Rows]] = {
    "models": _models,
    "neurons": _neurons,
    "strategies": _strategies,
    "surrogates": _surrogates,
    "backends": _backends,
    "data": _data,
    "recipes": _recipes,
    "samples": _samples,
    "columns": _columns,
}
