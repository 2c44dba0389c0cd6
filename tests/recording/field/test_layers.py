"""Which layers a network has: each is read, or left out with its reason; none takes the others with it."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import mpdviz
from mpdviz.errors import MpdvizWarning

IN, OUT, N, T = 6, 9, 5, 4


def random(*shape, seed=1, scale=3.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


def linear(size_in=IN, size_out=OUT, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(size_in, size_out).double()


@pytest.fixture
def sj():
    pytest.importorskip("spikingjelly.activation_based")
    from spikingjelly.activation_based import functional, neuron, surrogate

    return SimpleNamespace(functional=functional, neuron=neuron, surrogate=surrogate)


def charged(current, spikes, *, tau=2.0):
    """Pre-reset potentials `[T, N, ...]` of LIFNode(tau), of IFNode where tau is 1."""
    v, potentials = np.zeros(current.shape[1:]), []
    for step, s in zip(current, spikes, strict=True):
        h = v + step if tau == 1 else v + (step - v) / tau
        potentials.append(h)
        v = (1 - s) * h
    return np.stack(potentials)


def check_rows(rows, potentials, spikes, inside=None):
    v, s = potentials.reshape(len(potentials), -1), spikes.reshape(len(potentials), -1)
    assert rows["timestep"].tolist() == list(range(1, len(v) + 1))
    assert rows["count"].tolist() == [v.shape[1]] * len(v)
    np.testing.assert_allclose(rows["mean"], v.mean(1), atol=1e-9)
    np.testing.assert_allclose(rows["std"], v.std(1), atol=1e-9)
    np.testing.assert_allclose(rows["firing_rate"], s.mean(1))
    if inside is not None:
        np.testing.assert_allclose(rows["available_ratio"], inside.reshape(len(v), -1).mean(1))


# Thresholds. ----------------------------------------------------------------------------------------------


def test_a_layer_that_can_never_spike_is_left_out_and_the_others_are_read(sj):
    net = nn.Sequential(
        linear(),
        sj.neuron.IFNode(step_mode="m"),
        linear(OUT, 1),
        sj.neuron.IFNode(v_threshold=float("inf"), step_mode="m"),
    )
    x = random(T, N, IN)
    with torch.no_grad():
        plain = net(x)
        sj.functional.reset_net(net)
        with pytest.warns(MpdvizWarning, match="layer 3 is not recorded"), mpdviz.record(net) as mpd:
            assert torch.equal(net(x), plain)
        sj.functional.reset_net(net)
        current, spikes = net[0](x).numpy(), net[1](net[0](x)).numpy()
    assert mpd.left_out == {"3": "its threshold is infinite: it never spikes"}
    check_rows(mpd.table(), charged(current, spikes, tau=1), spikes)
    assert mpd.table()["name"].unique().tolist() == ["1"]


def learnable(sj, threshold):
    class LearnableLIFNode(sj.neuron.LIFNode):
        def __init__(self):
            super().__init__(step_mode="m", surrogate_function=sj.surrogate.Rect())
            del self.v_threshold
            self.v_threshold = threshold

    return LearnableLIFNode()


@pytest.mark.parametrize("kind", ["a parameter", "a parameter by neuron", "a tensor by neuron"])
def test_thresholds_that_are_tensors_are_read(sj, kind):
    by_neuron = torch.linspace(0.5, 1.0, OUT, dtype=torch.float64)
    threshold = by_neuron if "by neuron" in kind else torch.tensor([0.75], dtype=torch.float64)
    threshold = nn.Parameter(threshold) if "parameter" in kind else threshold
    net, x = nn.Sequential(linear(), learnable(sj, threshold)), random(T, N, IN)
    plain = net(x)
    plain.sum().backward()
    expected = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    sj.functional.reset_net(net)
    with mpdviz.record(net, gradients=True) as mpd:
        out = net(x)
        out.sum().backward()
    assert torch.equal(out, plain)
    assert all(torch.equal(p.grad, old) for p, old in zip(net.parameters(), expected, strict=True))
    assert not mpd.left_out
    spikes, limits = out.detach().numpy(), threshold.detach().numpy()
    v = charged(net[0](x).detach().numpy(), spikes)
    np.testing.assert_array_equal(spikes, v >= limits)
    shown = v if len(limits) == 1 else v - limits  # what exceeds each neuron's own
    check_rows(mpd.table(), shown, spikes, np.abs(v - limits) < 0.5)
    assert mpd.table()["v_th"].unique().tolist() == [0.75 if len(limits) == 1 else 0]


# One that cannot be read. ---------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [None, ["1"], [1]], ids=str)
def test_a_readout_of_one_s_own_does_not_refuse_the_network(sj, layers):
    class NonSpikingLIFNode(sj.neuron.SimpleLIFNode):
        def single_step_forward(self, x):
            v = self.v if isinstance(self.v, torch.Tensor) else torch.zeros_like(x)
            self.v = v + (x - v) / self.tau
            return self.v

    net = nn.Sequential(
        linear(4, 16), sj.neuron.IFNode(), linear(16, 2), NonSpikingLIFNode(tau=2.0, decay_input=True)
    )
    x = random(T, N, 4)
    told = "layer 3 is not recorded: it ran, but no spikes were seen in it"
    with torch.no_grad(), pytest.warns(MpdvizWarning) as said, mpdviz.record(net, layers=layers) as mpd:
        mpd.new_sequence()
        for step in x:
            net(step)
    assert [str(warning.message) for warning in said if told in str(warning.message)]
    assert len(said) == 1
    assert list(mpd.left_out) == ["3"]
    sj.functional.reset_net(net)
    with torch.no_grad():
        current = net[0](x).numpy()
        spikes = np.stack([net[1](net[0](step)).numpy() for step in x])
    check_rows(mpd.table(), charged(current, spikes, tau=1), spikes)


@pytest.mark.parametrize("readout", ["LICell", "LI", "LILinearCell"])
def test_a_readout_of_norse_does_not_refuse_the_network(readout):
    norse = pytest.importorskip("norse.torch")
    tail = {
        "LICell": norse.LICell,
        "LI": norse.LI,
        "LILinearCell": lambda: norse.LILinearCell(OUT, OUT).double(),
    }[readout]()
    net = norse.SequentialState(linear(), norse.LIFCell(dt=0.0078125), tail)
    x, state, potentials = random(T, N, IN), None, []
    with torch.no_grad(), mpdviz.record(net) as mpd:
        for step in x:
            _, state = net(step, state)
    v = i = np.zeros((N, OUT))
    spikes = []
    for step in net[0](x).detach().numpy():
        i = i + step
        h = v + 0.78125 * (i - v)
        i, v = i * (1 - 1.5625), np.where(h > 1, 0, h)
        potentials.append(h)
        spikes.append(h > 1)
    assert not mpd.left_out
    check_rows(
        mpd.table(), np.stack(potentials), np.stack(spikes), np.abs(np.stack(potentials) - 1) < 0.1**-0.5 - 1
    )
    assert mpd.table()["name"].unique().tolist() == ["1"]


# Names. ---------------------------------------------------------------------------------------------------


def test_a_layer_goes_by_its_module_s_real_path(sj):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.neuron = linear(), sj.neuron.LIFNode(step_mode="m")

        def forward(self, x):
            return self.neuron(self.linear(x))

    net, x = (
        nn.Sequential(Block(), nn.Sequential(linear(OUT, OUT), sj.neuron.LIFNode(step_mode="m"))),
        random(T, N, IN),
    )
    names = [name for name, module in net.named_modules() if isinstance(module, sj.neuron.LIFNode)]
    with torch.no_grad():
        with mpdviz.record(net) as mpd:
            net(x)
        assert mpd.table()["name"].unique().tolist() == names == ["0.neuron", "1.1"]
        for name in names:
            sj.functional.reset_net(net)
            with mpdviz.record(net, layers=[name]) as mpd:
                net(x)
            assert mpd.table()["name"].unique().tolist() == [name]


# One module at two places. --------------------------------------------------------------------------------


class Twice(nn.Module):
    """One neuron module at two places; put to rest in between where it keeps a state."""

    def __init__(self, neuron, *, rest=None):
        super().__init__()
        self.a, self.b, self.spike = linear(8, 8), linear(8, 8, seed=1), neuron
        self.rest = rest or (lambda neuron: None)

    def forward(self, x):
        self.rest(self.spike)
        first = self.spike(5 * self.a(x))
        self.rest(self.spike)
        return self.spike(5 * self.b(first))


def test_a_module_at_two_places_is_two_layers(sj):
    net, x = Twice(sj.neuron.LIFNode(step_mode="m"), rest=sj.functional.reset_net), random(T, 16, 8, scale=1)
    with torch.no_grad(), mpdviz.record(net) as mpd:
        second = net(x).numpy()
    line = Twice.forward.__code__.co_firstlineno
    assert mpd.table()["name"].unique().tolist() == [f"spike@forward:{line + 2}", f"spike@forward:{line + 4}"]
    with torch.no_grad():
        sj.functional.reset_net(net)
        first = net.spike(5 * net.a(x))
        currents = 5 * net.a(x).numpy(), 5 * net.b(first).numpy()
    for number, (current, spikes) in enumerate(zip(currents, (first.numpy(), second), strict=True), start=1):
        rows = mpd.table()[mpd.table()["layer"] == number]
        check_rows(rows, charged(current, spikes), spikes)
    assert mpd.layer_table()["neurons"].tolist() == [8, 8]
    with torch.no_grad(), mpdviz.record(net, layers=["spike"]) as both:
        net(x)
    assert both.table().equals(mpd.table())
    with torch.no_grad(), mpdviz.record(net, layers=[f"spike@forward:{line + 4}"]) as one:
        net(x)
    assert one.table()["name"].unique().tolist() == [f"spike@forward:{line + 4}"]


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_a_state_that_both_places_share_is_told(sj, step_mode):
    """Three timesteps of two layers, not six of one; the second goes on from what the first left."""
    net, x = Twice(sj.neuron.LIFNode(step_mode=step_mode)), random(3, N, 8)
    told = r"layer spike@forward:\d+ began a sequence with the potentials that the one before had left"
    with torch.no_grad(), pytest.warns(MpdvizWarning) as said, mpdviz.record(net) as mpd:
        outs = [net(x)] if step_mode == "m" else [net(step) for step in x]
    assert len(outs) == (1 if step_mode == "m" else 3)
    assert any(re.match(told, str(warning.message)) for warning in said)
    table = mpd.table()
    assert table["timestep"].tolist() == [1, 2, 3] * 2
    assert table["count"].tolist() == [N * 8] * 6
    # What they did: the state goes from place to place.
    a, b = (part.weight.detach().numpy() for part in (net.a, net.b))
    bias_a, bias_b = (part.bias.detach().numpy() for part in (net.a, net.b))
    v, steps = np.zeros((N, 8)), {0: [], 1: []}

    def fire(place, current):
        nonlocal v
        h = v + (current - v) / 2
        s = (h >= 1).astype(float)
        v = (1 - s) * h
        steps[place].append((h, s))
        return s

    if step_mode == "s":
        for step in x.numpy():
            fire(1, 5 * (fire(0, 5 * (step @ a.T + bias_a)) @ b.T + bias_b))
    else:
        first = [fire(0, 5 * (step @ a.T + bias_a)) for step in x.numpy()]
        for s in first:
            fire(1, 5 * (s @ b.T + bias_b))
    for place, number in ((0, 1), (1, 2)):
        h, s = (np.stack(part) for part in zip(*steps[place], strict=True))
        check_rows(table[table["layer"] == number], h, s)


def test_a_snntorch_neuron_with_two_states_is_two_layers():
    snn = pytest.importorskip("snntorch")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.lif = linear(IN, 8), linear(8, 8), snn.Leaky(beta=0.75).double()
            self.kept = [], []

        def forward(self, x):
            one, two = self.lif.init_leaky(), self.lif.init_leaky()
            for step in x:
                s, one = self.lif(3 * self.a(step), one)
                s, two = self.lif(3 * self.b(s.double()), two)
                self.kept[0].append(one.detach().numpy())
                self.kept[1].append(two.detach().numpy())
            return s

    net = Net()
    with mpdviz.record(net) as mpd:
        net(random(T, N, IN))
    for number, kept in enumerate(net.kept, start=1):
        v = np.stack(kept)
        check_rows(mpd.table()[mpd.table()["layer"] == number], v, v > 1)


# Norse. ---------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning:nirtorch.*")
@pytest.mark.filterwarnings("ignore:nirtorch.load is being deprecated")
def test_a_network_that_was_imported_through_nir_is_read():
    nir, norse = pytest.importorskip("nir"), pytest.importorskip("norse.torch")
    rng = np.random.default_rng(0)

    def full(value):
        return np.full(OUT, value, np.float32)

    lif = nir.LIF(tau=full(0.01), r=full(1), v_leak=full(0), v_threshold=full(1), v_reset=full(0))
    affine = nir.Affine(rng.standard_normal((OUT, IN)).astype(np.float32) * 3, full(0))
    nodes = {
        "input": nir.Input(np.array([IN])),
        "fc": affine,
        "lif": lif,
        "output": nir.Output(np.array([OUT])),
    }
    net = norse.from_nir(nir.NIRGraph(nodes=nodes, edges=[("input", "fc"), ("fc", "lif"), ("lif", "output")]))
    x, state, emitted = random(T, N, IN).float() * 20, None, []
    with torch.no_grad(), mpdviz.record(net) as mpd:
        for step in x:
            spikes, state = net(step, state)
            emitted.append(spikes.double().numpy())
    assert not mpd.left_out
    table, spikes = mpd.table(), np.stack(emitted)
    assert table["count"].tolist() == [N * OUT] * T
    assert table["v_th"].unique().tolist() == [1]
    assert table["decay"].unique() == pytest.approx([1 - net.lif.dt * 100], rel=1e-6)
    np.testing.assert_allclose(table["firing_rate"], spikes.reshape(T, -1).mean(1))
    assert 0 < spikes.mean() < 1
    with torch.no_grad():
        current = net.fc(x).double().numpy()
    v, potentials = np.zeros((N, OUT)), []
    for step, s in zip(current, spikes, strict=True):
        h = v + net.lif.dt * 100 * (step - v)
        potentials.append(h)
        v = (1 - s) * h
    np.testing.assert_allclose(
        table["mean"], np.stack(potentials).reshape(T, -1).mean(1), rtol=1e-5, atol=1e-5
    )


def test_a_recurrent_cell_with_other_inputs_than_neurons_is_read():
    norse = pytest.importorskip("norse.torch")
    torch.manual_seed(0)
    cell = norse.LIFRecurrentCell(20, OUT, dt=0.0078125).double()
    net, before = nn.ModuleDict({"cell": cell}), (cell.activation, set(vars(cell)))
    x = random(T, N, 20)
    x[..., 10:] = 0  # half of the inputs are dead; every neuron is driven all the same
    emitted, state = [], None
    with torch.no_grad(), mpdviz.record(net) as mpd:
        for step in x:
            spikes, state = cell(step, state)
            emitted.append(spikes.numpy())
    assert (cell.activation, set(vars(cell))) == before
    assert not cell._forward_hooks
    assert not cell._forward_pre_hooks
    weights, again = (w.detach().numpy() for w in (cell.input_weights, cell.recurrent_weights))
    v = i = last = np.zeros((N, OUT))
    potentials = []
    for step, s in zip(x.numpy(), emitted, strict=True):
        i = i + step @ weights.T + last @ again.T
        potentials.append(v + 0.78125 * (i - v))
        i, v, last = i * (1 - 1.5625), (1 - s) * potentials[-1], s
    check_rows(mpd.table(), np.stack(potentials), np.stack(emitted))
    assert mpd.table()["name"].unique().tolist() == ["cell"]
    assert mpd.layer_table()["silent_input"].isna().all()  # its inputs are no neurons
