"""What a training step, a recording, a report and a comparison cost as one size grows and the others stay.

Networks are plain ones: `layers` stages of a 3x3 convolution of two channels, tdBN and LIF, whose number of
neurons grows with the width of the image, so that the work of each stage is linear in neurons, samples and T.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

import mpdviz
from mpdviz import compare, report
from mpdviz.accumulations.contents import Contents
from mpdviz.bench import studies
from mpdviz.bench.memory import Peak
from mpdviz.bench.networks import Step
from mpdviz.figures.paper.study import Study
from mpdviz.networks.base import SpikingNetwork
from mpdviz.networks.blocks import ConvSpike, NeuronSpec
from mpdviz.runs.reading import StoredRun
from mpdviz.runs.studies import arms_of, run_folders

FACTORS = (1, 10, 100)
CHANNELS, SIDE, CLASSES = 2, 8, 10
LONGEST = 10.0
"""Seconds after which a measurement is not repeated."""


class Size(NamedTuple):
    """Of a network and what goes through it."""

    timesteps: int = 2
    layers: int = 2
    neurons: int = CHANNELS * SIDE * SIDE
    """Of a layer."""
    samples: int = 4


class Deep(SpikingNetwork):
    """Many layers alike, then a linear map of the channels' mean rates."""

    def __init__(self, size: Size) -> None:
        """Build with fresh weights."""
        super().__init__(size.timesteps, (CHANNELS, SIDE, None))
        spec = NeuronSpec("fixed", timesteps=size.timesteps)
        self.stages = nn.Sequential(*(ConvSpike(CHANNELS, CHANNELS, spec) for _ in range(size.layers)))
        self.head = nn.Linear(CHANNELS, CLASSES)

    @override
    def run(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.stages(x).mean((3, 4)))
        return logits


def network(size: Size) -> tuple[SpikingNetwork, Tensor, Tensor]:
    """The network, images and labels."""
    torch.manual_seed(0)
    x = torch.randn(size.samples, CHANNELS, SIDE, size.neurons // (CHANNELS * SIDE))
    return Deep(size).place(), x, torch.arange(size.samples) % CLASSES


def training_step(size: Size, folder: Path) -> Callable[[], object]:
    """A step on one batch of all samples."""
    return Step(*network(size))


def recording(size: Size, folder: Path) -> Callable[[], Contents]:
    """Forwards in evaluation mode under `mpdviz.record`, in batches of four samples."""
    made, x, _ = network(size)
    made.eval()

    @torch.no_grad()
    def run() -> Contents:
        with mpdviz.record(made) as mpd:
            for batch in x.split(Size().samples):
                made(batch)
        return mpd.contents

    return run


def reporting(size: Size, folder: Path) -> Callable[[], object]:
    """The report of a recording of that size."""
    contents = recording(size, folder)()

    def run() -> None:
        sections = [report.of_recording("scaling", contents), report.of_making()]
        report.write(folder / "report.html", "scaling", sections)

    return run


def collecting(size: studies.StudySize, folder: Path) -> Callable[[], object]:
    """Reading the results of a study."""
    studies.write(folder / "study", size)
    return lambda: compare.collect(folder / "study")


def study_reporting(size: studies.StudySize, folder: Path) -> Callable[[], object]:
    """The report of a study, its runs read anew; nothing is recorded."""
    study = folder / "study"
    studies.write(study, size)

    def run() -> None:
        paths = run_folders(study)
        made = Study([StoredRun.of_folder(*one) for one in zip(paths, arms_of(paths), strict=True)])
        report.write(folder / "report.html", "scaling", [report.of_study("scaling", made)])

    return run


NETWORK = {
    "training step": training_step,
    "record": recording,
    "report": reporting,
}
STUDY = {"collect": collecting, "report of a study": study_reporting}
AXES = dict.fromkeys(NETWORK, Size._fields) | dict.fromkeys(STUDY, studies.StudySize._fields)
"""What grows, by cost."""


class Cost(NamedTuple):
    """Of one size."""

    seconds: float
    """Median."""
    peak_mb: float
    """Most memory of the first time, above what was resident before."""


def measure(cost: str, axis: str, factor: int, repeats: int) -> tuple[float, float]:
    """The fields of a `Cost`, with one axis so many times as long as in the base.

    What is imported or compiled on first use is no part of it: the base is done before.

    Args:
        cost: of `AXES`.
        axis: of those of the cost.
        factor: by which it is longer.
        repeats: at most, as long as they take less than `LONGEST` seconds together.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place in ("base", "grown"):
            (folder / place).mkdir()
        _prepare(cost, axis, 1, folder / "base")()
        run = _prepare(cost, axis, factor, folder / "grown")
        seconds: list[float] = []
        with Peak() as most:
            seconds.append(_seconds(run))
        while len(seconds) < repeats and sum(seconds) < LONGEST:
            seconds.append(_seconds(run))
    return Cost(statistics.median(seconds), most.above)


def _prepare(cost: str, axis: str, factor: int, folder: Path) -> Callable[[], object]:
    if cost in NETWORK:
        size = Size()
        return NETWORK[cost](size._replace(**{axis: factor * getattr(size, axis)}), folder)
    study = studies.StudySize()
    return STUDY[cost](study._replace(**{axis: factor * getattr(study, axis)}), folder)


def _seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start
