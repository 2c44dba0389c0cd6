"""Tables and figures of docs/correlated-currents.md, from results/currents.csv alone.

python docs/study/currents_page.py     # prints the tables as Markdown, draws into docs/figures/currents
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mpdviz.analysis.decomposition import PARTS
from mpdviz.analysis.predict import PREDICTIONS
from mpdviz.figures import style
from mpdviz.figures.axes import aside, layer_ticks

RESULTS = Path(__file__).parent / "results" / "currents.csv"
FIGURES = Path(__file__).parents[1] / "figures" / "currents"
NAMES = {
    ("fashion-mnist", "convsnn"): "Fashion-MNIST, ConvSNN",
    ("digits-dvs", "convsnn"): "event digits, ConvSNN",
    ("cifar10", "vggsnn"): "JPEG CIFAR-10, VGGSNN",
    ("cifar10", "resnet19"): "JPEG CIFAR-10, ResNet-19",
}
SETTING = ["what", "decay", "T"]


def results() -> pd.DataFrame:
    """What was measured, one row a network, layer and timestep; `what` names data and network."""
    table = pd.read_csv(RESULTS)
    named = [NAMES[pair] for pair in zip(table["data"], table["network"], strict=True)]
    return table.assign(what=pd.Categorical(named, list(NAMES.values()), ordered=True))


def last(table: pd.DataFrame) -> pd.DataFrame:
    """The last timestep of every network, where the predictions lie furthest apart."""
    return table[table["timestep"] == table["T"]]


def off(table: pd.DataFrame, predicted: str, observed: str = "std") -> pd.Series:
    """Predicted less observed, in percent of the observed."""
    return 100 * (table[predicted] / table[observed] - 1)


def tables(table: pd.DataFrame) -> dict[str, str]:
    """The page's tables as Markdown, by name."""
    final = last(table)
    return {
        "overall": _overall(final),
        "spread": _by_setting(final, _spread),
        "cause": _by_setting(final, _cause),
        "ratio": _by_setting(final, _ratio),
        "distance": _by_setting(final, _distance),
        "parts": _by_setting(_where(final, T=8), _parts),
        "layers": _by_layer(final),
    }


def _spread(rows: pd.DataFrame) -> dict[str, str]:
    """Of each prediction's standard deviation the median and the largest error over layers and seeds."""
    found = {"seeds × layers": f"{rows['seed'].nunique()} × {rows['layer'].nunique()}"}
    for name in PREDICTIONS:
        error = off(rows, f"predicted_std_{name}").abs()
        found[name] = f"{error.median():.1f} / {error.max():.1f}"
    return found


def _cause(rows: pd.DataFrame) -> dict[str, str]:
    """What dealing the currents out anew does, and how well the law with and without correlation holds."""
    step = rows["one_step_correlation"]
    return {
        "one-step correlation": f"{step.min():.2f} to {step.max():.2f}",
        "observed ÷ shuffled": f"{(rows['std'] / rows['std_shuffled']).median():.2f}",
        "observed ÷ paper": f"{(rows['std'] / rows['predicted_std_paper']).median():.2f}",
        "shuffled ÷ paper": f"{(rows['std_shuffled'] / rows['predicted_std_paper']).median():.2f}",
        "independent": f"{off(rows, 'predicted_std_independent', 'std_shuffled').abs().median():.1f}",
        "correlated": f"{off(rows, 'predicted_std_correlated').abs().median():.1f}",
        "held out": f"{off(rows, 'predicted_std_held_out').abs().median():.1f}",
        "in training": f"{off(rows, 'predicted_std_in_training', 'std_in_training').abs().median():.1f}",
    }


def _ratio(rows: pd.DataFrame) -> dict[str, str]:
    """Available share under MPD-AGL's width: observed, and how far predictions are off it, in points."""
    found = {
        "half width ÷ std": f"{(rows['kappa'] / 2 / rows['std']).median():.2f}",
        "observed": f"{100 * rows['available_ratio'].median():.1f}",
    }
    for name in _SHARES:
        error = 100 * (rows[f"predicted_ratio_{name}"] - rows["available_ratio"])
        found[name] = f"{error.median():+.1f} / {error[error.abs().idxmax()]:+.1f}"
    return found


def _distance(rows: pd.DataFrame) -> dict[str, str]:
    """Wasserstein-1 distance in observed standard deviations, median; how often `correlated` is nearest."""
    apart = rows[[f"wasserstein_{name}" for name in PREDICTIONS]].set_axis(list(PREDICTIONS), axis=1)
    nearest = apart.idxmin(axis=1) == "correlated"
    return {name: f"{apart[name].median():.3f}" for name in PREDICTIONS} | {
        "nearest: correlated": f"{nearest.sum()} of {len(nearest)}"
    }


def _parts(rows: pd.DataFrame) -> dict[str, str]:
    """Means over layers and seeds, which add up as the parts do."""
    steps = {"paper": "predicted_std_paper"} | {part: part for part in PARTS}
    found = {
        name: f"{rows[column].mean():{'' if name == 'paper' else '+'}.3f}" for name, column in steps.items()
    }
    with_reset = (rows["predicted_std_correlated"] - rows["predicted_std_independent"]).mean()
    return found | {
        "observed": f"{rows['std'].mean():.3f}",
        "correlation under the reset": f"{with_reset:+.3f}",
    }


def _by_layer(final: pd.DataFrame) -> str:
    """Signed error of `correlated` in the five layers of the ConvSNN, mean over seeds."""
    rows = []
    for key, own in _where(final, network="convsnn").groupby(SETTING, observed=True):
        error = off(own, "predicted_std_correlated").groupby(own["layer"]).mean()
        rows.append(_named(key) | {f"layer {layer}": f"{value:+.1f}" for layer, value in error.items()})
    return markdown(rows)


def quoted(table: pd.DataFrame) -> list[str]:
    """The numbers that the page's text quotes, as it spells them."""
    final = last(table)
    longest, shortest = (_where(final, decay=decay, T=T) for decay, T in ((0.9, 8), (0.2, 2)))
    errors = _errors(final)
    law = off(final, "predicted_std_independent", "std_shuffled").abs()
    last_layer = final["layer"] == final.groupby("what", observed=True)["layer"].transform("max")
    ranks = (final["rest"] / final["std"]).abs().corr(final["excess_kurtosis"].abs(), method="spearman")
    fashion, events = (_where(final, what=kind, decay=0.9, T=2) for kind in list(NAMES.values())[:2])
    first = _where(longest, data="fashion-mnist", layer=1)
    inside = 100 * longest.groupby("what", observed=True)["available_ratio"].median()
    promised = longest["predicted_ratio_paper"] - longest["available_ratio"]
    promised = 100 * promised.groupby(longest["what"], observed=True).median()
    accuracy = 100 * table.groupby("what", observed=True)["accuracy"].agg(["min", "max"])
    return [
        f"{len(table.drop_duplicates([*SETTING, 'seed']))} networks",
        f"{len(final)} layers",
        *(f"{low:.0f} to {high:.0f} % ({kind})" for kind, low, high in accuracy.itertuples()),
        *_by_kind(shortest, "predicted_std_paper", "std"),
        *_by_kind(longest, "predicted_std_paper", "std"),
        *_by_kind(longest, "std", "std_shuffled"),
        *(
            f"a median of {errors[name].median():.1f} % and a largest of {errors[name].max():.1f} %"
            for name in ("paper", "correlated", "held out", "in training")
        ),
        f"an error of {law.median():.1f} % (median) and at most {law.max():.1f} %",
        f"{(errors[list(PREDICTIONS)].idxmin(axis=1) == 'correlated').sum()} of them",
        f"{inside.min():.0f} to {inside.max():.0f} % of the potentials",
        f"{promised.min():.0f} to {promised.max():.0f} points fewer",
        f"by a factor of {_cause(fashion)['observed ÷ shuffled']} and everything else makes it "
        f"{_cause(fashion)['shuffled ÷ paper']} of the theorems'",
        f"{_cause(events)['observed ÷ paper']} times theirs",
        f"a median of {errors['correlated'][last_layer].median():.1f} % in the last layer and of "
        f"{errors['correlated'][~last_layer].median():.1f} % in the others",
        f"a rank correlation of {ranks:.2f}",
        "{variance:.2f} against {correlation:.2f}".format(**first[["variance", "correlation"]].mean()),
        *(
            f"`{name}` {own.median():.1f} (largest {own.max():.1f})"
            for name, own in _share_errors(final).items()
        ),
        f"between {longest['mean'].min():.2f} and {longest['mean'].max():.2f}",
    ]


def _errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Error of each prediction's standard deviation in percent, without its sign."""
    found = {name: off(rows, f"predicted_std_{name}") for name in PREDICTIONS}
    found["held out"] = off(rows, "predicted_std_held_out")
    found["in training"] = off(rows, "predicted_std_in_training", "std_in_training")
    return pd.DataFrame(found).abs()


def _share_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Error of each predicted available share in points, without its sign."""
    found = {name: rows[f"predicted_ratio_{name}"] - rows["available_ratio"] for name in _SHARES}
    return 100 * pd.DataFrame(found).abs()


def _overall(final: pd.DataFrame) -> str:
    errors = _errors(final)
    return markdown(
        [
            {"prediction": name, "median": f"{own.median():.1f}", "largest": f"{own.max():.1f}"}
            for name, own in errors.items()
        ]
    )


_SHARES = ("paper", "reset", "correlated")
"""Predictions whose available share is kept."""


def _by_kind(rows: pd.DataFrame, one: str, other: str) -> list[str]:
    """Median of a ratio over layers and seeds, a text for each kind of data and network."""
    ratio = (rows[one] / rows[other]).groupby(rows["what"], observed=True).median()
    return [f"{value:.2f} ({kind})" for kind, value in ratio.items()]


def _where(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    for column, value in values.items():
        table = table[table[column] == value]
    return table


def _named(key: Iterable[object]) -> dict[str, str]:
    return {name: str(value) for name, value in zip(("data, network", "decay", "T"), key, strict=True)}


def _by_setting(rows: pd.DataFrame, row: Callable[[pd.DataFrame], dict[str, str]]) -> str:
    return markdown([_named(key) | row(own) for key, own in rows.groupby(SETTING, observed=True)])


def markdown(rows: list[dict[str, str]]) -> str:
    """A table of texts; what is right of the first column is set to the right."""
    names = list(rows[0])
    lines = [names, ["---"] + ["---:"] * (len(names) - 1), *([row[name] for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figures(table: pd.DataFrame) -> dict[str, Figure]:
    """The page's figures by name; those by layer are of the longest memory, where most is to be seen."""
    final = last(table)
    longest = _where(final, decay=0.9, T=8)
    return {
        "predicted_over_observed": _predicted_over_observed(final),
        "shuffled": _panels(longest, "std at the last timestep\n(potential)", _shuffled),
        "decomposition": _panels(longest, "std less the paper's\n(potential)", _stacked),
    }


def _predicted_over_observed(final: pd.DataFrame) -> Figure:
    """Each prediction over the observed spread by decay and T: median over layers and seeds, and range."""
    kinds, decays, lengths = (sorted(final[column].unique()) for column in SETTING)
    kinds = [kind for kind in NAMES.values() if kind in kinds]
    with style.style():
        figure = Figure(figsize=(style.PAGE_WIDTH, 1.5 * len(kinds) + 0.6), layout="constrained")
        grid = figure.subplots(len(kinds), len(decays), sharex=True, sharey=True, squeeze=False)
        for (row, kind), (column, decay) in (
            (one, other) for one in enumerate(kinds) for other in enumerate(decays)
        ):
            axis, rows = grid[row, column], _where(final, what=kind, decay=decay)
            for nth, (name, (marker, _, colour)) in enumerate(style.PREDICTIONS.items()):
                ratio = (rows[f"predicted_std_{name}"] / rows["std"]).groupby(rows["T"])
                at = np.array([lengths.index(length) for length in ratio.groups]) + aside(
                    nth, len(style.PREDICTIONS), 0.7
                )
                axis.vlines(at, ratio.min(), ratio.max(), color=colour, lw=1.0)
                axis.plot(at, ratio.median(), marker, color=colour, ms=3.6, mfc="w", mew=0.9, label=name)
            axis.axhline(1, color=style.OBSERVED, lw=0.7)
            axis.grid(**style.GRID)
            if not row:
                axis.set_title(f"decay {decay:g}")
            if not column:
                axis.set_ylabel(f"{kind.replace(', ', chr(10))}\npredicted ÷ observed")
        for axis in grid[-1]:
            axis.set_xlabel("timesteps $T$, at $t=T$")
            axis.set_xticks(range(len(lengths)), [f"{length}" for length in lengths])
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(style.PREDICTIONS))
    return figure


def _panels(rows: pd.DataFrame, label: str, draw: Callable[[Axes, pd.DataFrame], None]) -> Figure:
    """A panel for each kind of data and network, means over seeds by layer."""
    kinds = [kind for kind in NAMES.values() if (rows["what"] == kind).any()]
    with style.style():
        figure = Figure(figsize=(style.PAGE_WIDTH, 4.4), layout="constrained")
        grid = figure.subplots(2, 2, sharey="row", squeeze=False).ravel()
        for axis, kind in zip(grid, kinds, strict=False):
            own = _where(rows, what=kind).drop(columns=["data", "network", "what"])
            own = own.groupby("layer", as_index=False).mean()
            draw(axis, own)
            axis.set_title(kind)
            axis.grid(**style.GRID)
            axis.set_axisbelow(True)
            layer_ticks(axis, own["layer"], 10)
        for axis in grid[::2]:
            axis.set_ylabel(label)
        for axis in grid[2:]:
            axis.set_xlabel("layer")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def _shuffled(axis: Axes, rows: pd.DataFrame) -> None:
    """Observed, observed with the currents dealt out anew, and what is predicted of both and by the paper."""
    lines = {
        "observed": ("std", "o", style.OBSERVED, style.OBSERVED),
        "currents dealt out anew": ("std_shuffled", "o", style.PREDICTIONS["reset"][2], "w"),
    }
    for name, (column, marker, colour, face) in lines.items():
        axis.plot(rows["layer"], rows[column], f"{marker}-", color=colour, mfc=face, ms=3, label=name)
    marks = {
        "predicted: correlated": ("predicted_std_correlated", "D", style.PREDICTIONS["correlated"][2], 5.5),
        "predicted: independent": ("predicted_std_independent", "s", style.PREDICTIONS["mixture"][2], 5.5),
        "predicted: paper": ("predicted_std_paper", "x", style.PREDICTIONS["paper"][2], 4.0),
    }
    for name, (column, marker, colour, size) in marks.items():
        axis.plot(rows["layer"], rows[column], marker, color=colour, mfc="none", ms=size, label=name)
    axis.set_ylim(0, 2.2)


def _stacked(axis: Axes, rows: pd.DataFrame) -> None:
    """Parts that add over zero, parts that take away under it, and their sum."""
    over, under = np.zeros(len(rows)), np.zeros(len(rows))
    for part in PARTS:
        value = rows[part].to_numpy(np.float64)
        foot = np.where(value > 0, over, under)
        axis.bar(rows["layer"], value, 0.8, bottom=foot, color=style.SPREAD_PARTS[part], label=part)
        over, under = over + np.maximum(value, 0), under + np.minimum(value, 0)
    total = rows["std"] - rows["predicted_std_paper"]
    axis.plot(rows["layer"], total, "_", color=style.ABOVE, ms=9, mew=3)  # seen on dark bars too
    axis.plot(rows["layer"], total, "_", color=style.OBSERVED, ms=8, mew=1.5, label="observed less paper")
    axis.axhline(0, color=style.OBSERVED, lw=0.6)


def main() -> None:
    """Print the tables and the numbers of the text, and draw the figures."""
    table = results()
    for name, text in tables(table).items():
        print(f"<!-- {name} -->\n{text}\n")
    print("\n".join(quoted(table)))
    FIGURES.mkdir(parents=True, exist_ok=True)
    for name, figure in figures(table).items():
        figure.set_dpi(150)
        style.save(figure, FIGURES / f"{name}.png")


if __name__ == "__main__":
    main()
