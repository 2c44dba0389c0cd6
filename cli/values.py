"""Values of options that are written as lists: settings to vary, seeds, a shard."""

import re

from mpdviz.errors import BadInput

MOST_SEEDS = 10_000


def parse_values(texts: list[str], option: str) -> dict[str, list[str]]:
    """Values of settings written as `decay=0.2,0.9`; commas part strategies too.

    Raises:
        BadInput: anything else, or a setting twice.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        name, given, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not given or not values.strip() or name in found:
            raise BadInput(f"--{option} {text!r}", f"give each setting once, like --{option} decay=0.2,0.9")
        found[name] = [value.strip() for value in values.split(",")]
    return found


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds written as `0-4` or `0,2,5`.

    Raises:
        BadInput: anything else.
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", part.strip(), re.ASCII)
        low, high = (int(end or found[1]) for end in found.groups()) if found else (1, 0)
        if not low <= high < low + MOST_SEEDS:
            raise BadInput(f"--seeds {text!r}", "give seeds like 0-4 or 0,2,5")
        seeds += range(low, high + 1)
    return tuple(seeds)


def parse_shard(text: str) -> tuple[int, int]:
    """A shard written as `2/8`: the second of eight.

    Raises:
        BadInput: anything else.
    """
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
    number, shards = (int(part) for part in found.groups()) if found else (0, 0)
    if not 1 <= number <= shards:
        raise BadInput(f"--shard {text!r}", "give which of how many, like 2/8")
    return number, shards
