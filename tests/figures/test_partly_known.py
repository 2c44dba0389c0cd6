"""Figures and terminal output of layers of which only a part is known: drawn all the same, said in words."""

import math

import matplotlib as mpl
import numpy as np
import pytest
from handmade import counted, flow, info
from matplotlib.backends.backend_agg import FigureCanvasAgg
from mpdviz.cli import shown
from mpdviz.cli.formats import EXPORTS
from mpdviz.cli.sketch import sketch

from mpdviz import figures
from mpdviz.accumulations.contents import Contents
from mpdviz.api import Recording
from mpdviz.figures.tables import Tables

NOWHERE = dict.fromkeys(("kappa", "lower", "upper"), (math.nan, math.nan))
HALF = {"kappa": (math.nan, 1.0), "lower": (math.nan, 0.0), "upper": (math.nan, 1.0)}
NORM = {"gamma": (1.0, 0.5), "beta": (0.0, 0.25)}


def v(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def nothing_finite():
    layer = counted(v(2, 3, 4), info(**NOWHERE))
    layer.statistics = type(layer.statistics).empty(2)
    layer.statistics.count += 12
    layer.statistics.nonfinite += 12
    return layer


LAYERS = {
    "threshold 0": counted(v(2, 50, 4), info(v_th=0.0), flow([1, 0, 2], [0, 3, 1])),
    "threshold below 0": counted(v(2, 50, 4), info(v_th=-1.0, unit=0.5, **NORM)),
    "no decay": counted(v(2, 50, 4), info(decay=math.nan, **NORM)),
    "no interval": counted(v(2, 50, 4), info(**NOWHERE)),
    "half an interval": counted(v(2, 50, 4), info(**HALF)),
    "no neurons": counted(v(2, 50, 4)) + counted(v(2, 50, 5)),
    "unequal": counted(v(2, 50, 4)) + counted(v(6, 50, 4)),
    "nothing": nothing_finite(),
    "no gradient": counted(v(2, 50, 4), flow=flow([math.nan] * 3, [math.inf] * 3)),
}
CASES = {name: {1: layer} for name, layer in LAYERS.items()}
CASES["all"] = dict(enumerate(LAYERS.values(), 1))


def texts(figure):
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    return " | ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "case"),
    [
        (name, case)
        for name, kind in figures.FIGURES.items()
        for case, layers in CASES.items()
        if kind.needs is None or kind.needs in Tables.of(layers).table  # else there is nothing to draw
    ],
)
def test_every_figure_draws_what_is_known(name, case):
    tables = Tables.of(CASES[case])
    kind = figures.FIGURES[name]
    pieces = [tables.layer(number) for number in CASES[case]] if kind.each_layer else [tables]
    for piece in pieces:
        said = texts(figures.draw(name, piece))
        assert "nan" not in said
        if case == "no interval" and name not in ("ridge", "what_if"):
            assert "not measured" in said
        figures.numbers(name, piece)


def test_a_curve_needs_no_interval():
    tables = Tables.of(CASES["no interval"])
    points = figures.numbers("what_if", tables)
    assert points.loc[~points["own"], "available_ratio"].notna().all()
    assert points.loc[points["own"], "available_ratio"].isna().all()
    lost = figures.numbers("what_if", Tables.of(CASES["nothing"]))
    assert lost["available_ratio"].isna().all()


def test_timesteps_without_an_interval_weigh_nothing():
    layer = counted(v(6, 50, 4), info(6, lower=(math.nan,) + (0.0,) * 5, upper=(math.nan,) + (1.0,) * 5))
    (row,) = figures.numbers("states", Tables.of({1: layer})).to_dict("records")
    assert row["available_ratio"] == pytest.approx((np.abs(v(6, 50, 4)[1:] - 0.5) < 0.5).mean())
    assert row["below_ratio"] + row["available_ratio"] + row["above_ratio"] == pytest.approx(1)


@pytest.mark.parametrize("case", CASES)
def test_terminals_and_notebooks_show_what_is_known(case, capsys):
    recording = Recording(Contents(CASES[case]))
    assert "nan" not in repr(recording) + recording._repr_html_()
    table = recording.table()
    for full in (False, True):
        for markdown in (False, True):
            shown.table(recording, table, markdown=markdown, full=full, one=False)
    shown.notes(recording, predicted=True)
    assert "nan" not in capsys.readouterr().out
    for kind in ("json", "csv", "latex"):
        EXPORTS[kind](table)
    for number in CASES[case]:
        drawn = sketch(table[table["layer"] == number], recording.histogram(number))
        assert "nan" not in drawn
        if case == "no interval":
            assert "not measured" in drawn
    assert "nan%" not in capsys.readouterr().out
