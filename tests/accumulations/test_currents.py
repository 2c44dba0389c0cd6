"""Sums over currents against NumPy's own means, covariances and correlations."""

import numpy as np
import pytest
from handmade import counted, info, summed


def currents(samples=40, timesteps=3, channels=2, seed=0):
    """Currents `[T, N, C]` whose timesteps hang together, another mean and spread in each channel."""
    rng = np.random.default_rng(seed)
    walk = rng.normal(size=(timesteps, samples, channels)).cumsum(0)
    return walk * np.arange(1, channels + 1) - 7 * np.arange(channels)


def test_means_and_covariances_are_numpys():
    x = currents()
    sums = summed(x)
    for c in range(2):
        np.testing.assert_allclose(sums.means[c], x[:, :, c].mean(1), rtol=1e-13)
        np.testing.assert_allclose(sums.covariances[c], np.cov(x[:, :, c], bias=True), rtol=1e-10)


def test_the_correlation_is_that_within_the_channels():
    x = currents()
    within = np.concatenate([x[:, :, c] - x[:, :, c].mean(1, keepdims=True) for c in range(2)], 1)
    np.testing.assert_allclose(summed(x).correlation, np.corrcoef(within), rtol=1e-10)


def test_a_constant_current_varies_with_nothing():
    x = np.full((3, 1000, 2), 0.1)
    x[1, :, 1] = np.arange(1000) % 2
    sums = summed(x)
    assert not sums.covariances[0].any()
    assert sums.covariances[1].tolist() == pytest.approx(np.diag([0, 0.25, 0]))
    assert np.isnan(sums.correlation[0]).all()
    assert sums.correlation[1, 1] == 1


def test_parts_add_up_to_the_whole():
    x = currents()
    whole, parts = summed(x), [summed(x[:, at]) for at in (slice(0, 7), slice(7, 9), slice(9, None))]
    for one, two, three in ((0, 1, 2), (2, 0, 1)):
        both = parts[one] + parts[two] + parts[three]
        assert both.count == whole.count == 40
        np.testing.assert_allclose(both.sums, whole.sums, rtol=1e-13)
        np.testing.assert_allclose(both.products, whole.products, rtol=1e-13)


def test_sums_of_other_lengths_or_channels_do_not_add_up():
    assert summed(currents()) + summed(currents(timesteps=4)) is None
    assert summed(currents()) + summed(currents(channels=3)) is None


def test_layers_with_sums_on_one_side_alone_have_none_together():
    v = currents()
    known, unknown = counted(v, info(3), currents=summed(v)), counted(v, info(3))
    assert (known + known).currents.count == 80
    assert (known + unknown).currents is None
    assert (unknown + known).currents is None
    longer = counted(currents(timesteps=4), info(4), currents=summed(currents(timesteps=4)))
    both = known + longer
    assert both.currents is None
    assert "several lengths" in both.info.not_measured["predicted_ratio_correlated"]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_current_that_is_no_number_spoils_its_channel_alone(wrong):
    x = currents()
    x[1, 3, 0] = wrong
    with np.errstate(invalid="ignore"):
        sums = summed(x)
    assert not sums.finite
    assert np.isfinite(sums.products[1]).all()
    assert summed(currents()).finite
