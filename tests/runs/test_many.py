"""Studies of many runs: each file is read as often as it must be, and no oftener."""

from collections import Counter

from mpdviz.bench import studies
from mpdviz.figures.paper.alike import other_layers
from mpdviz.figures.paper.study import Study
from mpdviz.report import of_study
from mpdviz.report.blocks import Picture
from mpdviz.runs import studies as reading
from mpdviz.runs.reading import StoredRun


def test_a_study_is_read_once_for_all_its_runs(tmp_path, monkeypatch):
    read, seen = reading.read_study, Counter()

    def counted(folder):
        seen[folder] += 1
        return read(folder)

    one, other, none = (tmp_path / name for name in ("one", "other", "none"))
    studies.write(one, studies.StudySize(arms=3, seeds=2, epochs=1, layers=1, timesteps=1))
    studies.write(other, studies.StudySize(arms=2, seeds=1, epochs=1, layers=1, timesteps=1))
    paths = [*reading.run_folders(one), *reading.run_folders(other), none]
    monkeypatch.setattr(reading, "read_study", counted)
    arms = [f"fixed:kappa={kappa}" for kappa in ("1.0", "1.001", "1.002")]
    assert reading.arms_of(paths) == [*2 * arms, *arms[:2], None]
    assert seen == {one: 1, other: 1}


def test_each_arm_is_drawn_from_its_own_rows(tmp_path):
    studies.write(tmp_path, studies.StudySize(arms=3, seeds=2, epochs=2, layers=2, timesteps=2))
    paths = reading.run_folders(tmp_path)
    runs = [StoredRun.of_folder(*one) for one in zip(paths, reading.arms_of(paths), strict=True)]
    for place, run in enumerate(runs):
        run.tables["widths"]["kappa"] = 1.0 + place
    study = Study(runs)
    assert other_layers(study["widths"], "widths") is None
    pictures = [block for block in of_study("many", study).blocks if isinstance(block, Picture)]
    drawn = {picture.title: picture.spec for picture in pictures if picture.title.startswith("Surrogate")}
    values = [
        {row["kappa"] for rows in spec["datasets"].values() for row in rows if "kappa" in row}
        for spec in drawn.values()
    ]
    assert values == [{1.0}, {2.0}, {3.0}]  # of the first seed


def test_the_first_run_with_other_layers_is_named(tmp_path):
    studies.write(tmp_path, studies.StudySize(arms=2, seeds=2, epochs=1, layers=2, timesteps=2))
    paths = reading.run_folders(tmp_path)
    runs = [StoredRun.of_folder(*one) for one in zip(paths, reading.arms_of(paths), strict=True)]
    frame = Study(runs)["mpd"]
    frame.loc[(frame["variant"] == "fixed:kappa=1.001") & (frame["seed"] == 1), "name"] = "other"
    told = other_layers(frame, "mpd")
    assert told is not None
    assert "fixed:kappa=1.0, seed 0, than in fixed:kappa=1.001, seed 1" in told
