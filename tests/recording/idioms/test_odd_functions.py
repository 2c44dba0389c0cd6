"""Spike functions that are odd in one way each, in one and the same plain network."""

import numpy as np
import pytest
import torch
from recording.idioms import networks as papers
from recording.idioms.runs import recorded, warned
from torch import nn

import mpdviz
from mpdviz.errors import MpdvizWarning


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


class Levels(torch.autograd.Function):
    """Spikes of more heights than one."""

    @staticmethod
    def forward(ctx, x, least, most, scale):
        ctx.save_for_backward(x)
        return x.clamp(least, most).round() * scale

    @staticmethod
    def backward(ctx, grad):
        return grad * (ctx.saved_tensors[0].abs() < 4), None, None, None


@pytest.mark.parametrize(
    ("least", "most", "scale"), [(-1, 1, 1.0), (0, 4, 1.0), (0, 4, 0.25), (-1, 1, 0.3), (0, None, 1.0)]
)
def test_what_is_not_binary_is_left_out_by_name(least, most, scale):
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.graded = Plain(lambda v: Levels.apply(3 * v, least, most, scale))
            self.binary = Plain(OffCentre.apply)

        def forward(self, x):
            return self.binary(x) + self.graded(x)

    net = Beside()
    with warned(net) as (mpd, said):
        net(data())
    why = f"its spikes have {'many' if most is None else most - least + 1} levels"
    assert dict(mpd.left_out) == {"graded": why}
    assert [layer.info.name for layer in mpd.layers.values()] == ["binary"]
    assert [str(warning.message) for warning in said] == [f"layer graded is not recorded: {why}"]


class Scaled(torch.autograd.Function):
    """No spikes: the gradient is scaled."""

    @staticmethod
    def forward(ctx, x, scale):
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.scale, None


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_a_gradient_that_is_scaled_is_no_spike(levels):
    def function(v):
        s = OffCentre.apply(v)
        Scaled.apply(levels * s, 0.5)
        Scaled.apply((levels * v).round(), 0.5)
        return s

    net = Plain(function)
    with recorded(net) as mpd:
        net(data())
    assert fired(mpd) == kept(net)


class ThresholdFirst(torch.autograd.Function):
    @staticmethod
    def forward(ctx, threshold, v, width):
        ctx.save_for_backward(threshold, v, width)
        return (v >= threshold).to(v)

    @staticmethod
    def backward(ctx, grad):
        threshold, v, width = ctx.saved_tensors
        h = grad * ((v - threshold).abs() < width)
        return -h.sum_to_size(threshold.shape), h, None


@pytest.mark.parametrize("shape", [(), (1,), (64,)])
def test_a_threshold_may_come_first(shape):
    threshold = nn.Parameter(torch.full(shape, 0.25))
    net = Plain(lambda v: ThresholdFirst.apply(threshold, v, torch.tensor(0.4)))
    with recorded(net, gradients=True) as mpd:
        net(data()).square().sum().backward()
    assert fired(mpd) == kept(net)
    inside = [int(((v - 0.25).abs() < 0.4).sum()) for v, _ in net.kept]
    assert mpd.layers[1].statistics.available.tolist() == inside
    assert (mpd.layers[1].flow.spike_squares > 0).all()


class At(torch.autograd.Function):
    """A constant is compared with potentials of whatever precision."""

    @staticmethod
    def forward(ctx, x, strict):
        ctx.save_for_backward(x)
        return (x > 0.3).to(x) if strict else (x >= 0.3).to(x)

    @staticmethod
    def backward(ctx, grad):
        return grad * ((ctx.saved_tensors[0] - 0.3).abs() < 0.5).to(grad), None


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("dtype", "autocast"),
    [(torch.bfloat16, True), (torch.bfloat16, False), (torch.float16, False), (torch.float64, False)],
)
def test_other_precisions(dtype, strict, autocast):
    net = Plain(lambda v: At.apply(v, strict))
    x = data(500)
    if not autocast:
        net, x = net.to(dtype), x.to(dtype)
    with recorded(net) as mpd, torch.autocast("cpu", dtype, enabled=autocast):
        net(x)
    assert {v.dtype for v, _ in net.kept} == {dtype}
    assert fired(mpd) == kept(net)
    inside = [int(((v - 0.3).abs() < 0.5).sum()) for v, _ in net.kept]
    np.testing.assert_allclose(mpd.layers[1].statistics.available, inside, rtol=1e-2)


class TestThresholdsInside:
    """Thresholds that adapt, of each potential's own, are an argument."""

    @pytest.mark.parametrize("by", ["sample and neuron", "neuron", "channel"])
    def test_they_are_found(self, by):
        noted = []

        def function(v):
            v = v.reshape(-1, 4, 16)
            shape = {"sample and neuron": v.shape, "neuron": (1, 4, 16), "channel": (4, 1)}[by]
            th = 0.1 + 0.4 * torch.rand(shape)
            s = papers.WithThreshold.apply(v, th)
            noted.append((int(((v - th).abs() < 0.3).sum()), float((v - th).detach().double().mean())))
            return s.flatten(1)

        net = Plain(function)
        with recorded(net, gradients=True) as mpd:
            net(data(50)).square().sum().backward()
        layer = mpd.layers[1].statistics
        assert layer.spikes.tolist() == kept(net)
        assert layer.available.tolist() == [inside for inside, _ in noted]
        np.testing.assert_allclose(layer.mean, [mean for _, mean in noted], atol=1e-6)


class Adjusted(torch.autograd.Function):
    """Its width is whatever the class says at the moment."""

    half = 0.5

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.half = Adjusted.half
        return (x > 0.3).to(x)

    @staticmethod
    def backward(ctx, grad):
        return grad * ((ctx.saved_tensors[0] - 0.3).abs() < ctx.half)


def test_constants_that_are_set_anew_at_every_layer_and_timestep():
    noted = {1: [], 2: []}

    def function(layer):
        def spike(v):
            Adjusted.half = layer * (1 + len(noted[layer])) / 5
            noted[layer].append(int(((v - 0.3).abs() < Adjusted.half).sum()))
            return Adjusted.apply(v)

        return spike

    net = nn.Sequential(Plain(function(1)), nn.Linear(8, 9), Plain(function(2)))
    try:
        with recorded(net) as mpd:
            net(data())
    finally:
        Adjusted.half = 0.5
    assert {number: layer.statistics.available.tolist() for number, layer in mpd.layers.items()} == noted


class Stochastic(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (torch.rand_like(x) < x.sigmoid()).to(x)

    @staticmethod
    def backward(ctx, grad):
        p = ctx.saved_tensors[0].sigmoid()
        return grad * p * (1 - p)


def test_spikes_that_are_drawn_are_left_out_by_name():
    net = nn.Sequential(Plain(OffCentre.apply), nn.Linear(8, 9), Plain(Stochastic.apply))
    torch.manual_seed(3)
    plain, state = net(data()), torch.get_rng_state()
    torch.manual_seed(3)
    with warned(net) as (mpd, said):
        assert torch.equal(net(data()), plain)
    assert torch.equal(torch.get_rng_state(), state)
    assert dict(mpd.left_out) == {"2": "it does not spike from a threshold on"}
    assert len(said) == 1


class ChargesAndFires(torch.autograd.Function):
    """Spikes and the potential that is left, of one function: what decides is nobody's argument."""

    @staticmethod
    def forward(ctx, x, v):
        h = 0.5 * v + x
        spikes = (h > 0.3).float()
        ctx.save_for_backward(h)
        return spikes, h * (1 - spikes)

    @staticmethod
    def backward(ctx, of_spikes, of_left):
        (h,) = ctx.saved_tensors
        gradient = of_spikes * ((h - 0.3).abs() < 0.5).float() + of_left
        return gradient, 0.5 * gradient


class Rectangle(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).float()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() < 0.5)


class Fused(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(5, 6), nn.Linear(6, 4)

    def forward(self, x):
        left, spikes = torch.zeros(x.shape[1], 6), []
        for step in x:
            fired, left = ChargesAndFires.apply(self.one(step), left)
            spikes.append(Rectangle.apply(self.two(fired)))
        return torch.stack(spikes)


def test_a_function_that_charges_too_is_left_out_and_the_rest_is_read():
    torch.manual_seed(0)
    net = Fused()
    with pytest.warns(MpdvizWarning, match="one function gives spikes"), mpdviz.record(net) as mpd:
        net(torch.randn(4, 8, 5))
    (why,) = mpd.left_out.values()
    assert "mpdviz.register" in why
    assert mpd.table()["count"].tolist() == [8 * 4] * 4


class DetachedFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 6)

    def forward(self, x):
        v, spikes, self.seen = torch.zeros(x.shape[1], 6), [], []
        for step in x:
            v = 0.5 * v + self.linear(step)
            v.retain_grad()
            self.seen.append(v)
            reset = Rectangle.apply(v.detach() - 0.5)
            spikes.append(Rectangle.apply(v - 0.5))
            v = v * (1 - reset)
        return torch.stack(spikes)


def test_of_two_evaluations_the_one_that_carries_the_gradient_is_the_layer():
    torch.manual_seed(0)
    net = DetachedFirst()
    with mpdviz.record(net, gradients=True) as mpd:
        net(torch.randn(4, 8, 5)).sum().backward()
    assert mpd.table()["count"].tolist() == [8 * 6] * 4
    assert mpd.table()["grad_norm"].tolist() == pytest.approx([float(v.grad.norm()) for v in net.seen])
