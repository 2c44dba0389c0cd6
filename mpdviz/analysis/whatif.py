"""What another surrogate would do to the same potentials (no torch).

Widths whose interval ends on histogram edges are counted exactly, under the strict inequality: potentials
lying exactly on an end, such as the v = 0 of a silent input, are outside and counted apart.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from mpdviz.accumulations.histogram import CELLS, PER_UNIT, REACH, Counts, Floats, cell_edges
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis import columns
from mpdviz.errors import BadInput

THRESHOLD_CELL = 2 * (REACH + 1) * PER_UNIT + 1
"""The cell of potentials exactly at the threshold, which is one of the edges."""
WIDEST = (REACH - 1) * PER_UNIT
"""Largest half-width, in bins, that stays within the edges on both sides."""


def curve(number: int, layer: LayerAccumulation) -> pd.DataFrame:
    """Available ratio and mean gain of a rectangular surrogate as functions of its width.

    Widths run in steps of unit / 32 up to 14 units; the columns are `columns.WHAT_IF`.
    """
    info, cells, finite = layer.info, layer.statistics.cells, layer.statistics.finite
    bins = np.arange(1, WIDEST + 1)
    kappa: Floats = bins * np.float64(2 * info.unit / PER_UNIT)
    inside = _inside(cells, bins, _above_floor(layer))
    ends = cells[:, THRESHOLD_CELL - 2 * bins] + cells[:, THRESHOLD_CELL + 2 * bins]
    return _frame(number, layer, kappa, inside / np.maximum(finite, 1)[:, None], ends)


def counted(number: int, layer: LayerAccumulation) -> pd.DataFrame:
    """The same for the what-if widths given when recording, whether or not they end on edges.

    `on_edge` is 0 where the ends are no histogram edges: then it was not counted.
    """
    info, statistics = layer.info, layer.statistics
    kappa = np.array(info.what_if)
    bins = kappa * PER_UNIT / (2 * info.unit)
    known = (bins == np.round(bins)) & (bins <= WIDEST)
    at = np.where(known, bins, 0).astype(int)
    ends = statistics.cells[:, THRESHOLD_CELL - 2 * at] + statistics.cells[:, THRESHOLD_CELL + 2 * at]
    ratio = statistics.what_if / np.maximum(statistics.finite, 1)[:, None]
    return _frame(number, layer, kappa, ratio, np.where(known, ends, 0))


def target(number: int, layer: LayerAccumulation, ratio: float) -> pd.DataFrame:
    """The narrowest width, in steps of unit / 32, whose available ratio is at least `ratio`.

    Returns:
        One row a timestep, with `kappa` NaN where 14 units are not enough.

    Raises:
        BadInput: `ratio` is not in (0, 1).
    """
    if not 0 < ratio < 1:
        raise BadInput(f"target ratio {ratio}", "give a share between 0 and 1, e.g. 0.5")
    widths = curve(number, layer)
    reached = widths[widths["available_ratio"] >= ratio].groupby("timestep", as_index=False).first()
    timesteps = pd.DataFrame({"timestep": np.arange(1, layer.info.timesteps + 1)})
    rows = timesteps.merge(reached, on="timestep", how="left")
    rows["layer"], rows["name"] = number, layer.info.name
    rows["on_edge"] = rows["on_edge"].fillna(0).astype("int64")
    return rows[[column.name for column in columns.WHAT_IF]]


def shape(
    number: int,
    layer: LayerAccumulation,
    half_width: float,
    h: Callable[[Floats, Floats], Floats],
    kappa: Floats | None = None,
) -> pd.DataFrame:
    """Bounds of the available ratio and the mean gain under another surrogate.

    Args:
        number: the layer's number.
        layer: its recording.
        half_width: half the width of the surrogate's available interval at kappa = 1.
        h: the surrogate derivative at x = v - v_th and a width, symmetric and falling with |x|.
        kappa: the width at each timestep `[T]`; None: 1.

    Returns:
        One row a timestep: `available_ratio_low`, `available_ratio_high` from the edges around the
        interval's ends, `mean_gain_low`, `mean_gain_high` from h at the ends of each bin.
    """
    info, cells = layer.info, layer.statistics.cells
    finite = np.maximum(layer.statistics.finite, 1)
    widths = np.ones(info.timesteps) if kappa is None else np.asarray(kappa, np.float64)
    bins = half_width * widths * PER_UNIT / info.unit
    around = np.clip(np.stack([np.floor(bins), np.ceil(bins)], 1), 0, WIDEST).astype(int)
    below = _above_floor(layer)
    inside = _inside(cells, around, below)
    if info.floor is None:
        inside[:, 1] = np.where(bins > WIDEST, finite, inside[:, 1])
    scale = widths[:, None]
    left, right = (
        np.where(np.isfinite(end), h(end - info.unit, scale), 0.0) for end in cell_edges(info.unit)
    )
    # Cells at or below the floor let nothing through.
    through = np.arange(CELLS) > THRESHOLD_CELL - 2 * below[:, None]
    cells = np.where(through, cells, 0)
    return pd.DataFrame(
        {
            "layer": number,
            "name": info.name,
            "timestep": np.arange(1, info.timesteps + 1),
            "available_ratio_low": inside[:, 0] / finite,
            "available_ratio_high": inside[:, 1] / finite,
            "mean_gain_low": (cells * np.minimum(left, right)).sum(1) / finite,
            "mean_gain_high": (cells * np.maximum(left, right)).sum(1) / finite,
        }
    )


def _above_floor(layer: LayerAccumulation) -> Counts:
    """How many bins below the threshold `[T]` the floor lies, at or below which no gradient passes.

    Rounded down, where strategies move the threshold off the edges; more than there are where there is none.
    """
    info = layer.info
    if info.floor is None:
        return np.full(info.timesteps, CELLS)
    away = (np.array(info.thresholds_in_force) - info.floor) * PER_UNIT / info.unit
    return np.clip(np.floor(away), 0, CELLS).astype(np.int64)


def _inside(cells: Counts, bins: Sequence[int] | Counts, below: Counts) -> Counts:
    """Potentials `[T, B]` strictly within so many bins, `[B]` or `[T, B]`, on either side of the threshold.

    Below it no more than `below` `[T]` of them count.
    """
    up_to = np.concatenate([np.zeros((len(cells), 1), np.int64), cells.cumsum(1)], axis=1)
    half = 2 * np.broadcast_to(bins, (len(cells), np.shape(bins)[-1]))
    first = THRESHOLD_CELL - np.minimum(half, 2 * below[:, None]) + 1
    last = np.minimum(THRESHOLD_CELL + half, CELLS)
    inside: Counts = np.take_along_axis(up_to, last, 1) - np.take_along_axis(up_to, first, 1)
    return np.maximum(inside, 0)


def _frame(
    number: int, layer: LayerAccumulation, kappa: Floats, ratio: Floats, on_edge: Counts
) -> pd.DataFrame:
    timesteps = layer.info.timesteps
    values = {
        "layer": number,
        "name": layer.info.name,
        "timestep": np.repeat(np.arange(1, timesteps + 1), len(kappa)),
        "kappa": np.tile(kappa, timesteps),
        "available_ratio": ratio.ravel(),
        "mean_gain": (ratio / kappa).ravel(),
        "on_edge": on_edge.ravel(),
    }
    return pd.DataFrame({column.name: values[column.name] for column in columns.WHAT_IF})
