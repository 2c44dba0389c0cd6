"""Figures and tables of a paper that compares strategies over seeds; one file a figure (no torch).

The module of a figure holds its `FIGURE`, a `StudyFigure`. `FIGURES` lists them all:

    study = Study([StoredRun.of_folder(path) for path in folders])
    for path in write(study, out, ("pdf", "svg"), "ijcai"): ...
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mpdviz.errors import BadInput
from mpdviz.figures.kinds import StudyFigure
from mpdviz.registry import Registry
from mpdviz.system.files import write_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from mpdviz.figures.paper.study import Study

__all__ = ["FIGURES", "StudyFigure", "caption", "draw", "numbers", "skipped", "write"]

OURS = (
    "differences",
    "accuracy_kappa",
    "potentials",
    "available_ratio",
    "widths",
    "curves",
    "spread",
    "gradient_by_depth",
    "ratio_over_training",
)
FIGURES: Registry[StudyFigure] = Registry(
    "figure",
    "mpdviz.paper_figures",
    {name: f"mpdviz.figures.paper.{name}:FIGURE" for name in OURS},
    StudyFigure,
)
"""Figures by name, in the order in which they are written."""


def draw(name: str, study: "Study", look: str = "ijcai") -> "Figure":
    """The named figure, not drawn yet, in a style of `look.LOOKS`.

    Raises:
        BadInput: unknown figure or style, or the study lacks what it shows.
    """
    from mpdviz.figures.axes import entitle
    from mpdviz.figures.paper.look import get

    kind, sizes = _found(name, study), get(look)
    figure = kind.draw(study, sizes)
    with sizes.settings():
        entitle(figure, kind.meaning, sizes.font)
    return figure


def numbers(name: str, study: "Study") -> "pd.DataFrame":
    """What the named figure shows, as a table; raises like `draw`."""
    return _found(name, study).numbers(study)


def caption(name: str, study: "Study") -> str:
    """What the named figure shows, in words: data, strategies, seeds, n, error bars; raises like `draw`."""
    return _found(name, study).caption(study)


def skipped(study: "Study") -> dict[str, str]:
    """Figures and LaTeX tables that cannot be made, and why."""
    from mpdviz.figures.paper.latex import TABLES

    reasons = {name: _lacking(figure, study) for name, figure in FIGURES.items()}
    reasons |= {name: study.missing.get(table.needs) for name, table in TABLES.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _found(name: str, study: "Study") -> StudyFigure:
    """The named figure, where the study has what it shows."""
    kind = FIGURES.find(name)
    for table in kind.needs:
        study[table]  # refuses
    reason = _lacking(kind, study)
    if reason is not None:
        raise BadInput(f"figure {name!r} of this study: {reason}", "leave it out, or give other runs")
    return kind


def _lacking(kind: StudyFigure, study: "Study") -> str | None:
    """Why the study cannot support a figure, if so."""
    from mpdviz.figures.style import MOST_STRATEGIES

    for table in kind.needs:
        if table in study.missing:
            return study.missing[table]
    if kind.by_looks and len(study.variants) > MOST_STRATEGIES:
        return f"{len(study.variants)} strategies, more than {MOST_STRATEGIES} colours and markers tell apart"
    return None if kind.lacking is None else kind.lacking(study)


def write(
    study: "Study", folder: Path, formats: Sequence[str] = ("pdf",), look: str = "ijcai"
) -> Iterator[Path]:
    """Write all that is not `skipped` and yield every path once written.

    A figure becomes NAME.FORMAT for each format, NAME.csv (its numbers) and NAME.txt (its caption); a LaTeX
    table NAME.tex and NAME.csv.

    Args:
        study: the runs.
        folder: an existing folder.
        formats: of png, pdf and svg.
        look: a style of `look.LOOKS`.

    Raises:
        BadInput: unknown format or style, or a folder that refuses.
    """
    from mpdviz.figures.paper.latex import TABLES, render
    from mpdviz.figures.paper.look import get
    from mpdviz.figures.style import check_format, save

    get(look)
    for format_ in formats:
        check_format(format_)
    left_out = skipped(study)
    for name in FIGURES:
        if name in left_out:
            continue
        figure = draw(name, study, look)
        texts = {"csv": numbers(name, study).to_csv(index=False), "txt": caption(name, study) + "\n"}
        yield from _write_texts(folder, name, texts)
        for format_ in formats:
            yield save(figure, folder / f"{name}.{format_}")
    for name, table in TABLES.items():
        if name not in left_out:
            texts = {"csv": table.numbers(study).to_csv(index=False), "tex": render(name, study)}
            yield from _write_texts(folder, name, texts)


def _write_texts(folder: Path, name: str, texts: dict[str, str]) -> Iterator[Path]:
    for suffix, text in texts.items():
        write_text(folder / f"{name}.{suffix}", text)
        yield folder / f"{name}.{suffix}"
