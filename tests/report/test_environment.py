"""What runs were trained with, in the report: what they have in common once, the rest process by process."""

from dataclasses import replace

from studies import made_study

from mpdviz import report
from mpdviz.figures.paper.study import Study
from mpdviz.report.blocks import Facts, Table
from mpdviz.report.environment import blocks
from mpdviz.system.environment import Environment


def process(**facts):
    own = {"started": "2026-01-02T03:04:05+00:00", "command": "mpdviz train", "system": "Linux"}
    return Environment(**own | {"versions": {"torch": "2.6", "Python": "3.11.7"}} | facts)


def words(section):
    return " ".join(str(vars(block)) for block in section.blocks)


def test_what_runs_have_in_common_is_said_once_and_the_rest_by_process():
    processes = [
        ("fixed", 0, process(threads=2)),
        ("fixed", 0, process(threads=4, command="mpdviz train --resume")),
        ("mpd-agl", 0, process(threads=2, variables={"OMP_NUM_THREADS": "2"})),
    ]
    heading, facts, table = blocks(processes, runs=3)
    assert heading.words == "What all of these runs were trained with:"
    assert isinstance(facts, Facts)
    assert facts.values == {"torch": "2.6", "Python": "3.11.7", "OS": "Linux"}
    assert isinstance(table, Table)
    assert table.folded
    assert table.frame["threads"].tolist() == ["2", "4", "2"]
    assert table.frame["OMP_NUM_THREADS"].tolist() == ["none", "none", "2"]
    assert table.frame["command"].tolist()[1] == "mpdviz train --resume"
    assert "Of 1 of 3 runs nothing was noted." in table.caption


def test_nothing_noted_is_said():
    (text,) = blocks([], runs=3)
    assert "was not noted" in text.words


def test_the_section_of_training_has_it(tmp_path):
    study = made_study(("fixed", "mpd-agl"), 2, 2, seeds=(0,))
    assert "was not noted" in words(report.of_study("s", study))
    runs = [replace(run, environments=[process(cpu="A & B <CPU>")]) for run in study._runs]
    section = report.of_study("s", Study(runs))
    assert "mpdviz train" in words(section)
    report.write(tmp_path / "report.html", "title", [section])
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "A &amp; B &lt;CPU&gt;" in text
    assert "What the runs were trained with" in text
