"""SpikingJelly's neurons of every class that can be made on a CPU, stepped and as whole sequences."""

import copy

import pytest
import torch
from recording.idioms.runs import recorded, warned
from torch import nn

neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
functional = pytest.importorskip("spikingjelly.activation_based.functional")
T, N, C = 5, 4, 6


def set_mode(node, mode):
    functional.set_step_mode(node, mode)
    return node


BOTH = {
    "SimpleIF": lambda mode: neuron.SimpleIFNode(step_mode=mode),
    "SimpleLIF": lambda mode: neuron.SimpleLIFNode(2.0, True, step_mode=mode),
    "IF": lambda mode: neuron.IFNode(step_mode=mode),
    "IF soft": lambda mode: neuron.IFNode(step_mode=mode, v_reset=None),
    "LIF": lambda mode: neuron.LIFNode(step_mode=mode),
    "LIF soft": lambda mode: neuron.LIFNode(
        step_mode=mode, v_reset=None, decay_input=False, detach_reset=True
    ),
    "PLIF": lambda mode: neuron.ParametricLIFNode(step_mode=mode),
    "QIF": lambda mode: neuron.QIFNode(step_mode=mode),
    "EIF": lambda mode: neuron.EIFNode(step_mode=mode),
    "Izhikevich": lambda mode: neuron.IzhikevichNode(step_mode=mode),
    "KLIF": lambda mode: neuron.KLIFNode(step_mode=mode),
    "CLIF": lambda mode: neuron.ComplementaryLIFNode(step_mode=mode),
    "CUBALIF": lambda mode: set_mode(neuron.CUBALIFNode(), mode),
    "RAF": lambda mode: neuron.RAFNode(step_mode=mode),
    "MPBN": lambda mode: neuron.MPBNLIFNode(out_features=C, step_mode=mode),
    "half threshold": lambda mode: neuron.HalfThresholdIFNode(step_mode=mode),
    "activation-aware": lambda mode: neuron.ActivationAwareIFNode(step_mode=mode),
    "sliding PSN": lambda mode: neuron.SlidingPSN(k=2, step_mode=mode),
    "masked PSN": lambda mode: neuron.MaskedPSN(k=2, T=T, lambda_init=1.0, step_mode=mode),
}
ONE = {
    "PSN m": lambda: neuron.PSN(T),
    "gated LIF m": lambda: neuron.GatedLIFNode(T=T),
    "SLTT s": lambda: neuron.SLTTLIFNode(),
    "OTTT s": lambda: neuron.OTTTLIFNode(),
}
CASES = {
    f"{name} {mode}": (lambda make=make, mode=mode: make(mode))
    for name, make in BOTH.items()
    for mode in "sm"
}
CASES |= ONE


class Network(nn.Module):
    """Before and after the neurons come weights; stepped inside where they are made for that."""

    def __init__(self, make, stepped):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.neuron, self.out, self.stepped = nn.Linear(9, C), make(), nn.Linear(C, 3), stepped

    def forward(self, xs):
        functional.reset_net(self)
        currents = 3 * self.fc(xs) + 0.5
        if self.stepped:
            spikes = [self.neuron(current) for current in currents]
            self.spikes = torch.stack([s[0] if isinstance(s, list) else s for s in spikes])
        else:
            self.spikes = self.neuron(currents)
        return self.out(self.spikes).mean(0)


def run(net):
    net.zero_grad()
    xs = torch.randn(T, N, 9, generator=torch.Generator().manual_seed(1))
    out = net(xs)
    out.square().sum().backward()
    return out, [p.grad.clone() for p in net.parameters() if p.grad is not None]


@pytest.mark.thorough
@pytest.mark.parametrize("name", CASES)
def test_spikes_by_timestep_and_nothing_changes(name):
    stepped = name.endswith(" s")
    net = Network(CASES[name], stepped)
    expected, gradients = run(copy.deepcopy(net))
    before = torch.get_rng_state()
    with recorded(net, gradients=True) as mpd:
        out, recorded_gradients = run(net)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(out, expected)
    assert all(torch.equal(a, b) for a, b in zip(gradients, recorded_gradients, strict=True))
    (layer,) = mpd.layers.values()
    assert layer.info.name == "neuron"
    assert layer.statistics.count.tolist() == [N * C] * T
    assert layer.statistics.spikes.tolist() == (net.spikes > 0).flatten(1).sum(1).tolist()
    assert 0 < layer.statistics.spikes.sum() < T * N * C
    # Nothing that is learned has come to a resonator's potential at its first timestep.
    assert layer.flow.count.tolist() == [0 if name.startswith("RAF") else N * C] + [N * C] * (T - 1)


@pytest.mark.parametrize("name", ["sliding PSN s", "masked PSN s", "LIF s", "OTTT s"])
def test_stepped_from_outside(name):
    node = CASES[name]()
    emitted = []
    with recorded(node) as mpd:
        for _ in range(2):
            node.reset()
            for x in 2 * torch.randn(T, N, C):
                spikes = node(x)
                emitted.append(spikes[0] if isinstance(spikes, list) else spikes)
    (layer,) = mpd.layers.values()
    assert layer.statistics.count.tolist() == [2 * N * C] * T
    assert layer.statistics.spikes.tolist() == [int(sum(emitted[t::T]).sum()) for t in range(T)]


@pytest.mark.parametrize(
    "make", [lambda: neuron.DSRIFNode(T=T), lambda: neuron.DSRLIFNode(T=T), lambda: neuron.ILIFNode()]
)
def test_what_cannot_be_read_is_named(make):
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.read, self.other = neuron.LIFNode(step_mode="m"), make()
            functional.set_step_mode(self, "m")

        def forward(self, x):
            return self.other(self.read(x) * 3)

    with warned(Beside()) as (mpd, said):
        mpd._recorder._model(2 * torch.randn(T, N, C))
    assert [layer.info.name for layer in mpd.layers.values()] == ["read"]
    assert list(mpd.left_out) == ["other"]
    assert len(said) == 1


@pytest.mark.parametrize("make", [neuron.NonSpikingIFNode, neuron.NonSpikingLIFNode])
def test_readouts_are_no_neurons(make):
    net = nn.Sequential(neuron.LIFNode(step_mode="m"), make())
    with recorded(net) as mpd:
        net(2 * torch.randn(T, N, C))
    assert [layer.info.name for layer in mpd.layers.values()] == ["0"]
    assert dict(mpd.left_out) == {}
