"""The file itself: what it holds without a browser, how large it is, and what it is never written over."""

import numpy as np
import pytest
from handmade import counted, info

import mpdviz
from mpdviz import report
from mpdviz.accumulations.contents import Contents
from mpdviz.api import Recording
from mpdviz.errors import BadInput


def recording(layers=2, timesteps=3, size=(20, 10)):
    random = np.random.default_rng(0)
    return Recording(
        Contents(
            {
                number: counted(
                    random.normal(0.2, 0.5, (timesteps, *size)), info(timesteps, name=f"layer{number}")
                )
                for number in range(1, layers + 1)
            },
            origin={"network": "Mine"},
        )
    )


def test_a_recording_writes_its_own(tmp_path):
    made = recording()
    made.report(tmp_path / "new" / "report.html")
    text = (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    assert "<h1>Mine</h1>" in text
    assert f"mpdviz</dt><dd>{mpdviz.__version__}" in text
    # Readable without a script: the answer and the tables.
    lowest = made.table()["available_ratio"].min()
    assert f"the lowest available share is {100 * lowest:.1f} %" in text
    assert f">{100 * lowest:.1f} %</td>" in text
    for word in ("http:", "https:"):
        own = text[: text.index("<script>")] + text[text.rindex("<script>") :]
        assert word not in own.replace("https://vega.github.io/schema", "")


def test_twenty_layers_by_ten_timesteps_are_small_enough_for_a_mail(tmp_path):
    recording(20, 10, size=(400, 100)).report(tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 5e6


def test_it_replaces_a_report_and_nothing_else(tmp_path):
    made, path = recording(), tmp_path / "report.html"
    made.report(path)
    made.report(path, title="Again")
    assert "<h1>Again</h1>" in path.read_text(encoding="utf-8")
    path.write_text("<html>mine</html>", encoding="utf-8")
    with pytest.raises(BadInput, match="is no report, and would be lost"):
        made.report(path)
    assert path.read_text(encoding="utf-8") == "<html>mine</html>"
    with pytest.raises(BadInput, match=r"ends in \.html"):
        made.report(tmp_path / "report.pdf")


def test_findings_come_worst_first_with_what_helps():
    from mpdviz.report.blocks import Findings

    starved = counted(np.random.default_rng(0).normal(-4, 0.3, (2, 30, 9)), info(2, name="starved"))
    broken = counted(np.where(np.arange(9) == 1, np.nan, 0.4) + np.zeros((2, 30, 9)), info(2, name="broken"))
    section = report.of_recording("two", Contents({1: starved, 2: broken}))
    (findings,) = [block for block in section.blocks if isinstance(block, Findings)]
    checks = [found.what for found in findings.found]
    assert checks[0] == "nonfinite"
    assert checks.index("starved") < checks.index("degenerate")
    for found in findings.found:
        assert found.where.startswith("layer ")
        assert "limit" in found.cause
        assert found.source
        assert found.remedy
        assert found.remedy not in found.cause


def test_nothing_recorded_is_said(tmp_path):
    Recording(Contents({}, {"odd": "nobody knows"})).report(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Nothing was recorded." in text
    assert "nobody knows" in text
