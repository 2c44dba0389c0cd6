"""Functions that run a whole part of a network inside of them, and hand its spikes back."""

import copy

import pytest
import torch
from recording.idioms import networks as papers
from recording.idioms.runs import recorded
from torch import nn
from torch.utils.checkpoint import checkpoint


class Neurons(nn.Module):
    """Batch norm and state are changed by every forward: nobody may run it once more."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.forwards = nn.BatchNorm1d(9), 0

    def forward(self, x):
        self.forwards += 1
        v, s = 0, torch.zeros_like(x)
        for _ in range(3):
            v = 0.5 * v * (1 - s) + self.norm(x)
            s = papers.SpikeAct.apply(v, 0.5, 1.0)
        return s


class Wrapped(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.neurons, self.how = Neurons(), how

    def forward(self, x):
        if self.how is None:
            return self.neurons(x)
        return checkpoint(self.neurons, x, use_reentrant=self.how == "reentrant")


@pytest.mark.parametrize("how", ["reentrant", "not reentrant"])
def test_a_checkpoint_is_run_as_often_as_without_a_recording(how):
    x = torch.randn(16, 9, requires_grad=True)
    tables, forwards = [], []
    for kind in (None, how):
        plain = Wrapped(kind)
        net = copy.deepcopy(plain)
        plain(x).sum().backward()
        with recorded(net) as mpd:
            net(x).sum().backward()
        tables.append(mpd.table())
        assert all(torch.equal(a, b) for a, b in zip(plain.buffers(), net.buffers(), strict=True))
        assert net.neurons.forwards == plain.neurons.forwards
        forwards.append(net.neurons.forwards)
    assert forwards == [1, 2]
    columns = ["layer", "timestep", "count", "mean", "std", "available_ratio", "firing_rate"]
    assert tables[0][columns].equals(tables[1][columns])
