"""The answer at a glance: which layer is starved, when and why, against potentials counted with NumPy."""

import math
from dataclasses import replace

import numpy as np
import pytest
from handmade import counted, info

from mpdviz.accumulations.census import Census
from mpdviz.analysis import summary
from mpdviz.analysis.limits import Limits


def normal(mean, std, timesteps=3, seed=0):
    """Potentials `[T, 50, 8]` whose mean moves by `mean` a timestep."""
    random = np.random.default_rng(seed)
    means = np.broadcast_to(np.asarray(mean, float), timesteps)
    return random.normal(means[:, None, None], std, (timesteps, 50, 8))


def layer(mean, std, name="neuron", **known):
    v = normal(mean, std)
    return counted(v, info(len(v), name=name, **known)), v


FINE, FINE_V = layer(0.4, 0.4, name="fine")
LOW, LOW_V = layer([0.5, -3, -1], 0.6, name="low")
HIGH, _ = layer([0.5, 0.5, 3], 0.4, name="high")
WIDE, _ = layer(0.5, 0.05, name="wide")
SILENT = replace(LOW, census=Census(np.zeros(8, np.uint8)))
BROKEN_V = np.where(np.arange(8) == 3, np.nan, normal(0.4, 0.4))
BROKEN = counted(BROKEN_V, info(3, name="broken"))
UNPLACED = counted(normal(0.4, 0.4), info(3, name="unplaced", lower=(math.nan,) * 3, upper=(math.nan,) * 3))


def row(made):
    return summary.by_layer({1: made}).iloc[0]


def test_shares_are_those_of_the_potentials():
    found = row(LOW)
    inside = np.abs(LOW_V - 0.5) < 0.5
    np.testing.assert_allclose(found["by_timestep"], inside.mean((1, 2)))
    assert found["available_ratio"] == pytest.approx(inside.mean())
    assert (found["lowest_ratio"], found["at_timestep"]) == (pytest.approx(inside[1].mean()), 2)
    assert found["firing_rate"] == pytest.approx((LOW_V >= 0.5).mean())


@pytest.mark.parametrize(
    ("made", "why", "starved"),
    [
        (FINE, "ok", False),
        (LOW, "below", True),
        (HIGH, "above", True),
        (WIDE, "too wide", False),
        (SILENT, "silent input", True),
        (BROKEN, "NaN", False),
        (UNPLACED, "not measured", False),
    ],
)
def test_what_is_the_matter(made, why, starved):
    assert (row(made)["why"], row(made)["starved"]) == (why, starved)


def test_limits_move_what_counts():
    lowest = row(FINE)["lowest_ratio"]
    assert summary.by_layer({1: FINE}, Limits(starved=lowest + 0.01)).iloc[0]["starved"]
    assert summary.by_layer({1: WIDE}, Limits(too_wide=1e9)).iloc[0]["why"] == "ok"


def test_a_layer_that_was_not_fed_says_so():
    nothing = counted(np.zeros((2, 1, 4)), info(2))
    nothing.statistics.nonfinite += 4
    nothing.statistics.available *= 0
    assert summary.by_layer({1: nothing}).iloc[0]["why"] == "NaN"
    assert math.isnan(row(nothing)["lowest_ratio"])
    assert "nan" not in summary.answer(summary.by_layer({1: nothing})).replace("NaN", "")


def test_the_answer_counts_the_starved_and_names_the_worst():
    layers = {1: FINE, 2: LOW, 3: HIGH, 4: BROKEN, 5: WIDE, 6: UNPLACED}
    said = summary.answer(summary.by_layer(layers))
    shares = {2: (np.abs(LOW_V - 0.5) < 0.5)[1].mean(), 3: row(HIGH)["lowest_ratio"]}
    worst = min(shares, key=shares.get)
    share = shares[worst]
    told = f"{100 * share:.1f} %" if not 0 < share < 0.0005 else f"{100 * share:.1g} %"
    name, side = {2: ("low", "below"), 3: ("high", "above")}[worst]
    t = {2: 2, 3: 3}[worst]
    assert said.startswith(
        f"2 of 6 layers are starved: layer {worst} ({name}) gets {told} at t={t}, "
        f"its potentials lie {side} the interval. "
    )
    assert "Layer 4: its potentials are in part NaN or infinite." in said
    assert "Layer 5: its interval is too wide to tell potentials apart." in said
    assert said.endswith("Layer 6: its available share was not measured.")


def test_of_several_without_any_the_answer_names_the_one_that_never_gets_some():
    waking, _ = layer([-30, -3, 0.5], 0.4, name="waking")
    dead, _ = layer(-30, 0.4, name="dead")
    layers = {1: waking, 2: dead, 3: dead}
    assert row(waking)["lowest_ratio"] == row(dead)["lowest_ratio"] == 0
    assert summary.answer(summary.by_layer(layers)) == (
        "3 of 3 layers are starved: layer 2 (dead) gets 0.0 % at every timestep, its potentials lie below "
        "the interval."
    )
    assert summary.neediest(layers) == 2
    assert summary.one_line(layers).endswith(
        "lowest available share 0.0 % in layer 2 (dead) at every timestep"
    )
    once = counted(normal(-30, 0.4, timesteps=1), info(1, name="once"))
    assert "0.0 % at t=1" in summary.answer(summary.by_layer({1: once}))


def test_the_answer_where_all_is_well():
    ratio = (np.abs(FINE_V - 0.5) < 0.5).mean((1, 2))
    t = int(ratio.argmin()) + 1
    assert summary.answer(summary.by_layer({1: FINE})) == (
        f"The one layer is not starved: the lowest available share is {100 * ratio.min():.1f} %, in layer 1 "
        f"(fine) at t={t}."
    )
    assert summary.answer(summary.by_layer({})) == "Nothing was recorded."


def test_the_neediest_layer():
    assert summary.neediest({1: UNPLACED, 2: FINE, 3: LOW}) == 3
    assert summary.neediest({4: UNPLACED}) == 4
