"""Judging a recording: what is wrong with which layer, in words (no torch).

Every check is one function from a layer's rows to a verdict, with a limit of its own that can be set.
"""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mpdviz.analysis import metrics
from mpdviz.analysis.limits import Limits


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check of one layer."""

    layer: int
    name: str
    check: str
    passed: bool
    value: float
    """What was measured, at the worst timestep; NaN where there was nothing to measure."""
    limit: float
    sentence: str
    """In words, with the number, the timestep and what it means."""


def judge(layers: metrics.Layers, limits: Limits | None = None) -> list[Verdict]:
    """Every check of every layer, in order.

    Args:
        layers: a recording.
        limits: what still passes; None takes the defaults.
    """
    limits = limits or Limits()
    table = metrics.table(layers)
    verdicts = []
    for layer in metrics.layer_table(layers).to_dict("records"):
        rows = table[table["layer"] == layer["layer"]]
        for check, measure in CHECKS.items():
            limit = getattr(limits, check)
            value, passes, sentence = measure(rows, layer, limit)
            # What could not be measured, such as a prediction without a batch norm, passes.
            passed = passes or math.isnan(value)
            verdicts.append(Verdict(layer["layer"], layer["name"], check, passed, value, limit, sentence))
    return verdicts


Row = dict[Hashable, Any]
Outcome = tuple[float, bool, str]


def _starved(rows: pd.DataFrame, layer: Row, limit: float) -> Outcome:
    value, t = _worst(rows, "available_ratio", smallest=True)
    cause = ""
    if layer["silent_input"] == layer["neurons"]:
        cause = "; its input is silent, so the layer before is to blame, not the width"
    return value, value >= limit, f"{value:.1%} of potentials get their spike gradient at t={t}{cause}"


def _degenerate(rows: pd.DataFrame, layer: Row, limit: float) -> Outcome:
    value, t = _worst(rows, "below_ratio")
    return value, value <= limit, f"{value:.1%} of potentials lie below the interval at t={t}"


def _saturated(rows: pd.DataFrame, layer: Row, limit: float) -> Outcome:
    value, t = _worst(rows, "above_ratio")
    return value, value <= limit, f"{value:.1%} of potentials lie above the interval at t={t}"


def _silent_neurons(rows: pd.DataFrame, layer: Row, limit: float) -> Outcome:
    return _share_of_neurons(layer, "silent", limit, "never spike")


def _dead_neurons(rows: pd.DataFrame, layer: Row, limit: float) -> Outcome:
    return _share_of_neurons(layer, "gradient_dead", limit, "never get their spike gradient")


def _silent_input(rows: pd.DataFrame, layer: Row, limit: float) -> Outcome:
    return _share_of_neurons(layer, "silent_input", limit, "have an input of exactly zero throughout")


def _negative_gamma(rows: pd.DataFrame, layer: Row, limit: float) -> Outcome:
    mean = float(layer["gamma_mean"])
    value = layer["gamma_negative"] / layer["channels"] if layer["channels"] else float("nan")
    sentence = (
        f"{layer['gamma_negative']} of {layer['channels']} batch-norm weights are negative, mean {mean:.3g}"
    )
    return value, value <= limit and mean > 0, sentence


def _too_wide(rows: pd.DataFrame, layer: Row, limit: float) -> Outcome:
    wide = rows.assign(spreads=(rows["upper"] - rows["lower"]) / 2 / rows["std"].where(rows["std"] > 0))
    value, t = _worst(wide, "spreads")
    return value, value <= limit, f"half the interval is {value:.2f} standard deviations wide at t={t}"


def _prediction_off(rows: pd.DataFrame, layer: Row, limit: float) -> Outcome:
    off = rows.assign(off=(rows["predicted_ratio"] - rows["available_ratio"]).abs())
    value, t = _worst(off, "off")
    return value, value <= limit, f"the predicted available ratio is off by {value:.3f} at t={t}"


def _nonfinite(rows: pd.DataFrame, layer: Row, limit: float) -> Outcome:
    share = rows.assign(share=rows["nonfinite"] / rows["count"])
    value, t = _worst(share, "share")
    return value, value <= limit, f"{value:.1%} of potentials are NaN or infinite at t={t}"


def _worst(rows: pd.DataFrame, column: str, *, smallest: bool = False) -> tuple[float, int]:
    values, timesteps = rows[column].to_numpy(float), rows["timestep"].to_numpy()
    if np.isnan(values).all():
        return math.nan, int(timesteps[0])
    at = int(np.nanargmin(values) if smallest else np.nanargmax(values))
    return float(values[at]), int(timesteps[at])


def _share_of_neurons(layer: Row, column: str, limit: float, what: str) -> Outcome:
    value = layer[column] / layer["neurons"]
    where = f", most of them in channel {layer[f'{column}_channel']}" if layer[column] else ""
    return value, value <= limit, f"{layer[column]} of {layer['neurons']} neurons {what}{where}"


CHECKS: dict[str, Callable[[pd.DataFrame, Row, float], Outcome]] = {
    "starved": _starved,
    "degenerate": _degenerate,
    "saturated": _saturated,
    "silent_neurons": _silent_neurons,
    "dead_neurons": _dead_neurons,
    "silent_input": _silent_input,
    "negative_gamma": _negative_gamma,
    "too_wide": _too_wide,
    "prediction_off": _prediction_off,
    "nonfinite": _nonfinite,
}
