"""Where things are printed: results on stdout, everything else on stderr; formats of the main table."""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mpdviz.errors import BadInput

from .app import app

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
    "predicted_ratio",
    "grad_norm",
)
"""Columns of the main table shown on a terminal, with any what-if columns behind them."""

DROPPED_FIRST = (
    "lower",
    "upper",
    "mean",
    "predicted_ratio",
    "std",
    "above_ratio",
    "below_ratio",
    "mean_gain",
)
"""What a narrow terminal does without, in this order."""

MANY_ROWS = 40
"""Rows beyond which a terminal gets one row a layer instead of one a timestep."""

UNLIMITED = 500
"""Characters a line when the output is no terminal, so that nothing is cut."""

BARS, ASCII_BARS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
"""Heights from nothing to the full line, for a stdout that can print them, and for one that cannot."""


def console(*, stderr: bool = False) -> Console:
    """The console for results (stdout) or for everything else (stderr)."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=stderr, emoji=False)
    return made if made.is_terminal or stderr else Console(highlight=False, emoji=False, width=UNLIMITED)


def heights() -> str:
    """Characters of growing height that stdout can print."""
    try:
        BARS.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII_BARS
    return BARS


def say(text: str) -> None:
    """One line on stderr, rich markup allowed."""
    console(stderr=True).print(text)


def tell(head: str, text: str) -> None:
    """A message of the library on stderr, behind `head` (rich markup), its settings spelled as options."""
    say(f"{head} {escape(spelled(text))}".lstrip())


def spelled(text: str) -> str:
    """A message of the library with its settings as options: `batch_size` becomes --batch-size.

    What stands in backticks and is no option loses them.
    """
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    names: dict[str, str] = {
        parameter.name: parameter.opts[0]
        for command in commands.values()
        for parameter in command.params
        if parameter.param_type_name == "option"
    }
    return re.sub(r"`(\w+)`", lambda match: names.get(match[1], match[1]), text)


def print_table(
    frame: "pd.DataFrame", kind: str, *, full: bool = False, left_out: Mapping[str, str] | None = None
) -> None:
    """Print the main table on stdout in one of FORMATS.

    Args:
        frame: the table.
        kind: of FORMATS.
        full: keep every row and column on a terminal.
        left_out: why a layer is not in it, by its name; JSON has a row for each.

    Raises:
        BadInput: a format whose library is not installed, or binary output to a terminal.
    """
    if kind == "table":
        _as_table(frame, full=full)
    elif kind == "json":
        _as_json(frame, left_out or {})
    else:
        FORMATS[kind](frame)


def _as_table(frame: "pd.DataFrame", *, full: bool) -> None:
    screen = console()
    if not full and screen.is_terminal and len(frame) > MANY_ROWS:
        screen.print(_by_layer(frame))
        screen.print(
            "one row a layer, bars from 0 to 100 % over timesteps; --full or --format csv has every row"
        )
        return
    asked_for = ("_kappa", "kappa_for", "_low_", "_high_")
    extra = [name for name in frame.columns if any(mark in name for mark in asked_for)]
    shown = [name for name in (*TERMINAL, *extra) if name in frame.columns]
    if full:
        shown = list(frame.columns)
    if frame["predicted_ratio"].isna().all() and "predicted_ratio" in shown:
        shown.remove("predicted_ratio")
    table = _rows(frame, shown)
    for name in () if full else DROPPED_FIRST:
        if screen.measure(table).maximum <= screen.width:
            break
        shown = [kept for kept in shown if kept != name]
        table = _rows(frame, shown)
    screen.print(table)


def _rows(frame: "pd.DataFrame", shown: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for name in shown:
        table.add_column(_heading(name), justify="left" if name == "name" else "right", no_wrap=True)
    before = 0
    for row in frame[list(shown)].to_dict("records"):
        if before not in (0, row["layer"]):
            table.add_section()
        table.add_row(*(_cell(str(name), value) for name, value in row.items()))
        before = row["layer"]
    return table


def _by_layer(frame: "pd.DataFrame") -> Table:
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("layer", "name", "available", "by timestep", "worst", "reach", "gain", "firing"):
        table.add_column(heading, justify="left" if heading in ("name", "by timestep", "worst") else "right")
    lowest, bars = frame["available_ratio"].min(), heights()
    for (number, name), rows in frame.groupby(["layer", "name"]):
        ratios = rows["available_ratio"]
        worst = "-"
        if ratios.notna().any():
            at = rows["timestep"].to_numpy()[ratios.fillna(2).argmin()]
            worst = f"{ratios.min():.1%} at t={at}"
        table.add_row(
            str(number),
            str(name),
            _cell("_ratio", ratios.mean()),
            "".join(
                bars[min(int(ratio * (len(bars) - 1)), len(bars) - 2) + 1] if ratio == ratio else " "
                for ratio in ratios
            ),
            f"[bold red]{worst}[/] <- lowest" if ratios.min() == lowest else worst,
            _cell("_ratio", rows["reach_ratio"].mean()),
            _cell("mean_gain", rows["mean_gain"].mean()),
            _cell("_rate", rows["firing_rate"].mean()),
        )
    return table


def _heading(name: str) -> str:
    short = {"timestep": "t", "available_ratio": "available", "mean_gain": "gain", "firing_rate": "firing"}
    return short.get(name, name.replace("_ratio", "", 1))


def _cell(name: str, value: object) -> str:
    if not isinstance(value, float):  # pandas' missing count has no type to ask for without pandas
        return "-" if str(value) == "<NA>" else str(value)
    if value != value:
        return "-"
    if name.endswith("_norm"):
        return f"{value:.2e}"
    return f"{value:.1%}" if "_ratio" in name or name.endswith("_rate") else f"{value:.3f}"


def _as_json(frame: "pd.DataFrame", left_out: Mapping[str, str]) -> None:
    # NaN is no JSON; null is.
    rows: list[dict[Any, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    nothing = dict.fromkeys(frame.columns)
    rows += [nothing | {"name": name, "left_out": why} for name, why in left_out.items()]
    print(json.dumps(rows, indent=1))


def _as_csv(frame: "pd.DataFrame") -> None:
    print(frame.to_csv(index=False), end="")


def _as_markdown(frame: "pd.DataFrame") -> None:
    print(frame.to_markdown(index=False, floatfmt=".6g"))


def _as_latex(frame: "pd.DataFrame") -> None:
    shown = frame[[name for name in TERMINAL if name in frame.columns]]
    headings = {name: _heading(name).replace("_", " ") for name in shown.columns}
    print(shown.rename(columns=headings).to_latex(index=False, float_format="%.4g", escape=True), end="")


def _as_parquet(frame: "pd.DataFrame") -> None:
    if sys.stdout.isatty():
        raise BadInput(
            "parquet is binary and stdout is a terminal", "redirect it: ... --format parquet > table.parquet"
        )
    try:
        frame.to_parquet(sys.stdout.buffer, index=False)
    except ImportError:
        raise BadInput("parquet needs pyarrow", "pip install 'mpdviz[parquet]'") from None


FORMATS: dict[str, Callable[["pd.DataFrame"], None]] = {
    "table": lambda frame: _as_table(frame, full=False),
    "json": lambda frame: _as_json(frame, {}),
    "csv": _as_csv,
    "parquet": _as_parquet,
    "latex": _as_latex,
    "markdown": _as_markdown,
}
