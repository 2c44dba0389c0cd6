"""Folders of the user's own, one a class: which files are for training, validation and test.

Either `DIR/CLASS/...`, divided here, or `DIR/train/CLASS/...` and besides it `val` and `test`.
"""

import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from mpdviz.data.splits import stratified
from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.system.files import exists

SPLIT_SEED = 0
VALIDATION = ("val", "valid", "validation")
"""What the folder of validation samples may be called."""
OPTIONS = re.compile(r"(?P<place>.*?)(?P<options>(:[a-z]+=[^:/]*)*)")


@dataclass(frozen=True)
class Classes:
    """Files and their classes."""

    names: tuple[str, ...]
    """Of the classes, in the order of their labels, which is that of the alphabet."""
    paths: tuple[Path, ...]
    """Of all files."""
    labels: tuple[int, ...]
    """One a file."""
    parts: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    """Which of them are for training, validation and test: int64 indices."""


def place_of(name: str, prefix: str, options: Collection[str]) -> tuple[Path, Mapping[str, int]]:
    """The folder, and the whole numbers behind it, of a name such as `folder:DIR:size=64`.

    Raises:
        BadInput: no such option, or no positive whole number.
    """
    found = OPTIONS.fullmatch(name.removeprefix(prefix))
    assert found is not None
    given: dict[str, int] = {}
    for pair in filter(None, found["options"].split(":")):
        option, _, value = pair.partition("=")
        if option not in options or not re.fullmatch(r"0*[1-9]\d{0,5}", value):
            known = " or ".join(f"{option}=PIXELS" for option in options)
            raise BadInput(
                f"data {name!r}: {pair!r} is no option", f"write {prefix}DIR, then a colon and {known}"
            )
        given[option] = int(value)
    try:
        return Path(found["place"]).expanduser(), given
    except RuntimeError as error:  # ~ of nobody
        raise BadInput(f"data {name!r}: {error}", f"check the path after {prefix}") from None


def classes_of(folder: Path, suffixes: tuple[str, ...], what: str) -> Classes:
    """All files of a folder that end in one of `suffixes`, in folders of their classes.

    `DIR/CLASS/...` is divided by class, 80 % for training and 10 % each for validation and test. Of
    `DIR/train/CLASS/...` the other parts are taken as they are; where there is no folder for validation, a
    tenth of every class of train is that, and where there is none for test, what the folder for validation
    holds is for test, as with sets whose test labels are secret. Hidden files are ignored.

    Args:
        folder: DIR.
        suffixes: of names, in lower case.
        what: what the files are, for errors: pictures.

    Raises:
        BadInput: no folder, no classes, a class without files, or one that is not among those for training.
    """
    remedy = (
        f"give a folder that holds one folder of {what} a class, or train, val and test with such folders"
    )
    if not exists(folder) or not folder.is_dir():
        raise BadInput(f"no folder {folder}", remedy)
    parts = {
        "train": [folder / "train"],
        "val": [folder / name for name in VALIDATION],
        "test": [folder / "test"],
    }
    there = {part: [path for path in paths if path.is_dir()] for part, paths in parts.items()}
    if len(there["val"]) > 1:
        both = " and ".join(path.name for path in there["val"])
        raise BadInput(f"{folder} holds {both}", "keep one folder for validation")
    if not there["train"]:
        return _divided(*_files(folder, suffixes, what, remedy, ()))
    _tell_left_out(folder, {path.name for paths in there.values() for path in paths})
    names, paths, labels = _files(folder / "train", suffixes, what, remedy, ())
    others = {
        part: _files(there[part][0], suffixes, what, remedy, names) for part in ("val", "test") if there[part]
    }
    if "val" in others and "test" not in others:
        held = there["val"][0].name
        note = f"{folder} has no folder test: {held} is for test, a tenth of train for validation"
        warnings.warn(note, MpdvizWarning, stacklevel=2)
        others = {"test": others["val"]}
    val, test = (0.0 if part in others else 0.1 for part in ("val", "test"))
    train, *rest = stratified(torch.tensor(labels), val=val, test=test, seed=SPLIT_SEED)
    for i, part in enumerate(("val", "test")):
        if part in others:
            rest[i] = torch.arange(len(others[part][1])) + len(paths)
            paths, labels = paths + others[part][1], labels + others[part][2]
    return Classes(names, paths, labels, (train, rest[0], rest[1]))


Found = tuple[tuple[str, ...], tuple[Path, ...], tuple[int, ...]]
"""Names of classes, files, their labels."""


def _divided(names: tuple[str, ...], paths: tuple[Path, ...], labels: tuple[int, ...]) -> Classes:
    parts = stratified(torch.tensor(labels), val=0.1, test=0.1, seed=SPLIT_SEED)
    return Classes(names, paths, labels, parts)


def _files(folder: Path, suffixes: tuple[str, ...], what: str, remedy: str, known: tuple[str, ...]) -> Found:
    """The files of a folder of classes; `known` are the classes that there may be, none: any."""
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise BadInput(f"{folder} holds no folders of classes", remedy)
    names = known or tuple(path.name for path in folders)
    paths: list[Path] = []
    labels: list[int] = []
    other = 0
    for one in folders:
        if one.name not in names:
            raise BadInput(f"{one}: train has no class {one.name}", "give every class a folder in train")
        every = sorted(path for path in one.rglob("*") if not path.name.startswith(".") and not path.is_dir())
        mine = [path for path in every if path.suffix.lower() in suffixes]
        if not mine:
            raise BadInput(f"{one} holds no {what} ({', '.join(suffixes)})", remedy)
        other += len(every) - len(mine)
        paths += mine
        labels += [names.index(one.name)] * len(mine)
    if other:
        note = f"{folder}: {other} files that are no {what} ({', '.join(suffixes)}) are left out"
        warnings.warn(note, MpdvizWarning, stacklevel=2)
    return names, tuple(paths), tuple(labels)


def _tell_left_out(folder: Path, used: set[str]) -> None:
    others = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name not in used)
    if others := [name for name in others if not name.startswith(".")]:
        note = f"{folder} holds train: its other folders are left out ({', '.join(others)[:200]})"
        warnings.warn(note, MpdvizWarning, stacklevel=2)
