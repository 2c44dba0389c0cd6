"""Where sequences begin and end, in networks as people step them: right, or told; never dropped or joined."""

import numpy as np
import pytest
import torch
from torch import nn

import mpdviz
from mpdviz.errors import MpdvizWarning
from mpdviz.recording import sequences

IN, OUT, N = 6, 9, 4
KINDS = ("snntorch", "spikingjelly", "norse")


def random(*shape, seed=1, scale=3.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


def linear(size_in=IN, size_out=OUT, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(size_in, size_out).double()


class Stepped:
    """A linear layer and a stepped neuron layer of a framework's, and how that is put to rest and stepped."""

    def __init__(self, kind):
        self.kind, self.state = kind, None
        if kind == "snntorch":
            snn = pytest.importorskip("snntorch")
            self.neuron = snn.Leaky(beta=0.75, init_hidden=True).double()
        elif kind == "spikingjelly":
            neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
            self.neuron = neuron.LIFNode()
        else:
            norse = pytest.importorskip("norse.torch")
            self.neuron = norse.LIFCell(dt=0.0078125)
        layers = linear(), self.neuron
        self.net = norse.SequentialState(*layers) if kind == "norse" else nn.Sequential(*layers)

    def reset(self):
        self.state = None
        if self.kind == "snntorch":
            self.neuron.reset_mem()
        elif self.kind == "spikingjelly":
            self.neuron.reset()

    def step(self, x):
        if self.kind == "norse":
            spikes, self.state = self.net(x, self.state)
            return spikes
        return self.net(x)

    def potentials(self, x):
        """Of a sequence from rest, in NumPy alone; and the spikes."""
        current = self.net[0](x).detach().numpy()
        v = i = np.zeros(current.shape[1:])
        potentials, spikes = [], []
        for step in current:
            if self.kind == "snntorch":
                h = 0.75 * v + step - (v > 1)
                s, v = h > 1, h
            elif self.kind == "spikingjelly":
                h = v + (step - v) / 2
                s, v = h >= 1, np.where(h >= 1, 0, h)
            else:
                i = i + step
                h = v + 0.78125 * (i - v)
                i = i * (1 - 1.5625)
                s, v = h > 1, np.where(h > 1, 0, h)
            potentials.append(h)
            spikes.append(s)
        return np.stack(potentials), np.stack(spikes)


@pytest.mark.parametrize("lengths", [(5, 5), (5, 3), (3, 5), (5, 3, 5), (5, 3, 4)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_sequences_of_any_length_add_up(kind, lengths):
    made = Stepped(kind)
    data = [random(length, N, IN, seed=i) for i, length in enumerate(lengths)]
    with torch.no_grad(), mpdviz.record(made.net) as mpd:
        for x in data:
            made.reset()
            for step in x:
                made.step(step)
    truths = [made.potentials(x) for x in data]
    table = mpd.table()
    assert table["timestep"].tolist() == list(range(1, max(lengths) + 1))
    for t in range(max(lengths)):
        v, s = (
            np.concatenate([truth[part][t] for truth in truths if t < len(truth[part])]) for part in (0, 1)
        )
        assert table["count"][t] == v.size
        assert table["firing_rate"][t] == pytest.approx(s.mean(), abs=1e-12)
        assert table["mean"][t] == pytest.approx(v.mean(), abs=1e-9)
        assert table["std"][t] == pytest.approx(v.std(), abs=1e-9)


@pytest.mark.parametrize("kind", ["snntorch", "spikingjelly"])
def test_a_reset_that_was_forgotten_is_told(kind):
    made, x = Stepped(kind), random(12, N, IN)
    made.reset()
    told = "was called 12 times without a reset, which counts as one sequence of T=12"
    with pytest.warns(MpdvizWarning, match=told) as said, torch.no_grad(), mpdviz.record(made.net) as mpd:
        for step in x:  # three batches of four, to their author
            made.step(step)
    assert len(said) == 1
    v, s = made.potentials(x)
    table = mpd.table()
    assert table["count"].tolist() == [N * OUT] * 12
    np.testing.assert_allclose(table["mean"], v.reshape(12, -1).mean(1), atol=1e-9)
    np.testing.assert_allclose(table["firing_rate"], s.reshape(12, -1).mean(1))


def test_a_state_that_nobody_resets_does_not_fill_memory(monkeypatch):
    monkeypatch.setattr(sequences, "LONGEST", 16)
    made = Stepped("spikingjelly")
    told = "timesteps without a reset"
    with torch.no_grad(), pytest.warns(MpdvizWarning, match=told), mpdviz.record(made.net) as mpd:
        for step in random(40, N, IN):
            made.step(step)
    assert mpd.table()["count"].tolist() == [3 * N * OUT] * 8 + [2 * N * OUT] * 8


class Holds(nn.Module):
    """Loops over time itself, and does not put its neurons, somewhere inside, to rest."""

    def __init__(self, neuron, *, whole=False):
        super().__init__()
        self.body, self.whole = nn.Sequential(linear(), neuron), whole

    def forward(self, x):
        return self.body(x) if self.whole else torch.stack([self.body(step) for step in x])


def neuron_of(kind):
    if kind == "snntorch":
        return pytest.importorskip("snntorch").Leaky(beta=0.75, init_hidden=True).double()
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    return neuron.LIFNode(step_mode="m" if kind == "whole" else "s")


@pytest.mark.parametrize("kind", ["snntorch", "spikingjelly", "whole"])
def test_a_state_that_leaks_from_batch_to_batch_is_told(kind):
    net, data = Holds(neuron_of(kind), whole=kind == "whole"), [random(5, N, IN, seed=i) for i in range(3)]
    told = "layer body.1 began a sequence with the potentials that the one before had left"
    with pytest.warns(MpdvizWarning, match=told) as said, torch.no_grad(), mpdviz.record(net) as mpd:
        for x in data:
            net(x)
    assert len(said) == 1
    table = mpd.table()
    assert table["count"].tolist() == [3 * N * OUT] * 5
    # What they did, leak and all.
    twin = Stepped("snntorch" if kind == "snntorch" else "spikingjelly")
    v, s = twin.potentials(torch.cat(data))
    np.testing.assert_allclose(table["mean"], v.reshape(3, 5, -1).transpose(1, 0, 2).reshape(5, -1).mean(1))
    np.testing.assert_allclose(
        table["firing_rate"], s.reshape(3, 5, -1).transpose(1, 0, 2).reshape(5, -1).mean(1)
    )


HANDLED = {
    "as it is": lambda mem: mem,
    "detached": lambda mem: mem.detach(),
    "detached in place": lambda mem: mem.detach_(),
    "cloned": lambda mem: mem.clone(),
    "cloned and detached": lambda mem: mem.detach().clone(),
    "scaled by one": lambda mem: mem * 1.0,
    "scaled": lambda mem: mem * 0.5,
    "dropped out": lambda mem: nn.functional.dropout(mem, 0.5),
}


class ByHand(nn.Module):
    """Hands the potential of a snnTorch neuron around, in one way or another; keeps what it was."""

    def __init__(self, handle, begin=None):
        super().__init__()
        snn = pytest.importorskip("snntorch")
        self.linear, self.neuron = linear(), snn.Leaky(beta=0.75).double()
        self.handle, self.begin, self.kept = handle, begin, []

    def forward(self, x):
        mem = self.neuron.init_leaky() if self.begin is None else self.begin()
        for step in x:
            spikes, mem = self.neuron(self.linear(step), mem)
            self.kept.append(mem.detach().clone().numpy())
            mem = self.handle(mem)
        return spikes


def check_kept(table, kept, timesteps):
    v = np.stack(kept).reshape(-1, timesteps, *kept[0].shape).swapaxes(0, 1).reshape(timesteps, -1)
    assert table["count"].tolist() == [v.shape[1]] * timesteps
    np.testing.assert_allclose(table["mean"], v.mean(1), atol=1e-9)
    np.testing.assert_allclose(table["std"], v.std(1), atol=1e-9)
    np.testing.assert_allclose(table["firing_rate"], (v > 1).mean(1))


@pytest.mark.parametrize("way", HANDLED)
def test_a_potential_keeps_its_place_in_time_however_it_is_handed_on(way):
    net = ByHand(HANDLED[way])
    with mpdviz.record(net) as mpd:
        for i in range(3):
            net(random(5, N, IN, seed=i))
    check_kept(mpd.table(), net.kept, 5)


def test_a_potential_that_begins_at_zeros_of_one_s_own_or_at_noise():
    net = ByHand(HANDLED["as it is"], lambda: torch.zeros(N, OUT, dtype=torch.float64))
    with mpdviz.record(net) as mpd:
        net(random(5, N, IN))
        net(random(5, N, IN, seed=2))
    check_kept(mpd.table(), net.kept, 5)
    net = ByHand(HANDLED["as it is"], lambda: random(N, OUT, seed=7).abs())
    with pytest.warns(MpdvizWarning, match="began a sequence with"), mpdviz.record(net) as mpd:
        net(random(5, N, IN))
        net(random(5, N, IN, seed=2))
    check_kept(mpd.table(), net.kept, 5)


@pytest.mark.parametrize("way", ["detached", "cloned", "cloned and detached", "scaled by one"])
def test_a_potential_that_is_handed_on_from_outside_keeps_its_place_too(way):
    net, kept = ByHand(HANDLED[way]), []
    with mpdviz.record(net) as mpd:
        for i in range(3):
            mem = net.neuron.init_leaky()
            for step in random(5, N, IN, seed=i):
                _, mem = net.neuron(net.linear(step), mem)
                kept.append(mem.detach().clone().numpy())
                mem = net.handle(mem)
    check_kept(mpd.table(), kept, 5)


def test_a_potential_that_is_changed_on_the_way_from_outside_is_told():
    net = ByHand(HANDLED["scaled"])
    with pytest.warns(MpdvizWarning, match="began a sequence with"), mpdviz.record(net) as mpd:
        mem = net.neuron.init_leaky()
        for step in random(5, N, IN):
            _, mem = net.neuron(net.linear(step), mem)
            mem = net.handle(mem)
    assert mpd.table()["count"].sum() == 5 * N * OUT


class Flattened(nn.Module):
    """Its second neuron layer gets `[T * N, C]` where `[T, N, C]` was meant."""

    def __init__(self):
        super().__init__()
        neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
        self.a, self.lif, self.b, self.proj_lif = (
            linear(8, 8),
            neuron.LIFNode(step_mode="m"),
            linear(8, 8, seed=1),
            neuron.LIFNode(step_mode="m"),
        )

    def forward(self, x):
        y = self.lif(self.a(x))
        return self.proj_lif(3 * self.b(y.flatten(0, 1))).view_as(y)


def test_layers_of_different_lengths_are_told_and_a_smaller_batch_is_counted():
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    net, told = Flattened(), r"different numbers of timesteps \(T=2: lif; T=8: proj_lif\)"
    sizes, rates, means = (4, 4, 3), [], []
    with pytest.warns(MpdvizWarning, match=told) as said, torch.no_grad(), mpdviz.record(net) as mpd:
        for i, size in enumerate(sizes):
            functional.reset_net(net)
            rates.append(net(random(2, size, 8, seed=i)).reshape(2 * size, 8).numpy())
    assert len(said) == 1
    for i, size in enumerate(sizes):
        functional.reset_net(net)
        with torch.no_grad():
            inner = net.lif(net.a(random(2, size, 8, seed=i))).flatten(0, 1)
            current = 3 * net.b(inner).numpy()
        v, h = np.zeros(8), []
        for step in current:
            h.append(v + (step - v) / 2)
            v = np.where(h[-1] >= 1, 0, h[-1])
        means.append(np.stack(h))
    table = mpd.table().set_index("name")
    assert table.loc["lif", "count"].tolist() == [8 * 11] * 2
    late = table.loc["proj_lif"]
    assert late["count"].tolist() == [24] * 6 + [16] * 2
    for t in range(8):
        v, s = (np.concatenate([part[t] for part in parts if t < len(part)]) for parts in (means, rates))
        assert late["mean"].iloc[t] == pytest.approx(v.mean(), abs=1e-9)
        assert late["firing_rate"].iloc[t] == pytest.approx(s.mean())


def test_images_of_several_sizes_are_counted():
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3).double(), neuron.LIFNode())
    values = []
    with torch.no_grad(), mpdviz.record(net) as mpd:
        for size in (8, 6, 8):
            functional.reset_net(net)
            x = random(2, 1, size, size)
            net(x)
            values.append(net[0](x).numpy().ravel() / 2)
    v = np.concatenate(values)
    (row,) = mpd.table().to_dict("records")
    assert row["count"] == len(v) == 2 * 3 * (36 + 16 + 36)
    assert row["mean"] == pytest.approx(v.mean(), abs=1e-9)
    assert row["firing_rate"] == pytest.approx((v >= 1).mean())
    assert mpd.layers[1].census is None
    assert mpd.layer_table()[["neurons", "silent", "gradient_dead"]].isna().all(axis=None)
