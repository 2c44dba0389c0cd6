"""The checks of a layer, each with a limit of its own (no torch).

Every check is one function from what is known of a layer to a number, whether it passes, and words. What
could not be measured has the number NaN, and the words say why.
"""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis.frames import share
from mpdviz.analysis.words import percent


@dataclass(frozen=True, eq=False)
class Subject:
    """A layer to be judged."""

    rows: pd.DataFrame
    """Its rows of the main table."""
    layer: dict[Hashable, Any]
    """Its row of the table of layers."""
    recorded: LayerAccumulation

    def why(self, *columns: str, otherwise: str) -> str:
        """Why the first of these columns that was not measured was not."""
        reasons = self.recorded.info.not_measured
        return next((reasons[column] for column in columns if column in reasons), otherwise)


Measured = tuple[float, bool, str]

NOTHING_FINITE = "no finite potentials were recorded"


def _starved(of: Subject, limit: float) -> Measured:
    value, t = _worst(of, "available_ratio", smallest=True)
    if math.isnan(value):
        return _not_measured(of.why("available_ratio", "lower", "kappa", otherwise=NOTHING_FINITE))
    return value, value >= limit, f"{percent(value)} of potentials get their spike gradient at t={t}"


def _degenerate(of: Subject, limit: float) -> Measured:
    return _share_of_potentials(of, "below_ratio", limit, "lie below the interval")


def _saturated(of: Subject, limit: float) -> Measured:
    return _share_of_potentials(of, "above_ratio", limit, "lie above the interval")


def _silent_neurons(of: Subject, limit: float) -> Measured:
    return _share_of_neurons(of, "silent", limit, "never spike")


def _dead_neurons(of: Subject, limit: float) -> Measured:
    return _share_of_neurons(of, "gradient_dead", limit, "never get their spike gradient")


def _silent_input(of: Subject, limit: float) -> Measured:
    return _share_of_neurons(of, "silent_input", limit, "have an input of exactly zero throughout")


def _negative_gamma(of: Subject, limit: float) -> Measured:
    negative, channels, mean = (of.layer[name] for name in ("gamma_negative", "channels", "gamma_mean"))
    if not channels:
        return _not_measured(of.why("gamma_mean", otherwise="there is no batch norm before the neurons"))
    value = negative / channels
    sentence = f"{negative} of {channels} batch-norm weights are negative, mean {mean:.3g}"
    return value, value <= limit and mean > 0, sentence


def _too_wide(of: Subject, limit: float) -> Measured:
    spread = of.rows["std"].where(of.rows["std"] > 0)
    value, t = _worst(of, (of.rows["upper"] - of.rows["lower"]) / 2 / spread)
    if math.isnan(value):
        alike = "the potentials of a timestep are all the same, so there is no spread to compare with"
        alike = alike if (of.rows["std"] == 0).any() else NOTHING_FINITE
        return _not_measured(of.why("lower", "kappa", "available_ratio", otherwise=alike))
    return value, value <= limit, f"half the interval is {value:.2f} standard deviations wide at t={t}"


def _prediction_off(of: Subject, limit: float) -> Measured:
    value, t = _worst(of, (of.rows["predicted_ratio"] - of.rows["available_ratio"]).abs())
    if math.isnan(value):
        info = of.recorded.info
        cause = NOTHING_FINITE
        if not info.gamma:
            cause = "nothing can be predicted without a batch norm before the neurons"
        elif math.isnan(info.decay):
            cause = "nothing can be predicted without the decay"
        elif info.v_th <= 0:
            cause = "nothing can be predicted without a positive threshold"
        return _not_measured(of.why("predicted_ratio", "gamma_mean", "decay", "lower", otherwise=cause))
    sentence = f"the predicted available ratio is off by {value:.3f} at t={t}"
    row = of.rows[of.rows["timestep"] == t].iloc[0]
    better = abs(row["predicted_ratio_correlated"] - row["available_ratio"])
    if not math.isnan(better):
        sentence += f" ({better:.3f} with the recorded correlation of its currents)"
    return value, value <= limit, sentence


def _nonfinite(of: Subject, limit: float) -> Measured:
    value, t = _worst(of, share(of.recorded.statistics.nonfinite, of.recorded.statistics.count))
    if math.isnan(value):
        return _not_measured("no potentials were recorded")
    return value, value <= limit, f"{percent(value)} of potentials are NaN or infinite at t={t}"


def _nonfinite_gain(of: Subject, limit: float) -> Measured:
    statistics, info = of.recorded.statistics, of.recorded.info
    value, t = _worst(of, share(statistics.gain_nonfinite, statistics.finite))
    if "mean_gain" in info.not_measured or math.isnan(value):
        return _not_measured(of.why("mean_gain", otherwise=NOTHING_FINITE))
    sentence = f"the surrogate's derivative is NaN or infinite at t={t} for {percent(value)} of potentials"
    if value and info.nan_below is not None:
        lowest = info.thresholds_in_force[t - 1] + info.nan_below
        sentence = f"the surrogate's derivative is NaN below v = {lowest:.3g}, at t={t} for {percent(value)}"
    return value, value <= limit, sentence


def _nonfinite_gradient(of: Subject, limit: float) -> Measured:
    flow = of.recorded.flow
    if flow is None or not flow.count.any():
        return _not_measured(of.why("grad_norm", "grad_nonfinite", otherwise="no gradients were recorded"))
    if (flow.uncounted & (flow.count > 0)).any():
        t = int(np.argmax(flow.uncounted)) + 1
        # How many was not counted: at least one, and one is enough to spoil a training step.
        value = float(1 / flow.count[t - 1])
        return value, value <= limit, f"gradients at the potentials are NaN or infinite at t={t}, uncounted"
    value, t = _worst(of, share(flow.nonfinite, flow.count))
    return (
        value,
        value <= limit,
        f"{percent(value)} of gradients at the potentials are NaN or infinite at t={t}",
    )


def _not_measured(why: str) -> Measured:
    return math.nan, False, why


def _worst(
    of: Subject, values: "str | pd.Series | np.ndarray[Any, Any]", *, smallest: bool = False
) -> tuple[float, int]:
    """The worst value over time and its timestep; NaN where there is none."""
    found = np.asarray(of.rows[values] if isinstance(values, str) else values, float)
    if np.isnan(found).all():
        return math.nan, 1
    at = int(np.nanargmin(found) if smallest else np.nanargmax(found))
    return float(found[at]), int(of.rows["timestep"].iloc[at])


def _share_of_potentials(of: Subject, column: str, limit: float, what: str) -> Measured:
    value, t = _worst(of, column)
    if math.isnan(value):
        return _not_measured(of.why(column, "available_ratio", "lower", "kappa", otherwise=NOTHING_FINITE))
    return value, value <= limit, f"{percent(value)} of potentials {what} at t={t}"


def _share_of_neurons(of: Subject, column: str, limit: float, what: str) -> Measured:
    counted, neurons = of.layer[column], of.layer["neurons"]
    if pd.isna(counted) or pd.isna(neurons):
        unknown = "single neurons could not be followed"
        return _not_measured(of.why(column, "neurons", "lower", "kappa", otherwise=unknown))
    value = float(counted / neurons)
    # Of all of them no channel stands out.
    where = f", most of them in channel {of.layer[f'{column}_channel']}" if 0 < counted < neurons else ""
    return value, value <= limit, f"{counted} of {neurons} neurons {what}{where}"


CHECKS: dict[str, Callable[[Subject, float], Measured]] = {
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
    "nonfinite_gain": _nonfinite_gain,
    "nonfinite_gradient": _nonfinite_gradient,
}

SILENT = "its input is silent, so the layer before is to blame, not the width"
REMEDIES = {
    "starved": "mpdviz advise says what would help",
    "degenerate": "raise the input current or lower the threshold",
    "saturated": "lower the input current or raise the threshold",
    "silent_neurons": "where that is not wanted sparsity, raise the input current or lower the threshold",
    "dead_neurons": "widen the surrogate, or bring their potentials nearer to the threshold",
    "silent_input": "look at the layer before",
    "negative_gamma": "a width that follows their mean (mpd-agl) underrates the spread, which follows their "
    "squares: mpd-agl-reset takes each channel by itself",
    "too_wide": "a narrower surrogate would pass gradients where spikes are decided",
    "prediction_off": "take the width from another prediction (mpd-agl-correlated, mpd-agl-reset) or the "
    "potentials (observed)",
    "nonfinite": "look for an overflow upstream, or a learning rate that is too high",
    "nonfinite_gain": "take a surrogate that is finite there, or keep the potentials out of it",
    "nonfinite_gradient": "look at the checks nonfinite_gain and nonfinite, here and in the layers behind it",
}
"""What may help where a check fails, as far as the check alone can say."""


def remedy_of(check: str, of: Subject) -> str:
    """What may help where this check of a layer failed."""
    silent = of.layer["silent_input"]
    if check == "starved" and pd.notna(silent) and silent == of.layer["neurons"]:
        return SILENT
    return REMEDIES[check]
