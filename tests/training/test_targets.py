"""Mixed samples and smoothed labels against NumPy, and losses of shares against those of labels."""

import numpy as np
import pytest
import torch

from mpdviz import losses
from mpdviz.training.targets import labels, mixed, smoothed


def one_hot(y, classes):
    return np.eye(classes)[y]


@pytest.mark.parametrize("axis", [0, 1])
def test_samples_and_labels_are_mixed_by_one_share(axis):
    x, y = torch.randn((6, 3, 2, 2) if axis == 0 else (3, 6, 2, 2)), torch.tensor([0, 1, 2, 3, 1, 0])
    x.select(axis, 0).fill_(0)
    generator = torch.Generator().manual_seed(3)
    found_x, found_y = mixed(x, y, 0.4, 4, generator, axis=axis)
    # The share and the permutation are drawn again by what NumPy and torch promise of them.
    again = torch.Generator().manual_seed(3)
    share = np.random.RandomState(int(torch.randint(2**32, (), generator=again))).beta(0.4, 0.4)
    others = torch.randperm(6, generator=again).numpy()
    samples = np.moveaxis(x.double().numpy(), axis, 0)
    expected = np.moveaxis(share * samples + (1 - share) * samples[others], 0, axis)
    np.testing.assert_allclose(found_x, expected, rtol=1e-5, atol=1e-6)
    hot = one_hot(y, 4)
    np.testing.assert_allclose(found_y, share * hot + (1 - share) * hot[others], atol=1e-6)


def test_shares_of_mixing_are_beta_s():
    alpha, x, y = 0.3, torch.zeros(2, 1), torch.tensor([0, 1])
    generator = torch.Generator().manual_seed(0)
    shares = [float(mixed(x, y, alpha, 2, generator)[1][0, 0]) for _ in range(4000)]
    shares = np.array([share for share in shares if share < 1])  # where a sample met itself, nothing shows
    assert len(shares) == pytest.approx(2000, abs=200)
    assert shares.mean() == pytest.approx(0.5, abs=4 * shares.std() / len(shares) ** 0.5)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.06)


def test_smoothed_labels():
    y = torch.tensor([2, 0])
    np.testing.assert_allclose(smoothed(y, 0.1, 4), 0.9 * one_hot(y, 4) + 0.025, atol=1e-7)
    np.testing.assert_allclose(smoothed(torch.tensor([[0.5, 0.5]]), 0.2, 2), [[0.5, 0.5]], atol=1e-7)
    assert labels(torch.tensor([[0.1, 0.9], [0.6, 0.4]])).tolist() == [1, 0]
    assert labels(y) is y


@pytest.mark.parametrize("name", ["ce", "tet:lambda=0.2"])
def test_a_loss_of_labels_is_that_of_their_shares(name):
    torch.manual_seed(0)
    logits, y, loss = (
        torch.randn(3, 5, 4, dtype=torch.float64),
        torch.tensor([0, 3, 1, 1, 2]),
        losses.get(name),
    )
    hot = torch.from_numpy(one_hot(y, 4))
    torch.testing.assert_close(loss.of(logits, hot, 0.5), loss.of(logits, y, 0.5))


def test_smoothing_is_torch_s():
    torch.manual_seed(0)
    logits, y = torch.randn(1, 6, 5), torch.arange(6) % 5
    own = losses.get("ce").of(logits, smoothed(y, 0.15, 5), 0.5)
    expected = torch.nn.functional.cross_entropy(logits[0], y, label_smoothing=0.15)
    torch.testing.assert_close(own, expected)
