"""Weights of anybody's network, in whatever wrapping people save them.

A file holds the state dict itself or, under some name, further in; what wrapped the network in training
(DataParallel, torch.compile, Lightning, an attribute of a larger module) may have put something before its
names. The entry and the prefix are chosen by how many names of the network they give.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mpdviz.checkpoint import released
from mpdviz.checkpoint.archive import fill, read_archive
from mpdviz.errors import BadInput

PREFERRED = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params")
"""Entries taken before others that hold as many of the network's weights, e.g. before `ema`."""
DEPTH = 3
"""How far in entries are looked for."""
PARALLEL = ("module", "_orig_mod")
"""Parts that parallel and compiled modules put anywhere into names."""
PROFILED = ("total_ops", "total_params")
"""Buffers that profilers leave on every module."""
SHOWN = 3
"""Names that an error or a note shows."""

State = Mapping[str, Any]


def fill_any(
    network: nn.Module,
    path: Path,
    *,
    key: str | None,
    prefix: str | None,
    content: dict[str, Any] | None = None,
) -> tuple[str, ...]:
    """Fill `network` from the file at `path` and put it into evaluation mode.

    Args:
        network: what the weights are for.
        path: a file of `torch.save`.
        key: entry that holds the weights, dots leading further in; None: the one with most of the network's.
        prefix: what to strip from names, entries without it being left out; None: what gives most of the
            network's names.
        content: of the file, where it has been read already.

    Returns:
        What was chosen among several, or left out, in words.

    Raises:
        BadInput: no such file, entry or prefix, or weights of another network.
        NotFinite: weights that are NaN or infinite.
    """
    content = read_archive(path) if content is None else content
    entries, own = dict(_entries(content)), list(network.state_dict())
    notes = []
    if key is None:
        key, others = _most(entries, own)
        if others:
            notes.append(f"note: took {key!r} of {path}; it also holds {_some(others)} (see `key`)")
    elif key not in entries:
        raise BadInput(
            f"`key` {key}: {path} has no such entry", f"give one of: {_some(filter(None, entries))}"
        )
    state = entries.get(key, {})
    names = _names(state, own, prefix, path)
    aside = [name for name in state if name not in names or _is_aside(state[name], names[name], own)]
    found = {names[name]: state[name] for name in state if name not in aside}
    if aside:
        notes.append(f"note: left out of {path}: {_some(aside)}")
    _check(found, own, f"{path} ({key})" if key else str(path))
    fill(network, found, path)
    return tuple(notes)


def fill_matching(network: nn.Module, path: Path) -> tuple[str, ...]:
    """Fill what of `network` the file at `path` has under the same names and in the same shapes.

    Args:
        network: to fill; the rest of it stays as it is.
        path: a checkpoint of mpdviz or a released one, or any file that `fill_any` reads.

    Returns:
        The network's weights that were not filled.

    Raises:
        BadInput: no such file, or none of its weights fits.
        NotFinite: weights that are NaN or infinite.
    """
    content, own = read_archive(path), network.state_dict()
    released_state = content.get("net", content)
    if isinstance(released_state, dict) and released.looks_released(released_state):
        content = {"net": released.rename(released_state)}
    entries = dict(_entries(content))
    key, _ = _most(entries, own)
    state = entries.get(key, {})
    names = _names(state, list(own), None, path)
    found = {names[name]: value for name, value in state.items() if names[name] in own}
    found = {
        name: value
        for name, value in found.items()
        if value.shape == own[name].shape and value.is_floating_point() == own[name].is_floating_point()
    }
    # By what they are: a network may call its weights otherwise in its state dict.
    kept = network.state_dict(keep_vars=True).items()
    weights = {name for name, value in kept if isinstance(value, nn.Parameter)}
    if not weights & found.keys():
        raise BadInput(f"no weights of {path} fit the network", "give that of a network like this one")
    fill(network, {**own, **found}, path)
    return tuple(name for name in own if name in weights and name not in found)


def _entries(content: State, place: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """Every dict that holds tensors, by the way to it; the file itself is ''."""
    if any(isinstance(value, Tensor) for value in content.values()):
        yield place, {name: value for name, value in content.items() if isinstance(name, str)}
    if depth < DEPTH:
        for name, value in content.items():
            if isinstance(name, str) and isinstance(value, dict):
                yield from _entries(value, f"{place}.{name}".lstrip("."), depth + 1)


def _most(entries: Mapping[str, State], own: Iterable[str]) -> tuple[str, list[str]]:
    """The entry that gives most of the network's names, and others that give as many."""
    scores = {place: max(_votes(state, own).values(), default=0) for place, state in entries.items()}
    best = [place for place, score in scores.items() if score == max(scores.values())]
    ranks = {name: rank for rank, name in enumerate(PREFERRED)}
    best.sort(key=lambda place: ranks.get(place.rpartition(".")[2], len(ranks)))
    return (best[0], best[1:] if scores[best[0]] else []) if best else ("", [])


def _names(state: State, own: list[str], prefix: str | None, path: Path) -> dict[str, str]:
    """What entries are called in the network: those behind the prefix, and all where none was asked for."""
    theirs = {_bare(name): name for name in own}
    if prefix is not None:
        start = prefix.removesuffix(".") + "."
        named = {name: name.removeprefix(start) for name in state if name.startswith(start)}
        if not named:
            raise BadInput(f"`prefix` {prefix}: no name in {path} begins so", f"there are {_some(state)}")
        return {name: theirs.get(_bare(rest), rest) for name, rest in named.items()}
    votes = _votes(state, own)
    start, most = votes.most_common(1)[0]
    rivals = [name for name, count in votes.items() if count == most]
    if start and len(rivals) > 1 and most == len(own):
        raise BadInput(f"names of {path} fit behind each of {_some(rivals)}", "give one of them as `prefix`")
    if not start and most == len(own):  # nothing is in the way
        return {name: theirs.get(_bare(name), name) for name in state}
    return {name: theirs.get(rest := _bare(name).removeprefix(start), rest) for name in state}


def _votes(state: State, own: Iterable[str]) -> Counter[str]:
    """Prefixes by the number of names of the network that follow them; none comes first among equals."""
    theirs = {_bare(name) for name in own}
    votes = Counter({"": 0})
    for name in map(_bare, state):
        starts = [0, *(at + 1 for at, letter in enumerate(name) if letter == ".")]
        votes.update(name[:start] for start in starts if name[start:] in theirs)
    return votes


def _bare(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in PARALLEL)


def _is_aside(value: Any, name: str, own: list[str]) -> bool:
    """Whether it is nothing that a network could miss: what profilers left, or no tensor."""
    return name not in own and (name.rpartition(".")[2] in PROFILED or not isinstance(value, Tensor))


def _check(found: State, own: list[str], what: str) -> None:
    missing = [name for name in own if name not in found]
    unexpected = [name for name in found if name not in own]
    kinds = (("missing", missing), ("unexpected", unexpected))
    if problems := [f"{len(names)} {kind} ({_some(names)})" for kind, names in kinds if names]:
        raise BadInput(
            f"{what} holds the weights of another network: {', '.join(problems)}",
            "build it as it was trained (`model_args`), or see to `key` and `prefix`",
        )


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:SHOWN]) + (", ..." if len(listed) > SHOWN else "")
