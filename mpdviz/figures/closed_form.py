"""Available shares of runs against the closed form, in evaluation and in training."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mpdviz.analysis.claims import Claims
from mpdviz.figures.style import GRID, OBSERVED, PAGE_WIDTH, Appearance, appearances, save, style
from mpdviz.system.files import write_text

MEANING = {"eval": "evaluation", "train": "training (batch statistics)"}


def write(found: Claims, folder: Path, format_: str) -> Iterator[Path]:
    """Write the tables by layer and by step, the figure and its caption, and yield each path once written."""
    texts = {
        "layers.csv": found.layers.to_csv(index=False),
        "steps.csv": found.steps.to_csv(index=False),
        "closed_form.txt": caption(found) + "\n",
    }
    for name, text in texts.items():
        write_text(folder / name, text)
        yield folder / name
    yield save(closed_form(found), folder / f"closed_form.{format_}")


def closed_form(found: Claims) -> Figure:
    """A panel a mode: every layer and timestep of every variant, observed over what is predicted."""
    modes = list(dict.fromkeys(found.layers["mode"]))
    looks = appearances(list(dict.fromkeys(found.strategies.values())))
    with style():
        figure = Figure(figsize=(PAGE_WIDTH, 3.3), layout="constrained")
        axes = figure.subplots(1, len(modes), sharex=True, sharey=True, squeeze=False)[0]
        for axis, mode in zip(axes, modes, strict=True):
            axis.plot([0, 100], [0, 100], color=OBSERVED, lw=0.7, zorder=1)
            for variant, strategy in found.strategies.items():
                rows = found.layers[(found.layers["variant"] == variant) & (found.layers["mode"] == mode)]
                _scatter(axis, rows, looks[strategy])
            axis.set_title(MEANING[mode])
            axis.set_xlabel("closed form (%)")
            axis.set_xlim(0, 100)
            axis.set_ylim(0, 100)
            axis.set_aspect("equal")
            axis.grid(**GRID)
        axes[0].set_ylabel("available share, observed (%)")
        handles = [look.line(ls="none") for look in looks.values()]
        plain: dict[str, Any] = {"color": OBSERVED, "marker": "o", "ls": "none", "ms": 4}
        handles += [
            Line2D([], [], label="t = 1", **plain),
            Line2D([], [], label="t > 1", mfc="none", **plain),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6))
    return figure


def _scatter(axis: Axes, rows: pd.DataFrame, look: Appearance) -> None:
    """Filled at the first timestep, hollow later."""
    for first, part in rows.groupby(rows["timestep"] == 1):
        axis.plot(
            100 * part["closed_form"],
            100 * part["available"],
            color=look.colour,
            marker=look.marker,
            mfc=None if first else "none",
            ls="none",
            ms=4,
            mew=0.8,
            zorder=2,
        )


def caption(found: Claims) -> str:
    """What the figure shows."""
    n = sorted(found.layers["n"].unique())
    seeds = f"n = {n[0]}" if len(n) == 1 else f"n = {n[0]} to {n[-1]}"
    return (
        "Share of membrane potentials inside the gradient-available interval, a marker a layer, timestep and "
        "setting, means over seeds "
        f"({seeds}): observed against the closed form of Theorems 1 and 2 of MPD-AGL for the trained batch "
        "norm and decay; on the line they agree. "
        + " ".join([*(f"{told[0].upper()}{told[1:]}." for told in found.sentences), found.described])
    )
