"""Remedies for a layer that fails a check, and what each would do to the recorded potentials (no torch)."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from mpdviz.accumulations.histogram import PER_UNIT, Floats
from mpdviz.analysis import whatif
from mpdviz.analysis.cases import RECTANGLE, Case, Effect, Remedy, Shape
from mpdviz.analysis.scaled import OCTAVES, Law, nearest
from mpdviz.analysis.words import percent

WIDEST = 2 * whatif.WIDEST // PER_UNIT
"""Widest interval, in units, within which potentials can be counted."""


def width(case: Case) -> Iterator[Remedy]:
    """The narrowest width of its own shape that has the target share inside, at each timestep; ours.

    A timestep keeps its width where that has the share already, or of a layer that is too wide has it not.
    """
    shape = case.own or RECTANGLE
    info = case.layer.info
    ends = whatif.target(case.number, case.layer, case.target)
    found = ends["kappa"].to_numpy() / (2 * shape.half_width)
    kept = (case.before.ratio_low >= case.target) != case.too_wide if case.own else np.zeros(len(found), bool)
    unreached = [str(t) for t in np.flatnonzero(np.isnan(found) & ~kept) + 1]
    if unreached:
        wide = (
            f"no width up to {WIDEST * info.unit:g} holds {percent(case.target)} at t={','.join(unreached)}"
        )
        yield case.remedy("width", f"{wide}: move the potentials or the threshold", "words", "counted")
        return
    kappa = np.where(kept, case.kappa, found)
    if kept.all() or (case.own and (kappa == case.kappa).all()):
        return
    after = case.under(shape, kappa)
    # The ends were counted on the edges themselves; a quotient of rounded numbers may miss them by a bit.
    counted = np.where(kept, case.before.ratio_low, ends["available_ratio"].to_numpy())
    exact = shape.name == RECTANGLE.name
    gain = counted / kappa
    low, high = (gain, gain) if exact else (after.gain_low, after.gain_high)
    what = f"set the width of its {shape.name} surrogate to"
    what = what if case.own else "take a rectangular surrogate of width"
    yield case.remedy(
        f"width {percent(case.target, 0)}",
        f"{what} {spanned(kappa)}",
        "exact" if exact else "bounds",
        "counted",
        after=Effect(counted, counted, low, high),
        kappa=tuple(map(float, kappa)),
        settings={"strategy": "prescribed"} if case.own else {},
    )


def other_shapes(case: Case) -> Iterator[Remedy]:
    """Every shape that keeps its area, at its defaults and kappa = 1; sources as in `mpdviz.surrogates`."""
    ones = np.ones(case.layer.info.timesteps)
    for name, shape in case.shapes.items():
        is_there = case.own is not None and case.own.name == name and (case.kappa == 1).all()
        if is_there or shape.keeps_height:
            continue
        after = case.under(shape, ones)
        exact = bool(
            (after.ratio_low == after.ratio_high).all() and (after.gain_low == after.gain_high).all()
        )
        yield case.remedy(
            name,
            f"take the surrogate {name} at its defaults, kappa = 1",
            "exact" if exact else "bounds",
            "counted",
            after=after,
            kappa=tuple(ones),
            settings={"strategy": "fixed", "surrogate": name},
        )


def other_strategies(case: Case, widths: Mapping[str, Mapping[int, Sequence[float]]]) -> Iterator[Remedy]:
    """The widths `[T]` that other strategies, by name, would set for the layer as it is, by its number."""
    shape = case.own or RECTANGLE
    for name, of_layers in widths.items():
        if case.number not in of_layers:
            continue
        kappa = np.array(of_layers[case.number], np.float64)
        yield case.remedy(
            name,
            f"let {name} set the width, here {spanned(kappa)}",
            "bounds",
            "counted under the strategy's width",
            after=case.under(shape, kappa),
            kappa=tuple(map(float, kappa)),
            settings={"strategy": name},
        )


def observed(case: Case) -> Iterator[Remedy]:
    """The strategy `observed`, which holds the target share on every batch; ours.

    Its width is the target's quantile of |v - v_th| twice: it lies within a step of the narrowest width that
    has the share inside.
    """
    shape, unit = case.own or RECTANGLE, case.layer.info.unit
    kappa = whatif.target(case.number, case.layer, case.target)["kappa"].to_numpy()
    if np.isnan(kappa).any():
        return
    narrow = np.maximum(kappa - 2 * unit / PER_UNIT, unit / PER_UNIT)
    one, other = case.under(shape, narrow), case.under(shape, kappa)
    low, high = np.minimum(one.ratio_low, other.ratio_low), other.ratio_high
    gains = np.minimum(one.gain_low, other.gain_low), np.maximum(one.gain_high, other.gain_high)
    if shape.name == RECTANGLE.name:  # whatever the width between the two, and the share with it
        gains = low / kappa, high / narrow
    name = f"observed:ratio={case.target:g}"
    yield case.remedy(
        name,
        f"let the width follow the potentials, here {spanned(kappa)}",
        "bounds" if shape.name == RECTANGLE.name else "predicted",
        "counted around the quantile",
        after=Effect(low, high, *gains),
        kappa=tuple(map(float, kappa)),
        settings={"strategy": name},
    )


def moved(case: Case, *, tdbn: bool, follows: Collection[str]) -> Iterator[Remedy]:
    """Another threshold, and another scale of the batch norm, by the normal law of `scaled`.

    Args:
        case: the layer.
        tdbn: whether its batch norm is in units of the threshold, as in our networks, so that the spread of
            the potentials moves with the threshold too.
        follows: which of `v_th` and `gamma` its width is in proportion to; MPD-AGL's is to both.
    """
    info = case.layer.info
    if case.too_wide or info.thresholds or info.v_th <= 0 or case.own is None:
        return
    wide = {name: name in follows for name in ("v_th", "gamma")}
    laws = {"v_th": Law.of(case.layer, with_threshold=True, with_spread=tdbn, with_width=wide["v_th"])}
    if info.gamma:
        laws["gamma"] = Law.of(case.layer, with_spread=True, with_width=wide["gamma"])
    for name, law in laws.items():
        threshold = name == "v_th"
        start = info.v_th if threshold else 1.0
        factor = nearest(law, case.target, OCTAVES[name], start)
        if factor == 1 or np.isnan(factor):
            continue
        kappa, then = case.kappa * (factor if wide[name] else 1), law.times(factor)
        gain = _gain(case.own, then, kappa)
        value = f"{start * factor:.3g}"
        yield case.remedy(
            f"v_th {value}" if threshold else f"gamma x {value}",
            f"set the threshold to {value}" if threshold else f"scale its batch-norm weights by {value}",
            "predicted",
            "normal law with the recorded mean and spread",
            after=Effect(then.ratio(), then.ratio(), gain, gain),
            settings={"v_th": float(value)} if threshold and tdbn else {},
            gamma_scale=1.0 if threshold or not tdbn else float(value),
        )


def _gain(shape: Shape, law: Law, kappa: Floats) -> Floats:
    """E[h] `[T]` of a shape of these widths."""
    if shape.name == RECTANGLE.name:
        return np.asarray(law.ratio() / kappa)
    return law.expected(lambda x: shape.h(x, kappa[:, None]))


def spanned(kappa: Floats) -> str:
    """Widths in words: one, or from the smallest to the largest."""
    low, high = (f"{end:.3g}" for end in (kappa.min(), kappa.max()))
    return low if low == high else f"{low} to {high}"
