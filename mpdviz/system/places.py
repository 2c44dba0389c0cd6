"""Where checkpoints lie: a file, the best one of a run folder, or a sample that comes with the package."""

import os
from pathlib import Path

from mpdviz.errors import BadInput, unknown_name
from mpdviz.system.files import exists

CONFIG = Path("config.toml")
BEST, LAST = Path("checkpoints", "best.pt"), Path("checkpoints", "last.pt")
"""Files of a run folder."""
COMPARISON = Path("comparison.toml")
"""What makes a folder one of a comparison: its settings, strategies and seeds."""
SAMPLE = "sample:"
"""What stands before the name of a sample checkpoint."""
DEPTH = 3
"""Folders in folders that are looked through for runs."""
MOST_NAMED = 5


def best_checkpoint(path: Path) -> Path:
    """The file that `path` stands for: itself, the best checkpoint of a run folder, or a sample's.

    Raises:
        BadInput: a folder without one, and what is there instead; no such sample.
    """
    if str(path).startswith(SAMPLE):
        name = str(path).removeprefix(SAMPLE)
        known = samples()
        if name not in known:
            raise unknown_name("sample", name, known)
        return known[name]
    if not os.path.isdir(path):  # noqa: PTH112 - false, not an error, where looking is refused
        return path
    if not exists(path / BEST):
        raise BadInput(f"{path} has no {BEST.as_posix()}", _instead(path))
    return path / BEST


def samples() -> dict[str, Path]:
    """The sample checkpoints by name: those of the installed package, or of a copy of its repository."""
    package = Path(__file__).parents[1]
    folders = (package / "sample_checkpoints", package.parent / "sample_checkpoints")
    return {file.stem: file for folder in reversed(folders) for file in sorted(folder.glob("*.pt"))}


def runs_below(path: Path, depth: int = DEPTH) -> list[Path]:
    """Run folders in a folder that is none itself, in the order of their names."""
    try:
        folders = sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))
    except OSError:  # no folder, or a closed one
        return []
    found: list[Path] = []
    for folder in folders:
        if exists(folder / CONFIG):
            found.append(folder)
        elif depth > 1:
            found += runs_below(folder, depth - 1)
    return found


def _instead(path: Path) -> str:
    """What to give in place of a folder without a best checkpoint."""
    if exists(path / LAST):
        return "its run has finished no epoch yet: go on with it (`resume`), or give checkpoints/last.pt"
    if exists(path / CONFIG):
        return "its run has finished no epoch yet: go on with it (`resume`)"
    runs = runs_below(path)
    if runs:
        kind = "it is a comparison" if exists(path / COMPARISON) else "it holds runs"
        return f"{kind}; give one of {_named([str(run) for run in runs])}"
    try:
        there = sorted(one.name for one in path.iterdir() if not one.name.startswith("."))
    except OSError:
        there = []
    holds = f"it holds {_named(there)}" if there else "it is empty"
    return f"give a run folder that finished an epoch, or a file; {holds}"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
