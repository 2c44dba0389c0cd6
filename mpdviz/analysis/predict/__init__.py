"""What a layer's input says about its potentials (no torch).

A prediction is the law of the pre-reset membrane potential v(t) = decay v(t-1) (1 - s(t-1)) + current(t), a
normal one or an equally weighted mixture of normal ones, one a channel. They differ in what they leave out:

    name         channels   timesteps   reset after a spike   currents of different timesteps
    paper        averaged   1, later    ignored               independent
    mixture      each       1, later    ignored               independent
    time         averaged   each        ignored               independent
    reset        each       each        modelled              independent
    correlated   each       each        modelled              correlated as they were recorded

All but the last know the batch norm alone (`predict`), which gives channel c a current that is close to
normal, with mean beta_c and standard deviation |gamma_c| v_th at every timestep. The last takes means and
covariances of the recorded currents, and so needs no batch norm. `paper` is Theorems 1 and 2 of Jiang et al.,
IJCAI 2025 (doi 10.24963/IJCAI.2025/464); the others are ours. `repeated_input_std` is for currents that are
all the same.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from mpdviz.analysis.predict.currents import correlated, summed
from mpdviz.analysis.predict.law import Prediction, normal_ratio
from mpdviz.analysis.predict.linear import mixture, paper, repeated_input_std, time
from mpdviz.analysis.predict.normal import Floats
from mpdviz.analysis.predict.resetting import reset
from mpdviz.errors import BadInput, unknown_name

__all__ = [
    "FROM_NORM",
    "PREDICTIONS",
    "Prediction",
    "correlated",
    "normal_ratio",
    "predict",
    "repeated_input_std",
    "summed",
]

FROM_NORM: dict[str, Callable[[int, float, float, Floats, Floats], Prediction]] = {
    function.__name__: function for function in (paper, mixture, time, reset)
}
"""Predictions from a batch norm by name, from the coarsest to the finest, called as
f(timesteps, decay, v_th, gamma, beta)."""
PREDICTIONS = (*FROM_NORM, correlated.__name__)
"""Names of all predictions, from the coarsest to the finest."""


def predict(
    name: str,
    *,
    timesteps: int,
    decay: float,
    v_th: float,
    gamma: ArrayLike,
    beta: ArrayLike,
    thresholds: ArrayLike | None = None,
) -> Prediction:
    """The law of a neuron layer's pre-reset potential that the named prediction gives from its batch norm.

    Args:
        name: one of `FROM_NORM`.
        timesteps: T.
        decay: share of the potential kept from one timestep to the next, in [0, 1].
        v_th: the neuron's threshold.
        gamma: weights `[C]` of the batch norm just before the neuron, v_th excluded, of any sign: a spread is
            their magnitude.
        beta: its biases `[C]`, in units of potential.
        thresholds: those in force `[T]` where they differ from `v_th`, the batch norm's; only `reset` asks.

    Raises:
        BadInput: unknown prediction, decay or threshold out of range, or not one bias a weight.
    """
    if name not in FROM_NORM:
        raise unknown_name("prediction from a batch norm", name, FROM_NORM)
    if not (0 <= decay <= 1 and v_th > 0):
        raise BadInput(
            f"prediction {name!r}: decay={decay}, v_th={v_th}", "give decay in [0, 1] and v_th > 0"
        )
    weights, biases = np.asarray(gamma, np.float64), np.asarray(beta, np.float64)
    if weights.ndim != 1 or weights.shape != biases.shape or not weights.size:
        raise BadInput(
            f"prediction {name!r}: gamma of shape {weights.shape}, beta of shape {biases.shape}",
            "give one weight and one bias a channel",
        )
    if name == reset.__name__ and thresholds is not None:
        return reset(timesteps, decay, v_th, weights, biases, np.asarray(thresholds, np.float64))
    return FROM_NORM[name](timesteps, decay, v_th, weights, biases)
