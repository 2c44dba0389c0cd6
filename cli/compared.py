"""What `mpdviz compare` prints on a terminal."""

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from .output import console

if TYPE_CHECKING:
    import pandas as pd

    from mpdviz.compare.results import Collected

MOST_TIMESTEPS = 8
"""Timesteps beyond which a terminal gets their mean alone."""
POINTS = "points"
"""Form of a difference of shares."""


def print_sides(sides: "pd.DataFrame") -> None:
    """The networks of each layer under one another, differences from the first beside the values."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("layer", justify="right")
    for text in ("name", "checkpoint"):
        table.add_column(text, no_wrap=True)
    for heading in ("available", "gain", "firing", "gradient"):
        table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("diff", justify="right", no_wrap=True)
    table.add_column("best prediction", no_wrap=True)
    first = sides["checkpoint"].iloc[0]
    for row in sides.to_dict("records"):
        leads = row["checkpoint"] == first
        if leads and row["layer"] != sides["layer"].iloc[0]:
            table.add_section()
        cells = [str(row["layer"]) if leads else "", escape(str(row["name"])), escape(str(row["checkpoint"]))]
        for column, form, signed in (
            ("available_ratio", ".1%", POINTS),
            ("mean_gain", ".3f", "+.3f"),
            ("firing_rate", ".1%", POINTS),
            ("grad_norm", ".2e", "+.1e"),
        ):
            cells.append(_number(row[column], form))
            cells.append("" if leads else _number(row[f"{column}_difference"], signed))
        table.add_row(*cells, str(row["best_prediction"]) or "-")
    console().print(table)


def print_cross(cross: "pd.DataFrame") -> None:
    """Each network's potentials under each one's widths, ratio by timestep and mean gain."""
    timesteps = sorted(cross["timestep"].unique())
    columns = timesteps if len(timesteps) <= MOST_TIMESTEPS else []
    table = Table(
        box=None,
        padding=(0, 1),
        header_style="bold",
        title="potentials under other widths: available ratio, mean gain",
        title_justify="left",
    )
    table.add_column("layer", justify="right")
    for text in ("potentials of", "widths of"):
        table.add_column(text, no_wrap=True)
    for heading in (*(f"t={t}" for t in columns), "available", "gain"):
        table.add_column(heading, justify="right", no_wrap=True)
    before: object = 0
    for (layer, potentials, widths), rows in cross.groupby(["layer", "potentials", "widths"], sort=False):
        if before not in (0, layer):
            table.add_section()
        ratios = rows["available_ratio"]
        by_timestep = [_number(ratio, ".1%") for ratio in ratios] if columns else []
        means = (
            _number(ratios.mean(skipna=False), ".1%"),
            _number(rows["mean_gain"].mean(skipna=False), ".3f"),
        )
        table.add_row(
            str(layer) if before != layer else "",
            escape(str(potentials)),
            escape(str(widths)),
            *by_timestep,
            *means,
        )
        before = layer
    console().print(table)


def print_accuracy(collected: "Collected") -> None:
    """Accuracy of every strategy, and what can be said about the differences."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("strategy", "n", "test accuracy", "std"):
        table.add_column(heading, justify="left" if heading == "strategy" else "right")
    for row in collected.accuracy.to_dict("records"):
        std = _number(100 * row["std"], ".2f")
        table.add_row(escape(str(row["strategy"])), str(row["n"]), _number(row["mean"], ".2%"), f"± {std}")
    console().print(table)
    for told in collected.differences["sentence"]:
        console().print(escape(told))
    if len(collected.differences) > 1:
        console().print("(intervals of each comparison by itself, not widened for their number)")


def _number(value: float, form: str) -> str:
    if value != value:
        return "-"
    # A difference of shares in % would read as a change relative to the first.
    return f"{100 * value:+.1f} pt" if form == POINTS else format(value, form)
