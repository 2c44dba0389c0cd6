"""Accumulations as tidy tables (no torch); `columns` says what each column means."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mpdviz.accumulations.census import Census
from mpdviz.accumulations.histogram import Counts, Floats, bins, cell_edges
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis import columns, distances
from mpdviz.analysis.columns import Column
from mpdviz.analysis.predict import PREDICTIONS, predict

Layers = Mapping[int, LayerAccumulation]
PAPER, *OTHERS = PREDICTIONS


def main_columns(layers: Layers) -> pd.DataFrame:
    """The columns of `columns.MAIN` alone, which take a quarter of the time of the whole table."""
    blocks = [
        _observed(number, layer) | _predicted(layer, (PAPER,)) for number, layer in sorted(layers.items())
    ]
    return _frame(blocks, columns.MAIN)


def table(layers: Layers) -> pd.DataFrame:
    """The main table: one row a neuron layer and timestep, both from 1.

    Its columns are `columns.MAIN`, then those of the other predictions, of what-if widths and of gradients.
    """
    blocks = [
        _observed(number, layer) | _predicted(layer, tuple(PREDICTIONS))
        for number, layer in sorted(layers.items())
    ]
    wanted = list(columns.MAIN) + list(columns.BOUNDS)
    for name in OTHERS:
        five = [column for column in columns.MAIN if column.name in _PREDICTED]
        wanted += [
            replace(column, name=columns.of_prediction(column.name, name))
            for column in (*five, *columns.BOUNDS)
        ]
    wanted.append(columns.BEST)
    for width in {width: None for layer in layers.values() for width in layer.info.what_if}:
        ratio, gain = what_if_names(width)
        wanted.append(Column(ratio, "float64", "share", f"available ratio for kappa = {width:g}"))
        wanted.append(
            Column(gain, "float64", "1/potential", f"mean gain of a rectangle of kappa = {width:g}")
        )
    if any(layer.flow is not None for layer in layers.values()):
        wanted += columns.FLOW
    return _frame(blocks, wanted)


_PREDICTED = ("predicted_mean", "predicted_std", "predicted_ratio", "ks", "wasserstein")


def what_if_names(width: float) -> tuple[str, str]:
    """Columns of the main table for a what-if width: available ratio, mean gain."""
    return f"available_ratio_kappa{width:g}", f"mean_gain_kappa{width:g}"


def _frame(blocks: Sequence[Mapping[str, Any]], wanted: Sequence[Column]) -> pd.DataFrame:
    # Scalars of a block spread over its rows; a layer without gradients has NaN in their columns.
    rows = [max((np.size(value) for value in block.values()), default=0) for block in blocks]
    values = {
        column.name: [
            value
            for block, count in zip(blocks, rows, strict=True)
            for value in np.broadcast_to(np.asarray(block.get(column.name, np.nan), object), count)
        ]
        for column in wanted
    }
    return pd.DataFrame(
        {column.name: pd.Series(values[column.name], dtype=column.dtype) for column in wanted}
    )


def _observed(number: int, layer: LayerAccumulation) -> dict[str, Any]:
    info, statistics = layer.info, layer.statistics
    finite = statistics.finite
    values = {
        "layer": number,
        "name": info.name,
        "timestep": np.arange(1, info.timesteps + 1),
        "count": statistics.count,
        "mean": np.where(finite > 0, statistics.mean, np.nan),
        "std": np.sqrt(_share(statistics.m2, finite)),
        "min": np.where(finite > 0, statistics.min, np.nan),
        "max": np.where(finite > 0, statistics.max, np.nan),
        "v_th": info.thresholds_in_force,
        "fires": {True: ">", False: ">=", None: ""}[info.strict],
        "decay": info.decay,
        "gamma_mean": info.gamma_mean,
        "kappa": info.kappa,
        "lower": info.lower,
        "upper": info.upper,
        "available_ratio": _share(statistics.available, finite),
        "below_ratio": _share(statistics.below, finite),
        "above_ratio": _share(statistics.above, finite),
        "mean_gain": _share(statistics.gain, statistics.with_gain),
        "reach_ratio": _share(statistics.reach, finite) if info.reach_known else np.nan,
        "firing_rate": _share(statistics.spikes, statistics.count),
        "synops": statistics.spikes * info.fan_out,
        "nonfinite": statistics.nonfinite,
    }
    for width, inside in zip(info.what_if, statistics.what_if.T, strict=True):
        ratio, gain = what_if_names(width)
        share = _share(inside, finite)
        values |= {ratio: share, gain: share / width}
    if layer.flow is not None:
        values |= {
            "grad_norm": layer.flow.norm,
            "grad_zero_ratio": _share(layer.flow.zeros, layer.flow.count),
            "grad_cosine": layer.flow.cosine,
            "weight_grad_norm": layer.flow.weight_norm,
        }
    return values


def _predicted(layer: LayerAccumulation, predictions: Sequence[str]) -> dict[str, Any]:
    info, statistics = layer.info, layer.statistics
    if not (info.gamma and 0 <= info.decay <= 1 and info.v_th > 0):
        return {columns.BEST.name: ""}  # nothing to predict from
    gamma, beta = np.array(info.gamma), np.array(info.beta)
    std = np.sqrt(_share(statistics.m2, statistics.finite))
    values: dict[str, Any] = {}
    for name in predictions:
        prediction = predict(
            name,
            timesteps=info.timesteps,
            decay=info.decay,
            v_th=info.v_th,
            gamma=gamma,
            beta=beta,
            thresholds=info.thresholds or None,
        )
        # As seen from edges that follow the threshold.
        apart = distances.between(
            statistics.cells,
            info.unit,
            statistics.min - info.shifts,
            statistics.max - info.shifts,
            std,
            prediction.shifted(-info.shifts),
        )
        found = {
            "predicted_mean": prediction.mean,
            "predicted_std": prediction.std,
            "predicted_ratio": prediction.ratio(np.array(info.lower), np.array(info.upper)),
            **vars(apart),
        }
        values |= {columns.of_prediction(column, name): value for column, value in found.items()}
    distance = np.array([values[columns.of_prediction("wasserstein", name)] for name in predictions])
    known = np.isfinite(distance).all(0)
    best = np.array(predictions)[np.where(known, distance, 0).argmin(0)]
    return values | {columns.BEST.name: np.where(known, best, "")}


def layer_table(layers: Layers) -> pd.DataFrame:
    """The table of layers: what single neurons did over the data, in `columns.LAYER`."""
    blocks = []
    for number, layer in sorted(layers.items()):
        gamma = np.array(layer.info.gamma)
        block: dict[str, Any] = {
            "layer": [number],
            "name": layer.info.name,
            "channels": len(gamma),
            "gamma_mean": layer.info.gamma_mean,
            "gamma_min": gamma.min(initial=np.inf) if len(gamma) else np.nan,
            "gamma_negative": int((gamma < 0).sum()),
            "repeated_input": layer.info.repeated_input,
        }
        blocks.append(block | _single_neurons(layer.census))
    return _frame(blocks, columns.LAYER)


def _single_neurons(census: Census | None) -> dict[str, Any]:
    """How many neurons did what, and in which channel most of them sit; nothing where they are not known."""
    if census is None:
        return {}
    block: dict[str, Any] = {"neurons": census.seen.size}
    for name, neurons in (
        ("silent", census.silent),
        ("saturated", census.saturated),
        ("gradient_dead", census.dead),
        ("silent_input", census.undriven),
    ):
        by_channel = neurons.reshape(len(neurons), -1).sum(1)
        block[name] = int(by_channel.sum())
        block[f"{name}_channel"] = int(by_channel.argmax()) if by_channel.any() else pd.NA
    return block


def histogram(number: int, layer: LayerAccumulation) -> pd.DataFrame:
    """Histogram of one layer's potentials, one row a timestep and half-open bin [left, right).

    The two outer bins are unbounded; `density` is per unit of potential, over the finite potentials, and
    NaN in the outer bins.
    """
    info, statistics = layer.info, layer.statistics
    edges = np.unique(np.concatenate(cell_edges(info.unit))) + info.shifts[:, None]
    counts = np.column_stack(
        [statistics.cells[:, 0], bins(statistics.cells), statistics.cells[:, -2:].sum(1)]
    )
    widths = np.diff(edges[0])
    total = np.maximum(statistics.finite, 1)[:, None]
    bounded = np.isfinite(widths)
    density = np.where(bounded, counts / total / np.where(bounded, widths, 1), np.nan)
    return pd.DataFrame(
        {
            "layer": number,
            "name": info.name,
            "timestep": np.repeat(np.arange(1, info.timesteps + 1), len(widths)),
            "left": edges[:, :-1].ravel(),
            "right": edges[:, 1:].ravel(),
            "count": counts.ravel(),
            "density": density.ravel(),
        }
    )


def _share(part: Counts | Floats, whole: Counts) -> Floats:
    # A share of nothing is not a number, said without numpy's warning.
    shares = np.full(len(part), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
