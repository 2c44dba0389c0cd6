"""Test accuracy against a fixed width, strategies that set the width themselves as a reference."""

import pandas as pd
from matplotlib.axes import Axes

from mpdviz.analysis.seeds import over_seeds
from mpdviz.figures.axes import plain
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look, legend
from mpdviz.figures.paper.study import Study
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import Appearance, kappa, spelled

MOST_REFERENCES = 6
"""Lines across the panel beyond which none is told from the next."""
STEP = 1.12
"""Factor by which the references' error bars stand apart, right of the widest width."""


def series(study: Study) -> dict[str, str]:
    """Fixed widths that make a curve: their strategy without the width, by variant; two widths at least."""
    named = {
        variant: ":".join(part for part in variant.split(", ")[0].split(":") if not part.startswith("kappa="))
        + variant.removeprefix(variant.split(", ")[0])
        for variant in study.variants
        if kappa(variant) is not None
    }
    counts = pd.Series(named).value_counts()
    return {variant: name for variant, name in named.items() if counts[name] > 1}


def lacking(study: Study) -> str | None:
    """Why there is nothing to show, if so."""
    if not series(study):
        return "fewer than two fixed widths, e.g. fixed:kappa=0.5 and fixed:kappa=2"
    references = len(study.variants) - len(series(study))
    return f"{references} strategies beside fixed widths" if references > MOST_REFERENCES else None


def numbers(study: Study) -> pd.DataFrame:
    """Test accuracy by variant, summarised over seeds.

    Returns:
        Columns `variant, series, kappa, mean, std, min, max, n`; `series` and `kappa` (NaN) are empty of
        strategies that set the width themselves.
    """
    table = over_seeds(study["accuracy"], ["variant"], "test_accuracy")
    curves = series(study)
    table.insert(1, "series", table["variant"].map(curves).fillna(""))
    widths = [kappa(variant) if variant in curves else None for variant in table["variant"]]
    table.insert(2, "kappa", pd.Series(widths, dtype=float))
    return table


def accuracy_kappa(study: Study, look: Look) -> Figure:
    """Draw means and error bars over the widths, seeds as dots, a line across for each other strategy."""
    values, looks = numbers(study), study.looks
    widths = sorted(values["kappa"].dropna().unique())
    with look.settings():
        figure = Figure(figsize=look.size(look.column, 2.5), layout="constrained")
        axis = figure.subplots()
        axis.set_xscale("log")
        handles = []
        for name, rows in values[values["series"] != ""].groupby("series", sort=False):
            rows = rows.sort_values("kappa")
            own = looks[rows["variant"].iloc[-1 if len(rows) < 3 else len(rows) // 2]]
            label = spelled(str(name)).replace(" κ = 1", " κ")
            _curve(axis, study, rows, own, label, look)
            handles.append(own.line(label=label))
        references = values[values["series"] == ""]
        for place, row in enumerate(references.to_dict("records"), start=1):
            own = looks[row["variant"]]
            axis.axhline(row["mean"], color=own.colour, ls=own.dashes, lw=0.8 * look.scale, zorder=1)
            if pd.notna(row["std"]):
                at = widths[-1] * STEP ** (2 * place)
                axis.errorbar(
                    [at], [row["mean"]], [row["std"]], color=own.colour, marker=own.marker, ms=3 * look.scale
                )
            handles.append(own.line())
        margin = STEP**2
        axis.set_xlim(widths[0] / margin, widths[-1] * STEP ** (2 * (len(references) + 1)))
        axis.set_xticks(widths, list(map(plain, widths)))
        axis.set_xticks([], minor=True)
        axis.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}")
        axis.set_xlabel(r"width $\kappa$ of a fixed surrogate (potential)")
        axis.set_ylabel("test accuracy (%)")
        look.finish(axis)
        legend(figure, handles, look)
    return figure


def _curve(axis: Axes, study: Study, rows: pd.DataFrame, own: Appearance, label: str, look: Look) -> None:
    """Means, their error bars, and each seed."""
    axis.errorbar(
        rows["kappa"],
        rows["mean"],
        yerr=rows["std"] if rows["std"].notna().any() else None,
        color=own.colour,
        ls=own.dashes,
        marker=own.marker,
        label=label,
    )
    runs = study["accuracy"].merge(rows[["variant", "kappa"]], on="variant")
    axis.plot(runs["kappa"], runs["test_accuracy"], ".", color=own.colour, ms=2.5 * look.scale, alpha=0.5)


def caption(study: Study) -> str:
    """What the figure shows."""
    others = len(study.variants) > len(series(study))
    lines = "Lines across: strategies that set the width themselves, whose markers have no width. "
    return (
        "Test accuracy of the epoch that was best on validation against the full width of a fixed surrogate, "
        f"on a logarithmic scale: means over seeds, dots single seeds. {lines if others else ''}"
        f"{study.spread('Error bars', 'sample standard deviation')} {study.describe()}"
    )


FIGURE = StudyFigure(
    "accuracy against the width of a fixed surrogate",
    accuracy_kappa,
    numbers,
    caption,
    needs=("accuracy",),
    lacking=lacking,
)
