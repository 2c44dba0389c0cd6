"""`mpdviz list`: what there is to choose from, and what the columns mean."""

from collections.abc import Callable
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from mpdviz.errors import unknown_name

from .output import console

HELP = "List what there is to choose from: models, neurons, strategies, surrogates, backends, data, columns."

Rows = list[tuple[str, ...]]


def list_(what: Annotated[str, typer.Argument(metavar="WHAT", help="one of the words above")]) -> None:
    """Print one registry as a table."""
    if what not in LISTINGS:
        raise unknown_name("list", what, LISTINGS)
    header, *rows = LISTINGS[what]()
    table = Table(box=None, padding=(0, 2), header_style="bold")
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # as it stands: [ ] in a formula is no markup
    console().print(table)


def _models() -> Rows:
    from mpdviz.networks import NETWORKS

    return [("model", "stages"), *((name, _summary(network)) for name, network in NETWORKS.items())]


def _neurons() -> Rows:
    from mpdviz.neurons import LIF, PLIF

    return [("neuron", "what it is"), *((neuron.kind, _summary(neuron)) for neuron in (LIF, PLIF))]


def _strategies() -> Rows:
    from mpdviz.strategies import STRATEGIES

    return [
        ("strategy", "one width for each", "changes spikes", "source"),
        *(
            (name, strategy.scope, "yes" if strategy.changes_forward else "no", strategy.source)
            for name, strategy in STRATEGIES.items()
        ),
    ]


def _surrogates() -> Rows:
    from mpdviz.surrogates import EPSILON, SHAPES

    rows: Rows = [("surrogate", "available interval at kappa = 1", "formula")]
    for name, shape in SHAPES.items():
        exact = "exact" if shape.compact else f"epsilon = {EPSILON}"
        rows.append((name, f"v_th +- {shape().half_width():.4g} ({exact})", _summary(shape)))
    return rows


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
    }
    rows: Rows = [("column", "table", "unit", "meaning")]
    for group, members in groups.items():
        rows += [(column.name, group, column.unit, column.meaning) for column in members]
    suffixed = "predicted_*, ks*, wasserstein* with _mixture, _time or _reset"
    rows.append(
        (suffixed, "", "", "the same for a normal per channel; for decay over the actual t; with the reset")
    )
    return rows


def _summary(thing: object) -> str:
    return (thing.__doc__ or "").splitlines()[0]


LISTINGS: dict[str, Callable[[], Rows]] = {
    "models": _models,
    "neurons": _neurons,
    "strategies": _strategies,
    "surrogates": _surrogates,
    "backends": _backends,
    "data": _data,
    "recipes": _recipes,
    "columns": _columns,
}
