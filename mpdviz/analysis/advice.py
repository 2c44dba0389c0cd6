"""What to do about the layers that fail a check: remedies, ranked, with what each would do (no torch)."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis import remedies
from mpdviz.analysis.cases import Case, Effect, Remedy, Shape
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


@dataclass(frozen=True, eq=False)
class Advice:
    """What may be done about each layer that fails a check."""

    remedies: Sequence[Remedy]
    """Layer by layer, the worst first; of each layer what helps most first."""
    failed: Sequence[Verdict]
    """The checks that failed, of the layers in the same order."""
    layers: int
    """How many layers were judged."""
    target: float
    """Available ratio that was to be reached."""

    @property
    def order(self) -> tuple[int, ...]:
        """Numbers of the layers that fail, the one to begin with first."""
        return tuple(dict.fromkeys(verdict.layer for verdict in self.failed))

    def of(self, layer: int, *, all_: bool = False) -> list[Remedy]:
        """Remedies of one layer, by its number: those that help, or all."""
        return [remedy for remedy in self.remedies if remedy.layer == layer and (all_ or remedy.helps)]

    def answer(self) -> str:
        """In a sentence or two: how many layers need something, and what to begin with."""
        counted = f"{self.layers} layer{'s' * (self.layers != 1)}"
        if not self.layers:
            return "Nothing was recorded."
        if not self.order:
            return f"None of {counted} needs a remedy: every check that could be measured passed."
        number = self.order[0]
        needs = f"{len(self.order)} of {counted} need{'s' * (len(self.order) == 1)} a remedy"
        first = next(iter(self.of(number)), None)
        called = f"layer {number} ({next(v.name for v in self.failed if v.layer == number)})"
        if first is None:
            return f"{needs}. Nothing that is known here helps {called}."
        if first.after is None:
            return f"{needs}. Begin with {called}: {first.action}."
        return f"{needs}. Begin with {called}: {first.action}; lowest available share {effect(first)}."

    def table(self) -> pd.DataFrame:
        """A row a remedy and timestep, also of those that do not help; numbers are NaN where there are none.

        Returns:
            `layer`, `name`, `finding`, `rank` (from 1), `remedy`, `timestep`, `kappa`, `available_ratio`,
            `available_ratio_low`, `available_ratio_high` (after), `mean_gain`, `mean_gain_low`,
            `mean_gain_high` (after), `how` (`exact`, `bounds`, `predicted`, `words`), `helps`, `action`,
            `settings` (of a run), `source`.
        """
        rows: list[dict[str, Any]] = []
        for number in self.order:
            for rank, remedy in enumerate(self.of(number, all_=True), start=1):
                rows += _rows(remedy, rank)
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"layer": "int64", "rank": "int64"})

    def __repr__(self) -> str:
        lines = [self.answer()]
        for number in self.order:
            lines += [f"  layer {number}: {remedy.remedy}: {effect(remedy)}" for remedy in self.of(number)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cells = ("layer", "finding", "remedy", "lowest available share", "what to do")
        head = "".join(f"<th>{escape(cell)}</th>" for cell in cells)
        rows = ""
        for remedy in chain.from_iterable(map(self.of, self.order)):
            values = str(remedy.layer), remedy.finding, remedy.remedy, effect(remedy), remedy.action
            rows += f"<tr>{''.join(f'<td>{escape(value)}</td>' for value in values)}</tr>"
        body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
        return f"<p><b>{escape(self.answer())}</b></p>{body}"


COLUMNS = (
    *("layer", "name", "finding", "rank", "remedy", "timestep", "kappa"),
    *("available_ratio", "available_ratio_low", "available_ratio_high"),
    *("mean_gain", "mean_gain_low", "mean_gain_high", "how", "helps", "action", "settings", "source"),
)


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


def mean_gain(of: Effect) -> tuple[float, float]:
    """Bounds of the mean gain, averaged over the timesteps where it is known; NaN where it is at none."""
    low, high = (gain[np.isfinite(gain)] for gain in (of.gain_low, of.gain_high))
    return (float(low.mean()), float(high.mean())) if low.size and high.size else (math.nan, math.nan)


def effect(remedy: Remedy) -> str:
    """The lowest available share over the timesteps, before and after, in words."""
    if remedy.after is None:
        return remedy.action
    word = "" if remedy.how in ("exact", "bounds") else f" ({remedy.how})"
    return f"{bounds(*remedy.before.lowest)} -> {bounds(*remedy.after.lowest)}{word}"


def bounds(low: float, high: float) -> str:
    """Bounds of a share in words: one number where they are written alike."""
    if math.isinf(low):
        return "not measured"
    one, other = percent(low), percent(high)
    return one if one == other else f"{one.removesuffix(' %')}-{other}"


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


def _rows(remedy: Remedy, rank: int) -> list[dict[str, Any]]:
    same = {
        "layer": remedy.layer,
        "name": remedy.name,
        "finding": remedy.finding,
        "rank": rank,
        "remedy": remedy.remedy,
        "how": remedy.how,
        "helps": remedy.helps,
        "action": remedy.action,
        "settings": ", ".join(f"{name}={value}" for name, value in remedy.settings.items()),
        "source": remedy.source,
    }
    before, after = remedy.before, remedy.after
    rows = []
    for t, (ratio, gain) in enumerate(zip(before.ratio_low, before.gain_low, strict=True)):
        row = same | {"timestep": t + 1, "available_ratio": ratio, "mean_gain": gain}
        row["kappa"] = remedy.kappa[t] if remedy.kappa else np.nan
        for end in ("low", "high"):
            row[f"available_ratio_{end}"] = np.nan if after is None else getattr(after, f"ratio_{end}")[t]
            row[f"mean_gain_{end}"] = np.nan if after is None else getattr(after, f"gain_{end}")[t]
        rows.append(row)
    return rows
