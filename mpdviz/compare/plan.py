"""Which runs a comparison is made of: every strategy at every seed, all else alike.

A comparison's folder:

comparison.toml            its settings, strategies and seeds
runs/STRATEGY/seed-N/      a run folder for each
logs/STRATEGY-seed-N.log   what the run said
runs.csv, accuracy.csv, differences.csv    what came out, see `results`
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from mpdviz import data
from mpdviz import strategies as registry
from mpdviz.config import RunConfig, differences, validate
from mpdviz.errors import BadInput
from mpdviz.runs.folder import RunFolder, run_of_comparison, slug
from mpdviz.runs.reading import read_comparison
from mpdviz.system.devices import pick_device
from mpdviz.system.files import exists, make_folder, write_text
from mpdviz.system.places import COMPARISON
from mpdviz.training.fresh import architecture
from mpdviz.training.objective import Objective
from mpdviz.training.sinks import SINKS

VARIED = ("strategy", "seed")
"""Settings in which the runs of a comparison differ; those of role `machine` and `log` may too."""

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
        folder = RunFolder(run_of_comparison(self.folder, strategy, seed))
        return Planned(config, folder, self.folder / "logs" / f"{slug(strategy)}-seed-{seed}.log")

    def write(self) -> None:
        """Keep the comparison in its folder."""
        make_folder(self.folder)
        content = {"strategies": list(self.strategies), "seeds": list(self.seeds)}
        write_text(self.folder / COMPARISON, tomli_w.dumps({**content, "settings": self.settings}))


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
    for what, items in (("strategies", strategies), ("seeds", seeds)):
        if not items or len(set(items)) < len(items):
            told_items = ",".join(map(str, items))
            raise BadInput(f"`{what}` {told_items!r} names one twice or none", "name each once")
    for name in strategies:
        registry.get(name)
    for name in VARIED:
        if name in settings:
            raise BadInput(f"`{name}` in a comparison", "leave it out; give `strategies` and `seeds`")
    config = validate(dict(settings))
    made = Comparison(out, tuple(strategies), tuple(seeds), _shared(config))
    if not exists(out):
        return made
    if not exists(out / COMPARISON):
        if not out.is_dir() or any(out.iterdir()):
            raise BadInput(f"{out} holds something that is no comparison", "choose another `out`")
        return made
    before = read(out)
    changed = differences(validate(before.settings), config, but=VARIED)
    if changed:
        raise BadInput(
            f"{out} holds a comparison with other settings: {told(changed)}",
            "give the same settings, or choose another `out`",
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
    content = read_comparison(folder)
    return Comparison(folder, tuple(content["strategies"]), tuple(content["seeds"]), content["settings"])


def told(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """Settings that differ, as of `config.differences`, in words."""
    return ", ".join(f"{name} {one} and {other}" for name, (one, other) in changed.items())


def check(comparison: Comparison) -> None:
    """Find out before anything is started whether the runs can be: data, sizes, device, network, log.

    Raises:
        BadInput: whatever would stop every run of a strategy.
    """
    configs = [run.config for run in comparison.runs()[: len(comparison.strategies)]]
    first = configs[0]
    if first.log is not None:
        SINKS.find(first.log).require()
    pick_device(first.device)
    dataset = data.load(first.data, timesteps=first.timesteps, data_dir=first.data_dir)
    dataset.check_trainable(first.batch_size, first.timesteps)
    objective = Objective(first)
    for config in configs:
        objective.check(architecture(config, dataset).build())


def shard(runs: Sequence[Planned], number: int, shards: int) -> list[Planned]:
    """Every `shards`-th run, from the `number`-th (from 1) on."""
    return list(runs[number - 1 :: shards])


def _shared(config: RunConfig) -> dict[str, Any]:
    settings: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    return {name: value for name, value in settings.items() if name not in VARIED}


def _union(first: Iterable[Item], then: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys([*first, *then]))
