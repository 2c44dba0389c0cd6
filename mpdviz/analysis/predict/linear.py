"""What batch norm and decay say of the potentials where the reset is left out (no torch)."""

import math

import numpy as np

from mpdviz.analysis.predict.law import Prediction
from mpdviz.analysis.predict.normal import Floats


def paper(timesteps: int, decay: float, v_th: float, gamma: Floats, beta: Floats) -> Prediction:
    """The paper's: one normal law from the channel means of gamma and beta, the same for every t > 1.

        v(1)     ~ N(beta_mean,             (gamma_mean v_th)^2)                Theorem 1
        v(t > 1) ~ N(beta_mean (1 + decay), (1 + decay^2) (gamma_mean v_th)^2)  Theorem 2

    Source: Jiang et al., IJCAI 2025.
    """
    return _scaled("paper", *_two_steps(timesteps, decay), v_th, _average(gamma), _average(beta))


def mixture(timesteps: int, decay: float, v_th: float, gamma: Floats, beta: Floats) -> Prediction:
    """The paper's law for each channel by itself, then mixed.

        v(1)     ~ mean over c of N(beta_c,             (gamma_c v_th)^2)
        v(t > 1) ~ mean over c of N(beta_c (1 + decay), (1 + decay^2) (gamma_c v_th)^2)

    so the variance at t > 1 is (1 + decay^2) v_th^2 mean(gamma^2) + (1 + decay)^2 Var(beta). Source: ours.
    """
    return _scaled("mixture", *_two_steps(timesteps, decay), v_th, gamma, beta)


def time(timesteps: int, decay: float, v_th: float, gamma: Floats, beta: Floats) -> Prediction:
    """The paper's law with as many past inputs as there are at t.

        v(t) ~ N(beta_mean D(decay, t), D(decay^2, t) (gamma_mean v_th)^2),    D(r, t) = sum over i < t of r^i

    which without reset is exact: v(t) is the sum over i < t of decay^i current(t - i). At t <= 2 it is the
    paper's. Source: ours.
    """
    past = _geometric(decay, timesteps), np.sqrt(_geometric(decay**2, timesteps))
    return _scaled("time", *past, v_th, _average(gamma), _average(beta))


def repeated_input_std(timesteps: int, decay: float, v_th: float, gamma_mean: float) -> Floats:
    """Standard deviation `[T]` where every timestep brings the same current, the reset ignored.

        std(t) = |gamma_mean| v_th D(decay, t),    D(r, t) = sum over i < t of r^i

    That is an encoding layer fed with a repeated static image: at t = 2 its spread grows by 1 + decay, not by
    the sqrt(1 + decay^2) of independent currents. Source: ours.
    """
    return abs(gamma_mean) * v_th * _geometric(decay, timesteps)


def _average(values: Floats) -> Floats:
    return np.asarray(values.mean(keepdims=True))


def _geometric(r: float, timesteps: int) -> Floats:
    # D(r, t), the sum over i < t of r^i, for t = 1 .. T.
    return np.cumsum(float(r) ** np.arange(timesteps))


def _two_steps(timesteps: int, decay: float) -> tuple[Floats, Floats]:
    # Growth of mean and standard deviation when only one past input is counted.
    first = np.arange(timesteps) == 0
    return np.where(first, 1.0, 1 + decay), np.where(first, 1.0, math.sqrt(1 + decay**2))


def _scaled(name: str, shift: Floats, growth: Floats, v_th: float, gamma: Floats, beta: Floats) -> Prediction:
    # Components [K] whose means grow by `shift` [T] and standard deviations by `growth` [T].
    return Prediction(name, np.outer(shift, beta), np.outer(growth, np.abs(gamma) * v_th))
