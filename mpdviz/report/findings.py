"""From a failed check to what a reader needs: what, why, what helps, and where that is from (no torch)."""

from mpdviz.analysis.checks import CHECKS
from mpdviz.analysis.verdicts import Verdict
from mpdviz.report.blocks import Finding

GRAVITY = (
    *("nonfinite", "nonfinite_gradient", "nonfinite_gain", "silent_input", "starved", "dead_neurons"),
    *("degenerate", "saturated", "too_wide", "silent_neurons", "negative_gamma", "prediction_off"),
)
"""Checks from the gravest on: what spoils all gradients, then what takes them from a layer, then signs."""

PAPER = "Jiang et al., MPD-AGL (IJCAI 2025)"
SOURCES = {
    "starved": f"{PAPER}: only potentials inside the interval pass a gradient",
    "dead_neurons": f"{PAPER}: only potentials inside the interval pass a gradient",
    "degenerate": "Guo et al., RecDis-SNN (CVPR 2022): degeneration of the potentials",
    "saturated": "Guo et al., RecDis-SNN (CVPR 2022): saturation of the potentials",
    "too_wide": f"{PAPER}: an interval far wider than the potentials' spread mismatches the gradient",
    "prediction_off": f"{PAPER}, Theorems 1 and 2",
    "negative_gamma": f"{PAPER}: the predicted spread is v_th gamma, so gamma is taken to be positive",
    "silent_neurons": "counted spikes; a neuron that never fires passes nothing on",
    "silent_input": "counted inputs; no current, no potential to learn from",
}
"""Where the meaning of a check is from; the others are arithmetic: NaN and infinity spread through sums."""


def gravity(verdict: Verdict) -> tuple[int, int]:
    """What findings are sorted by: the worst first, layers in order."""
    order = [*GRAVITY, *CHECKS]
    return order.index(verdict.check), verdict.layer


def finding(verdict: Verdict) -> Finding:
    """What a failed check says."""
    source = SOURCES.get(verdict.check, "arithmetic: NaN and infinity spread through every sum")
    limit = f"limit {verdict.limit:g}"
    return Finding(
        f"layer {verdict.layer} ({verdict.name})",
        verdict.check.replace("_", " "),
        f"{verdict.measured} ({limit})".replace("`", ""),
        verdict.remedy.replace("`", ""),
        source,
    )
