"""Tables of a paper in LaTeX (booktabs): accuracy, available ratio by layer; no wider than a page."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from mpdviz.analysis.seeds import over_seeds
from mpdviz.figures.paper import available_ratio, differences
from mpdviz.figures.paper.differences import p_value
from mpdviz.figures.paper.study import Study
from mpdviz.figures.style import spelled

ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\N{GREEK SMALL LETTER KAPPA}": r"$\kappa$",
    "\N{MINUS SIGN}": "$-$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
PAGE = 7.0
"""Width of a page's text in inches."""
COLUMN = 3.3
"""Width of a column of a page of two."""
SIZES = {"small": 9.0, "footnotesize": 8.0}
"""Sizes of LaTeX's text in points, in a document of 10 points."""
GAP = 3
"""Points on either side of a column."""
LETTER = 0.52
"""Width of a letter in ems: digits of Computer Modern have 0.5, its letters less in the mean."""


@dataclass(frozen=True)
class Table:
    """A LaTeX table and where it comes from."""

    needs: str
    """Table of the study that it is made from."""
    numbers: Callable[[Study], pd.DataFrame]
    """What it shows, unrounded."""
    cells: Callable[[Study], pd.DataFrame]
    """The same as plain texts; a column heading's parts, each on a line of its own, are joined by commas."""
    caption: Callable[[Study], str]
    """Plain text too."""


def escape(text: object) -> str:
    """`text` as LaTeX that prints it; by hand, as pandas escapes cells alone and captions need it too."""
    escaped = "".join(ESCAPES.get(character, character) for character in str(text))
    return escaped.replace("±", r"$\pm$")


def tabular(cells: pd.DataFrame, caption: str, label: str) -> str:
    r"""A floating table; the first column flush left, the others flush right.

    It is as wide as a column where that is enough, else as a page; columns that a page has no room for go
    into a second part underneath, the first column repeated.

    Args:
        cells: plain texts.
        caption: plain text.
        label: what `\ref` takes.
    """
    parts, size = _fitted(cells)
    wide = max(width(part, SIZES[size]) for part in parts) > COLUMN
    kind = "table*" if wide else "table"
    bodies = [_body(part) for part in parts]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            rf"\begin{{{kind}}}[t]",
            r"\centering",
            rf"\{size}",
            rf"\setlength{{\tabcolsep}}{{{GAP}pt}}",
            rf"\caption{{{escape(caption)}}}",
            rf"\label{{tab:{label}}}",
            "\n\n\\medskip\n".join(bodies),
            rf"\end{{{kind}}}",
            "",
        ]
    )


def width(cells: pd.DataFrame, points: float) -> float:
    """About how many inches wide a table of these texts is, never less than it really is."""
    letters = [max(map(len, [*_lines(name), *texts])) for name, texts in cells.items()]
    return (sum(letters) * LETTER * points + 2 * GAP * len(letters)) / 72.27


def _fitted(cells: pd.DataFrame) -> tuple[list[pd.DataFrame], str]:
    """The columns in one part or several, and the size of the letters."""
    for size, points in SIZES.items():
        if width(cells, points) <= PAGE:
            return [cells], size
    first, *others = cells.columns
    parts: list[list[str]] = [[first]]
    for column in others:
        if len(parts[-1]) > 1 and width(cells[[*parts[-1], column]], points) > PAGE:
            parts.append([first])
        parts[-1].append(column)
    return [cells[part] for part in parts], size


def _lines(heading: object) -> list[str]:
    return str(heading).split(", ")


def _stacked(lines: list[str], side: str) -> str:
    """A heading of one line or several."""
    text = r"\\".join(map(escape, lines))
    return text if len(lines) == 1 else rf"\shortstack[{side}]{{{text}}}"


def _body(cells: pd.DataFrame) -> str:
    """The tabular itself."""
    first, *others = map(_lines, cells)
    headings = [_stacked(first, "l"), *(_stacked(lines, "r") for lines in others)]
    rows = [" & ".join(map(escape, row)) + r" \\" for row in cells.itertuples(index=False)]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'r' * (cells.shape[1] - 1)}}}",
            r"\toprule",
            " & ".join(headings) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def percent(mean: float, std: float) -> str:
    """A share as `97.5 ± 0.3`; without the spread where there is none, a dash for nothing at all."""
    if pd.isna(mean):
        return "--"
    return f"{100 * mean:.1f}" + ("" if pd.isna(std) else f" ± {100 * std:.1f}")


def _accuracy(study: Study) -> pd.DataFrame:
    """Accuracy over seeds, a row a variant, beside its paired difference from the first.

    Returns:
        Columns `variant, strategy`, the settings that differ, `n, val_mean, val_std, test_mean, test_std`,
        and `pairs, difference, low, high, p, p_holm, detectable` of `differences.numbers` (NaN in the first
        row).
    """
    table = study["accuracy"]
    names = table.drop_duplicates("variant")[["variant", "strategy", *study.settings]]
    frame = names.merge(table.groupby("variant").size().rename("n").reset_index(), on="variant")
    for split in ("val", "test"):
        summary = over_seeds(table, ["variant"], f"{split}_accuracy")[["variant", "mean", "std"]]
        named = summary.rename(columns={"mean": f"{split}_mean", "std": f"{split}_std"})
        frame = frame.merge(named, on="variant")
    paired = differences.numbers(study).rename(columns={"n": "pairs"})
    told = ["pairs", "difference", "low", "high", "p", "p_holm", "detectable"]
    return frame.merge(paired[["variant", *told]], on="variant", how="left")


def _accuracy_cells(study: Study) -> pd.DataFrame:
    table = _accuracy(study)
    settings = {name: table[name].map(str) for name in study.settings}
    told = [_difference(*row) for row in zip(table["difference"], table["low"], table["high"], strict=True)]
    cells = {
        "strategy": table["strategy"].map(spelled),
        **settings,
        "n": table["n"].map(str),
        "validation, (%)": list(map(percent, table["val_mean"], table["val_std"])),
        "test, (%)": list(map(percent, table["test_mean"], table["test_std"])),
    }
    if len(table) > 1:
        cells["difference, (points)"] = told
        if table["p_holm"].notna().any():
            cells["p, (Holm)"] = [p_value(p) or "--" for p in table["p_holm"]]
            cells["detectable, (points)"] = [differences.detectable(points) for points in table["detectable"]]
    return pd.DataFrame(cells)


def _difference(mean: float, low: float, high: float) -> str:
    """A difference in points with its interval; a dash for none."""
    if pd.isna(mean):
        return "--"
    text = f"{100 * mean:+.1f}".replace("-", "\N{MINUS SIGN}")
    return text if pd.isna(low) else f"{text} {differences.interval(low, high)}"


def _ratio_cells(study: Study) -> pd.DataFrame:
    values = available_ratio.numbers(study)
    layers = values.drop_duplicates("layer").sort_values("layer")
    columns = {"layer": [f"{row.layer} {row.name}" for row in layers.itertuples(index=False)]}
    for variant, look in study.looks.items():
        rows = values[values["variant"] == variant].sort_values("layer")
        columns[look.label.replace(" ", ", ", 1)] = list(map(percent, rows["mean"], rows["std"]))
    return pd.DataFrame(columns)


def _spread(study: Study) -> str:
    spread = " ± sample standard deviation" if study.repeated else ""
    return f"Means{spread} over seeds, in percent."


def _of_accuracy(study: Study) -> str:
    told = ""
    if len(study.variants) > 1:
        told = (
            f"Difference: from {study.looks[study.variants[0]].label} in test accuracy, paired by seed, in "
            "percentage points, with its 95 % confidence interval (Student's t) where one can be given. "
        )
    if _accuracy(study)["p_holm"].notna().any():
        told += (
            "p: of the paired t test, adjusted by Holm for the differences shown. Detectable: the smallest "
            "difference that so many seeds of this spread tell in four of five cases. "
        )
    return f"Accuracy of the epoch that was best on validation. {_spread(study)} {told}{study.describe()}"


def _of_ratio(study: Study) -> str:
    return (
        f"Gradient-available ratio by layer, averaged over timesteps. {_spread(study)} "
        f"{study.sources['final']} {study.describe()}"
    )


TABLES: dict[str, Table] = {
    "table_accuracy": Table("accuracy", _accuracy, _accuracy_cells, _of_accuracy),
    "table_available_ratio": Table("final", available_ratio.numbers, _ratio_cells, _of_ratio),
}
"""LaTeX tables by name."""


def render(name: str, study: Study) -> str:
    """The named table as LaTeX."""
    table = TABLES[name]
    return tabular(table.cells(study), table.caption(study), name.replace("_", "-"))
