"""Which runs a comparison is made of: every strategy at every seed, all else alike.

A comparison's folder:

comparison.toml            its settings, strategies and seeds
runs/STRATEGY/seed-N/      a run folder for each
logs/STRATEGY-seed-N.log   what the run said
runs.csv, accuracy.csv, differences.csv    what came out, see `collect`
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from mpdviz import strategies as registry
from mpdviz.config import RunConfig, validate
from mpdviz.errors import BadInput
from mpdviz.runs.folder import RunFolder
from mpdviz.system.files import exists, make_folder, write_text

VARIED = ("strategy", "seed")
"""Settings in which the runs of a comparison differ."""
MACHINE = ("device", "devices", "backend", "compile", "data_dir", "record_every", "save_every", "log")
"""Settings of where and how a run is computed and watched, in which they may differ."""
MOST_SEEDS = 10_000
FILE = "comparison.toml"
"""What makes a folder one of a comparison."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Planned:
    """One run of a comparison."""

    config: RunConfig
    folder: RunFolder
    log: Path

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.config.strategy} seed {self.config.seed}"


@dataclass(frozen=True)
class Comparison:
    """Strategies to compare, with what they share."""

    folder: Path
    strategies: tuple[str, ...]
    """The first is the one that the others are compared with."""
    seeds: tuple[int, ...]
    settings: dict[str, Any]
    """Settings of every run, `VARIED` left out."""

    def runs(self) -> list[Planned]:
        """Every strategy at the first seed, then at the next: cut short, it still holds whole pairs."""
        return [self._run(strategy, seed) for seed in self.seeds for strategy in self.strategies]

    def _run(self, strategy: str, seed: int) -> Planned:
        config = validate(self.settings | {"strategy": strategy, "seed": seed})
        name = slug(strategy)
        folder = RunFolder(self.folder / "runs" / name / f"seed-{seed}")
        return Planned(config, folder, self.folder / "logs" / f"{name}-seed-{seed}.log")

    def write(self) -> None:
        """Keep the comparison in its folder."""
        make_folder(self.folder)
        content = {"strategies": list(self.strategies), "seeds": list(self.seeds)}
        write_text(self.folder / FILE, tomli_w.dumps({**content, "settings": self.settings}))


def plan(
    strategies: Sequence[str], seeds: Sequence[int], settings: Mapping[str, Any], out: Path
) -> Comparison:
    """The comparison of these strategies in `out`; one that is there already is extended.

    Args:
        strategies: as `strategies.get` takes them; the first is the one to compare with.
        seeds: of every strategy.
        settings: of every run, not validated yet.
        out: the comparison's folder; nothing is written.

    Raises:
        BadInput: an unknown strategy or setting, or `out` holds anything but a comparison with these.
    """
    for name in strategies:
        registry.get(name)
    for name in VARIED:
        if name in settings:
            raise BadInput(f"--{name} in a comparison", "leave it out; give --strategies and --seeds")
    config = validate(dict(settings))
    made = Comparison(out, tuple(strategies), tuple(seeds), _shared(config))
    if not exists(out):
        return made
    if not exists(out / FILE):
        if not out.is_dir() or any(out.iterdir()):
            raise BadInput(f"{out} holds something that is no comparison", "choose another --out")
        return made
    before = read(out)
    changed = differences(validate(before.settings), config)
    if changed:
        raise BadInput(
            f"{out} holds a comparison with other settings: {changed}",
            "give the same settings, or choose another --out",
        )
    # Joining others, strategies go behind: what is compared with stays, unless the whole list is given anew.
    anew = set(before.strategies) <= set(strategies)
    every = tuple(strategies) if anew else _union(before.strategies, strategies)
    return Comparison(out, every, _union(before.seeds, seeds), made.settings)


def read(folder: Path) -> Comparison:
    """The comparison that a folder holds.

    Raises:
        BadInput: it holds none, or its file is damaged.
    """
    path = folder / FILE
    remedy = "give the --out of `mpdviz compare --strategies ...`"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        settings = dict(content["settings"])
        strategies = tuple(str(name) for name in content["strategies"])
        seeds = tuple(int(seed) for seed in content["seeds"])
    except OSError as error:
        raise BadInput(f"{folder} holds no comparison ({path.name}: {error.strerror})", remedy) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is damaged ({error})", remedy) from None
    return Comparison(folder, strategies, seeds, settings)


def differences(one: RunConfig, other: RunConfig) -> str:
    """Settings in which two runs of one comparison must not differ but do, in words; empty if alike."""
    first, second = one.model_dump(mode="json"), other.model_dump(mode="json")
    unlike = [name for name in first if name not in (*VARIED, *MACHINE) and first[name] != second[name]]
    return ", ".join(f"{name} {first[name]} and {second[name]}" for name in unlike)


def slug(strategy: str) -> str:
    """A strategy as the name of a folder."""
    return re.sub(r"[^\w.=-]+", "-", strategy)


def parse_strategies(text: str) -> tuple[str, ...]:
    """Strategies written as `fixed:kappa=2.5,mpd-agl`.

    Raises:
        BadInput: none, or one twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    return _each_once("--strategies", text, names, "give names like fixed,mpd-agl")


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
    return _each_once("--seeds", text, tuple(seeds), "give seeds like 0-4 or 0,2,5")


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


def shard(runs: Sequence[Planned], number: int, shards: int) -> list[Planned]:
    """Every `shards`-th run, from the `number`-th (from 1) on."""
    return list(runs[number - 1 :: shards])


def _shared(config: RunConfig) -> dict[str, Any]:
    settings: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    return {name: value for name, value in settings.items() if name not in VARIED}


def _union(first: Iterable[Item], then: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys([*first, *then]))


def _each_once(option: str, text: str, items: tuple[Item, ...], remedy: str) -> tuple[Item, ...]:
    if len(set(items)) < len(items) or "" in items:
        raise BadInput(f"{option} {text!r} names one twice or none", remedy)
    return items
