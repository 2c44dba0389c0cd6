"""Weights & Biases: numbers and histograms of one run, on their server or, offline, in the run folder.

What the user's environment and settings files say (WANDB_MODE, WANDB_PROJECT, WANDB_DIR, ...) holds; ours is
only what they leave open.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
from typing_extensions import override

from mpdviz.errors import BadInput
from mpdviz.loggers.base import Histogram, RunTracker, is_a
from mpdviz.system.rank import rank

PROJECT = "mpdviz"
STEP = "step"
"""Name of the steps of training in a run that we open: W&B's own steps cannot be logged to twice."""
MOST_BINS = 512
"""Of a histogram, by W&B."""
PATIENCE = 60
"""Seconds for what is left to be sent when a run ends: without a network W&B would wait for ever."""


class WandB(RunTracker):
    """Through a `wandb.Run`."""

    title = "W&B"

    def __init__(self, run: Any, axis: str | None = None) -> None:
        """Log to `run`; steps go into the number called `axis`, or are W&B's own."""
        self._run, self._axis = run, axis
        self.run = run.id

    @override
    @classmethod
    def of(cls, target: object) -> Self | None:
        if isinstance(target, ModuleType) and target.__name__ == "wandb":
            if target.run is None:
                raise BadInput("`target` wandb has no run under way", "call wandb.init first")
            return cls(target.run)
        return cls(target) if is_a(target, "Run", ("wandb",)) else None

    @override
    @classmethod
    def require(cls) -> None:
        # Read at its import: nothing is sent to anybody who was not asked for.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        try:
            import wandb
        except ImportError:
            problem = "`log` wandb needs the package wandb"
            raise BadInput(problem, "pip install 'mpdviz[wandb]'") from None
        if rank() == 0 and wandb.setup().settings.mode in ("online", "shared"):
            try:
                wandb.login()  # on a terminal it asks for a key: here, not in the middle of the run
            except (wandb.errors.Error, TimeoutError) as error:
                problem = f"`log` wandb: {error}"
                raise BadInput(problem, "run `wandb login`, or set WANDB_MODE=offline") from None

    @override
    @classmethod
    def opened(cls, folder: Path, settings: Mapping[str, Any], done: int, run: str) -> Self:
        """A run in the project `mpdviz`, called like the folder, or the one it was before."""
        import wandb

        theirs = wandb.setup().settings.model_fields_set
        ours = {
            "project": PROJECT,
            "run_name": folder.resolve().name,
            "silent": True,
            "console": "off",  # the run's output is nobody's but the terminal's
            "finish_timeout": PATIENCE,
        }
        if "WANDB_DIR" not in os.environ:
            ours["root_dir"] = str(folder)
        if run:
            ours |= {"run_id": run, "resume": "allow"}
        chosen = {name: value for name, value in ours.items() if name not in theirs or name == "root_dir"}
        opened = wandb.init(config=dict(settings), settings=wandb.Settings(**chosen))
        opened.define_metric(STEP, hidden=True)
        opened.define_metric("*", step_metric=STEP)
        return cls(opened, STEP)

    @override
    def log(self, values: Mapping[str, float], histograms: Mapping[str, Histogram], step: int | None) -> None:
        row = dict(values) | drawn(histograms)
        if self._axis is None:
            self._run.log(row, step=step)
        else:
            self._run.log(row | {self._axis: step})

    @override
    def flush(self) -> None:
        """Do nothing: W&B's own process has it already."""

    @override
    def close(self, *, finished: bool) -> None:
        self._run.finish(exit_code=0 if finished else 1)


def drawn(histograms: Mapping[str, Histogram]) -> dict[str, Any]:
    """The histograms as W&B's, neighbouring bins joined where there are more than it takes."""
    found = {}
    for tag, histogram in histograms.items():
        edges, counts = histogram.edges, histogram.counts
        joined = -(-len(counts) // MOST_BINS)
        starts = np.arange(0, len(counts), joined)
        both = np.add.reduceat(counts, starts), np.append(edges[starts], edges[-1])
        found[tag] = sys.modules["wandb"].Histogram(np_histogram=both)
    return found
