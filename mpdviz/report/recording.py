"""The section of a recording: the answer, what is wrong, the map, and the tables behind them (no torch)."""

import pandas as pd

from mpdviz.accumulations.contents import Contents
from mpdviz.analysis import metrics, summary
from mpdviz.analysis.decomposition import PARTS, spread_error
from mpdviz.analysis.limits import Limits
from mpdviz.analysis.verdicts import FAILED, NOT_MEASURED, Verdict, judge
from mpdviz.report import charts
from mpdviz.report.blocks import Block, Explorer, Facts, Findings, Picture, Section, Table, Text
from mpdviz.report.counts import layer_counts
from mpdviz.report.findings import finding, gravity

SPARE = ("by_timestep", "starved")


def section(title: str, contents: Contents, limits: Limits | None = None) -> Section:
    """Everything there is to say about a recording.

    Args:
        title: what to call it.
        contents: the recording's.
        limits: what is still all right.
    """
    layers = contents.layers
    if not layers:
        return Section(
            title, [Text(summary.answer(summary.by_layer(layers)), leads=True), *_left_out(contents)]
        )
    overview = summary.by_layer(layers, limits)
    table = metrics.table(layers)
    verdicts = judge(layers, limits)
    blocks: list[Block] = [
        Text(summary.answer(overview), leads=True),
        Facts(dict(contents.origin) | _counted(contents)),
        _findings(verdicts),
        _explorer(contents, overview, table),
        Table("Layers", overview.drop(columns=list(SPARE))),
        *_pictures(table),
        *_spread(contents),
        *_left_out(contents),
        *_not_measured(contents, verdicts),
        Table(
            "Every layer and timestep", table, folded=True, caption="`mpdviz list columns` says what each is."
        ),
        Table("Single neurons and batch norms", metrics.layer_table(layers), folded=True),
    ]
    return Section(title, blocks)


def _counted(contents: Contents) -> dict[str, str]:
    layers = contents.layers.values()
    return {
        "layers": str(len(layers)),
        "timesteps": str(max(layer.info.timesteps for layer in layers)),
        "potentials counted": f"{sum(int(layer.statistics.count.sum()) for layer in layers):,}",
        "surrogate": ", ".join(dict.fromkeys(layer.info.surrogate for layer in layers)),
    }


def _findings(verdicts: list[Verdict]) -> Findings:
    failed = sorted((verdict for verdict in verdicts if verdict.outcome == FAILED), key=gravity)
    unknown = sum(verdict.outcome == NOT_MEASURED for verdict in verdicts)
    measured = len(verdicts) - unknown
    passed = f"{measured - len(failed)} of {measured} checks passed"
    return Findings([finding(verdict) for verdict in failed], f"{passed}; {unknown} could not be measured.")


def _explorer(contents: Contents, overview: pd.DataFrame, table: pd.DataFrame) -> Explorer:
    worst = overview.iloc[int(overview["lowest_ratio"].fillna(2).argmin())]
    at = worst["at_timestep"]
    caption = (
        "Share of the membrane potentials inside the gradient-available interval, by layer and timestep; "
        "only these get their spike's gradient. Choose a cell to see its potentials."
    )
    picture = Picture("Available share", caption, charts.available_map(table))
    layers = [
        layer_counts(number, layer, table[table["layer"] == number])
        for number, layer in sorted(contents.layers.items())
    ]
    start = (int(worst["layer"]), 1 if pd.isna(at) else int(at))
    sources = list(dict.fromkeys(name for layer in layers for name in layer["steps"][0]["predicted"]))
    return Explorer(picture, charts.distribution(sources), layers, start)


def _pictures(table: pd.DataFrame) -> list[Picture]:
    found = []
    if table["available_ratio"].notna().any():
        found.append(
            Picture(
                "Below, available, above",
                "Where the potentials of each layer lie: below the interval (no spike gradient, too quiet), "
                "inside it, above it (no spike gradient, too loud); all timesteps together.",
                charts.sides(table),
            )
        )
    if table["firing_rate"].notna().any():
        rates = charts.by_depth(table, "firing_rate", "spikes per neuron and timestep", percent=True)
        found.append(Picture("Firing rates", "Share of the neurons that spike, by layer.", rates))
    for column, title in (("grad_norm", "norm of dL/dv"), ("spike_grad_norm", "norm of dL/dS h(v - v_th)")):
        if column in table and (table[column] > 0).any():
            drawn = charts.by_depth(table, column, f"{title}, loss/potential", log=True)
            words = "through the spike alone" if column == "spike_grad_norm" else "at the potentials"
            caption = f"Gradient of the loss {words}, root mean square over backward passes."
            found.append(Picture(f"Gradient by depth, {words}", caption, drawn))
    return found


def _spread(contents: Contents) -> list[Table]:
    """Why the paper's spread is off, where any of it is known."""
    frame = spread_error(contents.layers)
    if frame[list(PARTS)].isna().all(axis=None):
        return []
    caption = (
        "Standard deviation of the potentials: observed, as Theorems 1 and 2 of MPD-AGL predict it (paper) "
        "and as the recorded currents do (correlated). The parts lead from paper to observed: all past "
        "inputs, each channel's and timestep's own variance, correlation over time, reset, and what is left."
    )
    return [Table("Why the predicted spread is off", frame, folded=True, caption=caption)]


def _left_out(contents: Contents) -> list[Table]:
    if not contents.left_out:
        return []
    rows = pd.DataFrame(contents.left_out.items(), columns=["layer", "why"])
    return [Table("Left out: what was not read", rows)]


def _not_measured(contents: Contents, verdicts: list[Verdict]) -> list[Table]:
    rows: dict[tuple[str, str], list[str]] = {}
    for number, layer in sorted(contents.layers.items()):
        for column, why in layer.info.not_measured.items():
            rows.setdefault((column, why), []).append(str(number))
    for verdict in verdicts:
        if verdict.outcome == NOT_MEASURED:
            rows.setdefault((f"check: {verdict.check}", verdict.sentence), []).append(str(verdict.layer))
    if not rows:
        return []
    frame = pd.DataFrame(
        [(what, ", ".join(numbers), why) for (what, why), numbers in rows.items()],
        columns=["what", "layers", "why"],
    )
    return [Table("What was not measured", frame)]
