"""A terminal sketch of one layer's potentials: a line of bars a timestep, the interval marked below."""

from typing import TYPE_CHECKING

import numpy as np

from . import output

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 64


def sketch(table: "pd.DataFrame", histogram: "pd.DataFrame") -> str:
    """Lines for the terminal, in rich markup.

    Args:
        table: the layer's rows of the main table.
        histogram: the layer's `metrics.histogram`.
    """
    low, high = _range(table)
    lines = [f"potentials from {low:.2f} to {high:.2f}; \\[ ] gradient-available interval, | threshold"]
    for _, row in table.iterrows():
        bars = _bars(histogram[histogram["timestep"] == row["timestep"]], low, high)
        marks = _marks(row, low, high)
        first, last = marks.find("["), marks.rfind("]")
        if first >= 0:
            bars = f"{bars[: first + 1]}[yellow]{bars[first + 1 : last]}[/yellow]{bars[last:]}"
        ratio = row["available_ratio"]
        said = f"{ratio:.1%}" if ratio == ratio else "not measured"
        lines.append(f"t={row['timestep']:<3} {bars}  {said}")
        lines.append("      " + marks.replace("[", r"\["))
    return "\n".join(lines)


def _range(table: "pd.DataFrame") -> tuple[float, float]:
    spread = 3.5 * table["std"].max()
    lows = [table["lower"].min(), (table["mean"] - spread).max(), table["mean"].min() - spread]
    highs = [table["upper"].max(), table["mean"].max() + spread]
    if np.isnan(lows).all() or np.isnan(highs).all():  # neither potentials nor interval are known
        lows, highs = [table["v_th"].min() - 1], [table["v_th"].max() + 1]
    return float(np.nanmin(lows)), float(np.nanmax(highs))


def _bars(histogram: "pd.DataFrame", low: float, high: float) -> str:
    centres = (histogram["left"] + histogram["right"]) / 2
    heights, _ = np.histogram(centres, bins=WIDTH, range=(low, high), weights=histogram["count"])
    bars = output.heights()
    scaled = np.ceil(heights / max(heights.max(), 1) * (len(bars) - 1)).astype(int)
    return "".join(bars[height] for height in scaled)


def _marks(row: "pd.Series", low: float, high: float) -> str:
    def place(value: float) -> int:
        return int(np.clip((value - low) / (high - low) * WIDTH, 0, WIDTH - 1))

    marks = [" "] * WIDTH
    if np.isnan([row["lower"], row["upper"]]).any():
        marks[place(row["v_th"])] = "|"
        return "".join(marks)
    first, last = place(row["lower"]), place(row["upper"])
    marks[first : last + 1] = "-" * (last - first + 1)
    marks[place(row["v_th"])] = "|"
    marks[first], marks[last] = "[", "]"
    return "".join(marks)
