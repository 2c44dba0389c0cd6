"""`mpd-agl-correlated`: its average against NumPy, its widths against the prediction and simulations."""

import numpy as np
import pytest
import torch
from handmade import summed
from networks import small

from mpdviz import strategies
from mpdviz.analysis.predict import correlated
from mpdviz.analysis.predict.currents import cholesky, lattice
from mpdviz.errors import BadInput
from mpdviz.norm import frozen_statistics
from mpdviz.strategies import Situation
from mpdviz.strategies import lattice as torch_lattice

F64 = torch.float64


def currents(seed=0, timesteps=4, channels=3):
    """`[T, N, C, H]`, whose timesteps hang together."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(timesteps, 50, channels, 4, generator=generator, dtype=F64)
    return steps.cumsum(0) * torch.tensor([1.0, 0.5, 2.0])[:channels, None] + 1


def shown(*batches, **options):
    pairs = "".join(f":{name}={value}" for name, value in options.items())
    strategy = strategies.get(f"mpd-agl-correlated{pairs}")
    for batch in batches:
        strategy.see(batch)
    return strategy


def simulated(current, decay):
    """Spread at each timestep of neurons with v_th = .5 that these currents `[T, N]` drive."""
    kept, spread = 0.0, []
    for step in current:
        v = decay * kept + step
        spread.append(v.std())
        kept = np.where(v < 0.5, v, 0)
    return np.array(spread)


def test_the_average_is_of_the_correlation_within_the_channels():
    one, two = (summed(currents(seed).numpy()).correlation for seed in (0, 1))
    np.testing.assert_allclose(shown(currents(0)).correlation, one, rtol=1e-10)
    average = shown(currents(0), currents(1)).correlation
    np.testing.assert_allclose(average, 0.9 * one + 0.1 * two, rtol=1e-10)
    average = shown(currents(0), currents(1), momentum=0.25).correlation
    np.testing.assert_allclose(average, 0.75 * one + 0.25 * two, rtol=1e-10)


def test_a_timestep_without_spread_or_number_moves_nothing():
    silent = currents(1)
    silent[2] = 0
    one = summed(currents(0).numpy()).correlation
    after = shown(currents(0), silent).correlation
    np.testing.assert_allclose(after[2], one[2], rtol=1e-10)
    assert not np.allclose(after[0, 1], one[0, 1])
    assert shown(silent).correlation[2].tolist() == [0, 0, 1, 0]
    np.testing.assert_allclose(shown(currents(0), currents(1) * torch.nan).correlation, one, rtol=1e-10)


def test_before_the_first_batch_it_is_mpd_agl_reset():
    gamma, beta = torch.tensor([1.2, -0.4, 0.8]), torch.tensor([0.1, -0.2, 0.0])
    kappa = strategies.get("mpd-agl-correlated").kappa(5, 0.9, 0.5, gamma, beta)
    assert torch.equal(kappa, strategies.get("mpd-agl-reset").kappa(5, 0.9, 0.5, gamma, beta))


@pytest.mark.parametrize("decay", [0.2, 0.9])
def test_it_is_twice_the_predicted_spread(decay):
    """In torch against `predict.correlated` in NumPy, which sums over more points."""
    random = np.random.default_rng(1)
    gamma, beta = random.normal(1, 0.5, 40), random.normal(-0.1, 0.4, 40)
    strategy = shown(currents())
    kappa = strategy.kappa(4, decay, 0.5, torch.tensor(gamma).requires_grad_(), torch.tensor(beta))
    r = strategy.correlation.numpy()
    law = correlated(
        decay, np.full(4, 0.5), np.repeat(beta[:, None], 4, 1), (gamma[:, None, None] * 0.5) ** 2 * r
    )
    np.testing.assert_allclose(kappa, 2 * law.std, rtol=5e-3)
    assert not kappa.requires_grad
    assert torch.equal(kappa, strategy.kappa(4, decay, 0.5, torch.tensor(gamma), torch.tensor(beta)))


def test_it_has_the_spread_of_simulated_neurons():
    """One channel, decay .9 and neighbouring timesteps correlated by .8."""
    r = 0.8 ** np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    rng = np.random.default_rng(2)
    current = -0.05 + 0.5 * np.linalg.cholesky(r) @ rng.standard_normal((6, 400_000))
    spread = simulated(current, 0.9)
    strategy = strategies.get("mpd-agl-correlated")
    strategy.correlation = torch.tensor(r)
    kappa = strategy.kappa(6, 0.9, 0.5, torch.ones(1, dtype=F64), torch.full((1,), -0.05, dtype=F64))
    np.testing.assert_allclose(kappa, 2 * spread, rtol=0.01)
    reset = strategies.get("mpd-agl-reset").kappa(6, 0.9, 0.5, torch.ones(1, dtype=F64))
    assert (reset[2:] < 0.8 * kappa[2:]).all()


def test_behind_a_norm_with_factors_means_and_spreads_grow_with_them():
    """One channel, decay .5, the third timestep's current turned round and the last one doubled."""
    p = np.array([1.0, 0.5, -1.0, 2.0])
    r = (0.8 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))) * np.sign(np.outer(p, p))
    rng = np.random.default_rng(3)
    current = p[:, None] * -0.1 + 0.5 * np.abs(p)[:, None] * (
        np.linalg.cholesky(r) @ rng.standard_normal((4, 400_000))
    )
    spread = simulated(current, 0.5)
    strategy = strategies.get("mpd-agl-correlated")
    strategy.correlation = torch.tensor(r)
    gamma, beta = torch.ones(1, dtype=F64), torch.full((1,), -0.1, dtype=F64)
    kappa = strategy.widths(Situation(4, 0.5, 0.5, gamma, beta, factors=torch.tensor(p)))
    np.testing.assert_allclose(kappa, 2 * spread, rtol=0.01)


def test_lattice_and_factors_are_those_of_the_prediction():
    np.testing.assert_allclose(torch_lattice.lattice(500, 64), lattice(500, 64), rtol=1e-9, atol=1e-12)
    singular = np.array([[1, 1, 0.5], [1, 1, 0.5], [0.5, 0.5, 1]])
    factor = torch_lattice.cholesky(torch.tensor(singular))
    np.testing.assert_allclose(factor @ factor.T, singular, atol=1e-12)
    np.testing.assert_allclose(factor, cholesky(singular[None])[0], atol=1e-12)
    mixed = shown(currents()).correlation
    np.testing.assert_allclose(torch_lattice.cholesky(mixed), np.linalg.cholesky(mixed), rtol=1e-8, atol=1e-9)


def test_it_has_a_floor():
    kappa = shown(currents()).kappa(4, 0.2, 0.5, torch.zeros(4, dtype=F64))
    assert kappa.tolist() == pytest.approx([0.01] * 4)


def test_it_learns_in_training_alone_and_from_what_drives_the_neurons():
    network = small(seed=4, strategy="mpd-agl-correlated")
    x = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(6))
    driven = []
    network.encode.norm.register_forward_hook(lambda _, __, output: driven.append(output.detach()))
    network(x)
    expected = summed(driven[0].double().numpy()).correlation
    np.testing.assert_allclose(network.encode.strategy.correlation, expected, atol=1e-6)
    np.testing.assert_allclose(expected, 1, atol=1e-6)  # a static image
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert sum(name.endswith("strategy.correlation") for name in before) == 5
    network.eval()(x)
    with frozen_statistics(network.train()):
        network(x)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network(x + 1)
    later = network.state_dict()["hidden.strategy.correlation"]
    assert not torch.equal(later, before["hidden.strategy.correlation"])


def test_it_survives_saving_and_keeps_to_its_timesteps():
    trained, fresh = (small(seed=4, strategy="mpd-agl-correlated") for _ in range(2))
    trained(torch.randn(8, 1, 8, 8))
    fresh.load_state_dict(trained.state_dict())
    assert trained.widths() == fresh.widths()
    with pytest.raises(BadInput, match="T=3, not of T=2"):
        fresh.encode.widths(2)
    with pytest.raises(BadInput, match="momentum=2"):
        strategies.get("mpd-agl-correlated:momentum=2")
