"""Tables of a paper in LaTeX (booktabs): accuracy by strategy, ablation, available ratio by layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from mpdviz.analysis.seeds import over_seeds
from mpdviz.figures.paper import available_ratio
from mpdviz.figures.paper.study import Study

ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


@dataclass(frozen=True)
class Table:
    """A LaTeX table and where it comes from."""

    needs: str
    """Table of the study that it is made from."""
    numbers: Callable[[Study], pd.DataFrame]
    """What it shows, unrounded."""
    cells: Callable[[Study], pd.DataFrame]
    """The same as texts that are LaTeX already, column headings plain."""
    caption: Callable[[Study], str]


def escape(text: object) -> str:
    """`text` as LaTeX that prints it; by hand, as pandas escapes cells alone and captions need it too."""
    return "".join(ESCAPES.get(character, character) for character in str(text))


def tabular(cells: pd.DataFrame, caption: str, label: str) -> str:
    r"""A floating table; the first column flush left, the others flush right.

    Args:
        cells: texts that are LaTeX already.
        caption: LaTeX.
        label: what `\ref` takes.
    """
    table = cells.style.hide(axis="index").format_index(escape, axis="columns")
    return "% needs \\usepackage{booktabs}\n" + table.to_latex(
        hrules=True,
        position="t",
        position_float="centering",
        caption=caption,
        label=f"tab:{label}",
        column_format="l" + "r" * (cells.shape[1] - 1),
    )


def percent(mean: float, std: float) -> str:
    r"""A share as `97.5 $\pm$ 0.3`; without the spread where there is none, a dash for nothing at all."""
    if pd.isna(mean):
        return "--"
    return f"{100 * mean:.1f}" + ("" if pd.isna(std) else rf" $\pm$ {100 * std:.1f}")


def _accuracy(study: Study, keys: Sequence[str] = ("variant",)) -> pd.DataFrame:
    """Accuracy over seeds, a row a variant: columns `*keys, n, seeds, SPLIT_mean, SPLIT_std`."""
    table = study["accuracy"]
    seeds = table.groupby("variant", sort=False)["seed"]
    listed = seeds.agg(n="count", seeds=lambda column: ", ".join(map(str, sorted(column)))).reset_index()
    names = table.drop_duplicates("variant")[list(dict.fromkeys(("variant", *keys)))]
    frame = names.merge(listed, on="variant")
    for split in ("val", "test"):
        summary = over_seeds(table, ["variant"], f"{split}_accuracy")[["variant", "mean", "std"]]
        named = summary.rename(columns={"mean": f"{split}_mean", "std": f"{split}_std"})
        frame = frame.merge(named, on="variant")
    return frame if "variant" in keys else frame.drop(columns="variant")


def _accuracy_cells(study: Study) -> pd.DataFrame:
    table = _accuracy(study)
    return pd.DataFrame(
        {
            "strategy": table["variant"].map(escape),
            "n": table["n"].astype(str),
            "seeds": table["seeds"],
            "validation": list(map(percent, table["val_mean"], table["val_std"])),
            "test": list(map(percent, table["test_mean"], table["test_std"])),
        }
    )


def _ablation(study: Study) -> pd.DataFrame:
    """One row for each combination of the settings that differ."""
    return _accuracy(study, ("strategy", *study.settings))


def _ablation_cells(study: Study) -> pd.DataFrame:
    table = _ablation(study)
    settings = {name: table[name].map(escape) for name in ("strategy", *study.settings)}
    test = list(map(percent, table["test_mean"], table["test_std"]))
    return pd.DataFrame({**settings, "n": table["n"].astype(str), "test accuracy": test})


def _ratio_cells(study: Study) -> pd.DataFrame:
    values = available_ratio.numbers(study)
    layers = values.drop_duplicates("layer").sort_values("layer")
    columns = {"layer": [escape(f"{row.layer} {row.name}") for row in layers.itertuples(index=False)]}
    for variant in study.variants:
        rows = values[values["variant"] == variant].sort_values("layer")
        columns[variant] = list(map(percent, rows["mean"], rows["std"]))
    return pd.DataFrame(columns)


def _spread(study: Study) -> str:
    spread = r" $\pm$ sample standard deviation" if study.repeated else ""
    return f"Means{spread} over seeds, in percent."


def _of_accuracy(study: Study) -> str:
    return f"Accuracy of the epoch that was best on validation. {_spread(study)} {escape(study.describe())}"


def _of_ablation(study: Study) -> str:
    return f"Test accuracy by settings that differ between runs. {_spread(study)} {escape(study.describe())}"


def _of_ratio(study: Study) -> str:
    return (
        f"Gradient-available ratio by layer, averaged over timesteps. {_spread(study)} "
        f"{escape(study.sources['final'])} {escape(study.describe())}"
    )


TABLES: dict[str, Table] = {
    "table_accuracy": Table("accuracy", _accuracy, _accuracy_cells, _of_accuracy),
    "table_ablation": Table("accuracy", _ablation, _ablation_cells, _of_ablation),
    "table_available_ratio": Table("final", available_ratio.numbers, _ratio_cells, _of_ratio),
}
"""LaTeX tables by name."""


def render(name: str, study: Study) -> str:
    """The named table as LaTeX."""
    table = TABLES[name]
    return tabular(table.cells(study), table.caption(study), name.replace("_", "-"))
