"""Slopes that change between forwards, wherever the function's code has them from."""

import math
import types

import pytest
import torch
from torch import nn

import mpdviz
from mpdviz.recording.sites.code import Code
from mpdviz.surrogates.probed import SpikeFunction

SLOPE = 1.0
TENSOR = torch.tensor(1.0)
SETTINGS = types.SimpleNamespace(surrogate=types.SimpleNamespace(slope=1.0))
MODULE = nn.Linear(1, 1)


def h_of_global(x):
    return 1 / (1 + (SLOPE * x) ** 2)


def narrow(x):
    return 1 / (1 + (9.0 * x) ** 2)


def chosen(x):
    return h_of_global(x)


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, *_):
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)


class ByHelper(Spike):
    @staticmethod
    def backward(ctx, g):
        return g * chosen(ctx.saved_tensors[0])


class ByTensor(Spike):
    @staticmethod
    def backward(ctx, g):
        return g / (1 + (TENSOR * ctx.saved_tensors[0]) ** 2)


class ByNestedSettings(Spike):
    @staticmethod
    def backward(ctx, g):
        return g / (1 + (SETTINGS.surrogate.slope * ctx.saved_tensors[0]) ** 2)


class ByAnotherModule(Spike):
    @staticmethod
    def backward(ctx, g):
        return g / (1 + (MODULE.slope * ctx.saved_tensors[0]) ** 2)


class ByOwnHelper(Spike):
    slope = 1.0

    @staticmethod
    def h(x):
        return 1 / (1 + (ByOwnHelper.slope * x) ** 2)

    @staticmethod
    def backward(ctx, g):
        return g * ByOwnHelper.h(ctx.saved_tensors[0])


class ByInnerFunction(Spike):
    @staticmethod
    def backward(ctx, g):
        def h(x):
            return 1 / (1 + (SLOPE * x) ** 2)

        return g * h(ctx.saved_tensors[0])


class BySettingsObject(Spike):
    @staticmethod
    def forward(ctx, x, settings):
        ctx.settings = settings
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        return g / (1 + (ctx.settings.slope * ctx.saved_tensors[0]) ** 2), None


class Closed(Spike):
    @staticmethod
    def backward(ctx, g):
        return g * torch.exp(-math.pi * ctx.saved_tensors[0].abs())


SETTING = types.SimpleNamespace(slope=1.0)
ANNEALED = {
    ByHelper: (globals(), "SLOPE"),
    ByNestedSettings: (vars(SETTINGS.surrogate), "slope"),
    ByAnotherModule: (vars(MODULE), "slope"),
    ByInnerFunction: (globals(), "SLOPE"),
    BySettingsObject: (vars(SETTING), "slope"),
}


class Net(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        more = (SETTING,) if self.function is BySettingsObject else ()
        return sum(self.function.apply(x, *more) for _ in range(2))


def available(function, anneal):
    """Potentials counted as available at each of two forwards, before and after the slope has changed."""
    net, x = Net(function), torch.linspace(-5, 5, 1001)[None]
    with mpdviz.record(net) as mpd:
        net(x)
        first = int(mpd.layers[1].statistics.available[0])
        anneal()
        net(x)
        return first, int(mpd.layers[1].statistics.available[0]) - first


def inside(slope):
    x = torch.linspace(-5, 5, 1001)
    return int((1 / (1 + (slope * x) ** 2) >= 0.1).sum())


@pytest.mark.parametrize("function", ANNEALED, ids=lambda function: function.__name__)
def test_a_slope_that_code_finds_elsewhere_is_read_anew(monkeypatch, function):
    owner, name = ANNEALED[function]
    monkeypatch.setitem(owner, name, 1.0)
    assert available(function, lambda: monkeypatch.setitem(owner, name, 4.0)) == (inside(1.0), inside(4.0))


def test_a_tensor_that_is_filled_is_read_anew():
    with torch.no_grad():
        try:
            assert available(ByTensor, lambda: TENSOR.fill_(4.0)) == (inside(1.0), inside(4.0))
        finally:
            TENSOR.fill_(1.0)


def test_an_attribute_of_the_function_is_read_anew(monkeypatch):
    anneal = available(ByOwnHelper, lambda: monkeypatch.setattr(ByOwnHelper, "slope", 4.0))
    assert anneal == (inside(1.0), inside(4.0))


def test_a_helper_that_is_replaced_is_read_anew(monkeypatch):
    found = available(ByHelper, lambda: monkeypatch.setitem(globals(), "chosen", narrow))
    assert found == (inside(1.0), inside(9.0))


def test_a_function_of_its_arguments_alone_is_probed_once(monkeypatch):
    assert Code.of(Closed).closed
    assert Code.of(ByHelper).closed  # what its helper goes by is a number
    for function in (ByTensor, ByNestedSettings, ByAnotherModule):
        assert not Code.of(function).closed
    looked, is_still = [], SpikeFunction.is_still
    monkeypatch.setattr(SpikeFunction, "is_still", lambda *args: looked.append(1) or is_still(*args))
    for function, times in ((Closed, 0), (ByTensor, 2)):
        net, x = Net(function), torch.randn(1, 9)
        with mpdviz.record(net):
            for _ in range(3):
                net(x)
        assert len(looked) == times
