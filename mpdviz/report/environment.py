"""What runs were trained with, for the section of training: versions, hardware, commands (no torch)."""

from collections.abc import Sequence

import pandas as pd

from mpdviz.figures.style import spelled
from mpdviz.report.blocks import Block, Facts, Table, Text
from mpdviz.system.environment import Environment

Process = tuple[str, int, Environment]
"""Variant, seed, and a process that took part in training it."""


def blocks(processes: Sequence[Process], runs: int) -> list[Block]:
    """What all processes had in common, and a folded table of the rest.

    Args:
        processes: all there are, those of a run that was resumed one after the other.
        runs: how many runs there are, noted or not.
    """
    noted = len({(variant, seed) for variant, seed, _ in processes})
    if not noted:
        return [Text("What these runs were trained with was not noted: an earlier version trained them.")]
    facts = [process.facts() for _, _, process in processes]
    names = list(dict.fromkeys(name for one in facts for name in one))
    common = {
        name: value
        for name in names
        if len({one.get(name) for one in facts}) == 1 and (value := facts[0].get(name)) is not None
    }
    rows = [
        {"strategy": spelled(variant), "seed": seed, "started": process.started}
        | {name: one.get(name, "none") for name in names if name not in common}
        | {"command": process.command}
        for (variant, seed, process), one in zip(processes, facts, strict=True)
    ]
    missing = f" Of {runs - noted} of {runs} runs nothing was noted." * (noted < runs)
    caption = f"A row a process: a run that was resumed has several. Times are UTC.{missing}"
    shared: list[Block] = [Text("What all of these runs were trained with:"), Facts(common)] if common else []
    return [
        *shared,
        Table("What the runs were trained with", pd.DataFrame(rows), folded=True, caption=caption),
    ]
