"""Paired differences, accuracy against kappa, chosen strategies, LaTeX tables: against independent truths."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from scipy import stats
from studies import SEVEN, TWO, made_study

from mpdviz.analysis import paired
from mpdviz.errors import BadInput
from mpdviz.figures import paper
from mpdviz.figures.paper import latex
from mpdviz.figures.paper.study import Study

WIDTHS = ("mpd-agl", "fixed", "fixed:kappa=0.25", "fixed:kappa=4", "lsg")
SEEDS = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def study():
    return made_study(WIDTHS, 2, 2, seeds=SEEDS)


def accuracies(study, variant):
    table = study["accuracy"]
    return table[table["variant"] == variant].sort_values("seed")["test_accuracy"].to_numpy()


def test_differences_are_student_s_intervals_of_pairs(study):
    axis = paper.draw("differences", study).axes[0]
    first = accuracies(study, "mpd-agl")
    rows = paper.numbers("differences", study)
    assert list(rows["variant"]) == list(WIDTHS[1:])
    bars, points = axis.lines[1::2], axis.lines[2::2]
    p = np.array([stats.ttest_1samp(accuracies(study, name) - first, 0).pvalue for name in WIDTHS[1:]])
    # Holm: the k-th smallest of m times m - k + 1, none smaller than one before it.
    holm = [max(min(1, q * (p >= q).sum()) for q in p[p <= own]) for own in p]
    for place, variant in enumerate(WIDTHS[1:]):
        pairs = accuracies(study, variant) - first
        half = stats.t.ppf(0.975, len(SEEDS) - 1) * pairs.std(ddof=1) / math.sqrt(len(SEEDS))
        assert list(points[place].get_xdata()) == pytest.approx([100 * pairs.mean()])
        wanted = [100 * (pairs.mean() - half), 100 * (pairs.mean() + half)]
        assert list(bars[place].get_xdata()) == pytest.approx(wanted)
        assert list(points[place].get_ydata()) == [place]
        assert axis.texts[place].get_text().replace("\N{MINUS SIGN}", "-") == (
            f"{100 * pairs.mean():+.1f} [{wanted[0]:+.1f}, {wanted[1]:+.1f}], n = 4, "
            + ("p < 0.001" if holm[place] < 0.001 else f"p = {holm[place]:.2g}")
        )
    assert axis.lines[0].get_xdata() == [0, 0]
    low, high = axis.get_xlim()
    assert low < 0 < high
    assert axis.get_xlabel() == "difference in accuracy from MPD-AGL (points)"


def test_long_names_leave_the_intervals_room():
    """Of a crossed study: nothing is cut off, and the intervals have a quarter of the figure at least."""
    crossed = [f"mpd-agl, decay={decay}, gamma={gamma}" for decay in (0.2, 0.9) for gamma in (0.5, 1.0, 2.0)]
    made = made_study([f"fixed:kappa={k}" for k in range(1, 7)], 1, 1, seeds=SEEDS)
    runs = [replace(run, arm=crossed[int(run.config.strategy[-1]) - 1]) for run in made._runs]
    figure = paper.draw("differences", Study(runs))
    figure.draw_without_rendering()
    axis = figure.axes[0]
    assert axis.get_window_extent().width > 0.25 * figure.bbox.width
    for text in (*axis.texts, axis.xaxis.label, *axis.get_yticklabels()):
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width


def test_a_single_seed_has_a_point_and_no_interval():
    one = made_study(TWO, 1, 1, seeds=(3,))
    axis = paper.draw("differences", one).axes[0]
    assert len(axis.lines) == 2
    assert axis.texts[0].get_text().endswith("(no interval), n = 1")
    assert paper.numbers("differences", one)[["low", "high"]].isna().all(axis=None)


def test_accuracy_is_drawn_over_kappa_with_the_others_across(study):
    figure = paper.draw("accuracy_kappa", study)
    (axis,) = figure.axes
    curve = axis.containers[0].lines[0]
    kappas = {"fixed:kappa=0.25": 0.25, "fixed": 1.0, "fixed:kappa=4": 4.0}
    assert list(curve.get_xdata(orig=False)) == list(kappas.values())
    means = [accuracies(study, variant).mean() for variant in kappas]
    np.testing.assert_allclose(curve.get_ydata(orig=False), means)
    spreads = [
        (segment[1, 1] - segment[0, 1]) / 2 for segment in axis.containers[0].lines[2][0].get_segments()
    ]
    np.testing.assert_allclose(spreads, [accuracies(study, variant).std(ddof=1) for variant in kappas])
    (seeds,) = [line for line in axis.lines if line.get_marker() == "."]
    assert len(seeds.get_xdata()) == 3 * len(SEEDS)
    across = [line for line in axis.lines if line.get_transform() == axis.get_yaxis_transform(which="grid")]
    heights = [line.get_ydata()[0] for line in across]
    np.testing.assert_allclose(heights, [accuracies(study, name).mean() for name in ("mpd-agl", "lsg")])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["fixed κ", "MPD-AGL", "LSG"]
    table = paper.numbers("accuracy_kappa", study).set_index("variant")
    assert table["kappa"].dropna().to_dict() == kappas


def test_what_a_study_cannot_support_is_skipped_with_the_reason():
    skipped = paper.skipped(made_study(TWO, 1, 1))
    assert set(skipped) == {"accuracy_kappa"}
    assert skipped["accuracy_kappa"].startswith("fewer than two fixed widths")
    alone = made_study(["mpd-agl"], 1, 1)
    assert paper.skipped(alone)["differences"].startswith("one strategy alone")
    with pytest.raises(BadInput, match="one strategy alone"):
        paper.draw("differences", alone)


def test_four_rows_of_potentials_a_page():
    study = made_study(SEVEN, 2, 2)
    figure = paper.draw("potentials", study)
    assert len(figure.axes) == 4 * 2
    caption = paper.caption("potentials", study)
    assert "Not shown: observed quantile, LSG, DS-ATGO." in caption
    assert list(paper.numbers("potentials", study)["variant"].unique()) == list(SEVEN[:4])
    chosen = made_study(SEVEN, 2, 2, strategies=["lsg", "fixed"])
    assert list(paper.numbers("potentials", chosen)["variant"].unique()) == ["lsg", "fixed"]
    labels = [axis.get_ylabel() for axis in paper.draw("potentials", chosen).axes[::2]]
    assert labels == ["LSG", "fixed\nκ = 1"]
    # Others keep all of them, and everybody's colour stays.
    assert set(paper.numbers("available_ratio", chosen)["variant"]) == set(SEVEN)
    assert chosen.looks == study.looks


@pytest.mark.parametrize(
    ("strategies", "said"),
    [(["lsgg"], "unknown strategy 'lsgg'; did you mean 'lsg'"), (SEVEN[:5], "5 strategies.*at most 4")],
)
def test_strategies_that_cannot_be_drawn_are_refused(strategies, said):
    with pytest.raises(BadInput, match=said):
        made_study(SEVEN, 1, 1, strategies=list(strategies))


def measured(text, points):
    """Width in inches in Computer Modern, LaTeX's own letters."""
    plain = re.sub(r"\\shortstack\[.\]\{(.*)\}", r"\1", text).split(r"\\")
    shown = [re.sub(r"[$\\{}]", "", part.replace(r"$\pm$", "+").replace(r"\kappa", "k")) for part in plain]
    font = FontProperties(fname=CMR)
    paths = [TextPath((0, 0), part.strip(), size=points, prop=font) for part in shown if part.strip()]
    return max((path.get_extents().x1 for path in paths), default=0) / 72.27


def table_width(text):
    points = {"small": 9, "footnotesize": 8}[re.search(r"\\(small|footnotesize)", text).group(1)]
    gap = float(re.search(r"tabcolsep\}\{(\d+)pt", text).group(1))
    widths = []
    for body in re.findall(r"\\begin\{tabular\}.*?\\toprule(.*?)\\end\{tabular\}", text, re.DOTALL):
        rows = [line.strip().removesuffix(r"\\") for line in body.splitlines() if "&" in line]
        cells = [re.split(r"(?<!\\)&", row) for row in rows]
        columns = zip(*cells, strict=True)
        widths.append(
            sum(
                max(measured(cell.strip(), points) + 2 * gap / 72.27 for cell in column) for column in columns
            )
        )
    return widths


def cmr():
    from matplotlib import get_data_path

    return f"{get_data_path()}/fonts/ttf/cmr10.ttf"


CMR = cmr()
MANY = [*SEVEN, "fixed:kappa=0.25", "fixed:kappa=2", "fixed:kappa=4", "mpd-agl:shape=atan", "lsg:shape=atan"]


@pytest.mark.thorough
@pytest.mark.parametrize("strategies", [TWO, SEVEN, MANY])
@pytest.mark.parametrize("name", latex.TABLES)
def test_tables_fit_a_page_and_narrow_ones_a_column(strategies, name):
    text = latex.render(name, made_study(strategies, 20, 1))
    widths = table_width(text)
    assert 0.8 < max(widths) <= 7.0
    assert (r"\begin{table*}" in text) or max(widths) <= 3.3
    assert text.count(r"\begin{tabular}") == len(widths)
    if name == "table_available_ratio":
        assert len(re.findall("^20 ", text, re.MULTILINE)) == len(widths)
        assert sum(body.count(r"\toprule") for body in [text]) == len(widths)


def test_accuracies_have_their_paired_differences_beside_them(study):
    lines = latex.render("table_accuracy", study).splitlines()
    first = accuracies(study, "mpd-agl")
    assert r"strategy & n & \shortstack[r]{validation\\(\%)}" in "\n".join(lines)
    row = next(line for line in lines if line.startswith("LSG"))
    pairs = accuracies(study, "lsg") - first
    low, high = stats.ttest_1samp(pairs, 0).confidence_interval(0.95)
    wanted = f"{100 * pairs.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
    *_, difference, p, least = row.replace("$-$", "-").removesuffix(r" \\").split(" & ")
    assert difference == wanted
    every = sorted(stats.ttest_rel(accuracies(study, name), first).pvalue for name in WIDTHS[1:])
    own = stats.ttest_rel(accuracies(study, "lsg"), first).pvalue
    holm = max(min(1, q * (len(every) - k)) for k, q in enumerate(every) if q <= own)
    assert p == ("< 0.001" if holm < 0.001 else f"{holm:.2g}")
    # `detectable` itself is held against simulation in tests/analysis.
    assert least == f"{100 * paired.detectable(len(SEEDS), pairs.std(ddof=1)):.1f}"
    assert next(line for line in lines if line.startswith("MPD-AGL")).endswith(r"& -- & -- & -- \\")
    assert set(latex.TABLES) == {"table_accuracy", "table_available_ratio"}
