"""The equations of neurons written out without mpdviz: in NumPy, and as loops under autograd.

Everything is time-major, `[T, ...]`. What decides about a spike is an argument, so that a twin can be run
with spikes that depend smoothly on the potential (`linearised`): as the surrogate gradient takes them.
"""

import numpy as np
import torch
from reference import DERIVATIVES


def step(v_th):
    """Spikes as they are: 1 where a potential is not below its threshold."""
    return lambda t, v: (v >= np.broadcast_to(v_th, 64)[t]).astype(v.dtype)


def linearised(v, spikes, h):
    """Spikes to first order about the potentials `v` `[T, ...]`, with the slope h that they have there."""
    return lambda t, now: spikes[t] + h[t] * (now - v[t])


def lif(current, spike, *, decay, v_th, soft=False):
    """Potentials and spikes of a leaky neuron."""
    kept, vs, ss = 0.0, [], []
    for t, entering in enumerate(current):
        v = decay * kept + entering
        s = spike(t, v)
        kept = v - v_th * s if soft else v * (1 - s)
        vs.append(v), ss.append(s)
    return np.stack(vs), np.stack(ss)


def klif(current, spike, *, decay, v_th, k, soft=False):
    """Potentials relu(k charge) and spikes; the reset acts on the potential."""
    kept, vs, ss = 0.0, [], []
    for t, entering in enumerate(current):
        v = np.maximum(k * (decay * kept + entering), 0)
        s = spike(t, v)
        kept = v - v_th * s if soft else v * (1 - s)
        vs.append(v), ss.append(s)
    return np.stack(vs), np.stack(ss)


def clif(current, spike, *, decay, v_th):
    """Potentials and spikes with the paper's tau = 1 / (1 - decay)."""
    u, m, vs, ss = 0.0, 0.0, [], []
    for t, entering in enumerate(current):
        u = decay * u + entering
        m = m / (1 + np.exp(-(1 - decay) * u))
        s = spike(t, u)
        vs.append(u), ss.append(s)
        m = m + s
        u = u - s * (v_th + 1 / (1 + np.exp(-m)))
    return np.stack(vs), np.stack(ss)


def psn(current, spike, *, v_th, weight, bias):
    """Potentials W x + b + v_th and spikes."""
    v = np.einsum("ts,s...->t...", weight, current)
    v = v + (bias + v_th).reshape(-1, *[1] * (current.ndim - 1))
    return v, np.stack([spike(t, row) for t, row in enumerate(v)])


class Spike(torch.autograd.Function):
    """1[x >= 0] with the derivative h(x; kappa), and for the width that of a smooth H(x / kappa)."""

    @staticmethod
    def forward(ctx, x, kappa, name):
        ctx.save_for_backward(x, kappa)
        ctx.name = name
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        x, kappa = ctx.saved_tensors
        h = torch.as_tensor(DERIVATIVES[ctx.name](x.numpy(), kappa.item()))
        return grad * h, -(grad * h * x).sum() / kappa, None


def loop(kind, current, kappa, name, *, v_th, seen=None, **constants):
    """Spikes by one autograd operation at a time.

    Args:
        kind: `lif`, `klif`, `clif` or `psn`.
        current: `[T, ...]`, float64.
        kappa: widths `[T]`.
        name: shape of the surrogate.
        v_th: threshold.
        seen: takes, of each timestep, the potential (for klif k times the charge) and the argument of the
            spike function, both of the graph, their gradients retained.
        constants: of the neuron: `decay`, `soft`, `detached`, `k`, `weight`, `bias`.
    """
    decay, soft = constants.get("decay"), constants.get("soft", False)
    spikes, kept, m = [], torch.zeros_like(current[0]), torch.zeros_like(current[0])
    if kind == "psn":
        shift = (constants["bias"] + v_th).view(-1, *[1] * (current.dim() - 1))
        whole = torch.einsum("ts,s...->t...", constants["weight"], current) + shift
    for t, entering in enumerate(current):
        charge = whole[t] * 1 if kind == "psn" else decay * kept + entering
        scaled = constants["k"] * charge if kind == "klif" else charge
        own = scaled * 1  # a node of its own: the way through the spike alone
        v, x = (scaled.relu(), own.relu()) if kind == "klif" else (scaled, own)
        s = Spike.apply(x - v_th, kappa[t], name)
        if seen is not None:
            scaled.retain_grad(), own.retain_grad()
            seen.append((scaled, own))
        spikes.append(s)
        fired = s.detach() if constants.get("detached") else s
        if kind == "clif":
            m = m * torch.sigmoid((1 - decay) * v) + s
            kept = v - s * (v_th + torch.sigmoid(m))
        else:
            kept = v - v_th * fired if soft else v * (1 - fired)
    return torch.stack(spikes)
