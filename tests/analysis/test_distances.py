"""Distances from the histogram against those of the potentials themselves."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mpdviz.accumulations.histogram import CELLS, EDGES
from mpdviz.analysis.distances import between
from mpdviz.analysis.predict import Prediction, predict

V_TH = 0.5


def histogram(v, v_th=V_TH):
    edges = EDGES * v_th
    cell = np.searchsorted(edges, v, "left") + np.searchsorted(edges, v, "right")
    return np.bincount(cell, minlength=CELLS)


def measured(samples, prediction, v_th=V_TH):
    """Distances of the samples, one array a timestep."""
    cells = np.stack([histogram(v, v_th) for v in samples])
    extremes = np.array([[v.min(), v.max(), v.std()] for v in samples]).T
    return between(cells, v_th, *extremes, prediction)


def law(means, stds):
    return Prediction("law", np.array([means], float), np.array([stds], float))


def predicted_cdf(x, means, stds, *, left=False):
    values = [
        stats.norm(mean, std).cdf(x) if std else (x > mean if left else x >= mean)
        for mean, std in zip(means, stds, strict=True)
    ]
    return np.mean(values, axis=0)


def true_ks(v, means, stds):
    """Sup |F - P|, attained on one side of a sample or of a point mass."""
    x, v = np.concatenate([v, means]), np.sort(v)
    right = np.searchsorted(v, x, "right") / len(v) - predicted_cdf(x, means, stds)
    left = np.searchsorted(v, x, "left") / len(v) - predicted_cdf(x, means, stds, left=True)
    return max(np.abs(right).max(), np.abs(left).max())


def true_wasserstein(v, means, stds, points=400_001):
    """Integral of |F - P| by the midpoint rule between all places where F or P jumps."""
    reach = max(np.abs(v).max(), np.max(np.abs(means) + 9 * np.asarray(stds)))
    x = np.unique(np.concatenate([np.linspace(-reach, reach, points), v, means]))
    middle = (x[1:] + x[:-1]) / 2
    gap = np.searchsorted(np.sort(v), middle) / len(v) - predicted_cdf(middle, means, stds)
    return (np.abs(gap) * np.diff(x)).sum() / v.std()


LAWS = {
    "the law itself": ([0.1], [0.5]),
    "shifted": ([-0.2], [0.5]),
    "narrow": ([0.1], [0.002]),
    "wide": ([0.1], [3.0]),
    "mixture": ([-0.5, 0.1, 1.0], [0.3, 0.6, 0.05]),
    "with point masses": ([0.0, 0.1, 0.123], [0.0, 0.5, 0.0]),
    "point mass": ([0.3], [0.0]),
}


@pytest.mark.parametrize("spread", [0.5, 0.01, 4.0], ids=["inside", "in a few bins", "beyond the edges"])
@pytest.mark.parametrize("name", LAWS)
def test_true_distances_lie_within_the_bounds(name, spread):
    means, stds = LAWS[name]
    v = np.random.default_rng(0).normal(0.1, spread, 5000)
    distances = measured([v], law(means, stds))
    true = true_ks(v, means, stds)
    assert distances.ks[0] <= true + 1e-12
    assert true <= distances.ks_bound[0] + 1e-12
    assert (
        abs(distances.wasserstein[0] - true_wasserstein(v, means, stds))
        <= distances.wasserstein_error[0] + 1e-6
    )


def test_the_distances_agree_with_scipy():
    v = np.random.default_rng(1).normal(0.0, 0.5, 200_000)
    distances = measured([v], law([-0.05], [0.55]))
    reference = stats.norm(-0.05, 0.55)
    assert distances.ks[0] == pytest.approx(stats.kstest(v, reference.cdf).statistic, abs=1e-4)
    quantiles = reference.ppf((np.arange(400_000) + 0.5) / 400_000)
    truth = stats.wasserstein_distance(v, quantiles) / v.std()
    assert distances.wasserstein[0] == pytest.approx(truth, abs=1e-4)
    assert distances.wasserstein_error[0] < 0.008


def test_the_bounds_close_around_a_perfect_prediction_with_point_masses_on_edges():
    quantiles = stats.norm(0.1, 0.5).ppf((np.arange(4000) + 0.5) / 4000)
    distances = measured([np.concatenate([np.zeros(4000), quantiles])], law([0.0, 0.1], [0.0, 0.5]))
    assert distances.ks[0] < 1e-3
    assert distances.ks_bound[0] < 0.006
    assert distances.wasserstein[0] < 1e-3


def test_opposite_point_masses_are_as_far_apart_as_can_be():
    v = np.array([-1.0, -1.0, -1.0, -0.5])
    distances = measured([v], law([1.0], [0.0]))
    assert (distances.ks[0], distances.ks_bound[0]) == (1, 1)
    # Both lie on edges, so that the histogram hides nothing: the mean way from v to 1.
    assert distances.wasserstein[0] == pytest.approx(
        (1 - v.mean()) / v.std(), abs=distances.wasserstein_error[0]
    )


def test_chords_that_cross_inside_a_bin_leave_two_triangles():
    width = V_TH / 64
    v = (np.arange(1000) + 0.5) / 1000 * width
    distances = measured([v], law([0.0, width], [0.0, 0.0]))
    assert distances.wasserstein[0] == pytest.approx(width / 4 / v.std(), rel=1e-9)


@pytest.mark.parametrize("std", [0.0, 1e-4])
def test_a_prediction_narrower_than_a_bin_widens_the_error(std):
    width = V_TH / 64
    v, mean = np.array([0.0, width]), width / 10
    distances = measured([v], law([mean], [std]))
    error = abs(distances.wasserstein[0] - true_wasserstein(v, [mean], [std]))
    assert 0.5 * width / 4 / v.std() < error <= distances.wasserstein_error[0]


def test_a_prediction_beyond_the_edges_widens_the_error():
    v = np.array([-10.0] + [0.0] * 99)
    distances = measured([v], law([-9.0], [0.0]))
    truth = true_wasserstein(v, [-9.0], [0.0])
    assert abs(distances.wasserstein[0] - truth) <= distances.wasserstein_error[0]


def test_timesteps_are_measured_each_by_itself():
    rng = np.random.default_rng(2)
    samples = [rng.normal(0, 0.5, 1000), rng.normal(-3, 2.0, 500)]
    prediction = predict("reset", timesteps=2, decay=0.5, v_th=V_TH, gamma=[0.5, 1.0], beta=[0.0, -0.2])
    together = measured(samples, prediction)
    for t, v in enumerate(samples):
        alone = measured([v], law(prediction.means[t], prediction.stds[t]))
        for name in ("ks", "ks_bound", "wasserstein", "wasserstein_error"):
            assert getattr(together, name)[t] == pytest.approx(getattr(alone, name)[0])


def test_the_distances_do_not_depend_on_the_unit_of_potential():
    v = np.random.default_rng(3).normal(0.1, 2.0, 2000)
    small, large = measured([v], law([0.0], [0.6])), measured([4 * v], law([0.0], [2.4]), v_th=4 * V_TH)
    np.testing.assert_allclose([small.ks, small.wasserstein], [large.ks, large.wasserstein])


@pytest.mark.parametrize("extremes", [(np.inf, -np.inf), (np.nan, np.nan)])
def test_nothing_recorded_has_no_distance(extremes):
    minimum, maximum = (np.array([value]) for value in extremes)
    distances = between(np.zeros((1, CELLS), int), V_TH, minimum, maximum, np.array([np.nan]), law([0], [1]))
    assert np.isnan(
        [distances.ks, distances.ks_bound, distances.wasserstein, distances.wasserstein_error]
    ).all()


def test_potentials_that_are_all_the_same_have_no_wasserstein_distance():
    distances = measured([np.full(10, 0.3)], law([0.3], [0.5]))
    assert np.isnan([distances.wasserstein[0], distances.wasserstein_error[0]]).all()
    assert distances.ks[0] <= 0.5 <= distances.ks_bound[0]


def test_a_prediction_that_is_no_number_has_no_distance():
    distances = measured([np.array([0.0, 0.1])], law([np.nan, 0.0], [1.0, 1.0]))
    assert np.isnan([distances.ks, distances.ks_bound, distances.wasserstein]).all()


# Multiples of a quarter bin: often on an edge, often equal, sometimes beyond the outer edges.
potentials = st.lists(st.integers(-2500, 2500).map(lambda k: k * V_TH / 256), min_size=2, max_size=30)
components = st.lists(
    st.tuples(
        st.integers(-1500, 1500).map(lambda k: k * V_TH / 128), st.sampled_from([0.0, 0.003, 0.3, 2.0])
    ),
    min_size=1,
    max_size=4,
)


@given(potentials, components)
def test_any_potentials_and_any_law_keep_the_bounds(values, components):
    v = np.array(values)
    means, stds = (np.array(column) for column in zip(*components, strict=True))
    distances = measured([v], law(means, stds))
    true = true_ks(v, means, stds)
    assert 0 <= distances.ks[0] <= true + 1e-12
    assert true - 1e-12 <= distances.ks_bound[0] <= 1 + 1e-12
    if v.std() > 0:
        error = abs(distances.wasserstein[0] - true_wasserstein(v, means, stds, points=40_001))
        assert error <= distances.wasserstein_error[0] + 2e-5 / v.std()


def test_neither_module_needs_torch():
    code = "import sys, mpdviz.analysis.distances, mpdviz.analysis.predict; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
