"""Nothing of a recording stays on a network or its copies, and nothing that others do to it breaks one."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest
import torch
from networks import small
from torch import nn
from torch.utils.checkpoint import checkpoint

import mpdviz
from mpdviz.neurons import Neuron

IN, OUT, N, T = 6, 9, 5, 3


def random(*shape, seed=1, scale=3.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def things(net):
    """Everything that could hang on a network, by module."""
    found = {}
    for path, module in net.named_modules():
        hooks = {name: list(value) for name, value in vars(module).items() if name.endswith("_hooks")}
        observers = len(module.observers + module.readers) if isinstance(module, Neuron) else 0
        found[path] = (sorted(vars(module)), hooks, observers, module.forward.__func__)
    return found


def made(kind):
    """A network of a framework's, what puts it to rest, and a function that runs it."""
    torch.manual_seed(0)
    if kind == "ours":
        return small(seed=0), lambda net: None, lambda net: net(random(N, 1, 8, 8))
    if kind == "snntorch":
        snn = pytest.importorskip("snntorch")
        net = nn.Sequential(nn.Linear(IN, OUT), snn.Leaky(beta=0.75, learn_threshold=True, init_hidden=True))
        return (
            net,
            lambda net: net[1].reset_mem(),
            lambda net: torch.stack([net(x) for x in random(T, N, IN)]),
        )
    if kind == "spikingjelly":
        neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
        net = nn.Sequential(nn.Linear(IN, OUT), neuron.LIFNode(step_mode="m"))
        return net, lambda net: net[1].reset(), lambda net: net(random(T, N, IN))
    norse = pytest.importorskip("norse.torch")
    net = norse.SequentialState(nn.Linear(IN, OUT), norse.LIFCell(dt=0.008))

    def run(net):
        state, out = None, []
        for x in random(T, N, IN):
            spikes, state = net(x, state)
            out.append(spikes)
        return torch.stack(out)

    return net, lambda net: None, run


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("kind", ["ours", "snntorch", "spikingjelly", "norse"])
def test_a_copy_that_is_made_inside_is_a_copy_of_the_network_alone(kind, gradients):
    net, rest, run = made(kind)
    plain = run(net)
    rest(net)
    before = things(net)
    with torch.no_grad(), mpdviz.record(net, gradients=gradients) as mpd:
        mpd.new_sequence()
        assert torch.equal(run(net), plain)
        if kind != "ours":  # which have observers of their own
            assert things(net) == before
        average = copy.deepcopy(net)
        counts, most = mpd.table()["count"].tolist(), mpd.table()["max"].tolist()
        rest(average)
        for parameter in average.parameters():
            parameter.mul_(100)
        run(average)  # an average of weights, a target network: not this one
        assert mpd.table()["count"].tolist() == counts
        assert mpd.table()["max"].tolist() == most
    assert things(net) == before
    assert things(average) == before


def test_a_copy_is_of_its_own_threshold():
    net, rest, run = made("snntorch")
    with torch.no_grad(), mpdviz.record(net) as mpd:
        mpd.new_sequence()
        run(net)
        other = copy.deepcopy(net)
    with torch.no_grad():
        other[1].threshold.fill_(1000.0)
    rest(other)
    assert run(other).sum() == 0
    with torch.no_grad():
        other[1].threshold.fill_(1.0)
    rest(other)
    run(other).sum().backward()
    assert other[1].threshold.grad is not None
    assert net[1].threshold.grad is None


@pytest.mark.parametrize("kind", ["ours", "spikingjelly"])
def test_a_network_can_be_pickled_inside(kind):
    net, rest, run = made(kind)
    with torch.no_grad(), mpdviz.record(net) as mpd:
        mpd.new_sequence()
        run(net)
        rest(net)
        again = pickle.loads(pickle.dumps(net))  # noqa: S301 - as torch.save does
    rest(again)
    assert torch.equal(run(again), run(net))
    assert things(again) == things(net)


# Activation checkpointing: the forward runs twice. --------------------------------------------------------


class Checkpointed(nn.Module):
    def __init__(self, how, neuron, functional, surrogate):
        super().__init__()
        torch.manual_seed(0)

        def lif():
            return neuron.LIFNode(step_mode="m", surrogate_function=surrogate.ATan())

        body = nn.Sequential(nn.Linear(6, 6), lif(), nn.Linear(6, 6), lif())
        if how == "memopt":
            memopt = pytest.importorskip("spikingjelly.activation_based.memopt")
            body = memopt.checkpoint_module(body)
        self.how, self.functional, self.body, self.head = how, functional, body, nn.Linear(6, 3)

    def run(self, x):
        self.functional.reset_net(self)  # so that running it again is right
        return self.body(x)

    def forward(self, x):
        if self.how in ("reentrant", "not reentrant"):
            return self.head(checkpoint(self.run, x, use_reentrant=self.how == "reentrant"))
        return self.head(self.run(x))


@pytest.mark.parametrize("how", ["reentrant", "not reentrant", "memopt"])
def test_what_is_computed_again_for_the_backward_pass_is_counted_once(how):
    pytest.importorskip("spikingjelly.activation_based")
    from spikingjelly.activation_based import functional, neuron, surrogate

    tables = []
    for kind in ("plain", how):
        net = Checkpointed(kind, neuron, functional, surrogate)
        x = random(T, N, 6).requires_grad_()
        bare = net(x)
        bare.square().sum().backward()
        expected = [p.grad.clone() for p in net.parameters()]
        net.zero_grad()
        with mpdviz.record(net) as mpd:
            out = net(x)
            out.square().sum().backward()
        assert torch.equal(out, bare)
        assert all(torch.equal(p.grad, old) for p, old in zip(net.parameters(), expected, strict=True))
        tables.append(mpd.table())
    plain, again = tables
    assert again["count"].tolist() == [N * 6] * 2 * T
    assert again["name"].nunique() == 2
    if how == "memopt":  # its containers run the neurons without calling them: nobody shows their currents
        assert "what its input is" in mpd.not_measured[1]["predicted_ratio_correlated"]
        plain = plain.drop(columns="best_prediction").filter(regex="(?<!_correlated)$")
        again = again[plain.columns]
    assert plain.drop(columns="name").equals(again.drop(columns="name"))
    assert not mpd.left_out


class TwoLevels(torch.autograd.Function):
    """A checkpoint of somebody's own, around a block that ends in spikes."""

    @staticmethod
    def forward(ctx, x, run):
        ctx.run = run
        ctx.save_for_backward(x)
        return run(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            ctx.run(x).backward(gradient)
        return x.grad, None


def test_a_function_that_runs_modules_fires_nothing():
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    torch.manual_seed(0)
    calls = []

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = (
                nn.Sequential(nn.Linear(6, 6), neuron.IFNode(step_mode="m")),
                nn.Linear(6, 2),
            )

        def run(self, x):
            calls.append(1)
            self.body[1].reset()
            return self.body(x)

        def forward(self, x):
            return self.head(TwoLevels.apply(x, self.run))

    net, x = Net(), random(T, N, 6).requires_grad_()
    with mpdviz.record(net) as mpd:
        net(x).sum().backward()
    assert len(calls) == 2  # one forward, and one for the backward pass: none of ours
    assert mpd.table()["name"].unique().tolist() == ["body.1"]
    assert mpd.table()["count"].tolist() == [N * 6] * T


# Threads. -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ours", "norse"])  # the others keep a state on the module
def test_threads_that_share_a_network(kind):
    net, _, run = made(kind)
    net.eval()
    with torch.no_grad():
        plain = run(net)
        with mpdviz.record(net) as mpd:
            run(net)
        once = mpd.table()
    before, failed, outs = things(net), [], []

    def go():
        try:
            with torch.no_grad():
                outs.extend(run(net) for _ in range(10))
        except Exception as error:
            failed.append(error)

    with mpdviz.record(net) as mpd:
        threads = [threading.Thread(target=go) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed
    assert len(outs) == 20
    assert all(torch.equal(out, plain) for out in outs)
    assert things(net) == before
    with torch.no_grad():
        assert torch.equal(run(net), plain)  # and for good
    table = mpd.table()
    assert table["name"].tolist() == once["name"].tolist()
    assert table["timestep"].tolist() == once["timestep"].tolist()
    assert table["count"].tolist() == [20 * count for count in once["count"]]
    for column in ("firing_rate", "available_ratio", "reach_ratio", "min", "max"):
        np.testing.assert_allclose(table[column], once[column], rtol=1e-12)
    np.testing.assert_allclose(table["mean"], once["mean"], rtol=1e-9, atol=1e-12)


# Memory. --------------------------------------------------------------------------------------------------


class Compared(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v, threshold):
        ctx.save_for_backward(v - threshold)
        return (v >= threshold).to(v)

    @staticmethod
    def backward(ctx, gradient):
        (u,) = ctx.saved_tensors
        share = gradient / (1 + u.abs()) ** 2
        return share, -share


class ByFunction(nn.Module):
    def forward(self, x):
        return Compared.apply(x, 0.5 * torch.ones(()))


@pytest.mark.parametrize("neurons", [7, 40_000])
def test_thresholds_that_are_computed_keep_no_graph_alive(neurons):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.threshold = nn.Parameter(torch.rand(neurons, generator=torch.Generator().manual_seed(3)))
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, x):
            threshold = (self.threshold * 1).expand_as(x)
            graphs.extend([weakref.ref(threshold), weakref.ref(x)])
            return Compared.apply(x * self.scale, threshold)

    net, graphs = Net(), []
    with mpdviz.record(net, gradients=True) as mpd:
        for i in range(4):
            mpd.new_sequence()
            out = net(random(2, neurons, seed=i))
            out.sum().backward()
            del out
            gc.collect()
            assert all(graph() is None for graph in graphs)
    above = [2 * random(2, neurons, seed=i) - net.threshold.detach() for i in range(4)]
    (row,) = mpd.table().to_dict("records")
    assert row["count"] == 4 * 2 * neurons
    assert row["firing_rate"] == pytest.approx(float((torch.stack(above) >= 0).double().mean()))
    assert row["mean"] == pytest.approx(float(torch.stack(above).double().mean()), abs=1e-6)


@pytest.mark.filterwarnings("error")
def test_a_warning_that_is_held_back_holds_no_activation():
    net, inputs = nn.Sequential(nn.Linear(6, 6), ByFunction()), []

    def run():
        with mpdviz.record(net):
            x = random(N, 6)
            inputs.append(weakref.ref(x))
            for _ in range(2):  # one forward alone may be all there is
                net(x)
            del x
            gc.collect()
            assert inputs[0]() is None

    with pytest.raises(mpdviz.errors.MpdvizWarning, match="new_sequence"):
        run()
