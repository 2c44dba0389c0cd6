"""`compare --executor slurm`: a real Slurm of one machine gives the table of `local`."""

import re
import time

import pytest
from slurm_cluster import ask, slurm, why_not
from tiny_study import LONGEST, STUDY, compare, same_tables, saved, through, until

pytest.importorskip("submitit", reason="submitit is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not())]


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local") / "study"
    through(compare(*STUDY, "--out", folder))
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    with slurm(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


def queue(environment):
    return ask("squeue", "-h", "-r", "-o", "%i", environment=environment).split()


def drained(environment):
    deadline = time.monotonic() + LONGEST
    while left := queue(environment):
        assert time.monotonic() < deadline, left
        time.sleep(0.5)


def test_jobs_are_submitted_signalled_cancelled_and_given_again(environment, local, tmp_path):
    out = tmp_path / "study"
    words = [*STUDY, "--out", out, "--executor", "slurm:partition=main:time=30"]
    said = through(compare(*words, environment=environment))
    job = re.search(r"4 runs submitted as Slurm job (\d+), 30 minutes each", said)[1]
    assert f"mpdviz compare --collect {out}" in said
    assert queue(environment)

    said = through(compare(*words, environment=environment))
    assert "4 of 4 runs are in Slurm's queue already" in said
    assert "submitted as" not in said

    first, second = out / "runs/fixed/seed-0", out / "runs/mpd-agl/seed-0"
    until(lambda: {first, second} <= set(saved(out)))
    ask("scancel", f"{job}_1", environment=environment)
    # As when its time is up. Not for longer: scancel signals again and again where Slurm is busy with a job.
    ask("scancel", "--signal=USR2", f"{job}_0", environment=environment, timeout=3)
    drained(environment)
    for name in ("fixed", "mpd-agl"):
        assert "interrupted in epoch" in (out / f"logs/{name}-seed-0.log").read_text()

    said = through(compare("--collect", out, environment=environment))
    assert "missing, 1 of 4 runs: mpd-agl seed 0" in said  # the first has queued again, and is through
    said = through(compare(*words, environment=environment))
    assert "3 of 4 runs are finished already" in said
    assert "1 run submitted" in said
    drained(environment)
    through(compare("--collect", out, environment=environment))
    same_tables(local, out)


def test_a_run_that_fails_says_so_in_its_log_and_may_be_tried_again(environment, tmp_path):
    out = tmp_path / "study"
    words = [*STUDY, "--lr", "1e12", "--out", out, "--executor", "slurm:time=5"]
    through(compare(*words, environment=environment))
    drained(environment)
    assert "training diverged" in (out / "logs/fixed-seed-0.log").read_text()
    said = through(compare(*words, environment=environment))
    assert "4 runs submitted" in said
    ask("scancel", "--user=root", environment=environment)
    drained(environment)


def test_what_slurm_refuses_is_told_in_its_words(environment, tmp_path):
    words = [*STUDY, "--out", tmp_path / "study", "--executor", "slurm:partition=mian"]
    process = compare(*words, environment=environment)
    _, err = process.communicate(timeout=LONGEST)
    assert process.returncode == 2, err
    assert "Traceback" not in err
    line = err.strip().splitlines()[-1]
    assert line.startswith("mpdviz: Slurm refuses the runs: ")
    assert "invalid partition" in line
