"""What still passes when a recording is judged."""

from dataclasses import dataclass, field, fields

from mpdviz.errors import BadInput


def _limit(default: float, meaning: str) -> float:
    limit: float = field(default=default, metadata={"meaning": meaning})
    return limit


@dataclass(frozen=True)
class Limits:
    """What still passes; every field is an option of `mpdviz check`."""

    starved: float = _limit(0.1, "smallest available ratio at any timestep")
    degenerate: float = _limit(0.9, "largest share of potentials below the interval at any timestep")
    saturated: float = _limit(0.5, "largest share of potentials above the interval at any timestep")
    silent_neurons: float = _limit(0.5, "largest share of neurons that never spike")
    dead_neurons: float = _limit(0.5, "largest share of neurons that are never inside the interval")
    silent_input: float = _limit(0.5, "largest share of neurons whose input is exactly zero throughout")
    negative_gamma: float = _limit(
        0.1, "largest share of negative batch-norm weights; a mean that is not positive always fails"
    )
    too_wide: float = _limit(
        3.0, "largest half-width of the interval in standard deviations of the potentials"
    )
    prediction_off: float = _limit(
        0.2, "largest difference between the available ratio and MPD-AGL's prediction of it"
    )
    nonfinite: float = _limit(0.0, "largest share of potentials that are NaN or infinite")
    nonfinite_gain: float = _limit(
        0.0, "largest share of potentials where the surrogate's derivative is NaN or infinite"
    )
    nonfinite_gradient: float = _limit(
        0.0, "largest share of gradients at the potentials that are NaN or infinite"
    )

    def __post_init__(self) -> None:
        """Refuse what nothing could be held against.

        Raises:
            BadInput: a limit that is NaN.
        """
        for limit in fields(self):
            value = getattr(self, limit.name)
            if value != value:
                raise BadInput(f"`{limit.name}` {value}", "give a number")
