"""Training losses against hand-worked values, NumPy in float64 and numerical differentiation."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import log_softmax

from mpdviz import losses
from mpdviz.errors import BadInput

F64 = torch.float64
LN2, LN3 = math.log(2), math.log(3)


def batch():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 4, generator=random, dtype=F64)
    return logits, torch.randint(4, (5,), generator=random)


def test_ce_is_of_the_mean_over_time():
    """Means (1, 1): either class has probability 1/2. By timesteps it would be the mean of ln(1 + e^-+2)."""
    logits = torch.tensor([[[0.0, 2.0]], [[2.0, 0.0]]])
    assert losses.get("ce").of(logits, torch.tensor([0]), 0.5).item() == pytest.approx(LN2)


def test_ce_is_torch_s_bit_for_bit():
    logits, y = batch()
    logits = logits.float()
    assert torch.equal(losses.get("ce").of(logits, y, 0.5), F.cross_entropy(logits.mean(0), y))


@pytest.mark.parametrize(("text", "share"), [("tet", 0.05), ("tet:lambda=0", 0), ("tet:lambda=0.3", 0.3)])
def test_tet_by_hand(text, share):
    """Probabilities of class 0: 1/4, then 1/2; away from v_th = .5: .5, ln 3 - .5, .5, .5."""
    logits = torch.tensor([[[0.0, LN3]], [[0.0, 0.0]]], dtype=F64)
    cross_entropy = (2 * LN2 + LN2) / 2
    away = (3 * 0.25 + (LN3 - 0.5) ** 2) / 4
    found = losses.get(text).of(logits, torch.tensor([0]), 0.5).item()
    assert found == pytest.approx((1 - share) * cross_entropy + share * away, rel=1e-14)


def test_tet_is_its_numpy_twin():
    logits, y = batch()
    each = log_softmax(logits.numpy(), axis=2)
    by_timestep = [-step[np.arange(5), y.numpy()].mean() for step in each]
    twin = 0.8 * np.mean(by_timestep) + 0.2 * np.mean((logits.numpy() - 0.7) ** 2)
    assert losses.get("tet:lambda=0.2").of(logits, y, 0.7).item() == pytest.approx(twin, rel=1e-13)


@pytest.mark.parametrize("text", ["ce", "tet"])
def test_gradients_are_numerical_ones(text):
    logits, y = batch()
    torch.autograd.gradcheck(lambda o: losses.get(text).of(o, y, 0.5), logits.requires_grad_())


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
def test_every_loss_says_what_it_is(name):
    loss = losses.get(name)
    assert loss.name == name
    assert loss.source
    assert loss.of(*batch(), 0.5).shape == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tte", ["unknown loss 'tte'", "did you mean 'tet'"]),
        ("ce:lambda=1", ["loss 'ce' has no option 'lambda'", "mpdviz list losses"]),
        ("tet:weight=1", ["loss 'tet' has no option 'weight'"]),
        ("tet:lambda=much", ["'lambda=much' is no option", "tet:lambda=0.05"]),
        ("tet:lambda=1.5", ["lambda=1.5", "from 0 to 1"]),
        ("tet:lambda=nan", ["lambda=nan"]),
    ],
)
def test_bad_strings_get_one_line(text, words):
    with pytest.raises(BadInput) as caught:
        losses.get(text)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
