"""The truth the tests hold mpdviz against: METHOD's equations written step by step, without mpdviz.

NumPy twins work in the precision of their arguments (float64 unless a test compares spikes bit for bit).
Everything is time-major, `[T, ...]`.
"""

from collections.abc import Callable

import numpy as np
import torch

H = Callable[[np.ndarray, float], np.ndarray]


# Surrogates at width kappa: derivative and primitive (METHOD section C, default parameters). -------------


def _rectangular(x, kappa):
    return np.where(np.abs(x) < kappa / 2, 1.0, 0.0).astype(x.dtype) / kappa


def _triangular(x, kappa):
    return np.maximum(0.0, 1 - np.abs(x) / kappa) / kappa


def _sigmoid(x, kappa):
    return 4 / kappa * np.exp(-4 / kappa * np.abs(x)) / (1 + np.exp(-4 / kappa * np.abs(x))) ** 2


def _atan(x, kappa):
    return 1 / kappa / (1 + (np.pi * x / kappa) ** 2)


def _fast_sigmoid(x, kappa):
    return 1 / kappa / (1 + 25 * np.abs(x) / kappa) ** 2


def _dspike(x, kappa):
    h = 2 / (2 * np.tanh(1.0)) / kappa * (1 - np.tanh(2 * x / kappa) ** 2)  # sech^2 = 1 - tanh^2
    return np.where(np.abs(x) < kappa / 2, h, 0.0).astype(x.dtype)


def _lorentz(x, kappa):
    return kappa**2 / (kappa**2 + (np.pi * x) ** 2)


def _superspike(x, kappa):
    return kappa**2 / (kappa + np.abs(x)) ** 2


DERIVATIVES: dict[str, H] = {
    "rectangular": _rectangular,
    "triangular": _triangular,
    "sigmoid": _sigmoid,
    "atan": _atan,
    "fast-sigmoid": _fast_sigmoid,
    "dspike": _dspike,
    "lorentz": _lorentz,
    "superspike": _superspike,
}

PRIMITIVES: dict[str, H] = {
    "rectangular": lambda x, kappa: np.clip(x / kappa, -0.5, 0.5),
    "triangular": lambda x, kappa: (
        np.clip(x / kappa, -1, 1) - np.sign(x) * np.clip(np.abs(x) / kappa, 0, 1) ** 2 / 2
    ),
    "sigmoid": lambda x, kappa: np.tanh(2 * x / kappa) / 2,
    "atan": lambda x, kappa: np.arctan(np.pi * x / kappa) / np.pi,
    "fast-sigmoid": lambda x, kappa: (x / kappa) / (1 + 25 * np.abs(x) / kappa),
    "dspike": lambda x, kappa: np.tanh(2 * np.clip(x / kappa, -0.5, 0.5)) / (2 * np.tanh(1.0)),
    "lorentz": lambda x, kappa: kappa * np.arctan(np.pi * x / kappa) / np.pi,
    "superspike": lambda x, kappa: x / (1 + np.abs(x) / kappa),
}


# The neuron. ----------------------------------------------------------------------------------------------


def lif_forward(current: np.ndarray, decay: float, v_th: float) -> tuple[np.ndarray, np.ndarray]:
    """Pre-reset potentials and spikes (both in the current's precision)."""
    decay = current.dtype.type(decay)
    potentials, spikes = np.zeros_like(current), np.zeros_like(current)
    v, s = np.zeros_like(current[0]), np.zeros_like(current[0])
    for t in range(len(current)):
        v = current[t] if t == 0 else decay * v * (1 - s) + current[t]
        s = (v >= v_th).astype(current.dtype)
        potentials[t], spikes[t] = v, s
    return potentials, spikes


def lif_backward(
    grad_spikes: np.ndarray,
    potentials: np.ndarray,
    spikes: np.ndarray,
    decay: float,
    v_th: float | np.ndarray,
    kappa: np.ndarray,
    h: H,
) -> tuple[np.ndarray, float]:
    """dL/dcurrent and dL/ddecay, each operation's adjoint by itself, the reset's included."""
    grad_current = np.zeros_like(potentials)
    thresholds = np.broadcast_to(v_th, len(potentials))
    grad_decay = 0.0
    grad_carry = np.zeros_like(potentials[0])  # dL/d[decay * v(t) * (1 - s(t))]
    for t in reversed(range(len(potentials))):
        v, s = potentials[t], spikes[t]
        grad_decay += float((grad_carry * v * (1 - s)).sum())
        grad_s = grad_spikes[t] - grad_carry * decay * v
        grad_v = grad_carry * decay * (1 - s) + grad_s * h(v - thresholds[t], float(kappa[t]))
        grad_current[t] = grad_v
        grad_carry = grad_v
    return grad_current, grad_decay


class _PlainSpike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, kappa, h):
        ctx.save_for_backward(x)
        ctx.kappa, ctx.h = kappa, h
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        h = ctx.h(x.detach().numpy(), ctx.kappa)
        return grad * torch.from_numpy(np.asarray(h)).to(grad.dtype), None, None


def plain_lif(
    current: torch.Tensor, decay: float | torch.Tensor, v_th: float, kappa: list[float], h: H
) -> torch.Tensor:
    """Spikes by one autograd operation at a time: autograd itself finds the way through the reset."""
    v, s = torch.zeros_like(current[0]), torch.zeros_like(current[0])
    spikes = []
    for t in range(len(current)):
        v = decay * v * (1 - s) + current[t]
        s = _PlainSpike.apply(v - v_th, kappa[t], h)
        spikes.append(s)
    return torch.stack(spikes)


# The norm. ------------------------------------------------------------------------------------------------


def _per_channel(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    return values.reshape(1, 1, -1, *[1] * (x.ndim - 3))


def tdbn_train(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, v_th: float, alpha: float, eps: float = 1e-5
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Output, batch mean, population variance and values per channel of `x` [T, N, C, ...]."""
    axes = tuple(axis for axis in range(x.ndim) if axis != 2)
    mean, var = x.mean(axes), x.var(axes)
    return tdbn_eval(x, weight, bias, mean, var, v_th, alpha, eps), mean, var, x.size // x.shape[2]


def tdbn_eval(x, weight, bias, mean, var, v_th, alpha, eps=1e-5):
    """Output with given statistics."""
    normal = (x - _per_channel(mean, x)) / np.sqrt(_per_channel(var, x) + eps)
    return _per_channel(weight, x) * alpha * v_th * normal + _per_channel(bias, x)


def tdbn_backward(grad, x, weight, v_th, alpha, eps=1e-5):
    """dL/dx, dL/dweight and dL/dbias in training mode, through the batch's mean and variance."""
    axes = tuple(axis for axis in range(x.ndim) if axis != 2)
    count = x.size // x.shape[2]
    centred = x - _per_channel(x.mean(axes), x)
    inverse = 1 / np.sqrt(_per_channel(x.var(axes), x) + eps)
    grad_normal = grad * _per_channel(weight, x) * alpha * v_th
    grad_var = -(grad_normal * centred * inverse**3).sum(axes) / 2
    grad_mean = -(grad_normal * inverse).sum(axes)
    grad_x = (
        grad_normal * inverse
        + _per_channel(grad_var, x) * 2 * centred / count
        + _per_channel(grad_mean, x) / count
    )
    return grad_x, (grad * centred * inverse).sum(axes) * alpha * v_th, grad.sum(axes)
