"""The rescues: what README.md quotes is what the commands printed, and the script's commands exist."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from mpdviz.cli.main import app
from typer.testing import CliRunner

RESCUE = Path(__file__).parents[2] / "examples" / "rescue"
README = (RESCUE / "README.md").read_text()
CASES = {part.partition(":")[0]: part for part in README.split("\n## ")[1:]}


@pytest.mark.parametrize("case", CASES)
def test_what_is_quoted_was_printed(case):
    printed = " ".join((RESCUE / case / "comparison.txt").read_text().split())
    quoted = re.findall(r"^> (.+)$", CASES[case], re.MULTILINE)
    assert quoted
    for sentence in quoted:
        assert sentence in printed


def test_accuracies_are_those_of_the_tables():
    tables = {case: pd.read_csv(RESCUE / case / "table_accuracy.csv").set_index("variant") for case in CASES}
    means = {case: 100 * table["test_mean"] for case, table in tables.items()}
    for case, control, lowest, highest in (("default", 85.2, 97.3, 98.1), ("wide", 90.2, 97.4, 98.3)):
        others = means[case].drop(["control", *(["width 50 %"] if case == "default" else [])])
        found = means[case]["control"], others.min(), others.max()
        assert found == pytest.approx((control, lowest, highest), abs=0.05)
    assert means["starved"][["control", "gamma 1.63"]].tolist() == pytest.approx([91.4, 97.8], abs=0.05)
    assert (tables["default"]["n"] == 5).all()


def test_the_script_s_options_exist():
    script = (RESCUE / "rescue.sh").read_text().replace("\\\n", " ")
    lines = [
        line[line.index("mpdviz ") :] for line in script.splitlines() if re.match(r"\s+.*mpdviz \w", line)
    ]
    assert len(lines) == 6
    for line in lines:
        words = shlex.split(line.partition(">")[0])
        shown = CliRunner().invoke(app, [words[1], "--help"], env={"COLUMNS": "200"}).output
        for word in words:
            assert not word.startswith("--") or word in shown
