"""The exact counts of a layer's potentials, small enough to travel in a page (no torch).

The page's script adds up cells of the histogram, so that the share inside an interval whose ends lie on
histogram edges is exact whatever its width; `analysis.whatif` does the same and says why.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mpdviz.accumulations.histogram import PER_UNIT, REACH
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis.metrics import predicted_laws
from mpdviz.analysis.predict import Prediction
from mpdviz.analysis.whatif import THRESHOLD_CELL, WIDEST

HISTOGRAM = {"per_unit": PER_UNIT, "reach": REACH, "threshold_cell": THRESHOLD_CELL, "widest": WIDEST}
"""How cells are laid out: see `accumulations.histogram`."""

OF_STEP = (
    *("v_th", "kappa", "lower", "upper", "available_ratio", "below_ratio", "above_ratio", "mean_gain"),
    "firing_rate",
)
"""Columns of the main table that the page says of a layer and timestep."""

POINTS = 97
"""Of a predicted density; over eight standard deviations a twelfth of one apart."""


def layer_counts(number: int, layer: LayerAccumulation, rows: pd.DataFrame) -> dict[str, Any]:
    """What the page knows of a layer, as plain numbers for JSON; null is not measured.

    Args:
        number: the layer's number.
        layer: its recording.
        rows: its rows of the main table.
    """
    info = layer.info
    curves = {name: _curves(law) for name, law in predicted_laws(layer).items()}
    steps = [
        _step(cells, row) | {"predicted": {name: curve[t] for name, curve in curves.items()}}
        for t, (cells, row) in enumerate(
            zip(layer.statistics.cells, rows[["timestep", *OF_STEP]].to_dict("records"), strict=True)
        )
    ]
    return {
        "number": number,
        "name": info.name,
        "unit": info.unit,
        "surrogate": info.surrogate,
        "steps": steps,
    }


def _curves(law: Prediction) -> list[dict[str, Any]]:
    """The density of each timestep between `low` and `high`, as its averages over bins of equal width."""
    curves = []
    for t, (mean, std) in enumerate(zip(law.mean, law.std, strict=True)):
        half = 4 * std if std > 0 else 1.0
        edges = np.linspace(mean - half, mean + half, POINTS + 1)
        own = Prediction(law.name, law.means[t : t + 1], law.stds[t : t + 1])
        density = np.diff(own.cdf(edges)[0]) / np.diff(edges)
        ends = {"low": float(edges[0]), "high": float(edges[-1])}
        curves.append(ends | {"density": [float(f"{value:.3g}") for value in density]})
    return curves


def _step(cells: np.ndarray[Any, Any], row: Mapping[Any, Any]) -> dict[str, Any]:
    filled = np.flatnonzero(cells)
    first, last = (int(filled[0]), int(filled[-1]) + 1) if len(filled) else (0, 0)
    known = {
        str(name): None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()
    }
    return {**known, "first": first, "cells": cells[first:last].tolist()}
