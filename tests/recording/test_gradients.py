"""Gradient flow against autograd's own gradients, kept by hand over several backward passes."""

import numpy as np
import pytest
import torch
from networks import small
from recording_twin import rng
from torch import nn

import mpdviz
from mpdviz.analysis.columns import FLOW
from mpdviz.neurons import LIF

COLUMNS = ["grad_norm", "grad_zero_ratio", "grad_cosine", "weight_grad_norm"]


def seeded(**options):
    return small(seed=3, **({"timesteps": 4} | options))


class Kept:
    """Currents and weights of a network whose gradients are read after each backward pass."""

    def __init__(self, network):
        self.network, self.currents, self.gradients, self.weights = network, {}, {}, {}
        for name, layer in network.spiking_layers():
            layer.norm.register_forward_hook(lambda _, __, y, name=name: self.keep(name, y))

    def keep(self, name, y):
        if y.requires_grad:
            y.retain_grad()
        self.currents[name] = y

    def read(self):
        for name, y in self.currents.items():
            self.gradients.setdefault(name, []).append(y.grad.double().flatten(1).numpy())
            layer = self.network.get_submodule(name)
            weight = (layer.conv if hasattr(layer, "conv") else layer.linear).weight
            self.weights.setdefault(name, []).append(float(weight.grad.double().norm()))
            weight.grad = None

    def rows(self):
        for name, passes in self.gradients.items():
            timesteps = len(passes[0])
            squares = sum((g**2).sum(1) for g in passes)
            zeros, count = sum((g == 0).sum(1) for g in passes), sum(g.shape[1] for g in passes)
            for t in range(timesteps):
                cosine = np.nan
                if t + 1 < timesteps and squares[t] * squares[t + 1] > 0:
                    products = sum((g[t] * g[t + 1]).sum() for g in passes)
                    cosine = products / np.sqrt(squares[t] * squares[t + 1])
                weight = np.sqrt(np.mean(np.square(self.weights[name])))
                yield np.sqrt(squares[t] / len(passes)), zeros[t] / count, cosine, weight


@pytest.mark.parametrize(
    "options", [{}, {"strategy": "fixed:kappa=0.2"}, {"neuron": "plif", "surrogate": "atan"}]
)
def test_against_gradients_kept_by_hand(options):
    network = seeded(**options)
    kept = Kept(network)
    with mpdviz.record(network, gradients=True) as mpd:
        for size in (5, 3, 3):
            logits = network(torch.randn(size, 1, 8, 8, generator=rng()))
            (logits * torch.randn(logits.shape, generator=rng())).sum().backward()
            kept.read()
        network(torch.randn(3, 1, 8, 8, generator=rng()))  # no backward pass of its own
    rows = mpd.table()
    assert rows.columns[-len(FLOW) :].tolist() == [column.name for column in FLOW]
    assert rows["grad_nonfinite"].eq(0).all()
    np.testing.assert_allclose(rows["grad_zero_ratio"] + rows["grad_nonzero_ratio"], 1, rtol=1e-12)
    np.testing.assert_allclose(rows[COLUMNS], list(kept.rows()), rtol=1e-6)
    assert rows["grad_zero_ratio"].between(0.05, 0.999).any() == (options.get("surrogate") != "atan")
    flow = mpd.layers[1].flow
    assert flow.passes == 3 if isinstance(flow.passes, int) else set(np.ravel(flow.passes)) == {3}


def test_every_second_forward_only():
    network = seeded()
    kept = Kept(network)
    with mpdviz.record(network, gradients=True, every=2) as mpd:
        for step in range(4):
            network(torch.randn(4, 1, 8, 8, generator=rng())).square().sum().backward()
            if step % 2 == 0:
                kept.read()
            network.zero_grad()
    np.testing.assert_allclose(mpd.table()[COLUMNS], list(kept.rows()), rtol=1e-6)


def test_several_backward_passes_over_one_graph_count_each():
    network = seeded()
    with mpdviz.record(network, gradients=True) as once:
        network(torch.randn(4, 1, 8, 8, generator=rng())).sum().backward()
    with mpdviz.record(network, gradients=True) as twice:
        loss = network(torch.randn(4, 1, 8, 8, generator=rng())).sum()
        loss.backward(retain_graph=True)
        loss.backward()
    one, two = once.table(), twice.table()
    np.testing.assert_allclose(one[COLUMNS], two[COLUMNS], rtol=1e-6)
    assert (two["count"] == one["count"]).all()


def test_without_a_backward_pass_there_are_no_columns():
    network = seeded()
    with mpdviz.record(network, gradients=True) as mpd, torch.no_grad():
        network(torch.randn(4, 1, 8, 8, generator=rng()))
    assert not set(COLUMNS) & set(mpd.table().columns)
    with mpdviz.record(network) as mpd:
        network(torch.randn(4, 1, 8, 8, generator=rng())).sum().backward()
    assert not set(COLUMNS) & set(mpd.table().columns)


def test_a_frozen_layer_has_a_flow_but_no_weight_gradient():
    network = seeded()
    network.hidden.linear.weight.requires_grad_(False)
    with mpdviz.record(network, gradients=True) as mpd:
        network(torch.randn(4, 1, 8, 8, generator=rng())).sum().backward()
    last = mpd.table().iloc[-4:]
    assert last["grad_norm"].gt(0).all()
    assert mpd.table().iloc[:-4]["weight_grad_norm"].gt(0).all()
    # GradientFlow: "NaN where it has none".
    assert last["weight_grad_norm"].isna().all()


def test_a_neuron_without_weights_before_it():
    neuron = LIF()
    current = torch.randn(3, 4, 5, generator=rng(), requires_grad=True)
    with mpdviz.record(neuron, gradients=True) as mpd:
        neuron(current * 1).sum().backward()
    rows = mpd.table()
    np.testing.assert_allclose(rows["grad_norm"], current.grad.flatten(1).double().norm(dim=1), rtol=1e-6)
    assert rows["weight_grad_norm"].isna().all()


def test_a_current_that_is_a_leaf():
    neuron = LIF()
    current = torch.randn(3, 4, 5, generator=rng(), requires_grad=True)
    with mpdviz.record(neuron, gradients=True) as mpd:
        for _ in range(2):
            current.grad = None
            neuron(current).sum().backward()
    assert not current._backward_hooks
    np.testing.assert_allclose(
        mpd.table()["grad_norm"], current.grad.flatten(1).double().norm(dim=1), rtol=1e-6
    )
    assert mpd.layers[1].flow.count.tolist() == [40] * 3


class Stepped(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.linear, self.neuron = nn.Linear(6, 7), LIF()

    def forward(self, x):
        return self.neuron(self.linear(x))


def test_a_stepped_network_with_one_backward_pass_a_sequence():
    model = Stepped()
    frames = torch.randn(3, 5, 6, generator=rng())
    currents, weights = [], []
    model.linear.register_forward_hook(lambda _, __, y: (y.retain_grad(), currents.append(y))[0])
    with mpdviz.record(model, gradients=True) as mpd:
        for _ in range(2):
            mpd.new_sequence()
            loss = sum(model(frame.unsqueeze(0)).sum() * (t + 1) for t, frame in enumerate(frames))
            assert len(mpd.table()) == 3  # between forward and backward too
            loss.backward()
            weights.append(float(model.linear.weight.grad.double().norm()))
            model.zero_grad()
    rows = mpd.table()
    norms = [np.sqrt(np.mean([float(y.grad.double().norm()) ** 2 for y in currents[t::3]])) for t in range(3)]
    np.testing.assert_allclose(rows["grad_norm"], norms, rtol=1e-6)
    np.testing.assert_allclose(rows["weight_grad_norm"], np.sqrt(np.mean(np.square(weights))), rtol=1e-6)
    cosines = []
    for t in range(2):
        here, there = (
            torch.cat([y.grad.double().flatten() for y in currents[step::3]]) for step in (t, t + 1)
        )
        cosines.append(float(here @ there / (here.norm() * there.norm())))
    np.testing.assert_allclose(rows["grad_cosine"], [*cosines, np.nan], rtol=1e-6)


def test_a_stepped_network_with_a_backward_pass_a_step():
    model = Stepped()
    with mpdviz.record(model, gradients=True) as mpd:
        mpd.new_sequence()
        for frame in torch.randn(3, 5, 6, generator=rng()):
            spikes = model(frame.unsqueeze(0))
            assert len(mpd.table()) == mpd.table()["timestep"].max()
            spikes.sum().backward()
    assert mpd.table()["grad_norm"].gt(0).all()
