"""Why the spread that the paper predicts is off: what each thing that it leaves out adds (no torch)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mpdviz.accumulations.histogram import Floats
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis import columns
from mpdviz.analysis.frames import frame, share
from mpdviz.analysis.metrics import predicted_laws
from mpdviz.analysis.predict import summed

PARTS = ("past", "variance", "correlation", "reset", "rest")
"""Columns that add up to observed less paper, in the order in which they are added."""


def spread_error(layers: Mapping[int, LayerAccumulation]) -> pd.DataFrame:
    """From the paper's standard deviation of the potential to the observed one, step by step.

    Each part is how much the standard deviation grows by one more thing being taken into account:

        past         all earlier inputs, not one: `time` less `paper`
        variance     each channel's and timestep's own mean and variance of the recorded currents, taken to be
                     independent and without reset, less `time`
        correlation  their correlation over time, still without reset: exact but for the reset
        reset        the reset after a spike: `correlated` less that
        rest         observed less `correlated`: what currents that are not normal make

    so that paper + past + variance + correlation + reset + rest = observed.

    Args:
        layers: a recording's.

    Returns:
        One row a layer and timestep, `columns.SPREAD`; a part is NaN where one of its two laws is not known.
        Source: ours.
    """
    return frame([_block(number, layer) for number, layer in sorted(layers.items())], columns.SPREAD)


def _block(number: int, layer: LayerAccumulation) -> dict[str, Any]:
    info, statistics = layer.info, layer.statistics
    laws = predicted_laws(layer)
    unknown = np.full(info.timesteps, np.nan)
    paper, time, correlated = (
        laws[name].std if name in laws else unknown for name in ("paper", "time", "correlated")
    )
    independent = dependent = unknown
    if "correlated" in laws and layer.currents is not None:
        means, covariances = layer.currents.means, layer.currents.covariances
        independent = summed(info.decay, means, covariances * np.eye(info.timesteps)).std
        dependent = summed(info.decay, means, covariances).std
    observed = np.sqrt(share(statistics.m2, statistics.finite))
    steps: list[Floats] = [paper, time, independent, dependent, correlated, observed]
    parts = dict(zip(PARTS, np.diff(steps, axis=0), strict=True))
    return {
        "layer": number,
        "name": info.name,
        "timestep": np.arange(1, info.timesteps + 1),
        "observed": observed,
        "paper": paper,
        "correlated": correlated,
        **parts,
    }
