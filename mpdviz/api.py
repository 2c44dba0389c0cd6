"""The face of the library: everything that a recording can be asked."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mpdviz import advising, figures, loggers, surrogates
from mpdviz.accumulations import storage
from mpdviz.accumulations.contents import Contents
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis import decomposition, metrics, summary, whatif
from mpdviz.analysis.advice import Advice
from mpdviz.analysis.advisor import TARGET
from mpdviz.analysis.limits import Limits
from mpdviz.analysis.verdicts import Verdict, judge
from mpdviz.errors import BadInput
from mpdviz.figures.tables import Tables
from mpdviz.surrogates import EPSILON

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Recording:
    """What was recorded, as tables and verdicts."""

    def __init__(self, contents: Contents) -> None:
        """Read from accumulations and what is known of their origin."""
        self._contents = contents

    @property
    def contents(self) -> Contents:
        """All that is recorded, and of which network."""
        return self._contents

    @property
    def layers(self) -> Mapping[int, LayerAccumulation]:
        """The accumulations behind the tables, by layer number from 1."""
        return self.contents.layers

    @property
    def left_out(self) -> Mapping[str, str]:
        """Why a layer is not recorded, by its name; empty where all is well."""
        return self.contents.left_out

    @property
    def not_measured(self) -> Mapping[int, Mapping[str, str]]:
        """Why columns of the tables hold nothing, by layer number and column; empty where all is known."""
        found = {number: layer.info.not_measured for number, layer in self.layers.items()}
        return {number: columns for number, columns in found.items() if columns}

    @property
    def samples(self) -> int | None:
        """How many samples were recorded: most at any timestep, of the layer that saw fewest.

        None where images of several sizes were recorded, so that no layer has a number of neurons.
        """
        return summary.samples(self.layers)

    def __repr__(self) -> str:
        return f"Recording({summary.one_line(self.layers)})"

    def answer(self) -> str:
        """Whether the neurons still get a gradient, and if not, where, when and why, in a sentence or two."""
        return summary.answer(summary.by_layer(self.layers))

    def _repr_html_(self) -> str:
        from mpdviz.report.notebook import compact

        return compact(repr(self), summary.by_layer(self.layers))

    def plot(self, name: str, layer: int | None = None) -> "Figure":
        """A figure of the recording, as `mpdviz inspect` draws it.

        Args:
            name: a name of `mpdviz.figures.FIGURES`, e.g. `ratio_map`.
            layer: show this layer alone, counted from 1. None shows all, and where a figure shows one layer
                that with the lowest available ratio.

        Raises:
            BadInput: unknown figure, no such layer, or nothing was recorded that the figure shows.
        """
        if layer is not None:
            check_layer(layer, self.layers)
        elif name in figures.FIGURES and figures.FIGURES[name].each_layer and self.layers:
            layer = summary.neediest(self.layers)
        tables = Tables.of(self.layers)
        return figures.draw(name, tables if layer is None else tables.layer(layer))

    def table(self) -> pd.DataFrame:
        """The main table, one row a neuron layer and timestep; columns as in `mpdviz list columns`."""
        return metrics.table(self.layers)

    def layer_table(self) -> pd.DataFrame:
        """One row a neuron layer: silent, saturated and gradient-dead neurons, batch-norm weights."""
        return metrics.layer_table(self.layers)

    def histogram(self, layer: int) -> pd.DataFrame:
        """Histogram of the potentials of one layer, counted from 1; one row a timestep and bin.

        Raises:
            BadInput: no such layer.
        """
        check_layer(layer, self.layers)
        return metrics.histogram(layer, self.layers[layer])

    def what_if(self, surrogate: str = "rectangular", *, epsilon: float = EPSILON) -> pd.DataFrame:
        """What another surrogate would do to the recorded potentials.

        Args:
            surrogate: `rectangular` for available ratio and mean gain as exact functions of kappa; any other
                shape, at its own defaults, for bounds of both.
            epsilon: share of max h that bounds the available interval of an infinite support.
        """
        shape = surrogates.get(surrogate)
        if isinstance(shape, surrogates.Rectangular):
            return _joined(whatif.curve(number, layer) for number, layer in self.layers.items())
        half = shape.half_width(epsilon)
        return _joined(
            whatif.shape(number, layer, half, advising.plain(shape)) for number, layer in self.layers.items()
        )

    def kappa_for(self, ratio: float) -> pd.DataFrame:
        """The narrowest width that reaches an available ratio; a row a layer and timestep.

        Widths run in steps of a 32nd of the layer's unit, which is v_th where that is positive.

        Raises:
            BadInput: `ratio` is not in (0, 1).
        """
        return _joined(whatif.target(number, layer, ratio) for number, layer in self.layers.items())

    def spread_error(self) -> pd.DataFrame:
        """Why the spread that the paper predicts is off, by layer and timestep; see `analysis.decomposition`.

        The parts `past`, `variance`, `correlation`, `reset` and `rest` lead from `paper` to `observed`.
        """
        return decomposition.spread_error(self.layers)

    def verdicts(self, limits: Limits | None = None) -> list[Verdict]:
        """What is wrong with which layer, in words; every check of every layer."""
        return judge(self.layers, limits)

    def advice(
        self, target_ratio: float = TARGET, limits: Limits | None = None, *, epsilon: float = EPSILON
    ) -> Advice:
        """What to do about the layers that fail a check, and what that would do to the recorded potentials.

        Args:
            target_ratio: available ratio to reach.
            limits: what still passes; None takes the defaults.
            epsilon: share of max h that bounds the available interval of an infinite support, where the
                recording has no such surrogate.

        Raises:
            BadInput: `target_ratio` is not in (0, 1), or `epsilon` is out of range.
        """
        return advising.advise(self.contents, target_ratio, limits, epsilon)

    def report(self, path: str | Path, title: str | None = None) -> None:
        """Write one self-contained HTML file about the recording, as `mpdviz report` does.

        Args:
            path: where to, ending in .html.
            title: its heading; None: the network's name.

        Raises:
            BadInput: something that is no report lies there, or it cannot be written.
        """
        from mpdviz import report  # takes a second that recordings without a report need not wait for

        heading = title or self.contents.origin.get("network", "Recording")
        report.write(Path(path), heading, [report.of_recording(heading, self.contents), report.of_making()])

    def log_to(self, target: object, step: int | None = None, prefix: str = "") -> None:
        """Log the available ratios, widths, reach, firing rates, gradient norms and potentials to a tracker.

            writer = torch.utils.tensorboard.SummaryWriter()
            for step, (images, labels) in enumerate(loader):
                with mpdviz.record(network) as mpd:
                    loss = criterion(network(images), labels)
                ...
                mpd.log_to(writer, step)

        `mpdviz.loggers.contents` has the tags. What was not measured is not logged.

        Args:
            target: a TensorBoard `SummaryWriter`; a W&B run, or the module `wandb` for the run under way; an
                MLflow run, or the module `mlflow` for the active run (neither has histograms); or a logger of
                Lightning. It stays open.
            step: of the training; None leaves it to the tracker: W&B counts on, the others take it for 0.
            prefix: put before every tag, e.g. `val/`.

        Raises:
            BadInput: `target` is none of these, or is `wandb` without a run under way.
        """
        loggers.log(target, self.layers, step, prefix)

    def save(self, path: str | Path) -> None:
        """Write everything recorded to an `.npz` file of plain arrays.

        Raises:
            BadInput: the file cannot be written.
        """
        storage.save(Path(path), self.contents)

    def merged(self, other: "Recording") -> "Recording":
        """Both recordings together, as if all data had been recorded at once.

        Raises:
            BadInput: they are not recordings of the same network made with the same options, or share data.
        """
        return Recording(self.contents.merged(other.contents))


def load_recording(path: str | Path) -> Recording:
    """A recording that `Recording.save` wrote.

    Raises:
        BadInput: missing, damaged, or no recording.
    """
    return Recording(storage.load(Path(path)))


def _joined(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    blocks = list(frames)
    return pd.concat(blocks, ignore_index=True) if blocks else pd.DataFrame()


def check_layer(layer: int, known: Collection[int]) -> None:
    """Refuse a layer number that does not exist.

    Raises:
        BadInput: `layer` is not in `known`.
    """
    if layer not in known:
        raise BadInput(
            f"there is no layer {layer}",
            f"layers count from {min(known, default=1)} to {max(known, default=1)}",
        )
