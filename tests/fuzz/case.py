"""What a generator hands to the harness: a command, run in a folder that the generator has damaged."""

from dataclasses import dataclass, field

TINY = ("--model", "convsnn:encode_channels=4:planes=4-4", "--timesteps", "2", "--batch-size", "16")
TINY += ("--device", "cpu")
"""Settings of a run that takes a moment."""
BEST, LAST = "run/checkpoints/best.pt", "run/checkpoints/last.pt"


@dataclass(frozen=True)
class Case:
    """One hostile input, its files already in place."""

    words: tuple[str, ...]
    """The command line behind `mpdviz`."""
    note: str
    """What was done to the files, in words."""
    may_change: tuple[str, ...] = ()
    """Folders (within the place) that the command, when it succeeds, is there to write into."""
    environment: dict[str, str] = field(default_factory=dict)
    fresh: bool = False
    """Whether it takes a process of its own: what it is about is read while modules are imported."""
