"""Accumulations as tidy tables: one row a neuron layer and timestep (no torch)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mpdviz import columns
from mpdviz.recording.accumulation import LayerAccumulation
from mpdviz.recording.histogram import Counts, Floats, bins, cell_edges


def table(layers: Mapping[int, LayerAccumulation]) -> pd.DataFrame:
    """The main table, see `columns.MAIN`; layers and timesteps count from 1."""
    blocks = [_rows(number, layer) for number, layer in sorted(layers.items())]
    frame = (
        pd.concat(blocks, ignore_index=True)
        if blocks
        else pd.DataFrame(columns=[c.name for c in columns.MAIN])
    )
    return frame.astype({column.name: column.dtype for column in columns.MAIN})


def _rows(number: int, layer: LayerAccumulation) -> pd.DataFrame:
    info, statistics = layer.info, layer.statistics
    values = {
        "layer": number,
        "name": info.name,
        "timestep": np.arange(1, info.timesteps + 1),
        "count": statistics.count,
        "mean": _share(statistics.mean * statistics.finite, statistics.finite),
        "std": np.sqrt(_share(statistics.m2, statistics.finite)),
        "min": np.where(statistics.finite > 0, statistics.min, np.nan),
        "max": np.where(statistics.finite > 0, statistics.max, np.nan),
        "v_th": info.v_th,
        "decay": info.decay,
        "gamma_mean": info.gamma_mean,
        "kappa": info.kappa,
        "lower": info.lower,
        "upper": info.upper,
        "available_ratio": _share(statistics.available, statistics.finite),
        "below_ratio": _share(statistics.below, statistics.finite),
        "above_ratio": _share(statistics.above, statistics.finite),
        "mean_gain": _share(statistics.gain, statistics.finite),
        "reach_ratio": _share(statistics.reach, statistics.finite),
        "firing_rate": _share(statistics.spikes, statistics.count),
        "synops": statistics.spikes * info.fan_out,
        "nonfinite": statistics.nonfinite,
    }
    return pd.DataFrame({column.name: values[column.name] for column in columns.MAIN})


def _share(part: Counts | Floats, whole: Counts) -> Floats:
    # A share of nothing is not a number, said without numpy's warning.
    shares = np.full(len(part), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def histogram(number: int, layer: LayerAccumulation) -> pd.DataFrame:
    """Histogram of one layer's potentials, one row a timestep and half-open bin [left, right).

    The two outer bins are unbounded; `density` is per unit of potential, over the finite potentials, and
    NaN in the outer bins.
    """
    info, statistics = layer.info, layer.statistics
    edges = np.unique(np.concatenate(cell_edges(info.v_th)))
    counts = np.column_stack(
        [statistics.cells[:, 0], bins(statistics.cells), statistics.cells[:, -2:].sum(1)]
    )
    widths = np.diff(edges)
    total = np.maximum(statistics.finite, 1)[:, None]
    density = np.where(np.isfinite(widths), counts / total / np.where(np.isfinite(widths), widths, 1), np.nan)
    return pd.DataFrame(
        {
            "layer": number,
            "name": info.name,
            "timestep": np.repeat(np.arange(1, info.timesteps + 1), len(widths)),
            "left": np.tile(edges[:-1], info.timesteps),
            "right": np.tile(edges[1:], info.timesteps),
            "count": counts.ravel(),
            "density": density.ravel(),
        }
    )
