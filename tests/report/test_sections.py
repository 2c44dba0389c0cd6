"""Sections of studies and of several sources, against intervals and shares computed by hand."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import TINY
from scipy import stats
from studies import made_study

from mpdviz import compare, report
from mpdviz.analysis.seeds import interval
from mpdviz.figures.paper.study import Study
from mpdviz.inspection.options import Options
from mpdviz.inspection.reports import PreparedReport
from mpdviz.report.blocks import Picture, Table, Text
from mpdviz.report.study import accuracies, differences

SAMPLES = Path(__file__).parents[2] / "sample_checkpoints"


@pytest.mark.parametrize(("n", "quantile"), [(2, 12.70620), (3, 4.30265), (5, 2.77645), (30, 2.04523)])
def test_the_interval_of_a_mean_is_student_s(n, quantile):
    """The quantiles t(0.975, n - 1) are those of printed tables."""
    low, high = interval(n, 0.9, 0.02)
    assert (low, high) == pytest.approx(
        (0.9 - quantile * 0.02 / n**0.5, 0.9 + quantile * 0.02 / n**0.5), rel=1e-5
    )
    assert np.isnan(interval(1, 0.9, np.nan)).all()


def test_a_study_s_accuracies_and_differences():
    study = made_study(("fixed", "mpd-agl"), 3, 2, seeds=(0, 1, 2))
    table = study["accuracy"]
    by_name = {name: rows["test_accuracy"].to_numpy() for name, rows in table.groupby("variant", sort=False)}
    means = accuracies(study).set_index("variant")
    apart = differences(study).set_index("variant").loc["mpd-agl"]
    for name, values in by_name.items():
        half = 4.30265 * values.std(ddof=1) / 3**0.5
        expected = 100 * values.mean(), 100 * (values.mean() - half), 100 * (values.mean() + half)
        assert tuple(means.loc[name, ["mean", "low", "high"]]) == pytest.approx(expected, rel=1e-5)
    gaps = by_name["mpd-agl"] - by_name["fixed"]
    half = 4.30265 * gaps.std(ddof=1) / 3**0.5
    expected = 100 * gaps.mean(), 100 * (gaps.mean() - half), 100 * (gaps.mean() + half)
    assert tuple(apart[["mean", "low", "high"]]) == pytest.approx(expected, rel=1e-4)
    p = stats.ttest_rel(by_name["mpd-agl"], by_name["fixed"]).pvalue
    assert (apart["p"], apart["p_holm"]) == pytest.approx((p, p))
    shown = next(b for b in report.of_study("s", study).blocks if getattr(b, "title", "") == "Differences")
    assert {"p, Holm", "detectable, points"} <= set(shown.frame.columns)


def test_a_variant_has_its_colour_where_the_reference_is_not_drawn():
    """Of names that no palette knows, which are given colours in their order."""
    names = ("control", "wide", "narrow")
    study = made_study([f"fixed:kappa={k}" for k in (1, 2, 3)], 2, 2)
    study = Study([replace(run, arm=names[int(run.config.strategy[-1]) - 1]) for run in study._runs])
    colours = {}
    for block in report.of_study("s", study).blocks:
        if isinstance(block, Picture) and block.title in ("Accuracy", "Paired differences"):
            scale = next(
                layer["encoding"]["color"]["scale"]
                for layer in block.spec["layer"]
                if "color" in layer.get("encoding", {})
            )
            colours[block.title] = dict(zip(scale["domain"], scale["range"], strict=True))
    assert len(set(colours["Accuracy"].values())) == 3
    for name in names[1:]:
        assert colours["Paired differences"][name] == colours["Accuracy"][name]


def test_a_study_shows_what_it_has_and_says_what_it_lacks():
    blocks = report.of_study("study", made_study(("fixed", "mpd-agl"), 3, 2)).blocks
    titles = {block.title for block in blocks if isinstance(block, Picture)}
    assert {"Accuracy", "Paired differences", "Loss over training", "Surrogate widths: MPD-AGL"} <= titles
    assert any("MPD-AGL" in block.words for block in blocks if isinstance(block, Text) and block.leads)
    one = report.of_study("one", made_study(("fixed",), 3, 2, seeds=(0,))).blocks
    assert not {"Accuracy", "Paired differences"} & {b.title for b in one if isinstance(b, Picture)}
    assert "Accuracies" in {block.title for block in one if isinstance(block, Table)}


@pytest.mark.thorough
def test_comparisons_of_one_name_are_both_shown(tmp_path):
    words = dict(
        zip((word.removeprefix("--").replace("-", "_") for word in TINY[::2]), TINY[1::2], strict=True)
    )
    compare.strategies(["fixed"], seeds=[0], out=tmp_path / "a" / "study", epochs=1, data="digits", **words)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    paths = [tmp_path / place / "study" for place in "ab"]
    sections = PreparedReport(paths, Options(limit=8)).sections()
    assert [section.title for section in sections[:2]] == list(map(str, paths))


def test_checkpoints_are_laid_side_by_side():
    paths = [SAMPLES / "fixed.pt", SAMPLES / "mpd_agl.pt"]
    sides, *each, made = PreparedReport(paths, Options(limit=8)).sections("mpdviz report")
    (table,) = [block.frame for block in sides.blocks if isinstance(block, Table)]
    assert set(table["checkpoint"]) == {section.title for section in each} == {"fixed.pt", "mpd_agl.pt"}
    assert made.blocks[0].values["command"] == "mpdviz report"
