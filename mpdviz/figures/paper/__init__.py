"""Figures and tables of a paper that compares strategies over seeds; one file a figure (no torch).

The module of a figure holds `NAME(study, look)`, which draws it, `numbers(study)`, what it shows, and
`caption(study)`, what that is. `FIGURES` lists them all:

    study = Study([StoredRun.of_folder(path) for path in folders])
    for path in write(study, out, ("pdf", "svg"), "ijcai"): ...
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpdviz.errors import unknown_name
from mpdviz.system.files import write_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from mpdviz.figures.paper.study import Study


@dataclass(frozen=True)
class Kind:
    """One figure of the registry."""

    meaning: str
    needs: tuple[str, ...]
    """Tables of the study without which there is nothing to show."""


FIGURES: dict[str, Kind] = {
    "potentials": Kind("potentials of a layer against the available interval", ("recorded", "histograms")),
    "available_ratio": Kind("available ratio by layer", ("final",)),
    "widths": Kind("surrogate width by layer and timestep over training", ("widths",)),
    "curves": Kind("loss and accuracy over training", ("metrics",)),
    "spread": Kind("predicted against observed spread by layer and timestep", ("final",)),
    "gradient_by_depth": Kind("gradient norm by layer", ("gradients",)),
    "ratio_over_training": Kind("available ratio by layer and timestep over training", ("mpd",)),
}
"""Figures by name, in the order in which they are written; modules are imported when drawn."""


def draw(name: str, study: "Study", look: str = "ijcai") -> "Figure":
    """The named figure, not drawn yet, in a style of `look.LOOKS`.

    Raises:
        BadInput: unknown figure or style, or a run lacks what it shows.
    """
    from mpdviz.figures.paper.look import get

    figure: Figure = getattr(_module(name), name)(study, get(look))
    return figure


def numbers(name: str, study: "Study") -> "pd.DataFrame":
    """What the named figure shows, as a table; raises like `draw`."""
    table: pd.DataFrame = _module(name).numbers(study)
    return table


def caption(name: str, study: "Study") -> str:
    """What the named figure shows, in words: data, strategies, seeds, n, error bars; raises like `draw`."""
    text: str = _module(name).caption(study)
    return text


def skipped(study: "Study") -> dict[str, str]:
    """Figures and LaTeX tables that cannot be made, and why."""
    from mpdviz.figures.paper.latex import TABLES
    from mpdviz.figures.style import COLOURS

    needs = {name: kind.needs for name, kind in FIGURES.items()}
    needs |= {name: (table.needs,) for name, table in TABLES.items()}
    reasons = {}
    for name, tables in needs.items():
        lacking = [study.missing[table] for table in tables if table in study.missing]
        if lacking:
            reasons[name] = lacking[0]
        elif name in FIGURES and len(study.variants) > len(COLOURS):
            reasons[name] = f"{len(study.variants)} strategies, more than {len(COLOURS)} colours tell apart"
    return reasons


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


def _module(name: str) -> Any:
    if name not in FIGURES:
        raise unknown_name("figure", name, FIGURES)
    return import_module(f"mpdviz.figures.paper.{name}")
