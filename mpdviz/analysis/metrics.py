"""Accumulations as tidy tables (no torch); `columns` says what each column means."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mpdviz.accumulations.histogram import bins, cell_edges
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis import columns, distances
from mpdviz.analysis.columns import Column, of_prediction
from mpdviz.analysis.frames import counts, frame, measured, share
from mpdviz.analysis.predict import FROM_NORM, PREDICTIONS, Prediction, correlated, predict

Layers = Mapping[int, LayerAccumulation]
PAPER, *OTHERS = PREDICTIONS


def main_columns(layers: Layers) -> pd.DataFrame:
    """The columns of `columns.MAIN` alone, which take a quarter of the time of the whole table."""
    return frame(_blocks(layers, (PAPER,)), columns.MAIN)


def observed(layers: Layers) -> pd.DataFrame:
    """The columns of `columns.MAIN` and, where gradients were recorded, of `columns.FLOW`; none predicted."""
    flows = any(layer.flow is not None for layer in layers.values())
    return frame(_blocks(layers, ()), [*columns.MAIN, *(columns.FLOW if flows else ())])


def table(layers: Layers, predictions: Sequence[str] = PREDICTIONS, *, compared: bool = True) -> pd.DataFrame:
    """The main table: one row a neuron layer and timestep, both from 1.

    Its columns are `columns.MAIN`, then those of the other predictions, of what-if widths and of gradients.

    Args:
        layers: a recording.
        predictions: whose columns the table has; without any it is made in a fraction of the time.
        compared: whether it has their distances from the potentials, which take most of the rest.
    """
    each = (*_PREDICTED, *(_COMPARED if compared else ()))
    bounds = columns.BOUNDS if compared else ()
    absent = {*_PREDICTED, *_COMPARED}.difference(each if PAPER in predictions else ())
    wanted = [column for column in columns.MAIN if column.name not in absent]
    for name in predictions:
        own = () if name == PAPER else (column for column in columns.MAIN if column.name in each)
        wanted += [replace(column, name=of_prediction(column.name, name)) for column in (*own, *bounds)]
    if compared and predictions:
        wanted.append(columns.BEST)
    for width in {width: None for layer in layers.values() for width in layer.info.what_if}:
        ratio, gain = what_if_names(width)
        wanted.append(Column(ratio, "float64", "share", f"available ratio for kappa = {width:g}"))
        wanted.append(
            Column(gain, "float64", "1/potential", f"mean gain of a rectangle of kappa = {width:g}")
        )
    if any(layer.flow is not None for layer in layers.values()):
        wanted += columns.FLOW
    return frame(_blocks(layers, predictions, compared=compared), wanted)


ALIKE = 1e-6
"""Relative difference of two distances that rounding alone can make."""
_PREDICTED = ("predicted_mean", "predicted_std", "predicted_ratio")
_COMPARED = ("ks", "wasserstein")


def what_if_names(width: float) -> tuple[str, str]:
    """Columns of the main table for a what-if width: available ratio, mean gain."""
    return f"available_ratio_kappa{width:g}", f"mean_gain_kappa{width:g}"


def _blocks(layers: Layers, predictions: Sequence[str], *, compared: bool = True) -> list[dict[str, Any]]:
    """The values of the main table's columns, layer by layer."""
    return [
        measured(_observed(number, layer) | _predicted(layer, predictions, compared=compared), layer.info)
        for number, layer in sorted(layers.items())
    ]


def _observed(number: int, layer: LayerAccumulation) -> dict[str, Any]:
    info, statistics = layer.info, layer.statistics
    finite = statistics.finite
    placed = layer.placed  # without an interval nothing was counted as inside, which is no zero
    values = {
        "layer": number,
        "name": info.name,
        "timestep": np.arange(1, info.timesteps + 1),
        "count": statistics.count,
        "mean": np.where(finite > 0, statistics.mean, np.nan),
        "std": np.sqrt(share(statistics.m2, finite)),
        "min": np.where(finite > 0, statistics.min, np.nan),
        "max": np.where(finite > 0, statistics.max, np.nan),
        "v_th": info.thresholds_in_force,
        "fires": {True: ">", False: ">=", None: ""}[info.strict],
        "decay": info.decay,
        "gamma_mean": info.gamma_mean,
        "kappa": info.kappa,
        "lower": info.lower,
        "upper": info.upper,
        "available_ratio": share(statistics.available, placed),
        "below_ratio": share(statistics.below, placed),
        "above_ratio": share(statistics.above, placed),
        "mean_gain": share(statistics.gain, statistics.with_gain),
        "reach_ratio": share(statistics.reach, placed) if info.reach_known else np.nan,
        "firing_rate": share(statistics.spikes, statistics.count),
        "synops": statistics.spikes * info.fan_out,
        "nonfinite": statistics.nonfinite,
    }
    for width, inside in zip(info.what_if, statistics.what_if.T, strict=True):
        ratio, gain = what_if_names(width)
        shares = share(inside, finite)
        values |= {ratio: shares, gain: shares / width}
    if layer.flow is not None:
        values |= {
            "grad_norm": layer.flow.norm,
            "spike_grad_norm": layer.flow.spike_norm,
            "grad_zero": counts(layer.flow.zeros, layer.flow.count > 0),
            "grad_zero_ratio": share(layer.flow.zeros, layer.flow.comparable),
            "grad_nonzero_ratio": share(layer.flow.nonzeros, layer.flow.counted),
            "grad_cosine": layer.flow.cosine,
            "grad_nonfinite": counts(layer.flow.nonfinite, layer.flow.counted > 0),
            "weight_grad_norm": layer.flow.weight_norm,
        }
    return values


def predicted_laws(
    layer: LayerAccumulation, predictions: Sequence[str] = PREDICTIONS
) -> dict[str, Prediction]:
    """What is predicted of a layer's potentials, by prediction; without those that have nothing to go by."""
    info, currents = layer.info, layer.currents
    if not (0 <= info.decay <= 1 and info.v_th > 0):
        return {}
    laws = {}
    from_norm = bool(info.gamma) and "predicted_ratio" not in info.not_measured
    for name in predictions:
        if name in FROM_NORM and from_norm:
            laws[name] = predict(
                name,
                timesteps=info.timesteps,
                decay=info.decay,
                v_th=info.v_th,
                gamma=np.array(info.gamma),
                beta=np.array(info.beta),
                thresholds=info.thresholds or None,
            )
        elif name not in FROM_NORM and currents is not None and currents.finite:
            in_force = np.array(info.thresholds_in_force)
            laws[name] = correlated(info.decay, in_force, currents.means, currents.covariances)
    return laws


def _predicted(layer: LayerAccumulation, predictions: Sequence[str], *, compared: bool) -> dict[str, Any]:
    info, statistics = layer.info, layer.statistics
    laws = predicted_laws(layer, predictions)
    if not laws:
        return {columns.BEST.name: ""}
    std = np.sqrt(share(statistics.m2, statistics.finite))
    values: dict[str, Any] = {}
    for name, prediction in laws.items():
        found = {
            "predicted_mean": prediction.mean,
            "predicted_std": prediction.std,
            "predicted_ratio": prediction.ratio(np.array(info.lower), np.array(info.upper)),
        }
        if compared:  # as seen from edges that follow the threshold
            apart = distances.between(
                statistics.cells,
                info.unit,
                statistics.min - info.shifts,
                statistics.max - info.shifts,
                std,
                prediction.shifted(-info.shifts),
            )
            found |= vars(apart)
        values |= {of_prediction(column, name): value for column, value in found.items()}
    if not compared:
        return values
    distance = np.array([values[of_prediction("wasserstein", name)] for name in laws])
    known = np.isfinite(distance).all(0)
    # Of predictions that are one law here, and so apart by a rounding, the first.
    least = np.where(known, distance, 0).min(0)
    best = np.array(list(laws))[(np.where(known, distance, 0) <= least * (1 + ALIKE)).argmax(0)]
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
            "repeated_input": layer.repeated_input,
        }
        blocks.append(measured(block | _single_neurons(layer), layer.info))
    return frame(blocks, columns.LAYER)


def _single_neurons(layer: LayerAccumulation) -> dict[str, Any]:
    """How many neurons did what, and in which channel most of them sit; nothing where they are not known."""
    census = layer.census
    if census is None:
        return {}
    block: dict[str, Any] = {"neurons": census.seen.size}
    known = {"silent": census.silent, "saturated": census.saturated, "silent_input": census.undriven}
    if not np.isnan([*layer.info.lower, *layer.info.upper]).any():
        known["gradient_dead"] = census.dead
    for name, neurons in known.items():
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
    numbers = np.column_stack(
        [statistics.cells[:, 0], bins(statistics.cells), statistics.cells[:, -2:].sum(1)]
    )
    widths = np.diff(edges[0])
    total = np.maximum(statistics.finite, 1)[:, None]
    bounded = np.isfinite(widths)
    density = np.where(bounded, numbers / total / np.where(bounded, widths, 1), np.nan)
    return pd.DataFrame(
        {
            "layer": number,
            "name": info.name,
            "timestep": np.repeat(np.arange(1, info.timesteps + 1), len(widths)),
            "left": edges[:, :-1].ravel(),
            "right": edges[:, 1:].ravel(),
            "count": numbers.ravel(),
            "density": density.ravel(),
        }
    )
