"""A network at rest again: by its framework's reset, or to what it was, for code written by hand."""

import warnings
from collections import OrderedDict, deque, namedtuple

import pytest
import torch
from torch import nn

from mpdviz.errors import BadInput
from mpdviz.inspection.resetting import Rest

Pair = namedtuple("Pair", "v i")


class ByHand(nn.Module):
    """Keeps state in every way that people do."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.mem = None
        self.steps = 0
        self.started = False
        self.history = []
        self.delay = deque([torch.zeros(1)], maxlen=2)
        self.state = Pair(torch.zeros(1), torch.zeros(1))
        self.by_name = OrderedDict(v=0.0)
        self.constant = torch.ones(2)
        self.shared = self.constant
        self.register_buffer("potential", torch.zeros(2))
        self.act = torch.relu

    def forward(self, x):
        current = self.fc(x)
        self.mem = current if self.mem is None else 0.5 * self.mem + current
        self.steps += 1
        self.started = True
        self.history.append(self.mem)
        self.delay.append(current)
        self.state = Pair(self.state.v + current, self.state.i)
        self.by_name["v"] = self.by_name["v"] + current
        self.potential += current.sum(0)
        self.trace = current  # did not exist before
        return self.mem + self.delay[0] + self.state.v + self.by_name["v"] + self.potential


def test_what_code_by_hand_keeps_is_put_back():
    net, x = ByHand().eval(), torch.randn(4, 3)
    rest = Rest(net)
    assert not rest.left
    with torch.no_grad():
        first = [net(x) for _ in range(3)]
        assert rest.left
        rest.restore()
        assert not rest.left
        assert (net.mem, net.steps, net.started, net.history) == (None, 0, False, [])
        assert (net.delay.maxlen, type(net.state), type(net.by_name)) == (2, Pair, OrderedDict)
        assert not hasattr(net, "trace")
        for _ in range(2):  # what is put back is fresh each time
            again = [net(x) for _ in range(3)]
            assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
            rest.restore()
    assert net.constant is net.shared  # untouched
    assert net.act is torch.relu


def test_batch_norms_statistics_are_no_state_in_training_mode():
    net = nn.Sequential(nn.BatchNorm1d(3)).train()
    rest = Rest(net)
    net(torch.randn(8, 3))
    moved = net[0].running_mean.clone()
    rest.restore()
    assert torch.equal(net[0].running_mean, moved)
    assert moved.any()


def test_functions_that_others_put_on_a_module_stay():
    net = ByHand()
    rest = Rest(net)
    net.mem = net.watched = lambda: 0
    rest.restore()
    assert net.mem is net.watched


def test_modules_in_plain_lists_are_reset_too():
    net = nn.Module()
    net.neurons = [ByHand(), {"deep": 1}]
    rest = Rest(net)
    net.neurons[0].eval()(torch.randn(1, 3))
    rest.restore()
    assert net.neurons[0].mem is None


def test_spikingjelly_is_reset_as_a_whole_and_without_warnings():
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import functional, layer, neuron

    class Own(nn.Module):
        """Has the method that `reset_net` calls on any module, with a warning."""

        def __init__(self):
            super().__init__()
            self.count = 0

        def reset(self):
            self.count += 1

    inner = layer.LinearRecurrentContainer(neuron.LIFNode(), 4, 4)
    net = nn.Sequential(layer.Linear(3, 4), layer.SynapseFilter(tau=8.0), inner, Own())
    functional.set_step_mode(net, "m")
    x = torch.rand(5, 2, 3)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        net[:3](x)  # stale before it is remembered
        rest = Rest(net)
        fresh = net[:2](x)
        assert not torch.equal(net[:3](x), fresh)
        assert not torch.equal(net[:2](x), fresh)
        rest.restore()
        assert (inner.y, inner.sub_module.v) == (None, 0.0)
        assert torch.equal(net[:2](x), fresh)
    assert net[3].count == 2


def test_nested_neurons_of_snntorch_are_reset():
    snn = pytest.importorskip("snntorch")
    neurons = [
        snn.Leaky(0.9, init_hidden=True),
        snn.Synaptic(0.9, 0.8, init_hidden=True),
        snn.Alpha(0.9, 0.8),
    ]
    net = nn.ModuleDict({"deep": nn.Sequential(nn.Sequential(*neurons[:2]))})
    rest, x = Rest(net), torch.rand(2, 3)
    with torch.no_grad():
        net["deep"](x)
        assert neurons[0].mem.any()
        rest.restore()
        assert not neurons[0].mem.any()
        assert not neurons[1].syn.any()


def test_a_reset_that_fails_is_one_line():
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")

    class Bad(neuron.IFNode):
        def reset(self):
            raise KeyError("v")

    with pytest.raises(BadInput, match="resetting the model: KeyError: 'v'"):
        Rest(Bad())
