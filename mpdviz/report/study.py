"""The section of training runs: accuracies with intervals, widths and shares over training (no torch)."""

from typing import TYPE_CHECKING

import pandas as pd

from mpdviz.analysis import paired
from mpdviz.analysis.seeds import interval, over_seeds
from mpdviz.figures.paper.differences import numbers as paired_differences
from mpdviz.figures.style import spelled
from mpdviz.report import charts, environment
from mpdviz.report.blocks import Block, Picture, Section, Table, Text

if TYPE_CHECKING:
    from mpdviz.figures.paper.study import Study

SHOWN = ("accuracy", "metrics", "widths", "mpd", "final")
"""Tables of a study that the section is drawn from."""


def section(title: str, study: "Study") -> Section:
    """What runs over the same data came to, alone or several strategies and seeds.

    Args:
        title: what to call it.
        study: the runs.
    """
    blocks: list[Block] = [Text(study.describe())]
    blocks += _accuracies(study) + _training(study) + _strategies(study) + _widths(study)
    blocks += environment.blocks(study.processes, len(study["runs"]))
    missing = [(name, why) for name, why in study.missing.items() if name in SHOWN]
    if missing:
        blocks.append(Table("What is missing", pd.DataFrame(missing, columns=["table", "why"])))
    return Section(title, blocks)


def accuracies(study: "Study") -> pd.DataFrame:
    """Test accuracy a strategy in percent: `variant, n, mean, std, low, high` (95 % interval of the mean)."""
    summary = over_seeds(study["accuracy"], ["variant"], "test_accuracy").drop(columns=["min", "max"])
    ends = [interval(row["n"], row["mean"], row["std"]) for row in summary.to_dict("records")]
    table = summary.assign(low=[low for low, _ in ends], high=[high for _, high in ends])
    table[["mean", "std", "low", "high"]] *= 100
    return table[["variant", "n", "mean", "std", "low", "high"]]


def differences(study: "Study") -> pd.DataFrame:
    """Difference of each strategy from the first, paired by seed, in points.

    Returns:
        `variant, n, mean, std, low, high, p, p_holm, detectable`, as of `figures.paper.differences.numbers`.
    """
    table = paired_differences(study).rename(columns={"difference": "mean"})
    table[["mean", "std", "low", "high", "detectable"]] *= 100
    return table[["variant", "n", "mean", "std", "low", "high", "p", "p_holm", "detectable"]]


def _sentences(study: "Study") -> str:
    """What can be said about the differences."""
    told, table = [], paired_differences(study)
    several = int(table["p"].notna().sum())
    for row in table.to_dict("records"):
        seeds = tuple(map(int, row["seeds"].split()))
        apart = paired.Difference(seeds, row["difference"], row["std"], row["low"], row["high"], row["p"])
        names = spelled(row["variant"]), spelled(row["against"])
        told.append(paired.sentence(*names, apart, row["p_holm"], several))
    return " ".join(f"{one[0].upper()}{one[1:]}." for one in told)


def _accuracies(study: "Study") -> list[Block]:
    if "accuracy" in study.missing:
        return []
    means = accuracies(study)
    blocks: list[Block] = []
    if study.repeated:
        drawn = charts.forest(means, "test accuracy, %", of=study.variants, zero=False)
        caption = "Mean over seeds with its 95 % interval (Student t); none for a single seed."
        blocks.append(Picture("Accuracy", caption, drawn))
    if len(study.variants) > 1:
        apart = differences(study)
        blocks.insert(0, Text(_sentences(study), leads=True))
        title = f"difference from {spelled(study.variants[0])}, points"
        drawn = charts.forest(apart, title, of=study.variants, zero=True)
        caption = "Paired by seed, mean with its 95 % interval (Student t), of each comparison by itself."
        blocks.append(Picture("Paired differences", caption, drawn))
        blocks.append(_family(apart))
    means["variant"] = means["variant"].map(spelled)
    shown = means.rename(
        columns={
            "variant": "strategy",
            "mean": "test, %",
            "std": "std",
            "low": "95 % low",
            "high": "95 % high",
        }
    )
    return [*blocks, Table("Accuracies", shown)]


def _family(apart: pd.DataFrame) -> Table:
    """The differences in numbers, with what there is to know of their certainty."""
    shown = apart.assign(variant=apart["variant"].map(spelled)).rename(
        columns={
            "variant": "strategy",
            "mean": "difference, points",
            "low": "95 % low",
            "high": "95 % high",
            "p_holm": "p, Holm",
            "detectable": "detectable, points",
        }
    )
    caption = (
        "p of the paired t test, alone and adjusted by Holm for all differences here. Detectable: the "
        "smallest difference that so many seeds of this spread would have told in four of five cases."
    )
    return Table("Differences", shown, caption=caption)


def _training(study: "Study") -> list[Block]:
    if "metrics" in study.missing:
        return []
    metrics = study["metrics"]
    caption = "Mean over seeds; training as it goes, validation after each epoch."
    loss = charts.curves(metrics, ("train_loss", "val_loss"), "loss, nats")
    accuracy = charts.curves(metrics, ("train_accuracy", "val_accuracy"), "accuracy", percent=True)
    return [
        Picture("Loss over training", caption, loss),
        Picture("Accuracy over training", caption, accuracy),
    ]


def _strategies(study: "Study") -> list[Block]:
    blocks: list[Block] = []
    if "final" not in study.missing and len(study.variants) > 1:
        caption = f"Mean over timesteps and seeds. {study.sources['final']}"
        drawn = charts.by_strategy(study["final"])
        blocks.append(Picture("Available share by layer and strategy", caption, drawn))
    if "mpd" not in study.missing:
        for name, rows in study["mpd"].groupby("variant", sort=False):
            caption = "Mean over timesteps and seeds, of the first validation samples."
            drawn = charts.over_training(rows)
            blocks.append(Picture(f"Available share over training: {spelled(str(name))}", caption, drawn))
    return blocks


def _widths(study: "Study") -> list[Block]:
    if "widths" in study.missing:
        return []
    blocks: list[Block] = []
    for name, rows in study["widths"].groupby("variant", sort=False):
        one = rows[rows["seed"] == rows["seed"].min()]
        if one["kappa"].notna().any():
            caption = f"Of seed {one['seed'].iloc[0]}; the slider chooses the epoch."
            title = f"Surrogate widths: {spelled(str(name))}"
            blocks.append(Picture(title, caption, charts.widths(one)))
    return blocks
