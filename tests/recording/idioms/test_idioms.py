"""Every idiom against what its forward and autograd had in hand, and the run against an unrecorded one."""

import contextlib
import gc
import weakref

import numpy as np
import pytest
import torch
from recording.idioms import networks as papers
from recording.idioms.runs import recorded

EPSILON = 0.1


def made(name, seed=0):
    """The network and an input of its."""
    cls, shape = papers.NETWORKS[name]
    torch.manual_seed(seed)
    net, x = cls(), 1.5 * torch.rand(shape)
    norms = [module for module in net.modules() if hasattr(module, "momentum")]
    for norm in norms:
        norm.momentum = 0.8
    with torch.no_grad():
        for _ in range(5 if norms else 0):
            net(x)  # batch norms need an average to go by
    return net, x


@contextlib.contextmanager
def noted():
    papers.NOTES = notes = []
    try:
        yield notes
    finally:
        papers.NOTES = None


def truth(notes):
    """By layer, in the order in which they first ran, the notes of each timestep."""
    layers = {}
    for note in notes:
        layers.setdefault(note.layer, []).append(note)
    return layers


def rate(steps):
    return float(torch.stack([(note.spikes > 0).float().mean() for note in steps]).mean())


def check(mpd, notes, passes=1):
    """A recording of one forward against its notes; `passes`: as many times the same."""
    layers = truth(notes)
    assert dict(mpd.left_out) == {}
    assert len(mpd.layers) == len(layers)
    for layer, steps in zip(mpd.layers.values(), layers.values(), strict=True):
        sums, info = layer.statistics, layer.info
        assert len(sums.count) == len(steps)
        for t, note in enumerate(steps):
            u, h, s = (value.detach().double() for value in (note.u, note.h, note.spikes))
            threshold = info.thresholds_in_force[t]
            inside = h > 0 if info.epsilon is None else h.abs() >= EPSILON * note.top
            assert sums.count[t] == passes * u.numel()
            assert sums.nonfinite[t] == 0
            assert sums.available[t] == passes * inside.sum()
            assert sums.spikes[t] == passes * (s > 0).sum()
            assert sums.below[t] == passes * (~inside & (s == 0)).sum()
            assert sums.above[t] == passes * (~inside & (s > 0)).sum()
            v = potential(note, threshold)
            np.testing.assert_allclose(sums.mean[t], v.mean(), rtol=0, atol=1e-9)
            np.testing.assert_allclose(sums.m2[t] / sums.count[t], v.var(correction=0), rtol=1e-9)
            np.testing.assert_allclose([sums.min[t], sums.max[t]], [v.min(), v.max()], rtol=0, atol=0)
            np.testing.assert_allclose(sums.gain[t], passes * h.sum(), rtol=1e-5)


def potential(note, threshold):
    """What is counted: the function's argument, less thresholds that differ by neuron inside of it."""
    u = note.u.detach()
    return (u if note.th is None else u - note.th.detach()).double()


def check_gradients(mpd, notes):
    for layer, steps in zip(mpd.layers.values(), truth(notes).values(), strict=True):
        flow = layer.flow
        for t, note in enumerate(steps):
            grad = note.v.grad
            if grad is None:
                assert t >= len(flow.passes) or flow.passes[t] == 0
                continue
            grad = grad.double()
            assert flow.passes[t] == 1
            assert flow.count[t] == grad.numel()
            np.testing.assert_allclose(flow.squares[t], grad.square().sum(), rtol=1e-9)
            assert flow.zeros[t] == (grad == 0).sum()
            path = (torch.zeros_like(note.h) if note.s.grad is None else note.s.grad * note.h).double()
            np.testing.assert_allclose(flow.spike_squares[t], path.square().sum(), rtol=1e-5)
            assert flow.spike_zeros[t] == (path == 0).sum()


MODES = {
    "gradients": contextlib.nullcontext,
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", papers.NETWORKS)
def test_gradients_and_counts(name, training):
    (net, x), (twin, _) = made(name), made(name)
    net.train(training)
    twin.train(training)
    before = torch.get_rng_state()
    with noted() as notes:
        expected = twin(x)
        expected.square().sum().backward()
    assert torch.equal(torch.get_rng_state(), before)
    with recorded(net, gradients=True) as mpd:
        out = net(x)
        out.square().sum().backward()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(out, expected)
    for one, other in zip(net.parameters(), twin.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        assert one.grad is None or torch.equal(one.grad, other.grad)
    for one, other in zip(net.buffers(), twin.buffers(), strict=True):
        assert torch.equal(one, other)
    assert all(0.02 < rate(steps) < 0.95 for steps in truth(notes).values())
    check(mpd, notes)
    check_gradients(mpd, notes)


@pytest.mark.thorough
@pytest.mark.parametrize(("mode", "training"), [("no gradients", True), ("inference", False)])
@pytest.mark.parametrize("name", papers.NETWORKS)
def test_counts_without_gradients(name, mode, training):
    (net, x), (twin, _) = made(name), made(name)
    net.train(training)
    twin.train(training)
    with MODES[mode]():
        with noted() as notes:
            expected = twin(x)
        with recorded(net, gradients=True) as mpd:
            out = net(x)
    assert torch.equal(out, expected)
    check(mpd, notes)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["STBP", "MPBN", "PLIF", "ChannelThresholds", "TwiceAStep", "Adaptive"])
def test_no_more_graph_is_kept_alive_than_without_a_recording(name):
    class Saved:
        def __init__(self, tensor):
            self.tensor = tensor

    def left(recording):
        net, x = made(name)
        alive = weakref.WeakSet()

        def pack(tensor):
            saved = Saved(tensor)
            alive.add(saved)
            return saved

        with recording(net), torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
            out = net(x)
            del out
            for module in net.modules():  # what the network keeps itself
                vars(module).update((state, None) for state in ("v", "mem") if state in vars(module))
            gc.collect()
            return len(alive)

    assert left(recorded) == left(contextlib.nullcontext)


def test_a_surrogate_that_is_annealed_belongs_to_the_call():
    (net, x), slopes = made("Evolving"), (papers.EvolvingSpike.k, papers.TanhSpike.K)
    notes = []
    try:
        with recorded(net) as mpd:
            for epoch in range(3):
                net.anneal(epoch / 4)
                with noted() as some:
                    net(x)
                notes.append(some)
    finally:
        papers.EvolvingSpike.k, papers.TanhSpike.K = slopes
    for layer, *forwards in zip(mpd.layers.values(), *(truth(some).values() for some in notes), strict=True):
        for t, steps in enumerate(zip(*forwards, strict=True)):
            inside = [
                int(
                    (note.h > 0).sum() if layer.info.epsilon is None else (note.h >= EPSILON * note.top).sum()
                )
                for note in steps
            ]
            assert len(set(inside)) > 1
            assert layer.statistics.available[t] == sum(inside)
            np.testing.assert_allclose(
                layer.statistics.gain[t], sum(float(note.h.sum()) for note in steps), rtol=1e-5
            )
        assert not layer.info.steady


@pytest.mark.parametrize("name", ["TDBNResNet", "TwiceAStep", "MPDAGL"])
def test_two_recordings_at_once(name):
    net, x = made(name)
    with noted() as notes, recorded(net, gradients=True) as outer:
        with recorded(net, gradients=True) as inner:
            net(x).square().sum().backward()
        check_gradients(inner, notes)
        check(inner, notes)
        check(outer, notes)
        papers.NOTES = None
        with torch.no_grad():
            net(x)
    if not any(module.training and hasattr(module, "running_mean") for module in net.modules()):
        check(inner, notes)
        check(outer, notes, passes=2)


@pytest.mark.thorough
@pytest.mark.parametrize("name", papers.NETWORKS)
def test_several_batches(name):
    net, x = made(name)
    net.eval()
    with noted() as notes:
        net(x)
    papers.NOTES = None
    with recorded(net) as mpd, torch.no_grad():
        for _ in range(3):
            mpd.new_sequence()  # of a network without a loop over time nothing else tells
            net(x)
    check(mpd, notes, passes=3)
