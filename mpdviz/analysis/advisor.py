"""Which remedies a recording asks for, and in which order (no torch)."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis import remedies
from mpdviz.analysis.advice import Advice, mean_gain
from mpdviz.analysis.cases import Case, Remedy, Shape
from mpdviz.analysis.frames import share
from mpdviz.analysis.limits import Limits
from mpdviz.analysis.verdicts import FAILED, Verdict, judge
from mpdviz.analysis.words import percent
from mpdviz.errors import BadInput

TARGET = 0.5
"""Available ratio to reach, unless told: the paper's width has .48 at its start, `observed` holds .5."""
WIDER = {"starved", "dead_neurons", "degenerate", "saturated"}
"""Checks whose failure asks for a wider interval, or for potentials nearer to the threshold."""
BY_STRATEGY = {"negative_gamma", "prediction_off"}
"""Checks whose failure speaks against the rule that sets the width, not against the width."""
IN_WORDS = BY_STRATEGY | {"silent_neurons", "nonfinite", "nonfinite_gain", "nonfinite_gradient"}
"""Checks whose remedies have no number."""
VAGUE = 0.05
"""How far apart bounds of a share may lie that is said to reach a target."""
MATHS = "Jiang et al., IJCAI 2025: v(t) = decay v(t-1) (1 - s(t-1)) + input"


def advise(
    layers: Mapping[int, LayerAccumulation],
    *,
    shapes: Mapping[str, Shape],
    widths: Mapping[str, Mapping[int, Sequence[float]]],
    target: float = TARGET,
    limits: Limits | None = None,
    tdbn: bool = False,
    follows: Collection[str] = (),
) -> Advice:
    """Remedies for every layer that fails a check.

    Args:
        layers: a recording.
        shapes: surrogates to try, by name.
        widths: widths `[T]` that other strategies would set, by strategy and layer number.
        target: available ratio to reach.
        limits: what still passes; None takes the defaults.
        tdbn: whether the batch norms are in units of the threshold, as those of our networks are.
        follows: which of `v_th` and `gamma` the widths in force are in proportion to.

    Raises:
        BadInput: `target` is not in (0, 1).
    """
    check_target(target)
    failed: dict[int, list[Verdict]] = {}
    for verdict in judge(layers, limits):
        if verdict.outcome == FAILED:
            failed.setdefault(verdict.layer, []).append(verdict)
    found: list[Remedy] = []
    silent = {number for number, of in failed.items() if "silent_input" in {verdict.check for verdict in of}}
    order = sorted(failed, key=lambda number: (number in silent, _lowest(layers[number]), number))
    for number in order:
        checks = {verdict.check for verdict in failed[number]}
        finding = ", ".join(_called(verdict.check, layers[number]) for verdict in failed[number])
        too_wide = "too_wide" in checks and not checks & WIDER
        case = Case(number, layers[number], finding, too_wide, target, shapes)
        if number in silent:
            found.append(_upstream(case, layers, silent))
            continue
        counted: list[Remedy] = []
        if checks & WIDER or too_wide:
            counted += [*remedies.width(case), *remedies.other_shapes(case)]
            counted += remedies.moved(case, tdbn=tdbn, follows=follows)
        if checks & WIDER or too_wide or checks & BY_STRATEGY:
            counted += [*remedies.other_strategies(case, widths), *remedies.observed(case)]
        found += sorted(counted, key=lambda remedy: _rank(remedy, target))
        found += _words(case, failed[number])
    return Advice(found, [verdict for number in order for verdict in failed[number]], len(layers), target)


def check_target(ratio: float) -> None:
    """Refuse what is no available ratio to reach.

    Raises:
        BadInput: it is not in (0, 1).
    """
    if not 0 < ratio < 1:
        raise BadInput(f"`target_ratio` {ratio:g}", "give a share between 0 and 1, e.g. 0.5")


def _rank(remedy: Remedy, target: float) -> tuple[bool, bool, bool, float]:
    """What helps first; of that what reaches the target, counts before predictions, the higher gain first."""
    if remedy.after is None:
        return not remedy.helps, True, True, 0.0
    low, high = remedy.after.lowest
    reaches = high >= target and high - low < VAGUE
    best = mean_gain(remedy.after)[0] if reaches else low
    return not remedy.helps, not reaches, remedy.how == "predicted", -best


def _lowest(layer: LayerAccumulation) -> float:
    ratio = share(layer.statistics.available, layer.placed)
    return float(np.nanmin(ratio, initial=2.0))


def _called(check: str, layer: LayerAccumulation) -> str:
    """A check in words; of a starved layer on which side of the interval its potentials lie."""
    if check != "starved":
        return check.replace("_", " ")
    sums = layer.statistics
    t = int(np.nanargmin(share(sums.available, layer.placed)))
    return "starved below" if sums.below[t] >= sums.above[t] else "starved above"


def _upstream(case: Case, layers: Mapping[int, LayerAccumulation], silent: Collection[int]) -> Remedy:
    """Where the silence of a layer's input begins: the layer before the first of a row of such layers."""
    first = case.number
    while first - 1 in silent:
        first -= 1
    if first - 1 in layers:
        sums = layers[first - 1].statistics
        rate = percent(float(sums.spikes.sum() / max(sums.count.sum(), 1)))
        before = (
            f"layer {first - 1} ({layers[first - 1].info.name}), which runs before it and fires at {rate}"
        )
        action = f"its input is silent, which no width mends: begin with {before}"
    else:
        action = "its input is silent, which no width mends: look at the data, and what comes before it"
    return case.remedy("the layer before", action, "words", "counted inputs")


def _words(case: Case, failed: Sequence[Verdict]) -> Iterator[Remedy]:
    """Remedies without a number."""
    for verdict in failed:
        if verdict.check in IN_WORDS:
            action = verdict.remedy.replace("`", "")
            yield case.remedy(verdict.check.replace("_", " "), action, "words", "the check itself")
    info = case.layer.info
    loud = "above" in case.finding or any(verdict.check == "saturated" for verdict in failed)
    if loud and info.timesteps > 1 and info.decay != 0:
        action = (
            "detach the reset from the gradient: neurons that spike pass -v h through it (not to be told "
            "from a recording)"
        )
        yield case.remedy("detached reset", action, "words", MATHS)
