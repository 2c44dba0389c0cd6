"""The least share of MPD-AGL's law, against scipy's normal distribution."""

import pytest
import torch
from scipy.stats import norm

from mpdviz import strategies
from mpdviz.errors import BadInput
from mpdviz.strategies.base import Situation
from mpdviz.strategies.covering import half_width

F64 = torch.float64
V_TH = 0.5


def share(kappa, mean, std):
    return norm.cdf((V_TH + kappa / 2 - mean) / std) - norm.cdf((V_TH - kappa / 2 - mean) / std)


@pytest.mark.parametrize("wanted", [1e-6, 0.05, 0.3, 0.5, 0.999])
def test_the_half_width_holds_the_share(wanted):
    mean = torch.tensor([0.0, -2.0, 0.5, 3.0, -0.1, 0.0], dtype=F64)
    std = torch.tensor([0.5, 0.01, 0.3, 0.4, 5.0, 0.125], dtype=F64)
    h = half_width(wanted, mean, std, V_TH)
    for each, m, s in zip(h.tolist(), mean.tolist(), std.tolist(), strict=True):
        assert share(2 * each, m, s) == pytest.approx(wanted, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("gamma", [0.1, 0.25, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("decay", [0.0, 0.2, 0.9])
def test_mpd_agl_keeps_its_widths_where_they_hold_enough_and_no_less_elsewhere(gamma, decay):
    weights, beta = torch.full((4,), gamma, dtype=F64), torch.tensor([0.1, -0.3, 0.0, 0.0], dtype=F64)
    own = strategies.get("mpd-agl").kappa(3, decay, V_TH, weights, beta)
    wide = strategies.get("mpd-agl:least=0.3").kappa(3, decay, V_TH, weights, beta)
    for t in range(3):
        mean = -0.05 * (1 + decay * (t > 0))
        std = own[t].item() / 2
        before, after = (share(kappa[t].item(), mean, std) for kappa in (own, wide))
        assert after == pytest.approx(max(before, 0.3), rel=1e-9)
        assert wide[t] == own[t] or before < 0.3


def test_factors_move_the_predicted_means():
    factors = torch.tensor([1.0, 0.5, 2.0], dtype=F64)
    gamma, beta = torch.full((2,), 0.2, dtype=F64), torch.full((2,), -0.2, dtype=F64)
    situation = Situation(3, 0.5, V_TH, gamma, beta, factors=factors)
    own, wide = (strategies.get(name).widths(situation) for name in ("mpd-agl", "mpd-agl:least=0.4"))
    means = [-0.2, -0.2 * (0.5 + 0.5 * 1.0), -0.2 * (2.0 + 0.5 * 0.5)]
    for t, mean in enumerate(means):
        assert share(wide[t].item(), mean, own[t].item() / 2) == pytest.approx(0.4, rel=1e-9)


@pytest.mark.parametrize("least", ["-0.1", "1", "nan"])
def test_a_share_that_is_none_is_refused(least):
    with pytest.raises(BadInput, match="least"):
        strategies.get(f"mpd-agl:least={least}")
