"""The prediction from correlated currents against simulated neurons, linear theory and its special cases."""

import numpy as np
import pandas as pd
import pytest
from handmade import counted, info, summed
from scipy import integrate, stats

from mpdviz.analysis import metrics
from mpdviz.analysis.decomposition import PARTS, spread_error
from mpdviz.analysis.predict import correlated, predict
from mpdviz.analysis.predict import summed as without_reset

V_TH, N = 0.5, 400_000


def correlation(timesteps, rho):
    lag = np.abs(np.subtract.outer(np.arange(timesteps), np.arange(timesteps)))
    return rho ** lag.astype(float)


def simulate(decay, thresholds, mean, covariance, samples=N, seed=0):
    """Currents and potentials `[T, N]` of one channel."""
    rng = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(values.clip(0))
    current = mean[:, None] + root @ rng.standard_normal((len(mean), samples))
    kept, v = np.zeros(samples), np.empty_like(current)
    for t, arriving in enumerate(current):
        v[t] = decay * kept + arriving
        kept = np.where(v[t] < thresholds[t], v[t], 0.0)
    return current, v


CASES = [(0.2, 4, 0.9), (0.5, 10, 0.6), (0.9, 4, 0.8), (0.9, 10, 0.0), (0.9, 10, 0.9), (0.9, 4, 1.0)]


@pytest.mark.parametrize(("decay", "timesteps", "rho"), CASES)
def test_mean_spread_and_distribution_are_the_simulations(decay, timesteps, rho):
    mean = np.linspace(-0.1, 0.05, timesteps)
    spread = np.linspace(0.4, 0.6, timesteps)
    covariance = correlation(timesteps, rho) * np.outer(spread, spread)
    thresholds = np.full(timesteps, V_TH)
    _, v = simulate(decay, thresholds, mean, covariance)
    law = correlated(decay, thresholds, mean[None], covariance[None])
    np.testing.assert_allclose(law.std, v.std(1), rtol=6e-3)
    np.testing.assert_allclose(law.mean, v.mean(1), atol=6e-3 * v.std(1).max())
    x = np.linspace(-2, 2, 41)
    counted_below = np.stack([np.searchsorted(np.sort(step), x, "right") for step in v]) / N
    assert np.abs(law.cdf(x) - counted_below).max() < 0.005


def test_channels_and_thresholds_of_their_own_are_mixed():
    rng = np.random.default_rng(3)
    thresholds = np.array([0.5, 0.3, 0.8])
    means, scales = rng.normal(0, 0.3, (5, 3)), rng.uniform(0.2, 1, (5, 3))
    covariances = correlation(3, 0.7) * scales[:, :, None] * scales[:, None, :]
    runs = [
        simulate(0.8, thresholds, m, c, 100_000, seed)[1]
        for seed, (m, c) in enumerate(zip(means, covariances, strict=True))
    ]
    v = np.concatenate(runs, 1)
    law = correlated(0.8, thresholds, means, covariances)
    np.testing.assert_allclose(law.std, v.std(1), rtol=6e-3)
    np.testing.assert_allclose(law.mean, v.mean(1), atol=5e-3)


@pytest.mark.parametrize("decay", [0.0, 0.5, 1.0])
def test_far_from_the_threshold_it_is_the_linear_theory(decay):
    """v(t) is the sum over i <= t of decay^(t-i) I(i): its variance is a double sum, written out here."""
    covariance, mean = 0.04 * correlation(5, 0.6), np.array([0.1, -0.2, 0.0, 0.3, 0.1])
    law = correlated(decay, np.full(5, 100.0), mean[None], covariance[None])
    exact = without_reset(decay, mean[None], covariance[None])
    for t in range(5):
        weights = [decay ** (t - i) for i in range(t + 1)]
        variance = sum(a * b * covariance[i, j] for i, a in enumerate(weights) for j, b in enumerate(weights))
        expected = sum(a * m for a, m in zip(weights, mean, strict=False))
        assert exact.std[t] == pytest.approx(np.sqrt(variance), rel=1e-12)
        assert exact.mean[t] == pytest.approx(expected, rel=1e-12)
        assert law.std[t] == pytest.approx(np.sqrt(variance), rel=3e-3)
        assert law.mean[t] == pytest.approx(expected, abs=1e-3)


def test_independent_currents_give_reset_where_that_is_exact():
    rng = np.random.default_rng(1)
    gamma, beta = rng.normal(1, 0.3, 64), rng.normal(-0.1, 0.2, 64)
    power = (gamma * V_TH) ** 2
    means, covariances = np.repeat(beta[:, None], 2, 1), power[:, None, None] * np.eye(2)
    law = correlated(0.9, np.full(2, V_TH), means, covariances)
    exact = predict("reset", timesteps=2, decay=0.9, v_th=V_TH, gamma=gamma, beta=beta)
    assert law.std[0] == pytest.approx(exact.std[0], rel=1e-12)
    np.testing.assert_allclose(law.std, exact.std, rtol=2e-3)
    np.testing.assert_allclose(law.mean, exact.mean, atol=1e-3)


def test_the_second_timestep_of_one_repeated_current_agrees_with_integration():
    law = correlated(0.9, np.full(2, V_TH), np.array([[0.1, 0.1]]), np.full((1, 2, 2), 0.16))
    current = stats.norm(0.1, 0.4)

    def moment(power):
        def second(x):
            return (x + 0.9 * x * (x < V_TH)) ** power * current.pdf(x)

        return sum(integrate.quad(second, *ends)[0] for ends in ((-6, V_TH), (V_TH, 6)))

    assert law.mean[1] == pytest.approx(moment(1), abs=1e-3)
    assert law.std[1] == pytest.approx(np.sqrt(moment(2) - moment(1) ** 2), rel=2e-3)


def test_constant_currents_are_point_masses():
    law = correlated(0.5, np.full(4, V_TH), np.array([[0.3] * 4, [0.5] * 4]), np.zeros((2, 4, 4)))
    assert not law.stds.any()
    for t, first in enumerate([0.3, 0.45, 0.525, 0.3]):
        at = np.sort(law.means[t]).reshape(2, -1)
        np.testing.assert_allclose(at, np.sort([[first], [0.5]], axis=0) + 0 * at, rtol=1e-14)


def test_the_law_is_the_same_every_time():
    means, covariances = np.zeros((3, 4)), np.tile(0.25 * correlation(4, 0.5), (3, 1, 1))
    one, other = (correlated(0.9, np.full(4, V_TH), means, covariances) for _ in range(2))
    np.testing.assert_array_equal(one.means, other.means)
    np.testing.assert_array_equal(one.stds, other.stds)


# In the tables. -------------------------------------------------------------------------------------------


def layer(rho=0.8, decay=0.9, timesteps=4, **known):
    covariance = 0.25 * correlation(timesteps, rho)
    current, v = simulate(decay, np.full(timesteps, V_TH), np.full(timesteps, -0.05), covariance, 60_000)
    shape = (timesteps, -1, 1)
    described = info(timesteps, decay=decay, **known)
    return counted(v.reshape(shape), described, currents=summed(current.reshape(shape)))


def test_without_a_batch_norm_the_currents_alone_predict():
    table = metrics.table({1: layer()})
    np.testing.assert_allclose(table["predicted_std_correlated"], table["std"], rtol=0.01)
    np.testing.assert_allclose(table["predicted_ratio_correlated"], table["available_ratio"], atol=0.01)
    assert table["predicted_std"].isna().all()
    assert set(table["best_prediction"]) == {"correlated"}


def test_what_is_off_is_said_beside_what_would_hold():
    table = metrics.table({1: layer(gamma=(1.0,), beta=(-0.05,))})
    assert table["best_prediction"].tolist()[1:] == ["correlated"] * 3
    assert (table["wasserstein_correlated"][1:] < table["wasserstein_reset"][1:] / 5).all()


@pytest.mark.parametrize("unknown", [{"decay": np.nan}, {"v_th": 0.0}])
def test_without_decay_or_threshold_nothing_is_predicted(unknown):
    v = np.random.default_rng(0).normal(size=(2, 30, 2))
    found = metrics.table({1: counted(v, info(**unknown), currents=summed(v))})
    assert found["predicted_std_correlated"].isna().all()


def test_currents_that_are_no_numbers_predict_nothing():
    v = np.random.default_rng(0).normal(size=(2, 30, 2))
    sums = summed(v)
    sums.products[0] = np.nan
    assert metrics.table({1: counted(v, currents=sums)})["predicted_std_correlated"].isna().all()


# Why the paper's spread is off. ---------------------------------------------------------------------------


def test_the_parts_lead_from_the_paper_to_what_was_observed():
    layers = {1: layer(gamma=(1.1,), beta=(-0.05,)), 2: layer()}
    found, table = spread_error(layers), metrics.table(layers)
    pd.testing.assert_series_equal(found["observed"], table["std"], check_names=False)
    one, other = (found[found["layer"] == number] for number in (1, 2))
    total = one["paper"] + one[list(PARTS)].sum(axis=1)
    np.testing.assert_allclose(total, one["observed"], rtol=1e-12)
    np.testing.assert_allclose(one["paper"], table["predicted_std"][:4])
    assert other[["paper", "past", "variance"]].isna().all(axis=None)
    assert other[["correlation", "reset", "rest"]].notna().all(axis=None)


def test_each_part_is_its_closed_form():
    """std .5 at every t, correlation rho^lag: without reset all three spreads are geometric sums."""
    decay, rho = 0.9, 0.8
    found = spread_error({1: layer(rho, decay, gamma=(1.0,), beta=(0.0,))})
    for t, row in enumerate(found.to_dict("records")):
        powers = decay ** np.arange(t + 1)
        independent = 0.5 * np.sqrt((powers**2).sum())
        dependent = 0.5 * np.sqrt(powers @ correlation(t + 1, rho) @ powers)
        paper = 0.5 * np.sqrt(1 + decay**2) if t else 0.5
        assert row["past"] == pytest.approx(independent - paper, abs=1e-12)
        assert row["variance"] == pytest.approx(0, abs=0.01)
        assert row["correlation"] == pytest.approx(dependent - independent, abs=0.01)
        assert abs(row["rest"]) < 0.01
    assert found["reset"].iloc[0] == pytest.approx(0, abs=1e-9)
    assert (found["reset"].iloc[1:] < -0.1).all()


def test_without_currents_the_past_alone_is_known():
    v = np.random.default_rng(0).normal(size=(3, 30, 2))
    found = spread_error({1: counted(v, info(3, gamma=(1.0, 1.0), beta=(0.0, 0.0)))})
    assert found[["paper", "past", "observed"]].notna().all(axis=None)
    assert found[["variance", "correlation", "reset", "rest", "correlated"]].isna().all(axis=None)
