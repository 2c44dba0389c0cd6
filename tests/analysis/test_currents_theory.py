"""What docs/correlated-currents.md derives, each step against simulated or real neurons."""

import numpy as np
import pytest
import torch

from mpdviz.analysis.predict import correlated, predict, repeated_input_std, summed
from mpdviz.neurons import LIF
from mpdviz.norm import TDBatchNorm2d

V_TH = 0.5
LATTICE = 1 / 200
"""Relative error that `correlated` promises of its own sums."""


def geometric(r, t):
    """D(r, t), the sum over i < t of r^i, by its closed form."""
    return float(t) if r == 1 else (1 - r**t) / (1 - r)


def simulate(decay, current, v_th=V_TH):
    """Potentials `[T, N]` of currents `[T, N]`, by the neuron's equation and nothing else."""
    v = np.empty_like(current)
    for t in range(len(current)):
        before = v[t - 1] if t else np.zeros_like(current[0])
        v[t] = decay * before * (before < v_th) + current[t]
    return v


def error_of_spread(v):
    """Standard error `[T]` of the standard deviation of a sample of any law."""
    away = v - v.mean(1, keepdims=True)
    variance, fourth = (away**2).mean(1), (away**4).mean(1)
    return np.sqrt((fourth - variance**2) / v.shape[1] / variance) / 2


def some_covariance(rng, timesteps):
    """Any covariance: no timestep's variance is another's, and correlations have both signs."""
    root = rng.normal(size=(timesteps, 2 * timesteps))
    return 0.3 * root @ root.T / (2 * timesteps)


@pytest.mark.parametrize("decay", [0.2, 0.5, 0.9])
def test_with_the_reset_any_jointly_normal_currents_agree_within_the_sampling_error(decay):
    rng = np.random.default_rng(11)
    means, covariances = rng.normal(0, 0.2, (3, 8)), np.stack([some_covariance(rng, 8) for _ in range(3)])
    draws = [rng.multivariate_normal(m, c, 100_000).T for m, c in zip(means, covariances, strict=True)]
    v = simulate(decay, np.concatenate(draws, 1))
    law = correlated(decay, np.full(8, V_TH), means, covariances)
    assert (np.abs(law.std - v.std(1)) < 4 * error_of_spread(v) + LATTICE * v.std(1)).all()


@pytest.mark.parametrize("rho", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("decay", [0.2, 0.9])
def test_equicorrelated_currents_without_reset_have_a_closed_form(decay, rho):
    """Var v(t) = sigma^2 [(1 - rho) D(decay^2, t) + rho D(decay, t)^2]."""
    rng, sigma, timesteps = np.random.default_rng(5), 0.4, 8
    covariance = sigma**2 * (rho + (1 - rho) * np.eye(timesteps))
    closed = [
        sigma * np.sqrt((1 - rho) * geometric(decay**2, t) + rho * geometric(decay, t) ** 2)
        for t in range(1, timesteps + 1)
    ]
    np.testing.assert_allclose(summed(decay, np.zeros((1, timesteps)), covariance[None]).std, closed)
    shared, own = rng.normal(size=(1, 100_000)), rng.normal(size=(timesteps, 100_000))
    current = sigma * (np.sqrt(rho) * shared + np.sqrt(1 - rho) * own)
    v = simulate(decay, current, v_th=np.inf)
    assert (np.abs(closed - v.std(1)) < 4 * error_of_spread(v)).all()


def test_its_two_ends_are_the_paper_s_growth_and_that_of_a_repeated_image():
    """At t = 2 sqrt(1 + decay^2) with rho = 0, and 1 + decay with rho = 1."""
    decay, zero, one = 0.9, np.zeros((1, 2)), np.ones((1, 2, 2))
    paper = predict("paper", timesteps=2, decay=decay, v_th=1.0, gamma=[1.0], beta=[0.0])
    np.testing.assert_allclose(summed(decay, zero, one * np.eye(2)).std, paper.std)
    np.testing.assert_allclose(summed(decay, zero, one).std, repeated_input_std(2, decay, 1.0, 1.0))
    assert summed(decay, zero, one).std[1] == pytest.approx(1 + decay)


@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_a_correlation_that_fades_leads_to_its_limit(decay):
    """Of rho^|i-j|: Var v goes to sigma^2 (1 + decay rho) / ((1 - decay rho) (1 - decay^2))."""
    rho, timesteps = 0.8, 200
    lag = np.abs(np.subtract.outer(np.arange(timesteps), np.arange(timesteps)))
    limit = (1 + decay * rho) / ((1 - decay * rho) * (1 - decay**2))
    found = summed(decay, np.zeros((1, timesteps)), (rho**lag)[None])
    assert found.std[-1] ** 2 == pytest.approx(limit, rel=1e-9)


def test_without_reset_the_law_of_the_currents_does_not_matter():
    """Skew and heavy-tailed currents: only their covariances enter."""
    rng, decay = np.random.default_rng(2), 0.9
    shared, own = rng.exponential(0.5, (1, 100_000)), rng.laplace(0, 0.2, (4, 100_000))
    current = shared * np.array([[1.0], [0.5], [-0.3], [2.0]]) + own
    v = simulate(decay, current, v_th=np.inf)
    means, covariances = current.mean(1)[None], np.cov(current, bias=True)[None]
    np.testing.assert_allclose(summed(decay, means, covariances).std, v.std(1), rtol=1e-9)


def test_dealing_the_currents_out_anew_leaves_the_law_of_independent_ones():
    """Each timestep's own law is kept: what is lost is what the timesteps share."""
    rng, decay = np.random.default_rng(7), 0.9
    means, covariance = rng.normal(0, 0.2, (1, 6)), 0.25 * (0.8 + 0.2 * np.eye(6))
    current = rng.multivariate_normal(means[0], covariance, 200_000).T
    dealt = simulate(decay, np.stack([rng.permutation(arriving) for arriving in current]))
    thresholds = np.full(6, V_TH)
    independent = correlated(decay, thresholds, means, covariance[None] * np.eye(6))
    assert (
        np.abs(independent.std - dealt.std(1)) < 4 * error_of_spread(dealt) + LATTICE * dealt.std(1)
    ).all()
    as_it_was = correlated(decay, thresholds, means, covariance[None])
    assert (as_it_was.std[1:] > 1.05 * independent.std[1:]).all()


@pytest.mark.parametrize("decay", [0.2, 0.5, 0.9])
def test_a_repeated_image_through_tdbn_and_neurons_grows_by_1_plus_decay(decay):
    """The batch norm pools over time, so it cannot undo that every timestep brings the same current."""
    torch.manual_seed(0)
    images = torch.randn(64, 3, 8, 8)
    norm, neuron = TDBatchNorm2d(3, v_th=V_TH), LIF(decay, v_th=1e6)
    seen = []
    neuron.observers.append(lambda current, v, *_: seen.append((current.detach(), v.detach())))
    neuron(norm(images.expand(4, *images.shape)))
    current, v = seen[0]
    assert float(current.std(correction=0)) == pytest.approx(V_TH, rel=1e-4)
    spread = v.flatten(1).std(1, correction=0)
    growth = [geometric(decay, t) for t in range(1, 5)]
    np.testing.assert_allclose(spread.numpy(), V_TH * np.array(growth), rtol=1e-4)
