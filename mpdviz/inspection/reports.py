"""Checkpoints, runs, comparisons and recordings -> the sections of one report."""

from collections.abc import Sequence
from pathlib import Path

from mpdviz import report
from mpdviz.accumulations.contents import Contents
from mpdviz.errors import BadInput
from mpdviz.figures.paper.study import Study
from mpdviz.inspection.options import OF_RELEASED, Options
from mpdviz.inspection.prepared import Prepared, prepare
from mpdviz.inspection.study import study
from mpdviz.report import Section
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.reading import StoredRun
from mpdviz.runs.studies import arms_of, run_folders
from mpdviz.system.files import exists
from mpdviz.system.places import best_checkpoint
from mpdviz.system.reading import sha256
from mpdviz.system.team import team


class PreparedReport:
    """Everything that a report is to show, known to fit and not recorded yet."""

    def __init__(self, paths: Sequence[str | Path], options: Options | None = None) -> None:
        """Find out what each path is, and check it.

        Args:
            paths: checkpoints, run folders, folders of comparisons, recordings (.npz).
            options: what to record, of what is not recorded yet.

        Raises:
            BadInput: no paths, one of them twice, or anything that `mpdviz.inspect` refuses.
        """
        options = options or Options()
        self._options = options
        self._comparisons: list[Path] = []
        self._runs: list[Path] = []
        self._prepared: dict[str, Prepared] = {}
        self._hashes: dict[str, str] = {}
        given = list(map(Path, paths))
        if not given or len(set(given)) < len(given):
            raise BadInput("no files" if not given else "a file is given twice", "give each once")
        self._labels = labels = _labels(given)
        for path in given:
            if run_folders(path):
                options.refuse(OF_RELEASED, "with a comparison", "leave it out: its runs know it")
                self._comparisons.append(path)
                continue
            if path.suffix == ".npz":
                self._prepared[labels[path]] = prepare(path, Options())
                self._hashes[str(path)] = sha256(path, "recording")
                continue
            if exists(RunFolder(path).config):
                self._runs.append(path)
            self._prepared[labels[path]] = prepare(path, options)
            best = best_checkpoint(path)
            self._hashes[str(best)] = sha256(best, "checkpoint")

    def sections(self, command: str = "") -> list[Section] | None:
        """Record, and lay out; None for a process that does not lead its team.

        Args:
            command: the command line to name as what made the report.
        """
        with team() as ranks:
            studies = {self._labels[path]: self._study(path) for path in self._comparisons}
            recordings: dict[str, Contents] = {}
            for name, prepared in self._prepared.items():
                recording = prepared.run()
                if recording is not None:
                    recordings[name] = recording.contents
        if not ranks.leads:
            return None
        made = [report.of_study(path, one) for path, one in studies.items() if one is not None]
        if len(recordings) > 1:
            made.append(report.of_sides(recordings))
        made += [report.of_recording(name, contents) for name, contents in recordings.items()]
        made += [report.of_study(title, one) for title, one in _trained(self._runs).items()]
        return [*made, report.of_making(command, self._hashes)]

    def _study(self, path: Path) -> Study | None:
        given = self._options
        return study(
            [path],
            split=given.split or "val",
            limit=given.limit,
            batch_size=given.batch_size,
            device=given.device,
        )


def _labels(paths: Sequence[Path]) -> dict[Path, str]:
    """What to call each: its name where that tells it from the others, its path else."""
    names = [path.name or str(path) for path in paths]
    return {
        path: name if names.count(name) == 1 else str(path) for path, name in zip(paths, names, strict=True)
    }


def _trained(folders: Sequence[Path]) -> dict[str, Study]:
    """The runs as one study where they belong together, or as one each, by title."""
    runs = [StoredRun.of_folder(*one) for one in zip(folders, arms_of(folders), strict=True)]
    try:
        return {"Training": Study(runs)} if runs else {}
    except BadInput:
        return {f"Training: {run.path}": Study([run]) for run in runs}
