"""Tables for other programs on stdout: JSON, CSV, Parquet, LaTeX, Markdown."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mpdviz.errors import BadInput

from .fitted import Column

if TYPE_CHECKING:
    import pandas as pd

LATEX = {
    "layer": "layer",
    "name": "name",
    "remedy": "remedy",
    "timestep": "t",
    "mean": "mean",
    "std": "std",
    "kappa": "kappa",
    "lower": "lower",
    "upper": "upper",
    "available_ratio": "available",
    "available_ratio_low": "then, at least",
    "below_ratio": "below",
    "above_ratio": "above",
    "mean_gain": "gain",
    "mean_gain_low": "gain then, at least",
    "reach_ratio": "reach",
    "firing_rate": "firing",
    "predicted_ratio": "predicted",
    "grad_norm": "grad norm",
}
"""Columns of the main table, and of advice, that a page has room for, and their headings."""


def as_json(frame: "pd.DataFrame", left_out: Mapping[str, str] | None = None) -> None:
    """One array of rows; what is left out gets a row for each name, with the reason."""
    # NaN is no JSON; null is.
    rows: list[dict[Any, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    nothing = dict.fromkeys(frame.columns)
    rows += [nothing | {"name": name, "left_out": why} for name, why in (left_out or {}).items()]
    print(json.dumps(rows, indent=1))


def as_csv(frame: "pd.DataFrame") -> None:
    """A header and a line a row."""
    print(frame.to_csv(index=False), end="")


def as_latex(frame: "pd.DataFrame") -> None:
    """A tabular of the columns that a page has room for."""
    shown = frame[[name for name in LATEX if name in frame.columns]]
    print(shown.rename(columns=LATEX).to_latex(index=False, float_format="%.4g", escape=True), end="")


def as_parquet(frame: "pd.DataFrame") -> None:
    """The file itself.

    Raises:
        BadInput: pyarrow is not installed, or stdout is a terminal.
    """
    if sys.stdout.isatty():
        raise BadInput(
            "parquet is binary and stdout is a terminal", "redirect it: ... --format parquet > table.parquet"
        )
    try:
        frame.to_parquet(sys.stdout.buffer, index=False)
    except ImportError:
        raise BadInput("parquet needs pyarrow", "pip install 'mpdviz[parquet]'") from None


def print_markdown(columns: Sequence[Column]) -> None:
    """A table for an issue or a pull request, whatever its width."""
    heads = [column.heading for column in columns]
    rules = ["---:" if column.kind == "number" else ":---" for column in columns]
    for cells in (heads, rules, *zip(*(column.cells for column in columns), strict=True)):
        print("|", " | ".join(cell.replace("|", r"\|") for cell in cells), "|")


EXPORTS: dict[str, Callable[["pd.DataFrame"], None]] = {
    "json": as_json,
    "csv": as_csv,
    "parquet": as_parquet,
    "latex": as_latex,
}
