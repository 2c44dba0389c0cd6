"""Choosing layers and timesteps on the command line: `3`, `2-5`, `1,4-6`, `encode`."""

import re
from collections.abc import Iterable, Mapping

from mpdviz.errors import BadInput, unknown_name

NUMBERS = re.compile(r"-?\d{1,9}(-\d{1,9})?", re.ASCII)


def layer_numbers(text: str, names: Mapping[int, str]) -> set[int]:
    """Layer numbers that `text` names, by number, range or name.

    Raises:
        BadInput: a layer that does not exist; the valid range or the closest name is said.
    """
    chosen: set[int] = set()
    for part in text.split(","):
        if NUMBERS.fullmatch(part):
            chosen |= _range(part, "layer", min(names), max(names))
        else:
            hits = {number for number, name in names.items() if name == part}
            if not hits:
                raise unknown_name("layer", part, names.values())
            chosen |= hits
    return chosen


def timestep_numbers(text: str, timesteps: int) -> set[int]:
    """Timesteps that `text` names.

    Raises:
        BadInput: not numbers or ranges, or out of range.
    """
    chosen: set[int] = set()
    for part in text.split(","):
        if not NUMBERS.fullmatch(part):
            raise BadInput(f"timestep {part!r}", f"give numbers or ranges from 1 to {timesteps}, e.g. 1,3-4")
        chosen |= _range(part, "timestep", 1, timesteps)
    return chosen


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as they may be given, in order: `1-3, 5`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _range(part: str, kind: str, first: int, last: int) -> set[int]:
    ends = [int(part)] if part.startswith("-") else [int(end) for end in part.split("-")]
    low, high = ends[0], ends[-1]
    if not first <= low <= high <= last:
        raise BadInput(f"there is no {kind} {part}", f"{kind}s count from {first} to {last}")
    return set(range(low, high + 1))
