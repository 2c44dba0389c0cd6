"""The charts of a report, as Vega-Lite by Altair: tables in, charts out (no torch)."""

from mpdviz.report.charts.layers import available_map, by_depth, distribution, sides
from mpdviz.report.charts.runs import by_strategy, curves, forest, over_training, widths

__all__ = [
    "available_map",
    "by_depth",
    "by_strategy",
    "curves",
    "distribution",
    "forest",
    "over_training",
    "sides",
    "widths",
]
