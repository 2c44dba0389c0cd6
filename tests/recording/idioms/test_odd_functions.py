"""Spike functions that are odd in one way each, in one and the same plain network."""

import pytest
import torch
from recording.idioms.runs import recorded
from torch import nn


class Plain(nn.Module):
    """Two layers over time; keeps what its first layer's function was given and what it returned."""

    def __init__(self, function, timesteps=4):
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.fc2 = nn.Linear(9, 64), nn.Linear(64, 8)
        self.function, self.timesteps, self.kept = function, timesteps, []

    def forward(self, x):
        v = out = 0
        for _ in range(self.timesteps):
            v = 0.5 * v + self.fc1(x)
            s = self.function(v)
            self.kept.append((v.detach().clone(), s.detach().clone()))
            v = v * (1 - s.detach())
            out = out + self.fc2(s)
        return out


def data(n=200):
    return torch.randn(n, 9, generator=torch.Generator().manual_seed(1))


def fired(mpd, layer=1):
    return mpd.layers[layer].statistics.spikes.tolist()


def kept(net, timesteps=4):
    """Spikes a timestep, all forwards together."""
    return [sum(int((s != 0).sum()) for _, s in net.kept[t::timesteps]) for t in range(timesteps)]


class OffCentre(torch.autograd.Function):
    """The derivative is about 0, the threshold is not, and somebody moves it."""

    threshold = 0.3

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > OffCentre.threshold).to(x)

    @staticmethod
    def backward(ctx, grad):
        return grad / (1 + ctx.saved_tensors[0].abs()).square()


def test_what_the_recorder_evaluates_itself_is_nobodys_spikes():
    net = Plain(OffCentre.apply)
    with recorded(net) as mpd:
        net(data())
    assert fired(mpd) == kept(net)
    assert mpd._recorder._layers._copies == set()


@pytest.mark.parametrize("by", [0.005, 0.3])
def test_a_threshold_that_is_moved_behind_its_back(by):
    net = Plain(OffCentre.apply)
    try:
        with recorded(net) as mpd:
            net(data())
            OffCentre.threshold += by
            net(data())
    finally:
        OffCentre.threshold = 0.3
    assert fired(mpd) == kept(net)
    assert mpd.layers[1].info.v_th == pytest.approx(0.3 + by)
