"""One look and one spelling a strategy, legible in print and in grey, in every figure of a study."""

import inspect
import re
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from drawn import check_letters, check_place, entries, panels, shown_texts
from matplotlib.colors import to_hex, to_rgb
from studies import SEVEN, TWO, made_study

from mpdviz.figures import compared, paper, style
from mpdviz.figures.paper import look
from mpdviz.strategies.fixed import Fixed

BY_LOOKS = [name for name, figure in paper.FIGURES.items() if figure.by_looks]


@pytest.fixture(scope="module")
def studies():
    sizes = {"20x10": (20, 10), "5x4": (5, 4), "1x1": (1, 1)}
    return {
        f"{len(names)} {size}": made_study(names, *shape)
        for names in (SEVEN, TWO)
        for size, shape in sizes.items()
    }


def grey(colour):
    """How light a colour prints, from 0 to 1 (Rec. 601)."""
    return float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))


@pytest.mark.parametrize("name", BY_LOOKS)
def test_a_strategy_looks_the_same_in_every_figure(studies, name):
    wanted = style.appearances(SEVEN)
    for case in ("7 5x4", "2 5x4", "7 1x1"):
        study = studies[case]
        shown = entries(paper.draw(name, study))
        for variant in study.variants:
            own = wanted[variant]
            colour, marker, _ = shown[own.label]
            assert colour == own.colour.lower()
            assert marker in (own.marker, "", "None")
        # Grey prints: no two entries have marker and dashes in common.
        for one, other in combinations([shown[own.label] for own in study.looks.values()], 2):
            assert one[1:] != other[1:]


def test_lines_are_drawn_as_the_legend_says(studies):
    study = studies["7 5x4"]
    for name in ("gradient_by_depth", "available_ratio", "curves"):
        figure = paper.draw(name, study)
        lines = [line for line in figure.axes[0].lines if line.get_linestyle() != "None"]
        for line, own in zip(
            lines[-7:] if name == "curves" else lines[:7], study.looks.values(), strict=True
        ):
            assert to_hex(line.get_color()) == own.colour.lower()
            pattern = own.line()._unscaled_dash_pattern
            assert line._unscaled_dash_pattern == pattern


def test_a_strategy_keeps_its_look_whatever_else_is_shown():
    alone = {name: style.appearances([name])[name] for name in SEVEN}
    together = style.appearances(SEVEN)
    for name, own in together.items():
        assert (own.colour, own.marker, own.label) == (
            alone[name].colour,
            alone[name].marker,
            alone[name].label,
        )
    for many in (SEVEN, [*SEVEN, *"abcdefg"], [f"fixed:kappa={2.0**k:g}" for k in range(-3, 5)]):
        looks = style.appearances(many).values()
        assert len({own.marker for own in looks}) == len({own.label for own in looks}) == len(many)
        assert len({own.dashes for own in list(looks)[:12]}) == min(len(many), 12)


def test_interval_threshold_and_predictions_have_no_strategy_s_colour():
    many = [*SEVEN, "other", *(f"fixed:kappa={2.0**k:g}" for k in range(-3, 5)), "mpd-agl:shape=atan"]
    taken = {own.colour.lower() for own in style.appearances(many).values()}
    kept = {
        style.INTERVAL,
        style.THRESHOLD,
        style.INSIDE,
        style.OUTSIDE,
        style.BELOW,
        style.ABOVE,
        style.FRAME,
    }
    kept |= {colour for _, _, colour in style.PREDICTIONS.values()}
    assert taken.isdisjoint(colour.lower() for colour in kept)
    for colours in (
        (style.OUTSIDE, style.INSIDE, style.INTERVAL),
        (style.BELOW, style.INSIDE, style.ABOVE),
    ):
        for one, other in combinations(map(grey, colours), 2):
            assert abs(one - other) > 0.09
    for own in style.appearances(SEVEN).values():
        assert grey(style.OUTSIDE) - grey(own.colour) > 0.15


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fixed", "fixed κ = 1"),
        ("fixed:kappa=1", "fixed κ = 1"),
        ("fixed:kappa=0.5:shape=atan", "fixed κ = 0.5, atan"),
        ("fixed:shape=atan", "fixed κ = 1, atan"),
        ("mpd-agl", "MPD-AGL"),
        ("mpd-agl:shape=triangular, decay=0.5", "MPD-AGL triangular, decay = 0.5"),
        ("observed:ratio=0.5", "observed quantile ratio = 0.5"),
        ("theirs", "theirs"),
    ],
)
def test_spelling(name, text):
    assert style.spelled(name) == text


def test_the_width_of_fixed_is_1():
    assert inspect.signature(Fixed).parameters["kappa"].default == style.kappa("fixed") == 1


def test_strategies_spelled_alike_keep_their_own_names():
    looks = style.appearances(["fixed", "fixed:kappa=1"])
    assert [own.label for own in looks.values()] == ["fixed", "fixed:kappa=1"]
    assert len({own.marker for own in looks.values()}) == 2


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "case"),
    [
        (name, f"{strategies} {size}")
        for name, strategies, size in product(paper.FIGURES, (7, 2), ("20x10", "5x4", "1x1"))
        if (name, strategies) != ("accuracy_kappa", 2)  # which has one fixed width alone
    ],
)
def test_texts_of_every_size_are_legible_and_in_place(studies, name, case):
    figure = paper.draw(name, studies[case])
    check_place(figure, least=1)
    check_letters(figure, "STIXGeneral")
    title = paper.FIGURES[name].meaning
    assert title[:1].upper() + title[1:] in [text.get_text() for text in shown_texts(figure)]
    assert figure.get_figwidth() in (3.3, 7.0)


@pytest.mark.thorough
@pytest.mark.parametrize("name", paper.FIGURES)
@pytest.mark.parametrize("kind", ["neurips", "talk"])
def test_other_styles_are_legible_and_in_place(studies, name, kind):
    figure = paper.draw(name, studies["7 20x10"], kind)
    check_place(figure, least=1)
    check_letters(figure, "STIXGeneral" if look.LOOKS[kind].serif else "sans-serif")


def test_a_written_figure_is_in_one_type(studies, tmp_path):
    for name in ("potentials", "curves", "gradient_by_depth"):
        path = style.save(paper.draw(name, studies["7 5x4"]), tmp_path / f"{name}.pdf")
        fonts = set(re.findall(rb"/FontName /(?:[A-Z]+\+)?([\w-]+)", path.read_bytes()))
        assert fonts
        assert all(font.startswith(b"STIX") for font in fonts), fonts


@pytest.mark.parametrize("name", ["gradient_by_depth", "accuracy_kappa"])
def test_log_axes_have_plain_labels(studies, name):
    axis = paper.draw(name, studies["7 5x4"]).axes[0]
    axis.figure.draw_without_rendering()
    side = axis.yaxis if name == "gradient_by_depth" else axis.xaxis
    assert side.get_scale() == "log"
    low, high = side.get_view_interval()
    labels = {tick.get_loc(): tick.label1.get_text() for tick in side._update_ticks()}
    shown = {at: text for at, text in labels.items() if text and low <= at <= high}
    assert len(shown) >= 2
    for at, text in shown.items():
        assert float(text) == pytest.approx(at)


def test_a_network_looks_as_its_strategy():
    sides = pd.DataFrame({"layer": [1, 1], "checkpoint": ["first", "best"], "name": "a"})
    for column in compared.PANELS:
        sides[column] = [0.25, 0.5]
    empty = {"layer": [], "potentials": [], "widths": [], "available_ratio": [], "mean_gain": []}
    strategies = {"first": "mpd-agl", "best": "fixed"}
    figure = compared.compared(sides, pd.DataFrame(empty), strategies)
    colours = {line.get_label(): to_hex(line.get_color()) for line in figure.axes[0].lines}
    looks = style.appearances(["fixed", "mpd-agl"])
    assert colours == {name: looks[strategy].colour.lower() for name, strategy in strategies.items()}
    check_place(figure)
    check_letters(figure)


def test_too_many_strategies_are_told_and_others_still_drawn():
    names = [f"fixed:kappa={0.1 * k:g}" for k in range(1, style.MOST_STRATEGIES + 2)]
    study = made_study(names, 1, 1)
    skipped = paper.skipped(study)
    assert set(skipped) == set(BY_LOOKS)
    assert all("tell apart" in reason for reason in skipped.values())
    assert len(paper.draw("differences", study).axes[0].get_yticks()) == len(names) - 1
    assert panels(paper.draw("accuracy_kappa", study))


def test_a_spread_that_is_not_known_at_all_is_said(studies):
    study = studies["2 5x4"]
    nothing = study["final"].assign(std=np.nan, predicted_std=np.nan)
    other = made_study(TWO, 2, 2)
    other._tables["final"] = nothing
    texts = [text.get_text() for text in shown_texts(paper.draw("spread", other))]
    assert texts.count("not measured") == 5
