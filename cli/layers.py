"""What `mpdviz inspect` shows of a recording: a row a layer, or with --full a row a layer and timestep."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mpdviz.analysis.words import percent

from .fitted import Column
from .output import heights

MOST_BARS = 24
"""Timesteps beyond which several share a bar."""
STARVED = "bold red"
ASKED = ("_kappa", "kappa_for", "_low_", "_high_")
"""Parts of names of columns that are there because they were asked for."""

TIMESTEPS: dict[str, tuple[str, int | None]] = {
    "layer": ("layer", None),
    "name": ("name", None),
    "timestep": ("t", None),
    "available_ratio": ("available", None),
    "below_ratio": ("below", 9),
    "above_ratio": ("above", 9),
    "firing_rate": ("firing", 8),
    "grad_norm": ("grad norm", 7),
    "reach_ratio": ("reach", 6),
    "kappa": ("kappa", 5),
    "mean_gain": ("gain", 4),
    "mean": ("mean", 3),
    "std": ("std", 3),
    "predicted_ratio": ("predicted", 2),
    "lower": ("lower", 1),
    "upper": ("upper", 1),
}
"""Columns of the main table with --full: heading, and which drops out first where the width is short."""


def by_layer(rows: pd.DataFrame) -> tuple[list[Column], list[str]]:
    """Columns and styles of the rows of `summary.by_layer`; the starved are marked, not by colour alone."""
    starved = rows["starved"].tolist()
    columns = [
        Column("layer", [str(number) for number in rows["layer"]]),
        Column("name", rows["name"].tolist(), "name"),
        Column("available", [share(value) for value in rows["available_ratio"]], keep=3),
        Column("by timestep", [bars(ratios) for ratios in rows["by_timestep"]], "text", keep=2),
        Column("worst", [share(value) for value in rows["lowest_ratio"]]),
        Column("at", ["-" if pd.isna(t) else f"t={t}" for t in rows["at_timestep"]], "text"),
        Column("why", [_why(*row) for row in zip(rows["why"], starved, strict=True)], "text"),
        Column("firing", [share(value) for value in rows["firing_rate"]], keep=1),
    ]
    return columns, [STARVED if row else "" for row in starved]


def by_timestep(frame: pd.DataFrame, names: Sequence[str] | None = None) -> tuple[list[Column], list[int]]:
    """Columns of the main table, and the rows that begin a layer.

    Args:
        frame: rows of the main table.
        names: of its columns; None takes those of `TIMESTEPS` that hold anything, and those asked for.
    """
    columns = []
    for name in names or [*TIMESTEPS, *asked_for(frame)]:
        if name in frame.columns and not (name == "predicted_ratio" and frame[name].isna().all()):
            heading, keep = TIMESTEPS.get(name, (name, None))
            cells = [cell(name, value) for value in frame[name].astype(object)]
            columns.append(Column(heading, cells, "name" if name == "name" else "number", keep))
    layers = frame["layer"].tolist()
    return columns, [row for row in range(1, len(layers)) if layers[row] != layers[row - 1]]


def asked_for(frame: pd.DataFrame) -> list[str]:
    """Columns that are there because options ask for them."""
    return [name for name in frame.columns if any(mark in name for mark in ASKED)]


def bars(ratios: Sequence[float]) -> str:
    """A bar a timestep from 0 to 100 %; where they are many, the lowest of several neighbours."""
    step = -(-len(ratios) // MOST_BARS)
    groups = [[r for r in ratios[i : i + step] if r == r] for i in range(0, len(ratios), step)]
    marks = heights()
    top = len(marks) - 1
    return "".join(marks[min(int(min(group) * top), top - 1) + 1] if group else "?" for group in groups)


def share(value: Any) -> str:
    """A share in %; a dash where it was not measured."""
    return "-" if pd.isna(value) else percent(float(value))


def cell(name: str, value: Any) -> str:
    """A value of the main table as text."""
    if pd.isna(value):
        return "-"
    if not isinstance(value, float):
        return str(value)
    if name.endswith("_norm"):
        return f"{value:.2e}"
    return percent(value) if "_ratio" in name or name.endswith("_rate") else f"{value:.3f}"


def _why(why: str, starved: bool) -> str:
    return f"! {why}" if starved else why
