import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from drawn import check_letters, check_place, shown_texts
from matplotlib.colors import to_hex

import mpdviz
from mpdviz import checkpoint, data, figures, networks
from mpdviz.errors import BadInput
from mpdviz.figures.axes import shown_timesteps
from mpdviz.figures.style import FORMATS, INSIDE, OUTSIDE, PREDICTIONS, save, timestep_colours
from mpdviz.figures.tables import Tables

SAMPLE = Path(__file__).parents[2] / "sample_checkpoints" / "mpd_agl.pt"
MAGIC = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
OF_A_NETWORK = [name for name, kind in figures.FIGURES.items() if not kind.each_layer]


def recorded(network, x, y):
    with mpdviz.record(network, gradients=True) as mpd:
        F.cross_entropy(network(x).mean(0), y).backward()
    return Tables.of(mpd.layers)


@pytest.fixture(scope="module")
def small():
    """5 layers, 4 timesteps: a trained network."""
    x, y = next(iter(data.batches(data.load("digits"), "test", 32)))
    return recorded(checkpoint.load(SAMPLE).network, x, y)


@pytest.fixture(scope="module")
def large():
    """20 layers, 10 timesteps."""
    torch.manual_seed(0)
    options = {"in_channels": 3, "image_size": 32, "planes": (8, 16, 32), "encode_channels": 8}
    network = networks.build("resnet19", timesteps=10, num_classes=10, strategy="mpd-agl", **options)
    return recorded(network, torch.randn(2, 3, 32, 32), torch.tensor([1, 2]))


def restricted(tables, table):
    return replace(
        tables,
        table=table,
        histograms=tables.histograms.merge(table[["layer", "timestep"]]),
        curves=tables.curves.merge(table[["layer", "timestep"]]),
        spread=tables.spread.merge(table[["layer", "timestep"]]),
    )


@pytest.fixture(scope="module")
def broken(small):
    """Layer 2 without a batch norm, layer 4 without a finite potential, one gradient of exactly zero."""
    table, histograms, curves = small.table.copy(), small.histograms.copy(), small.curves.copy()
    guesses = [name for name in table if name.startswith(("predicted_", "best"))]
    table.loc[table["layer"] == 2, guesses[:-1]] = np.nan
    lost = table["layer"] == 4
    kept = ["layer", "name", "timestep", "count", "v_th", "kappa", "lower", "upper", *guesses]
    table.loc[lost, table.columns.difference(kept)] = np.nan
    table.loc[lost, "nonfinite"] = table.loc[lost, "count"]
    table.loc[(table["layer"] == 5) & (table["timestep"] == 1), "grad_norm"] = 0.0
    histograms.loc[histograms["layer"] == 4, "count"] = 0
    histograms.loc[(histograms["layer"] == 4) & histograms["density"].notna(), "density"] = 0.0
    curves.loc[curves["layer"] == 4, ["available_ratio", "mean_gain"]] = 0.0
    spread = small.spread.copy()
    spread.loc[spread["layer"] == 2, ["paper", "past", "variance"]] = np.nan
    spread.loc[spread["layer"] == 4, ["observed", "rest"]] = np.nan
    return Tables(table, histograms, curves, spread)


@pytest.fixture(scope="module")
def cases(small, large, broken):
    single = small.layer(3)
    lost = broken.layer(4)
    return {
        "20x10": large,
        "5x4": small,
        "broken": broken,
        "1x1": restricted(single, single.table[single.table["timestep"] == 1]),
        "1x10": large.layer(20),
        "nothing finite": lost,
        "some": restricted(
            large, large.table[large.table["timestep"].isin([3, 9]) & (large.table["layer"] > 13)]
        ),
    }


def both(name, tables):
    return figures.draw(name, tables), figures.numbers(name, tables)


def test_registry_and_modules_need_no_torch():
    names = "', '".join([*figures.FIGURES, "tables"])
    script = f"""
import sys, importlib
from mpdviz import figures
assert not {{"matplotlib", "pandas", "torch"}} & set(sys.modules), "listing figures must be quick"
for name in ('{names}'):
    importlib.import_module("mpdviz.figures." + name)
assert "torch" not in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.thorough
@pytest.mark.parametrize("case", ["20x10", "5x4", "broken", "1x1", "1x10", "nothing finite", "some"])
@pytest.mark.parametrize("name", OF_A_NETWORK)
def test_no_text_overlaps_or_leaves_the_page(cases, name, case):
    figure = figures.draw(name, cases[case])
    assert figure.get_figwidth() <= 7
    check_letters(figure)
    check_place(figure)


def test_ridge_numbers_are_the_histogram_joined(small):
    bars = figures.numbers("ridge", small)
    for (layer, timestep), rows in bars.groupby(["layer", "timestep"]):
        mask = (small.histograms["layer"] == layer) & (small.histograms["timestep"] == timestep)
        fine = small.histograms[mask]
        assert len(rows) > 30
        for _, bar in rows.iloc[::7].iterrows():
            inside = fine[(fine["left"] >= bar["left"]) & (fine["right"] <= bar["right"])]["count"].sum()
            width = bar["right"] - bar["left"]
            assert bar["density"] == pytest.approx(inside / fine["count"].sum() / width)
        # What is left out is at most the outermost 0.1 % on either side.
        assert 0.998 <= (rows["density"] * (rows["right"] - rows["left"])).sum() <= 1 + 1e-12
    merged = bars.merge(small.table, on=["layer", "timestep"], suffixes=("", "_main"))
    np.testing.assert_array_equal(merged["lower"], merged["lower_main"])
    np.testing.assert_array_equal(merged["upper"], merged["upper_main"])
    z = ((merged["left"] + merged["right"]) / 2 - merged["predicted_mean"]) / merged["predicted_std"]
    normal = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) / merged["predicted_std"]
    np.testing.assert_allclose(merged["predicted_density"], normal, rtol=1e-9)


def test_ridge_draws_its_numbers(broken):
    figure, bars = both("ridge", broken)
    assert len(figure.axes) == 4
    for timestep, axis in enumerate(figure.axes, 1):
        intervals = [patch for patch in axis.patches if hasattr(patch, "get_width")]
        # Of each ridge: all of it, the part inside, and the outline.
        ridges = [patch for patch in axis.patches if not hasattr(patch, "get_width")]
        inside, outlines = ridges[1::3], ridges[2::3]
        ridges = ridges[::3]
        at = broken.table[broken.table["timestep"] == timestep]
        np.testing.assert_allclose([box.get_x() for box in intervals], at["lower"])
        np.testing.assert_allclose([box.get_x() + box.get_width() for box in intervals], at["upper"])
        assert [text.get_text() for text in axis.texts] == ["not finite"]
        assert {to_hex(patch.get_facecolor()) for patch in inside} == {INSIDE.lower()}
        assert {to_hex(patch.get_facecolor()) for patch in ridges} == {OUTSIDE.lower()}
        assert len(outlines) == 4
        for part, (_, row) in zip(inside, at[at["layer"] != 4].iterrows(), strict=True):
            sides = part.get_data().edges
            assert (sides[0], sides[-1]) == pytest.approx((row["lower"], row["upper"]))
        for patch, layer in zip(ridges, (1, 2, 3, 5), strict=True):
            of_layer = bars[bars["layer"] == layer]
            rows = of_layer[of_layer["timestep"] == timestep]
            heights, edges, base = patch.get_data()
            assert base == 1 - layer
            np.testing.assert_array_equal(edges[:-1], rows["left"])
            np.testing.assert_allclose(heights - base, 0.85 * rows["density"] / of_layer["density"].max())
        # The layer without a batch norm has no prediction to draw.
        assert [bool(np.isfinite(line.get_ydata()).any()) for line in axis.lines] == [
            True,
            False,
            True,
            True,
            True,
        ]


def test_ratio_map_draws_its_numbers_from_0_to_100_and_frames_nothing_where_all_is_well(broken):
    figure, shown = both("ratio_map", broken)
    axis = figure.axes[0]
    ratio = broken.table["available_ratio"].to_numpy().reshape(5, 4)
    np.testing.assert_array_equal(shown.iloc[:, 2:], ratio)
    np.testing.assert_array_equal(axis.collections[0].get_array().filled(np.nan), ratio)
    assert list(shown.columns) == ["layer", "name", "t=1", "t=2", "t=3", "t=4"]
    assert not axis.patches
    assert "Framed" not in figures.caption("ratio_map", broken)
    texts = [text.get_text() for text in axis.texts]
    assert texts == [f"{100 * share:.1f}" if share == share else "–" for share in ratio.ravel()]
    assert axis.collections[0].get_clim() == (0, 1)


def test_ratio_map_frames_a_share_that_mpdviz_check_refuses(small):
    table = small.table.copy()
    table.loc[(table["layer"] == 3) & (table["timestep"] == 2), "available_ratio"] = 0.07
    table.loc[(table["layer"] == 4) & (table["timestep"] == 1), "available_ratio"] = 0.09
    starved = restricted(small, table)
    figure = figures.draw("ratio_map", starved)
    (frame,) = figure.axes[0].patches
    assert frame.get_xy() == (1, 2)
    assert figure.axes[0].collections[0].get_clim() == (0, 1)
    assert "below 10 %" in figures.caption("ratio_map", starved)


def test_what_if_draws_curves_and_own_widths(broken):
    figure, points = both("what_if", broken)
    assert len(figure.axes) == 10
    assert not any("peak" in text.get_text() for axis in figure.axes for text in axis.texts)
    own = points[points["own"]].merge(broken.table, on=["layer", "timestep"], suffixes=("", "_main"))
    np.testing.assert_array_equal(own["available_ratio"], own["available_ratio_main"])
    np.testing.assert_array_equal(own["mean_gain"], own["mean_gain_main"])
    np.testing.assert_allclose(own["kappa"], own["kappa_main"])
    curves = points[~points["own"] & (points["layer"] != 4)]
    same = curves.merge(broken.curves, on=["layer", "timestep", "kappa"], suffixes=("", "_full"))
    assert len(same) == len(curves) > 4 * 4 * 30
    np.testing.assert_array_equal(same["available_ratio"], same["available_ratio_full"])
    assert points.loc[points["layer"] == 4, ["available_ratio", "mean_gain"]].isna().all(axis=None)
    first = points[(points["layer"] == 1) & (points["timestep"] == 1)]
    line, dot = figure.axes[0].lines[:2]
    np.testing.assert_array_equal(line.get_ydata(), first.loc[~first["own"], "available_ratio"])
    np.testing.assert_array_equal(dot.get_xdata(), first.loc[first["own"], "kappa"])
    # The recorded ratio of a rectangular surrogate lies on its own curve.
    full = broken.curves[(broken.curves["layer"] == 1) & (broken.curves["timestep"] == 1)]
    on_curve = np.interp(dot.get_xdata(), full["kappa"], full["available_ratio"])
    assert on_curve == pytest.approx(dot.get_ydata(), abs=0.005)


def test_one_peak_flattens_no_layer_and_is_said(small):
    curves = small.curves.copy()
    first = curves.groupby(["layer", "timestep"]).cumcount() == 0
    curves.loc[first & (curves["layer"] == 2) & (curves["timestep"] == 3), "mean_gain"] = 47.0
    figure = figures.draw("what_if", replace(small, curves=curves))
    for layer in range(1, 6):
        gain = figure.axes[layer - 1 + 5]
        rows = small.table[small.table["layer"] == layer]
        bottom, top = gain.get_ylim()
        assert bottom == 0
        assert rows["mean_gain"].max() < top < 6 * rows["mean_gain"].max()
        assert [text.get_text() for text in gain.texts] == (["peak 47"] if layer == 2 else [])


def test_predicted_draws_every_source(broken):
    figure, values = both("predicted", broken)
    assert len(figure.axes) == 9
    assert sorted(values["timestep"].unique()) == [1, 2, 4]
    assert list(values["source"].unique()) == ["observed", *PREDICTIONS]
    reset = values[(values["source"] == "reset") & (values["timestep"] == 4)]
    at = broken.table[broken.table["timestep"] == 4]
    np.testing.assert_array_equal(reset["std"], at["predicted_std_reset"])
    np.testing.assert_array_equal(reset["ratio"], at["predicted_ratio_reset"])
    last = figure.axes[-1]
    observed = values[(values["source"] == "observed") & (values["timestep"] == 4)]
    np.testing.assert_array_equal(last.lines[0].get_ydata(), observed["ratio"])
    np.testing.assert_array_equal(last.lines[4].get_ydata(), reset["ratio"])
    assert np.isnan(reset["std"].to_numpy()[1])


def test_without_a_batch_norm_the_legend_names_no_predictions(small):
    guesses = {name: np.nan for name in small.table if name.startswith("predicted_")}
    figure, _ = both("predicted", restricted(small, small.table.assign(**guesses)))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["measured"]
    assert all(len(axis.lines) == 1 for axis in figure.axes)


def test_gradient_norm_draws_lines_and_marks_zeros(broken):
    figure, values = both("gradient_norm", broken)
    norm, zero, cosine = figure.axes
    assert norm.get_yscale() == "log"
    lines = [line for line in norm.lines if line.get_label().startswith("$t")]
    assert len(lines) == len(zero.lines) == len(cosine.lines) == 4
    third = values[values["timestep"] == 3]
    np.testing.assert_array_equal(lines[2].get_ydata(), third["grad_norm"])
    np.testing.assert_array_equal(zero.lines[2].get_ydata(), third["grad_zero_ratio"])
    triangle = next(line for line in norm.lines if line.get_marker() == "v")
    assert (triangle.get_xdata(), triangle.get_ydata()) == ([5], [0])


def test_one_timestep_has_no_cosine_panel(cases):
    table = cases["1x1"].table.assign(grad_cosine=np.nan)
    assert len(figures.draw("gradient_norm", replace(cases["1x1"], table=table)).axes) == 2


def test_states_average_by_finite_potentials(large, broken):
    table = large.table.copy()
    table.loc[0, "nonfinite"] = table.loc[0, "count"] // 2
    table.loc[1, ["below_ratio", "available_ratio", "above_ratio"]] = np.nan
    table.loc[1, "nonfinite"] = table.loc[1, "count"]
    figure, shares = both("states", replace(large, table=table))
    first = table[(table["layer"] == 1) & table["available_ratio"].notna()]
    weights = first["count"] - first["nonfinite"]
    expected = np.average(first["available_ratio"], weights=weights)
    assert shares["available_ratio"][0] == pytest.approx(expected)
    np.testing.assert_allclose(shares[["below_ratio", "available_ratio", "above_ratio"]].sum(axis=1), 1)
    assert len(figure.axes) == 1
    widths = [bar.get_width() for bar in figure.axes[0].containers[1]]
    np.testing.assert_allclose(widths, shares["available_ratio"], rtol=1e-12)
    figure, shares = both("states", broken)
    assert len(figure.axes) == 4
    left = [bar.get_x() for bar in figure.axes[3].containers[1]]
    at = shares[shares["timestep"] == 4]["below_ratio"]
    np.testing.assert_array_equal(left, at.fillna(0))
    assert "not measured" in [text.get_text() for text in figure.axes[3].texts]


def test_distribution_shades_the_interval(small):
    tables = small.layer(3)
    figure, histogram = both("distribution", tables)
    pd.testing.assert_frame_equal(histogram, tables.histograms)
    for axis, (_, row) in zip(figure.axes, tables.table.iterrows(), strict=True):
        span = axis.patches[0]
        assert (span.get_x(), span.get_x() + span.get_width()) == pytest.approx((row["lower"], row["upper"]))
        assert f"{100 * row['available_ratio']:.1f} % inside" in axis.get_title()
        part, sides, _ = axis.patches[2].get_data()
        assert to_hex(axis.patches[2].get_facecolor()) == INSIDE.lower()
        assert (sides[0], sides[-1]) == pytest.approx((row["lower"], row["upper"]))
        # What is coloured is the share in the title, but for bars that an end of the interval cuts.
        assert (part * np.diff(sides)).sum() == pytest.approx(row["available_ratio"], abs=0.02)
        density, edges, _ = axis.patches[1].get_data()
        # All but the outermost of the potentials are drawn.
        assert 0.998 <= (density * np.diff(edges)).sum() <= 1 + 1e-12
        assert axis.lines[0].get_xdata() == [row["v_th"]] * 2


def test_the_parts_of_the_spread_error_are_stacked(broken):
    figure, values = both("spread_error", broken)
    assert [axis.get_title() for axis in figure.axes] == ["$t=1$", "$t=2$", "$t=4$"]
    rows = values[values["timestep"] == 4]
    # Parts of which some are not known lead nowhere: nothing is drawn of layers 2 and 4, and that is said.
    whole = rows[rows["layer"].isin([1, 3, 5])]
    assert whole.notna().to_numpy().all()
    assert [text.get_text() for text in figure.axes[2].texts] == ["gaps: not measured"]
    ends = {}
    assert len(figure.axes[2].containers) == 5
    for bars in figure.axes[2].containers:
        for bar, layer, value in zip(bars, whole["layer"], whole[bars.get_label()], strict=True):
            assert bar.get_height() == value
            assert bar.get_x() + bar.get_width() / 2 == pytest.approx(layer)
            ends.setdefault((layer, value > 0), []).append(value)
            assert bar.get_y() == pytest.approx(sum(ends[layer, value > 0]) - value, abs=1e-12)
    drawn = figure.axes[2].lines[0].get_ydata()
    np.testing.assert_array_equal(drawn, rows["observed"] - rows["paper"])


def test_many_timesteps_are_thinned():
    table = pd.DataFrame({"timestep": np.repeat(np.arange(1, 101), 2)})
    shown = shown_timesteps(table)
    assert (shown[0], shown[-1], len(shown)) == (1, 100, 10)
    assert shown_timesteps(table[table["timestep"] < 4]) == [1, 2, 3]
    assert len(set(timestep_colours(10))) == 10


def test_many_timesteps_can_be_drawn(large):
    table = large.table[large.table["layer"] < 4]
    later = [table.assign(timestep=table["timestep"] + 10 * k) for k in range(4)]
    wide = Tables(
        pd.concat(later, ignore_index=True),
        *(
            pd.concat([part.assign(timestep=part["timestep"] + 10 * k) for k in range(4)], ignore_index=True)
            for part in (frame.query("layer < 4") for frame in (large.histograms, large.curves, large.spread))
        ),
    )
    assert len(figures.draw("ridge", wide).axes) == 10
    assert len(figures.draw("ratio_map", wide).axes[0].texts) == 0
    shown = shown_texts(figures.draw("ratio_map", wide))
    assert {"10", "20", "30", "40"} <= {text.get_text() for text in shown}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", OF_A_NETWORK)
def test_saved_files_are_whole_repeatable_and_searchable(tmp_path, broken, name, kind):
    few = restricted(
        broken, broken.table[broken.table["layer"].isin([2, 4]) & (broken.table["timestep"] < 3)]
    )
    one = save(figures.draw(name, few), tmp_path / f"one.{kind}").read_bytes()
    two = save(figures.draw(name, few), tmp_path / f"two.{kind}").read_bytes()
    assert one.startswith(MAGIC[kind])
    assert one == two
    if kind == "pdf":
        assert b"/FontFile2" in one
        assert b"/Type3" not in one
    if kind == "svg":
        assert b"<text" in one
        assert b"DejaVuSans-" not in one  # glyphs as outlines would be named so


@pytest.mark.thorough
def test_write_puts_numbers_beside_every_figure(tmp_path, small):
    paths = list(figures.write(small, tmp_path, "png"))
    stems = [*OF_A_NETWORK, *(f"distribution_layer{number:02d}" for number in range(1, 6))]
    assert [path.name for path in paths] == [
        f"{stem}.{end}" for stem in stems for end in ("csv", "txt", "png")
    ]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}
    for name in OF_A_NETWORK:
        text = (tmp_path / f"{name}.csv").read_text()
        table = figures.numbers(name, small).reset_index(drop=True)
        pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text)), table, check_dtype=False)


def test_tables_of_some_rows(small):
    with mpdviz.record(network := checkpoint.load(SAMPLE).network) as mpd:
        network(torch.rand(2, 1, 8, 8))
    table = mpd.table()
    some = Tables.of(mpd.layers, table[(table["layer"] == 2) & (table["timestep"] > 2)])
    for frame in (some.table, some.histograms, some.curves):
        assert set(zip(frame["layer"], frame["timestep"], strict=True)) == {(2, 3), (2, 4)}
    assert "gradient_norm" not in figures.supported(some)
    assert "gradient_norm" in figures.supported(small)
    with pytest.raises(BadInput, match="gradients=True"):
        figures.draw("gradient_norm", some)
    with pytest.raises(BadInput, match="nothing was recorded"):
        Tables.of(mpd.layers, table[:0])


@pytest.mark.parametrize("layer", [None, 6])
def test_a_figure_of_one_layer_refuses_none_and_several(small, layer):
    several = small if layer is None else small.layer(layer)
    with pytest.raises(BadInput, match=r"one layer, not (5|0); .*`layer`"):
        figures.draw("distribution", several)


def test_another_package_s_figures_are_drawn_like_ours(tmp_path):
    (tmp_path / "theirs.py").write_text("""
from matplotlib.figure import Figure
from mpdviz.figures import RecordingFigure
from mpdviz.figures.paper import StudyFigure

FIGURE = RecordingFigure("nothing", lambda table: Figure(), lambda table: table.head(1))
OF_STUDY = StudyFigure("runs", lambda s, look: Figure(), lambda s: s["runs"], lambda s: "Runs.", needs=())
""")
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[mpdviz.figures]\nmine = theirs:FIGURE\nwrong = theirs:OF_STUDY\n"
        "[mpdviz.paper_figures]\nmine = theirs:OF_STUDY\n"
    )
    script = """
import pandas as pd
from mpdviz import figures
from mpdviz.errors import BadInput
from mpdviz.figures import paper
from mpdviz.figures.tables import Tables

frame = pd.DataFrame({"layer": [1, 2]})
tables = Tables(frame, frame, frame, frame)
assert list(figures.FIGURES)[-2:] == ["mine", "wrong"] and list(paper.FIGURES)[-1] == "mine"
assert type(figures.draw("mine", tables)).__name__ == "Figure"
assert len(figures.numbers("mine", tables)) == 1
assert paper.caption("mine", None) == "Runs."
try:
    figures.draw("wrong", tables)
except BadInput as error:
    assert "RecordingFigure" in str(error)
else:
    raise AssertionError
"""
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], check=True, env=env)


def test_unknown_names_are_refused(tmp_path, small):
    with pytest.raises(BadInput, match="did you mean 'ridge'"):
        figures.draw("rigde", small)
    with pytest.raises(BadInput, match="choose one of: png, pdf, svg"):
        save(figures.draw("states", small), tmp_path / "states.gif")
    with pytest.raises(BadInput, match="'jpg'"):
        next(figures.write(small, tmp_path, "jpg"))
    assert not list(tmp_path.iterdir())
