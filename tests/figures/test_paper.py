"""`mpdviz figures`: run folders in, figures, captions and LaTeX tables out; every number recomputed here."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tomli_w
from drawn import check_place
from matplotlib.colors import to_hex

from mpdviz.errors import BadInput
from mpdviz.figures import paper
from mpdviz.figures.paper import latex, look
from mpdviz.figures.paper.study import Recorded, Study
from mpdviz.runs.reading import StoredRun

SAMPLES = Path(__file__).parents[2] / "sample_checkpoints"
LAYERS, T, EPOCHS = 3, 4, 5
STRATEGIES = ("fixed", "mpd-agl")
SEEDS = (0, 1, 2)
KEYS = ["epoch", "layer", "name", "timestep"]


def tables(strategy, seed, layers=LAYERS, timesteps=T):
    """Tables of one run, of made-up numbers."""
    rng = np.random.default_rng([len(strategy), seed])
    epochs = np.arange(1, EPOCHS + 1)
    metrics = pd.DataFrame({"epoch": epochs, **{name: rng.random(EPOCHS) for name in METRICS}})
    index = pd.MultiIndex.from_product([epochs, range(1, layers + 1), range(1, timesteps + 1)])
    rows = index.to_frame(index=False, name=["epoch", "layer", "timestep"])
    rows["name"] = "features." + rows["layer"].astype(str) + ".neuron_1"
    for name in ("kappa", "std", "predicted_std", "available_ratio"):
        rows[name] = 0.2 + 0.6 * rng.random(len(rows))
    mpd = rows[[*KEYS, "available_ratio", "std", "predicted_std"]]
    mpd.insert(1, "step", 7)
    return {"metrics": metrics, "widths": rows[[*KEYS, "kappa"]], "mpd": mpd}


METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def recorded(seed, layers=LAYERS, timesteps=T):
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([range(1, layers + 1), range(1, timesteps + 1)])
    table = index.to_frame(index=False, name=["layer", "timestep"])
    table["name"] = "features." + table["layer"].astype(str) + ".neuron_1"
    table["v_th"], table["available_ratio"] = 0.5, rng.random(len(table))
    half = 0.3 + 0.1 * rng.random(len(table))
    table["lower"], table["upper"] = 0.5 - half, 0.5 + half
    table["grad_norm"] = rng.random(len(table)) * 10.0 ** -table["layer"]
    edges = np.concatenate([[-np.inf], np.linspace(-2, 2, 129), [np.inf]])
    bins = []
    for row in table.itertuples():
        counts = np.histogram(rng.normal(0.2, 0.4, 1000 * (seed + 1)), edges)[0]
        bounded = np.isfinite(np.diff(edges))
        frame = {"layer": row.layer, "name": row.name, "timestep": row.timestep}
        frame |= {"left": edges[:-1], "right": edges[1:], "count": counts}
        bins.append(pd.DataFrame({**frame, "density": np.where(bounded, 1.0, np.nan)}))
    return Recorded(table, pd.concat(bins, ignore_index=True))


def write_run(folder, strategy, seed, **settings):
    """A run folder as `mpdviz train` leaves it, the best checkpoint a sample of five layers."""
    (folder / "checkpoints").mkdir(parents=True)
    config = {"data": "digits", "strategy": strategy, "seed": seed, "timesteps": T} | settings
    (folder / "config.toml").write_text(tomli_w.dumps(config))
    for name, table in tables(strategy, seed).items():
        table.to_csv(folder / f"{name}.csv", index=False)
    result = {"finished": True, "epoch": 3, "val_accuracy": 0.9, "test_accuracy": 0.8 + 0.01 * seed}
    (folder / "result.json").write_text(json.dumps(result))
    shutil.copy(SAMPLES / f"{strategy.replace('-', '_')}.pt", folder / "checkpoints" / "best.pt")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("runs")
    return [write_run(base / f"{name}-{seed}", name, seed) for name in STRATEGIES for seed in SEEDS]


@pytest.fixture(scope="module")
def study(folders):
    recordings = {folder: recorded(number) for number, folder in enumerate(folders)}
    return Study([StoredRun.of_folder(folder) for folder in folders], recordings)


@pytest.fixture(scope="module")
def large():
    """20 layers, 10 timesteps, 3 strategies, 2 seeds."""
    from mpdviz.config import RunConfig

    runs, recordings = [], {}
    for strategy in ("fixed", "mpd-agl", "fixed:kappa=0.5"):
        for seed in (0, 1):
            config = RunConfig(strategy=strategy, seed=seed, timesteps=10, model="resnet19")
            path = Path(f"{strategy}-{seed}")
            runs.append(StoredRun(path, path, config, tables(strategy, seed, 20, 10), {"test_accuracy": 0.9}))
            recordings[path] = recorded(seed, 20, 10)
    return Study(runs, recordings)


def read(folders, name, strategy):
    """A table of all seeds of a strategy, straight from the files."""
    mine = [folder for folder in folders if folder.name.rpartition("-")[0] == strategy]
    return [pd.read_csv(folder / f"{name}.csv") for folder in mine]


def lines(axis):
    return {line.get_label(): line for line in axis.lines}


@pytest.mark.parametrize(
    ("figure", "table", "column"),
    [("widths", "widths", "kappa"), ("ratio_over_training", "mpd", "available_ratio")],
)
def test_lines_over_epochs_are_means_over_seeds(folders, study, figure, table, column):
    drawn = paper.draw(figure, study)
    assert len(drawn.axes) == LAYERS
    numbers = paper.numbers(figure, study)
    assert (numbers["n"] == len(SEEDS)).all()
    for strategy in STRATEGIES:
        values = np.stack([frame[column] for frame in read(folders, table, strategy)])
        values = values.reshape(len(SEEDS), EPOCHS, LAYERS, T)
        mine = numbers[numbers["variant"] == strategy].sort_values(["epoch", "layer", "timestep"])
        np.testing.assert_allclose(mine["mean"], values.mean(0).ravel())
        np.testing.assert_allclose(mine["std"], values.std(0, ddof=1).ravel())
        for layer, t in ((0, 0), (2, 3)):
            line = lines(drawn.axes[layer])[f"{strategy} t={t + 1}"]
            np.testing.assert_array_equal(line.get_xdata(), np.arange(1, EPOCHS + 1))
            np.testing.assert_allclose(line.get_ydata(), values[:, :, layer, t].mean(0))
    assert drawn.get_supxlabel() == "epoch"


def test_curves_are_means_with_the_range_as_band(folders, study):
    figure = paper.draw("curves", study)
    assert [axis.get_ylabel() for axis in figure.axes[::2]] == ["loss (nats)", "accuracy (%)"]
    assert [axis.get_title() for axis in figure.axes[:2]] == ["training", "validation"]
    assert figure.axes[2].get_xlabel() == figure.axes[3].get_xlabel() == "epoch"
    panels = iter(figure.axes)
    for quantity in ("loss", "accuracy"):
        for split in ("train", "val"):
            axis = next(panels)
            (inset,) = axis.child_axes
            for place, strategy in enumerate(STRATEGIES):
                frames = read(folders, "metrics", strategy)
                values = np.stack([frame[f"{split}_{quantity}"] for frame in frames])
                np.testing.assert_allclose(axis.lines[place].get_ydata(), values.mean(0))
                box = axis.collections[place].get_datalim(axis.transData)
                assert (box.y0, box.y1) == pytest.approx((values.min(), values.max()))
                # The inset holds the last epochs.
                late = inset.lines[place]
                np.testing.assert_array_equal(late.get_xdata(), [EPOCHS - 1, EPOCHS])
                np.testing.assert_allclose(late.get_ydata(), values.mean(0)[-2:])
                low, high = inset.get_ylim()
                assert low < late.get_ydata().min() <= late.get_ydata().max() < high


def test_insets_lie_where_late_curves_are_not(large):
    figure = paper.draw("curves", large)
    figure.draw_without_rendering()
    assert all(0 <= tick <= 1 for axis in figure.axes[2:] for tick in axis.get_yticks())
    for axis in figure.axes:
        (inset,) = axis.child_axes
        box = inset.get_window_extent()
        for line in axis.lines:
            x, y = axis.transData.transform(np.column_stack(line.get_data())).T
            late = x >= box.x0
            assert not (late & (y > box.y0) & (y < box.y1)).any()


def test_few_epochs_have_no_inset(folders):
    runs = [StoredRun.of_folder(folder) for folder in folders]
    metrics = runs[0].tables["metrics"]
    short = [replace(run, tables={"metrics": metrics[metrics["epoch"] < 4]}) for run in runs]
    figure = paper.draw("curves", Study(short))
    assert not any(axis.child_axes for axis in figure.axes)
    assert "Insets" not in paper.caption("curves", Study(short))


def test_ratios_are_means_over_timesteps_and_seeds_with_sample_std(folders, study):
    axis = paper.draw("available_ratio", study).axes[0]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("layer, from input to output", "available ratio (%)")
    assert not axis.patches
    assert axis.get_ylim() == (0, 1)
    points = [container.lines[0] for container in axis.containers]
    whiskers = [segment for part in axis.collections for segment in part.get_segments()]
    # Each layer's points lie around it, none upon another.
    at = np.stack([line.get_xdata(orig=False) for line in points])
    assert (np.abs(at - np.arange(1, LAYERS + 1)) < 0.5).all()
    assert (np.diff(at, axis=0) > 0.1).all()
    expected, spreads = [], []
    for strategy in STRATEGIES:
        last = [frame[frame["epoch"] == EPOCHS] for frame in read(folders, "mpd", strategy)]
        ratios = np.stack([frame["available_ratio"] for frame in last]).reshape(len(SEEDS), LAYERS, T).mean(2)
        expected += list(ratios.mean(0))
        spreads += list(ratios.std(0, ddof=1))
    np.testing.assert_allclose(np.concatenate([line.get_ydata(orig=False) for line in points]), expected)
    np.testing.assert_allclose([(s[1, 1] - s[0, 1]) / 2 for s in whiskers], spreads)
    assert "last epoch" in paper.caption("available_ratio", study)


def test_spread_draws_measured_and_predicted_side_by_side(folders, study):
    figure = paper.draw("spread", study)
    assert len(figure.axes) == LAYERS
    # Each panel has a scale of its own.
    assert not figure.axes[0].get_shared_y_axes().joined(*figure.axes[:2])
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["fixed κ = 1", "MPD-AGL", "measured", "predicted"]
    for strategy in STRATEGIES:
        last = [frame[frame["epoch"] == EPOCHS] for frame in read(folders, "mpd", strategy)]
        containers = {bars.get_label(): bars for bars in figure.axes[1].containers}
        for source, column in (("measured", "std"), ("predicted", "predicted_std")):
            values = np.stack([frame.loc[frame["layer"] == 2, column] for frame in last])
            line = containers[f"{strategy} {source}"].lines[0]
            np.testing.assert_allclose(line.get_ydata(orig=False), values.mean(0))
            assert (line.get_markerfacecolor() == "none") == (source == "predicted")
            aside = -0.175 if strategy == "fixed" else 0.175
            np.testing.assert_allclose(line.get_xdata(orig=False), np.arange(T) + aside)


def test_gradients_add_up_over_timesteps(study):
    axis = paper.draw("gradient_by_depth", study).axes[0]
    assert axis.get_yscale() == "log"
    table = study["recorded"]
    for line, strategy in zip(axis.lines, STRATEGIES, strict=True):
        mine = table[table["variant"] == strategy]["grad_norm"].to_numpy().reshape(len(SEEDS), LAYERS, T)
        np.testing.assert_allclose(line.get_ydata(orig=False), np.sqrt((mine**2).sum(2)).mean(0))
    assert "best checkpoint" in paper.caption("gradient_by_depth", study)


def test_potentials_are_pooled_with_mean_intervals(study):
    figure = paper.draw("potentials", study)
    assert len(figure.axes) == len(STRATEGIES) * T
    assert f"layer {study.layer} (" in figure.get_supxlabel()
    ratios = study["final"].groupby("layer")["available_ratio"].mean()
    assert study.layer == ratios.idxmin()
    table, bins = study["recorded"], study["histograms"]
    for index, axis in enumerate(figure.axes):
        strategy, t = STRATEGIES[index // T], index % T + 1
        here = (table["variant"] == strategy) & (table["layer"] == study.layer) & (table["timestep"] == t)
        mean = table.loc[here, ["lower", "upper", "v_th", "available_ratio"]].mean()
        shaded, every, inside, _ = axis.patches
        assert shaded.get_x() == pytest.approx(mean["lower"])
        assert shaded.get_x() + shaded.get_width() == pytest.approx(mean["upper"])
        assert [line.get_xdata()[0] for line in axis.lines] == [mean["v_th"]]
        assert axis.get_title().endswith(f"{100 * mean['available_ratio']:.0f} % inside")
        assert (f"$t={t}$" in axis.get_title()) == (index < T)
        _, sides, _ = inside.get_data()
        assert (sides[0], sides[-1]) == pytest.approx((mean["lower"], mean["upper"]))
        assert to_hex(inside.get_facecolor()) == study.looks[strategy].colour.lower()
        density, edges, _ = every.get_data()
        own = (bins["variant"] == strategy) & (bins["layer"] == study.layer) & (bins["timestep"] == t)
        inside = bins[own & (bins["left"] >= edges[10]) & (bins["right"] <= edges[20])]["count"].sum()
        share = (density[10:20] * np.diff(edges[10:21])).sum()
        assert share == pytest.approx(inside / bins.loc[own, "count"].sum())


@pytest.mark.parametrize("name", [name for name in paper.FIGURES if name != "accuracy_kappa"])
def test_captions_name_data_strategies_seeds_and_error_bars(study, name):
    text = paper.caption(name, study)
    assert "Data: digits" in text
    assert "T = 4" in text
    assert text.count("n = 3") == 1
    assert "Strategies: fixed κ = 1; MPD-AGL (n = 3 each, seeds 0, 1, 2)." in text
    assert re.search("error bars|Error bars|Bands", text)


@pytest.mark.thorough
@pytest.mark.parametrize("name", paper.FIGURES)
@pytest.mark.parametrize("style", look.LOOKS)
def test_many_layers_and_timesteps_fit(large, name, style):
    figure = paper.draw(name, large, style)
    assert figure.get_figwidth() in (look.LOOKS[style].column, look.LOOKS[style].page)
    if style == "talk":
        assert figure.get_figwidth() / figure.get_figheight() == pytest.approx(16 / 9, rel=1e-3)
    check_place(figure, least=1)


def test_latex_tables(study, folders, tmp_path):
    extra = write_run(tmp_path / "slow_decay", "fixed", 0, decay=0.5)
    varied = Study([StoredRun.of_folder(folder) for folder in [*folders, extra]])
    lines = latex.render("table_accuracy", varied).splitlines()
    rules = [line for line in lines if line.endswith("rule")]
    assert rules == [r"\toprule", r"\midrule", r"\bottomrule"]
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    std = 100 * np.std([0.80, 0.81, 0.82], ddof=1)
    spread = rf"90.0 $\pm$ 0.0 & 81.0 $\pm$ {std:.1f}"
    assert body == [
        rf"fixed $\kappa$ = 1 & 0.2 & 3 & {spread} & -- \\",
        rf"MPD-AGL & 0.2 & 3 & {spread} & +0.0 \\",
        r"fixed $\kappa$ = 1 & 0.5 & 1 & 90.0 & 80.0 & +0.0 \\",
    ]
    for name in latex.TABLES:
        text = latex.render(name, study)
        assert text.count(r"\begin{") == text.count(r"\end{") == 2
        assert not re.search(r"(?<!\\)_", text)
        assert not re.search(r"(?<!\\)%(?! needs)", text)
        assert text.isascii()
        columns = {line.count("&") for line in text.splitlines() if line.endswith(r"\\")}
        assert len(columns) == 1
    assert r"features.1.neuron\_1" in latex.render("table_available_ratio", study)
    assert latex.escape("a_b%\\{x}") == r"a\_b\%\textbackslash{}\{x\}"


@pytest.mark.thorough
def test_written_files_embed_fonts_and_hold_the_numbers(study, tmp_path):
    paths = list(paper.write(study, tmp_path, ("pdf", "svg")))
    made = [name for name in paper.FIGURES if name not in paper.skipped(study)]
    figures = {f"{name}.{end}" for name in made for end in ("csv", "txt", "pdf", "svg")}
    assert {path.name for path in paths} == figures | {
        f"{n}.{e}" for n in latex.TABLES for e in ("csv", "tex")
    }
    for name in made:
        pdf = (tmp_path / f"{name}.pdf").read_bytes()
        assert b"/FontFile2" in pdf
        assert b"/Type3" not in pdf
        assert b"<text" in (tmp_path / f"{name}.svg").read_bytes()
        shown = pd.read_csv(tmp_path / f"{name}.csv")
        np.testing.assert_allclose(
            shown.select_dtypes("number"), paper.numbers(name, study).select_dtypes("number")
        )


def test_what_was_not_measured_is_said_and_never_0(folders):
    runs = [StoredRun.of_folder(folder) for folder in folders]
    for run in runs:
        mpd = run.tables["mpd"]
        mpd.loc[(mpd["layer"] == 2) & (mpd["timestep"] == 1), ["available_ratio", "std"]] = np.nan
        mpd.loc[mpd["layer"] == 3, "available_ratio"] = np.nan
        mpd["predicted_std"] = np.nan
    recordings = {run.path: recorded(0) for run in runs}
    for recording in recordings.values():
        recording.table.loc[recording.table["timestep"] == 2, ["available_ratio", "lower", "upper"]] = np.nan
    study = Study(runs, recordings)
    notes = {
        name: [[text.get_text() for text in axis.texts] for axis in paper.draw(name, study).axes]
        for name in ("available_ratio", "ratio_over_training", "spread")
    }
    assert notes["available_ratio"] == [["gaps: not measured"]]
    assert notes["ratio_over_training"] == [[], ["gaps: not measured"], ["not measured"]]
    assert notes["spread"] == [[], ["gaps: not measured"], []]
    spread = paper.draw("spread", study)
    assert "predicted" not in [text.get_text() for text in spread.legends[0].get_texts()]
    line = paper.draw("available_ratio", study).axes[0].containers[0].lines[0]
    assert np.isnan(line.get_ydata(orig=False)[2])
    titles = [axis.get_title() for axis in paper.draw("potentials", study).axes]
    assert ["not measured" in title for title in titles] == [False, True, False, False] * 2


def test_what_is_missing_is_said(folders, tmp_path):
    bare = write_run(tmp_path / "bare", "mpd-agl", 7)
    (bare / "metrics.csv").unlink()
    (bare / "result.json").unlink()
    study = Study([StoredRun.of_folder(folders[0]), StoredRun.of_folder(bare)])
    skipped = paper.skipped(study)
    assert skipped["curves"] == f"{bare} has no metrics.csv"
    assert "not finished" in skipped["table_accuracy"]
    assert {"potentials", "gradient_by_depth"} <= set(skipped)
    assert {"widths", "spread", "available_ratio"}.isdisjoint(skipped)
    with pytest.raises(BadInput, match=r"no metrics\.csv"):
        paper.draw("curves", study)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"data": "digits-dvs"}, "differ in data"), ({"timesteps": 2}, "differ in timesteps"), ({}, "same run")],
)
def test_runs_that_do_not_belong_together_are_refused(folders, tmp_path, settings, said):
    other = write_run(tmp_path / "other", "fixed", 0, **settings)
    with pytest.raises(BadInput, match=said):
        Study([StoredRun.of_folder(folders[0]), StoredRun.of_folder(other)])


def test_seeds_that_differ_in_machine_or_log_are_one_strategy(tmp_path):
    unlike = [{"log": "tensorboard", "save_every": 2}, {"devices": 2, "compile": True}, {"device": "cuda"}]
    runs = [
        StoredRun.of_folder(write_run(tmp_path / str(seed), "fixed", seed, **settings))
        for seed, settings in enumerate(unlike)
    ]
    study = Study(runs, {run.path: recorded(run.config.seed) for run in runs})
    assert (study.variants, study.settings) == (["fixed"], [])
    assert set(paper.skipped(study)) == {"accuracy_kappa", "differences"}
    for name in set(paper.FIGURES) - set(paper.skipped(study)):
        assert list(paper.numbers(name, study)["variant"].unique()) == ["fixed"]
        assert "fixed κ = 1 (n = 3, seeds 0, 1, 2)" in paper.caption(name, study)


def test_other_layers_unknown_layers_and_damaged_tables_are_refused(folders, tmp_path):
    run = StoredRun.of_folder(folders[0])
    with pytest.raises(BadInput, match="no layer 9"):
        Study([run], layer=9)
    other = write_run(tmp_path / "other", "mpd-agl", 0)
    table = pd.read_csv(other / "widths.csv")
    table[table["layer"] < 3].to_csv(other / "widths.csv", index=False)
    with pytest.raises(BadInput, match="widths: other layers"):
        Study([run, StoredRun.of_folder(other)])
    (other / "mpd.csv").write_text("epoch,layer\n1,2\n")
    with pytest.raises(BadInput, match="no column 'name'"):
        StoredRun.of_folder(other)
    (other / "mpd.csv").write_text("")
    with pytest.raises(BadInput, match=r"mpd\.csv is empty"):
        StoredRun.of_folder(other)


def mpdviz(*args):
    command = [sys.executable, "-m", "mpdviz.cli", "figures", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.thorough
def test_command_draws_checkpoints_and_says_what_it_skips(tmp_path):
    out = tmp_path / "paper"
    samples = [SAMPLES / "fixed.pt", SAMPLES / "mpd_agl.pt"]
    options = ("--format", "svg", "--limit", 32, "--layer", "hidden", "--verbose")
    done = mpdviz(*samples, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    *paths, last = done.stdout.splitlines()
    written = [Path(path) for path in paths]
    assert last == f"wrote {len(written)} files to {out}"
    assert {path.name for path in out.iterdir()} == {".mpdviz"} | {path.name for path in written}
    assert {"potentials.svg", "gradient_by_depth.txt", "table_accuracy.tex"} <= {p.name for p in written}
    assert "skipped curves" in done.stderr
    assert "layer 5 (hidden)" in (out / "potentials.txt").read_text()
    assert "98.6" in (out / "table_accuracy.tex").read_text()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([SAMPLES / "README.md"], "is no run folder"),
        ([SAMPLES / "fixed.pt", "--format", "pdf,gif"], "'gif'"),
        ([SAMPLES / "fixed.pt", "--style", "poster"], "unknown style"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, args, said):
    done = mpdviz(*args, "--out", tmp_path / "out")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert said in done.stderr
    assert not (tmp_path / "out").exists()
