"""Regularisers: penalties on potentials that training adds to its loss.

One is written as one string, options after colons: `im-loss`, `mpd-sgr:weight=0.1`. A new one is a file here
and a line below.
"""

from mpdviz.registry import Registry, made
from mpdviz.regularizers.base import Forward, Regularizer, potentials

__all__ = ["REGULARIZERS", "Forward", "Regularizer", "get", "potentials"]

REGULARIZERS: Registry[type[Regularizer]] = Registry(
    "regularizer",
    "mpdviz.regularizers",
    {
        "mpd-sgr": "mpdviz.regularizers.mpd_sgr:MPDSGR",
        "im-loss": "mpdviz.regularizers.im_loss:IMLoss",
    },
    Regularizer,
)


def get(text: str) -> Regularizer:
    """A regulariser from its string, e.g. `im-loss` or `mpd-sgr:weight=0.1`.

    Raises:
        BadInput: unknown regulariser or option, or a value out of range.
    """
    return made(REGULARIZERS, text, example="mpd-sgr:weight=0.1")[0]
