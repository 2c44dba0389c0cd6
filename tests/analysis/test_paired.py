"""Holm's correction against a table worked by hand, the difference that could be seen against simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from mpdviz.analysis import paired


def test_holm_by_hand():
    # Sorted .01 .02 .03 .6, times 4 3 2 1: .04 .06 .06 .6; what is not measured is no member.
    adjusted = paired.holm([0.03, 0.01, math.nan, 0.6, 0.02])
    assert adjusted[:2] == pytest.approx([0.06, 0.04])
    assert math.isnan(adjusted[2])
    assert adjusted[3:] == pytest.approx([0.6, 0.06])
    assert paired.holm([0.7, 0.9]) == [1.0, 1.0]
    assert paired.holm([0.04]) == [0.04]


@pytest.mark.parametrize(("n", "std"), [(3, 0.02), (5, 1.0), (20, 3.0)])
def test_the_detectable_difference_is_told_four_times_in_five(n, std):
    least = paired.detectable(n, std)
    draws = np.random.default_rng(n).normal(least, std, (40_000, n))
    told = stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05
    assert told.mean() == pytest.approx(0.8, abs=0.008)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40])
def test_interval_p_and_detectable_difference_are_those_of_scipy(n):
    rng = np.random.default_rng(n)
    first, second = rng.normal(0.8, 0.02, n), rng.normal(0.79, 0.02, n)
    found = paired.compare(dict(enumerate(first)), dict(enumerate(second)))
    test = stats.ttest_rel(first, second)
    assert found.p == pytest.approx(test.pvalue, rel=1e-11)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval(0.95)), rel=1e-11)
    std = (first - second).std(ddof=1)
    critical, noncentrality = stats.t.ppf(0.975, n - 1), paired.detectable(n, std) / std * math.sqrt(n)
    lower, upper = (stats.nct.cdf(end, n - 1, noncentrality) for end in (-critical, critical))
    assert 1 - upper + np.nan_to_num(lower) == pytest.approx(0.8, abs=1e-9)


@pytest.mark.parametrize(("n", "std"), [(1, 0.1), (0, math.nan), (4, 0.0), (3, math.nan)])
def test_nothing_could_be_seen_without_pairs_or_spread(n, std):
    assert math.isnan(paired.detectable(n, std))


def test_a_difference_that_does_not_survive_the_correction_is_said_to_be_maybe_chance():
    rng = np.random.default_rng(3)
    reference = dict(enumerate(rng.normal(0.8, 0.01, 5)))
    others = {
        f"arm {k}": {s: reference[s] + d for s, d in enumerate(rng.normal(0, 0.01, 5))} for k in range(9)
    }
    close = {s: reference[s] + d for s, d in enumerate((0.004, 0.021, 0.012, 0.016, 0.002))}
    alone = paired.family({"a": reference, "b": close}, "a").iloc[0]
    assert alone["p"] == pytest.approx(stats.ttest_rel(list(close.values()), list(reference.values())).pvalue)
    assert alone["p_holm"] == alone["p"] < 0.05
    assert "chance" not in alone["sentence"]
    family = paired.family({"a": reference, "b": close, **others}, "a").set_index("arm")
    assert family.loc["b", "p_holm"] == pytest.approx(min(1, 10 * alone["p"]))
    assert family.loc["b", "p_holm"] > 0.05
    assert "but as one of 10 comparisons it may be chance" in family.loc["b", "sentence"]
    assert "would have been seen four times in five" in " ".join(family["sentence"])


def test_a_difference_that_no_accuracy_could_have_is_not_called_one_that_would_have_been_seen():
    """Two pairs, +30 and -30 points: s = 42.4, and some 360 points could be told."""
    family = paired.family({"a": {0: 0.5, 1: 0.5}, "b": {0: 0.8, 1: 0.2}}, "a")
    assert family.loc[0, "detectable"] > 1
    assert "could not have shown any" in family.loc[0, "sentence"]
    assert "would have been seen" not in family.loc[0, "sentence"]
