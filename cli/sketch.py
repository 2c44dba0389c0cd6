"""A terminal sketch of one layer's potentials: a line of bars a timestep, the interval marked below."""

from typing import TYPE_CHECKING

import numpy as np

from mpdviz.analysis.words import percent

from . import output

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 64
"""Characters from the lowest potential to the highest, where there is room."""
BESIDE = 15
"""Characters beside them: the timestep and the share."""
SHORTEST = 16


def sketch(table: "pd.DataFrame", histogram: "pd.DataFrame", columns: int = WIDTH + BESIDE) -> str:
    """Lines for the terminal, in rich markup.

    Args:
        table: the layer's rows of the main table.
        histogram: the layer's `metrics.histogram`.
        columns: characters that a line may have.
    """
    low, high = _range(table)
    width = max(min(WIDTH, columns - BESIDE), SHORTEST)
    lines = [f"potentials from {low:.2f} to {high:.2f}; \\[ ] gradient-available interval, | threshold"]
    for _, row in table.iterrows():
        bars = _bars(histogram[histogram["timestep"] == row["timestep"]], low, high, width)
        marks = _marks(row, low, high, width)
        first, last = marks.find("["), marks.rfind("]")
        if first >= 0:
            bars = f"{bars[: first + 1]}[yellow]{bars[first + 1 : last]}[/yellow]{bars[last:]}"
        ratio = row["available_ratio"]
        said = percent(ratio) if ratio == ratio else "not measured"
        lines.append(f"t={row['timestep']:<3} {bars}  {said}")
        lines.append("      " + marks.replace("[", r"\[").rstrip())
    return "\n".join(lines)


def _range(table: "pd.DataFrame") -> tuple[float, float]:
    spread = 3.5 * table["std"].max()
    lows = [table["lower"].min(), (table["mean"] - spread).max(), table["mean"].min() - spread]
    highs = [table["upper"].max(), table["mean"].max() + spread]
    if np.isnan(lows).all() or np.isnan(highs).all():  # neither potentials nor interval are known
        lows, highs = [table["v_th"].min() - 1], [table["v_th"].max() + 1]
    return float(np.nanmin(lows)), float(np.nanmax(highs))


def _bars(histogram: "pd.DataFrame", low: float, high: float, width: int) -> str:
    centres = (histogram["left"] + histogram["right"]) / 2
    heights, _ = np.histogram(centres, bins=width, range=(low, high), weights=histogram["count"])
    bars = output.heights()
    scaled = np.ceil(heights / max(heights.max(), 1) * (len(bars) - 1)).astype(int)
    return "".join(bars[height] for height in scaled)


def _marks(row: "pd.Series", low: float, high: float, width: int) -> str:
    def place(value: float) -> int:
        return int(np.clip((value - low) / (high - low) * width, 0, width - 1))

    marks = [" "] * width
    if np.isnan([row["lower"], row["upper"]]).any():
        marks[place(row["v_th"])] = "|"
        return "".join(marks)
    first, last = place(row["lower"]), place(row["upper"])
    marks[first : last + 1] = "-" * (last - first + 1)
    marks[place(row["v_th"])] = "|"
    marks[first], marks[last] = "[", "]"
    return "".join(marks)
