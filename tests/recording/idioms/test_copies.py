"""A spike function that is evaluated once more, for the reset, is no layer of its own."""

import pytest
import torch
from recording.idioms import networks as papers
from recording.idioms.runs import recorded, warned
from torch import nn

Spike = papers.RectSpike


class Stepped(nn.Module):
    """Keeps its state from call to call; what the reset is, is asked for first or last."""

    def __init__(self, *, first):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.first, self.v, self.spikes = nn.Linear(9, 16), first, None, []

    def forward(self, x):
        v = torch.zeros(len(x), 16) if self.v is None else self.v
        if self.first:
            v = 0.9 * v - Spike.apply(v - 0.3).detach() * 0.3
        v = v + self.fc(x)
        s = Spike.apply(v - 0.3)
        if not self.first:
            v = 0.9 * v - Spike.apply((v - 0.3).detach()) * 0.3
        self.v = v
        self.spikes.append(int(s.detach().sum()))
        return s


@pytest.mark.parametrize("batches", [1, 3])
@pytest.mark.parametrize("first", [True, False])
def test_stepped_from_outside(first, batches):
    net = Stepped(first=first)
    with recorded(net) as mpd:
        for _ in range(batches):
            mpd.new_sequence()
            net.v = None
            for _ in range(4):
                net(torch.randn(7, 9))
    (layer,) = mpd.layers.values()
    assert layer.statistics.count.tolist() == [batches * 7 * 16] * 4
    assert layer.statistics.spikes.tolist() == [sum(net.spikes[t::4]) for t in range(4)]


def test_stepped_and_nobody_says_when_sequences_begin():
    net = Stepped(first=True)
    with warned(net) as (mpd, said):
        for _ in range(5):
            net(torch.randn(7, 9))
    assert [layer.statistics.spikes.tolist() for layer in mpd.layers.values()] == [[sum(net.spikes)]]
    assert [str(warning.message).partition(",")[0] for warning in said] == [
        "layer Stepped is called once a forward"
    ]


@pytest.mark.parametrize("silent", [0, 1, 6])
@pytest.mark.parametrize("first", [True, False])
def test_silent_timesteps_tell_nothing(first, silent):
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.step = Stepped(first=first)
            self.step.fc.bias = None

        def forward(self, xs):
            self.step.v = None
            return torch.stack([self.step(x) for x in xs])

    net = Loop()
    xs = torch.randn(silent + 4, 7, 9)
    xs[:silent] = 0
    with recorded(net) as mpd:
        net(xs)
    (layer,) = mpd.layers.values()
    assert layer.statistics.spikes.tolist() == net.step.spikes


def test_no_potential_is_kept_alive_once_that_is_known():
    net = Stepped(first=False)
    with recorded(net) as mpd:
        mpd.new_sequence()
        for _ in range(4):
            net(torch.randn(7, 9))
        assert [layer.last for layer in mpd._recorder._layers] == [None]
