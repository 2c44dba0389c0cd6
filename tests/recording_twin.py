"""The recorder's NumPy twin: it keeps every current, simulates the neurons itself and counts at the end.

It knows nothing of mpdviz's kernels and accumulators: potentials come from METHOD's equation step by step
(`reference.lif_forward`, in the precision the network runs in), everything counted from those.
"""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from reference import DERIVATIVES, lif_forward

from mpdviz.neurons import Neuron
from mpdviz.norm import TDBatchNorm1d, TDBatchNorm2d

INTEGERS = (
    "count", "nonfinite", "available", "below", "above", "reach", "spikes", "cells", "what_if",
)  # fmt: skip
EDGES = np.arange(-512, 513) / 64

# Half-widths of the available interval at width 1, from h = epsilon * max h or the support's end.
HALF = {
    "rectangular": lambda epsilon: 0.5,
    "triangular": lambda epsilon: 1.0,
    "sigmoid": lambda epsilon: np.arccosh(epsilon**-0.5) / 2,
    "atan": lambda epsilon: np.sqrt(1 / epsilon - 1) / np.pi,
    "fast-sigmoid": lambda epsilon: (epsilon**-0.5 - 1) / 25,
    "dspike": lambda epsilon: 0.5,
    "lorentz": lambda epsilon: np.sqrt(1 / epsilon - 1) / np.pi,
    "superspike": lambda epsilon: epsilon**-0.5 - 1,
}


@dataclass
class Call:
    current: np.ndarray
    kappa: np.ndarray
    spikes: np.ndarray
    driven: np.ndarray


@contextmanager
def kept(model):
    """Everything that every neuron layer of `model` was given, by the neuron's module path."""
    calls, handles, before = {}, [], []

    def remember(module, inputs, output):
        before[:] = [(inputs[0].detach() != 0, output)]

    def keeper(name):
        def keep(current, v, spikes, kappa, v_th, shapes):
            x = before[0][0] if before and before[0][1] is current else current.detach() != 0
            driven = x.flatten(0, 1).any(0).expand(current.shape[2:])
            wide = current.detach().to(v.dtype).numpy().copy()
            call = Call(wide, kappa.numpy().copy(), spikes.detach().float().numpy(), driven.numpy().copy())
            calls.setdefault(name, []).append(call)

        return keep

    neurons = {name: module for name, module in model.named_modules() if isinstance(module, Neuron)}
    keepers = {name: keeper(name) for name in neurons}
    for name, neuron in neurons.items():
        neuron.observers.append(keepers[name])
    for module in model.modules():
        if isinstance(module, TDBatchNorm1d | TDBatchNorm2d):
            handles.append(module.register_forward_hook(remember))
    try:
        yield calls
    finally:
        for name, neuron in neurons.items():
            neuron.observers.remove(keepers[name])
        for handle in handles:
            handle.remove()


def potentials(call, decay, v_th):
    """Pre-reset potentials `[T, ...]`; the simulated spikes must be the network's."""
    with np.errstate(invalid="ignore", over="ignore"):
        v, spikes = lif_forward(call.current, decay, v_th)
    np.testing.assert_array_equal(spikes, call.spikes)
    return v


def count(calls, decay, v_th, surrogate="rectangular", epsilon=0.1, what_if=()):
    """Integers, moments (float64, two passes), gain and census of all calls of one layer together."""
    vs = [potentials(call, decay, v_th) for call in calls]
    timesteps = max(len(v) for v in vs)
    sums = {name: np.zeros(timesteps, np.int64) for name in INTEGERS}
    sums["cells"] = np.zeros((timesteps, 2 * len(EDGES) + 1), np.int64)
    sums["what_if"] = np.zeros((timesteps, len(what_if)), np.int64)
    for name in ("gain", "mean", "std", "min", "max"):
        sums[name] = np.full(timesteps, np.nan)
    seen = np.zeros(vs[0].shape[2:], np.uint8)
    for t in range(timesteps):
        everything = []
        for call, v in zip(calls, vs, strict=True):
            if t >= len(v):
                continue
            inside, fired = masks(v, call.kappa, v_th, surrogate, epsilon)
            finite = np.isfinite(v[t])
            sums["count"][t] += v[t].size
            sums["nonfinite"][t] += (~finite).sum()
            sums["available"][t] += inside[t].sum()
            sums["below"][t] += (finite & ~inside[t] & (v[t] < v.dtype.type(v_th))).sum()
            sums["above"][t] += (finite & ~inside[t] & (v[t] >= v.dtype.type(v_th))).sum()
            sums["spikes"][t] += fired[t].sum()
            sums["reach"][t] += reach(inside, fired, decay)[t].sum()
            values = v[t][finite].astype(np.float64)
            place = np.searchsorted(EDGES * v_th, values, "left") + np.searchsorted(
                EDGES * v_th, values, "right"
            )
            sums["cells"][t] += np.bincount(place, minlength=sums["cells"].shape[1])
            for w, width in enumerate(what_if):
                other, _ = masks(v, np.full(len(v), width, v.dtype), v_th, surrogate, epsilon)
                sums["what_if"][t, w] += other[t].sum()
            x, kappa = values - np.float64(v.dtype.type(v_th)), float(call.kappa[t])
            h = (
                inside[t].sum() / kappa
                if surrogate == "rectangular"
                else DERIVATIVES[surrogate](x, kappa).sum()
            )
            sums["gain"][t] = np.nan_to_num(sums["gain"][t]) + h
            everything.append(values)
            seen |= (1 * (~fired[t]).any(0) + 2 * fired[t].any(0) + 4 * inside[t].any(0)).astype(np.uint8)
            seen |= (8 * call.driven).astype(np.uint8)
        values = np.concatenate(everything)
        if values.size:
            sums["mean"][t], sums["std"][t] = values.mean(), values.std()
            sums["min"][t], sums["max"][t] = values.min(), values.max()
    return sums | {"seen": seen}


def masks(v, kappa, v_th, surrogate, epsilon):
    """Where the spike gradient is available, and where there is a spike, both like `v`."""
    with np.errstate(invalid="ignore"):
        x = v - v.dtype.type(v_th)
    half = kappa.astype(v.dtype) * v.dtype.type(HALF[surrogate](epsilon))
    return np.abs(x) < half.reshape(-1, *[1] * (v.ndim - 1)), v >= v.dtype.type(v_th)


def reach(inside, fired, decay):
    """METHOD section D: available now, or at a later timestep reached without a spike in between.

    What comes back is multiplied by the decay: nothing does where that is 0.
    """
    reached = np.zeros_like(inside)
    for t in range(len(inside)):
        alive = np.ones_like(inside[0])
        for later in range(t, len(inside)):
            reached[t] |= alive & inside[later]
            alive &= ~fired[later] & (decay > 0)
    return reached


def check(layer, calls, decay, surrogate="rectangular", epsilon=0.1, what_if=()):
    """A recorded layer (`LayerAccumulation`) against the twin: integers equal, moments to 1e-9 sigma."""
    twin = count(calls, decay, layer.info.v_th, surrogate, epsilon, what_if)
    for name in INTEGERS:
        np.testing.assert_array_equal(getattr(layer.statistics, name), twin[name], err_msg=name)
    np.testing.assert_array_equal(layer.census.seen, twin["seen"])
    moments = layer.statistics
    finite = np.maximum(twin["count"] - twin["nonfinite"], 1)
    some = twin["count"] > twin["nonfinite"]
    tolerance = np.nan_to_num(1e-9 * twin["std"]) + 1e-15
    assert (np.abs(moments.mean - twin["mean"])[some] <= tolerance[some]).all()
    assert (np.abs(np.sqrt(moments.m2 / finite) - twin["std"])[some] <= tolerance[some]).all()
    np.testing.assert_array_equal(moments.min[some], twin["min"][some])
    np.testing.assert_array_equal(moments.max[some], twin["max"][some])
    np.testing.assert_allclose(moments.gain[some], twin["gain"][some], rtol=1e-5)
    return twin


def check_all(layers, calls, model, surrogate="rectangular", epsilon=0.1, what_if=()):
    """Every recorded layer of a network against the twin."""
    modules = dict(model.named_modules())
    assert len(layers) == len(calls)
    for layer, (name, given) in zip(layers.values(), calls.items(), strict=True):
        neuron = modules[name]
        assert layer.info.name == (name.removesuffix(".neuron") or type(neuron).__name__)
        np.testing.assert_array_equal(layer.info.kappa, given[-1].kappa)
        check(layer, given, neuron.decay_value, surrogate, epsilon, what_if)


def rng():
    """A generator of its own, so that torch's global one stays out of the data."""
    return torch.Generator().manual_seed(7)
