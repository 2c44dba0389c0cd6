"""`mpdviz list`: what there is to choose from, and what the columns mean."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from mpdviz.errors import unknown_name

from .completion import names
from .fitted import Column, print_table
from .output import show

HELP = """List what there is to choose from: models, neurons, norms, strategies, surrogates, losses,
regularizers, schedules, backends, data, recipes, samples, columns."""

WORDS = (
    *("models", "neurons", "norms", "strategies", "surrogates", "losses", "regularizers", "schedules"),
    *("backends", "data", "recipes", "samples", "columns"),
)
OF_DATA = ("in_channels", "image_size", "in_shape")
"""Options of models that training takes from the data."""
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
        from mpdviz.strategies import STRATEGIES

        own = ", ".join(name for name, kind in STRATEGIES.items() if kind.own_shape is not None)
        show(
            "options, as in fixed:kappa=2.5, mpd-agl:shape=atan or fixed:shape=fast-sigmoid:k=10: all take "
            f"shape but {own}, which have their own; {_options(STRATEGIES)}"
        )
    elif what == "models":
        from mpdviz.networks import NETWORKS, options_of

        mine = {name: [option for option in options_of(name) if option not in OF_DATA] for name in NETWORKS}
        told = "; ".join(f"{name}: {', '.join(options)}" for name, options in mine.items())
        show(f"options, as in convsnn:planes=16-32:hidden=64: {told}; or your own network, MODULE:FUNCTION")
    elif what == "schedules":
        from mpdviz.training.rates import SCHEDULES

        show(f"options, as in step:every=30:factor=0.1: {_options(SCHEDULES)}")
    elif what == "losses":
        from mpdviz.losses import LOSSES

        show(f"options, as in tet:lambda=0.1: {_options(LOSSES)}")
    elif what == "regularizers":
        from mpdviz.regularizers import REGULARIZERS

        show(f"options, as in mpd-sgr:weight=0.2: {_options(REGULARIZERS)}")


def _models() -> Rows:
    from mpdviz.networks import NETWORKS

    return [("model", "stages"), *((name, _summary(network)) for name, network in NETWORKS.items())]


def _neurons() -> Rows:
    from mpdviz.neurons import NEURONS

    return [("neuron", "what it is"), *((name, _summary(kind)) for name, kind in NEURONS.items())]


def _strategies() -> Rows:
    from mpdviz.strategies import STRATEGIES

    return [
        ("strategy", "one width for each", "changes spikes", "source", "what it does"),
        *(
            (name, kind.scope, "yes" if kind.changes_forward else "no", kind.source, _summary(kind))
            for name, kind in STRATEGIES.items()
        ),
    ]


def _norms() -> Rows:
    from mpdviz.norm import NORMS

    return [
        ("norm", "source", "what it is"),
        *((name, kind.source, kind.meaning) for name, kind in NORMS.items()),
    ]


def _losses() -> Rows:
    from mpdviz.losses import LOSSES

    return [
        ("loss", "source", "what it is"),
        *((name, kind.source, _summary(kind)) for name, kind in LOSSES.items()),
    ]


def _schedules() -> Rows:
    from mpdviz.training.rates import SCHEDULES

    return [("schedule", "learning rate"), *((name, _summary(kind)) for name, kind in SCHEDULES.items())]


def _regularizers() -> Rows:
    from mpdviz.regularizers import REGULARIZERS

    return [
        ("regularizer", "source", "what it adds to the loss"),
        *((name, kind.source, _summary(kind)) for name, kind in REGULARIZERS.items()),
    ]


def _options(registry: Mapping[str, type]) -> str:
    """The options of the entries that have some."""
    found = {
        name: [
            parameter.name.removesuffix("_")  # of a keyword of Python
            for parameter in inspect.signature(kind).parameters.values()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        for name, kind in registry.items()
    }
    return "; ".join(f"{name}: {', '.join(options)}" for name, options in found.items() if options)


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
        "predicted_*, ks*, wasserstein* of another prediction: _mixture, a normal per channel; _time, decay "
        "over the actual t; _reset, with the reset; _correlated, with it and the recorded currents' "
        "correlation over time"
    )
    rows.append(("*_PREDICTION", "", "", others))
    return rows


def _summary(thing: object) -> str:
    """The first line of its docstring, without the full stop and what stands in brackets at its end."""
    first = (thing.__doc__ or "").strip().partition("\n")[0].strip().removesuffix(".")
    return re.sub(r" \([^()]*\)$", "", first)


LISTINGS: dict[str, Callable[[], Rows]] = {
    "models": _models,
    "neurons": _neurons,
    "norms": _norms,
    "strategies": _strategies,
    "surrogates": _surrogates,
    "losses": _losses,
    "regularizers": _regularizers,
    "schedules": _schedules,
    "backends": _backends,
    "data": _data,
    "recipes": _recipes,
    "samples": _samples,
    "columns": _columns,
}
