"""Several runs side by side: which strategies and seeds there are, and all their tables, tidy (no torch)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mpdviz.analysis.sides import check_alike
from mpdviz.errors import BadInput, unknown_name
from mpdviz.figures.paper.alike import differing, of_one_study, other_layers, variant_of
from mpdviz.figures.style import Appearance, appearances
from mpdviz.runs.reading import TABLES, StoredRun
from mpdviz.system.environment import Environment

MOST_ROWS = 4
"""Rows of panels that a page has room for."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recording of a run's best checkpoint on its validation data."""

    table: pd.DataFrame
    """The main table."""
    histograms: pd.DataFrame
    """`metrics.histogram` of its layers, one after the other."""


class Study:
    """The tables that a paper's figures are drawn from.

    `study[name]` is a table with the columns `variant, seed` in front; a variant is a strategy together with
    whatever other settings differ between the runs. Names: `runs` (one row a run), `accuracy` (those of
    finished runs), `metrics`, `widths`, `mpd` (see `runs.TABLES`), `recorded` and `histograms` (of
    `Recorded`), `final` (the main table at the end of training), `gradients` (the same with gradient norms).
    """

    def __init__(
        self,
        runs: Sequence[StoredRun],
        recordings: Mapping[Path, Recorded] | None = None,
        *,
        unrecorded: Mapping[Path, str] | None = None,
        layer: int | None = None,
        strategies: Sequence[str] | None = None,
    ) -> None:
        """Bring the runs' tables together.

        Args:
            runs: what to compare; networks and T may differ where all are of arms of studies, and tables by
                layer are missing then.
            recordings: by the runs' paths.
            unrecorded: why a run, by its path, has no recording.
            layer: the layer that figures of one layer show; None: the one with the lowest available ratio,
                averaged over timesteps and runs.
            strategies: those, four at most, that figures with a row for each show; None: the first four.

        Raises:
            BadInput: runs that do not belong together, no such layer or strategy, or too many strategies.
        """
        if not runs:
            raise BadInput("no runs", "give run folders or checkpoints")
        wanted = ("data",) if of_one_study(runs) else ("data", "timesteps", "model")
        check_alike(
            {str(run.path): {name: getattr(run.config, name) for name in wanted} for run in runs}, "runs"
        )
        self.settings = differing(runs)
        self.config = runs[0].config
        self._runs = list(runs)
        self._labels = [variant_of(run, self.settings) for run in runs]
        self._check_once()
        self.rows = self._choose_rows(strategies)
        """Variants that figures with a row of panels for each show."""
        self._tables: dict[str, pd.DataFrame] = {"runs": self._overview()}
        self.missing: dict[str, str] = {}
        """Why a table is not there, by its name."""
        self._add_accuracy()
        for name in TABLES:
            self._add(name, {run.path: run.tables[name] for run in runs if name in run.tables}, f"{name}.csv")
        recordings, reasons = recordings or {}, unrecorded or {}
        for name, attribute in (("recorded", "table"), ("histograms", "histograms")):
            frames = {path: getattr(recording, attribute) for path, recording in recordings.items()}
            self._add(name, frames, "recording of its best checkpoint", reasons)
        self._add_final()
        self.layer = self._choose(layer)

    def __getitem__(self, name: str) -> pd.DataFrame:
        """A table by its name; BadInput where a run lacks it."""
        if name not in self._tables:
            raise BadInput(self.missing[name], "leave that run out, or train it with this version")
        return self._tables[name]

    @property
    def variants(self) -> list[str]:
        """Strategies, with what else differs, in the order in which they were given."""
        return list(dict.fromkeys(self._labels))

    @property
    def processes(self) -> list[tuple[str, int, Environment]]:
        """What took part in training the runs, as far as that was noted: variant, seed, process."""
        return [
            (label, run.config.seed, process)
            for label, run in zip(self._labels, self._runs, strict=True)
            for process in run.environments
        ]

    @property
    def looks(self) -> dict[str, Appearance]:
        """How each variant looks and is spelled, the same in every figure."""
        return appearances(self.variants)

    @property
    def repeated(self) -> bool:
        """Whether any variant has more than one seed, so that there is a spread to show."""
        return len(self._labels) > len(self.variants)

    def describe(self) -> str:
        """Data, network, and each variant with its seeds and their number, for captions."""
        seeds = {
            self.looks[str(variant)].label: f"seed{'s' * (len(own) > 1)} {', '.join(map(str, sorted(own)))}"
            for variant, own in self["runs"].groupby("variant", sort=False)["seed"]
        }
        counted = {label: f"n = {own.count(',') + 1}" for label, own in seeds.items()}
        if len(set(seeds.values())) == 1 and len(seeds) > 1:
            own = next(iter(seeds.values()))
            listed = f"{'; '.join(seeds)} (n = {own.count(',') + 1} each, {own})"
        else:
            listed = "; ".join(f"{label} ({counted[label]}, {own})" for label, own in seeds.items())
        models, lengths = (
            " or ".join(dict.fromkeys(str(getattr(run.config, name)) for run in self._runs))
            for name in ("model", "timesteps")
        )
        return f"Data: {self.config.data}. Network: {models}, T = {lengths}. Strategies: {listed}."

    def spread(self, kind: str, meaning: str) -> str:
        """What the bars or bands over seeds are, for captions."""
        if not self.repeated:
            return f"One seed a strategy, hence no {kind.lower()}."
        single = (self["runs"].groupby("variant").size() == 1).any()
        return f"{kind}: {meaning} over seeds{'; none where n = 1' if single else ''}."

    def _check_once(self) -> None:
        seen: dict[tuple[str, int], Path] = {}
        for label, run in zip(self._labels, self._runs, strict=True):
            other = seen.setdefault((label, run.config.seed), run.path)
            if other is not run.path:
                raise BadInput(
                    f"{other} and {run.path} are the same run: {label}, seed {run.config.seed}",
                    "give each strategy and seed once",
                )

    def _overview(self) -> pd.DataFrame:
        rows = [
            {
                "variant": label,
                "seed": run.config.seed,
                "run": str(run.path),
                "strategy": run.config.strategy,
                **{setting: getattr(run.config, setting) for setting in self.settings},
                **{name: run.result.get(name) for name in ("epoch", "val_accuracy", "test_accuracy")},
            }
            for label, run in zip(self._labels, self._runs, strict=True)
        ]
        return pd.DataFrame(rows)

    def _add_accuracy(self) -> None:
        unfinished = [run.path for run in self._runs if run.result.get("test_accuracy") is None]
        if unfinished:
            self.missing["accuracy"] = f"{unfinished[0]} has no test accuracy: it is not finished"
        else:
            kinds = {"val_accuracy": float, "test_accuracy": float}
            self._tables["accuracy"] = self._tables["runs"].astype(kinds)

    def _add(
        self,
        name: str,
        frames: Mapping[Path, pd.DataFrame],
        what: str,
        reasons: Mapping[Path, str] | None = None,
    ) -> None:
        """Join a table of all runs, or note which run lacks it."""
        for run in self._runs:
            if run.path not in frames:
                why = (reasons or {}).get(run.path, f"{run.path} has no {what}")
                self.missing[name] = why
                return
        tagged = []
        for label, run in zip(self._labels, self._runs, strict=True):
            frame = frames[run.path].copy()
            frame.insert(0, "variant", label)
            frame.insert(1, "seed", run.config.seed)
            tagged.append(frame)
        joined = pd.concat(tagged, ignore_index=True)
        apart = other_layers(joined, name) if "layer" in joined else None
        if apart is not None and not of_one_study(self._runs):
            raise BadInput(apart, "make one set of figures for each network")
        if apart is not None:
            self.missing[name] = apart
            return
        self._tables[name] = joined

    def _add_final(self) -> None:
        sources: dict[str, pd.DataFrame] = {}
        if "mpd" in self._tables:
            mpd = self._tables["mpd"]
            last = mpd.groupby(["variant", "seed"])["epoch"].transform("max")
            where = "Recorded after the last epoch on a fixed batch of the validation data (mpd.csv)."
            sources[where] = mpd[mpd["epoch"] == last].reset_index(drop=True)
        if "recorded" in self._tables:
            where = "Recorded from the best checkpoint on the validation data."
            sources[where] = self._tables["recorded"]
        with_gradients = {
            where: frame
            for where, frame in sources.items()
            if "grad_norm" in frame and frame.groupby(["variant", "seed"])["grad_norm"].any().all()
        }
        self.sources: dict[str, str] = {}
        """Where `final` and `gradients` come from, for captions."""
        for name, choice in (("final", sources), ("gradients", with_gradients)):
            if choice:
                self.sources[name], self._tables[name] = next(iter(choice.items()))
            else:
                reason = "no gradients were recorded" if sources else self.missing["mpd"]
                self.missing[name] = f"{reason}; {self.missing.get('recorded', '')}".rstrip("; ")

    def _choose_rows(self, strategies: Sequence[str] | None) -> list[str]:
        variants = self.variants
        if strategies is None:
            return variants[:MOST_ROWS]
        chosen: dict[str, None] = {}
        for name in strategies:
            found = [variant for variant in variants if name in (variant, variant.split(", ")[0])]
            if not found:
                raise unknown_name("strategy", name, dict.fromkeys(v.split(", ")[0] for v in variants))
            chosen |= dict.fromkeys(found)
        if len(chosen) > MOST_ROWS:
            raise BadInput(
                f"{len(chosen)} strategies in `strategies`", f"name at most {MOST_ROWS}, which fit a page"
            )
        return list(chosen)

    def _choose(self, layer: int | None) -> int:
        if "final" not in self._tables:
            return layer or 1
        layers = self._tables["final"].groupby("layer")["available_ratio"].mean()
        if layer is None:
            return int(layers.index.to_numpy()[layers.fillna(np.inf).argmin()])
        if layer not in layers.index:
            raise BadInput(
                f"there is no layer {layer}",
                f"layers count from {layers.index.min()} to {layers.index.max()}",
            )
        return layer
