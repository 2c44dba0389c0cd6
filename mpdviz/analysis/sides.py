"""Recordings of several networks over the same data: side by side, under each other's widths (no torch)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mpdviz.accumulations.gradients import GradientFlow
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis import metrics, summary, whatif
from mpdviz.analysis.columns import of_prediction
from mpdviz.analysis.predict import PREDICTIONS
from mpdviz.errors import BadInput

Layers = Mapping[int, LayerAccumulation]

VALUES = ("available_ratio", "mean_gain", "firing_rate", "grad_norm")
"""What is compared, with a difference from the first."""


def check_alike(facts: Mapping[str, Mapping[str, object]], kind: str = "networks") -> None:
    """Refuse networks, or runs, that cannot be laid beside each other.

    Args:
        facts: what must be the same, e.g. `{"fixed": {"layers": 5, "T": 4}, ...}`.
        kind: what errors call them.

    Raises:
        BadInput: something is not; the first difference is named.
    """
    (first, wanted), *others = facts.items()
    for label, found in others:
        for what, value in wanted.items():
            if found[what] != value:
                raise BadInput(
                    f"{kind} that differ in {what}: {first} has {value}, {label} has {found[what]}",
                    f"compare {kind} of the same layers and T, over the same data",
                )


def sides(recordings: Mapping[str, Layers]) -> pd.DataFrame:
    """One row a layer and network, the networks of a layer one after the other.

    Args:
        recordings: layers by number, for each network by its label; the first is the one to compare with.

    Returns:
        Columns `layer, checkpoint, name`, then `available_ratio, mean_gain, firing_rate` over all timesteps
        together, `grad_norm` (of the gradient at the potentials of all timesteps; NaN where not recorded),
        each followed by its difference from the first network (`..._difference`), and `best_prediction`
        (smallest Wasserstein distance, mean over timesteps; empty where nothing is predicted).

    Raises:
        BadInput: the networks differ in their number of layers or in T.
    """
    _check_recordings(recordings)
    rows = pd.concat([_layers(label, layers) for label, layers in recordings.items()])
    first = rows[rows["checkpoint"] == next(iter(recordings))].set_index("layer")
    wanted = ["layer", "checkpoint", "name"]
    for value in VALUES:
        rows[f"{value}_difference"] = rows[value] - rows["layer"].map(first[value])
        wanted += [value, f"{value}_difference"]
    return rows.sort_values("layer", kind="stable", ignore_index=True)[[*wanted, "best_prediction"]]


def cross(recordings: Mapping[str, Layers]) -> pd.DataFrame:
    """Each network's potentials under each network's widths.

    Args:
        recordings: as of `sides`, each made with the widths of all the others as what-ifs.

    Returns:
        One row a layer, timestep, network whose potentials and network whose widths they are:
        `layer, timestep, potentials, widths, kappa, available_ratio, mean_gain`. The ratio is an exact count,
        with the shape that the potentials had, NaN where the width was not counted; under foreign widths the
        gain is that of a rectangle, NaN for other shapes.

    Raises:
        BadInput: as of `sides`.
    """
    _check_recordings(recordings)
    blocks = [
        _under(label, layers, other, others)
        for label, layers in recordings.items()
        for other, others in recordings.items()
    ]
    order = ["layer", "timestep"]
    return pd.concat(blocks).sort_values(order, kind="stable", ignore_index=True)


def _check_recordings(recordings: Mapping[str, Layers]) -> None:
    facts: dict[str, dict[str, object]] = {
        label: {
            "the number of layers": len(layers),
            "T": max((layer.info.timesteps for layer in layers.values()), default=0),
        }
        for label, layers in recordings.items()
    }
    samples = {label: summary.samples(layers) for label, layers in recordings.items()}
    if None not in samples.values():
        for label, seen in samples.items():
            facts[label]["the number of samples"] = seen
    check_alike(facts)


def _layers(label: str, layers: Layers) -> pd.DataFrame:
    table = metrics.table(layers)
    rows = []
    for number, layer in sorted(layers.items()):
        statistics = layer.statistics
        placed, count = layer.placed.sum(), statistics.count.sum()
        inside = statistics.available[layer.placed > 0].sum()
        with_gain = 0 if "mean_gain" in layer.info.not_measured else statistics.with_gain.sum()
        rows.append(
            {
                "layer": number,
                "checkpoint": label,
                "name": layer.info.name,
                "available_ratio": inside / placed if placed else np.nan,
                "mean_gain": statistics.gain.sum() / with_gain if with_gain else np.nan,
                "firing_rate": statistics.spikes.sum() / count if count else np.nan,
                "grad_norm": np.nan if layer.flow is None else _whole_norm(layer.flow),
                "best_prediction": _best_prediction(table[table["layer"] == number]),
            }
        )
    return pd.DataFrame(rows)


def _whole_norm(flow: GradientFlow) -> float:
    """Norm of the gradient at the potentials of all timesteps that a backward pass reached."""
    known = flow.norm[flow.passes > 0]
    return float(np.sqrt((known**2).sum())) if len(known) else np.nan


def _best_prediction(table: pd.DataFrame) -> str:
    columns = {name: table[of_prediction("wasserstein", name)] for name in PREDICTIONS}
    apart = {name: column.mean(skipna=False) for name, column in columns.items() if column.notna().any()}
    return (
        "" if not apart or any(np.isnan(list(apart.values()))) else min(apart, key=lambda name: apart[name])
    )


def _under(label: str, layers: Layers, other: str, others: Layers) -> pd.DataFrame:
    """One network's potentials under its own or another's widths."""
    recorded = metrics.table(layers)
    blocks = []
    for number, layer in sorted(layers.items()):
        kappa = np.array(others[number].info.kappa)
        wanted = pd.DataFrame(
            {
                "layer": number,
                "timestep": np.arange(1, len(kappa) + 1),
                "potentials": label,
                "widths": other,
                "kappa": kappa,
            }
        )
        source = recorded[recorded["layer"] == number] if label == other else whatif.counted(number, layer)
        found = source[["timestep", "kappa", "available_ratio", "mean_gain"]]
        block = wanted.merge(found, on=["timestep", "kappa"], how="left")
        if label != other and layer.info.surrogate != "rectangular":
            block["mean_gain"] = np.nan
        blocks.append(block)
    return pd.concat(blocks)
