"""Where things are printed: results on stdout, everything else on stderr; tables in several formats."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    import pandas as pd

TERMINAL = (
    "layer",
    "name",
    "timestep",
    "mean",
    "std",
    "kappa",
    "lower",
    "upper",
    "available_ratio",
    "below_ratio",
    "above_ratio",
    "mean_gain",
    "reach_ratio",
    "firing_rate",
)
"""Columns of the main table that fit a terminal."""

UNLIMITED = 500
"""Characters a line when the output is no terminal, so that nothing is cut."""


def console(*, stderr: bool = False) -> Console:
    """The console for results (stdout) or for everything else (stderr)."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=stderr)
    return made if made.is_terminal or stderr else Console(highlight=False, width=UNLIMITED)


def say(text: str) -> None:
    """One line on stderr, rich markup allowed."""
    console(stderr=True).print(text)


def print_table(frame: "pd.DataFrame", kind: str) -> None:
    """Print the main table on stdout in one of FORMATS."""
    FORMATS[kind](frame)


def _as_table(frame: "pd.DataFrame") -> None:
    from rich.table import Table

    shown = frame[list(TERMINAL)]
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for name in shown.columns:
        table.add_column(_heading(name), justify="left" if name == "name" else "right", no_wrap=True)
    before = 0
    for row in shown.itertuples(index=False):
        layer = int(str(row.layer))
        if before not in (0, layer):
            table.add_section()
        table.add_row(*(_cell(name, value) for name, value in zip(shown.columns, row, strict=True)))
        before = layer
    console().print(table)


def _heading(name: str) -> str:
    short = {"timestep": "t", "available_ratio": "available", "mean_gain": "gain", "firing_rate": "firing"}
    return short.get(name, name.removesuffix("_ratio"))


def _cell(name: str, value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.1%}" if name.endswith(("_ratio", "_rate")) else f"{value:.3f}"


def _as_json(frame: "pd.DataFrame") -> None:
    missing = frame.isna()  # NaN is no JSON
    rows = frame.astype(object).where(~missing, None).to_dict("records")
    print(json.dumps(rows, indent=1))


def _as_csv(frame: "pd.DataFrame") -> None:
    print(frame.to_csv(index=False), end="")


def _as_markdown(frame: "pd.DataFrame") -> None:
    print(frame.to_markdown(index=False, floatfmt=".6g"))


FORMATS: dict[str, Callable[["pd.DataFrame"], None]] = {
    "table": _as_table,
    "json": _as_json,
    "csv": _as_csv,
    "markdown": _as_markdown,
}
