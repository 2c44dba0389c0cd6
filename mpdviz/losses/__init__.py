"""Training losses, of the logits of all timesteps. Evaluation always is cross-entropy of their mean.

A loss is written as one string, options after colons: `ce`, `tet:lambda=0.05`. A new one is a file here and a
line below.
"""

from mpdviz.losses.base import Loss
from mpdviz.registry import Registry, made

__all__ = ["LOSSES", "Loss", "get"]

LOSSES: Registry[type[Loss]] = Registry(
    "loss",
    "mpdviz.losses",
    {"ce": "mpdviz.losses.ce:CrossEntropy", "tet": "mpdviz.losses.tet:TET"},
    Loss,
)


def get(text: str) -> Loss:
    """A loss from its string, e.g. `ce` or `tet:lambda=0.1`.

    Raises:
        BadInput: unknown loss or option, or a value out of range.
    """
    return made(LOSSES, text, example="tet:lambda=0.05")[0]
