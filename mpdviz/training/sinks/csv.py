"""A run's tables: metrics.csv, widths.csv and mpd.csv."""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import pandas as pd
from typing_extensions import override

from mpdviz.errors import BadInput
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Position
from mpdviz.system.files import write_text
from mpdviz.system.reading import read_text
from mpdviz.training.sinks.base import Recorded, Sink


class Tables(Sink):
    """CSV files, each written whole.

    The rows of metrics and widths are saved with the run, in its position, and written after that. Those of
    mpd.csv are not: of them a resumed run drops what lies beyond its position, and could not make up what
    were missing. So they are written before each save.
    """

    def __init__(self, folder: RunFolder, position: Position, done: int) -> None:
        """Take back the rows up to where a resumed run goes on."""
        self._folder = folder
        self._metrics, self._widths = [*position.metrics], [*position.widths]
        self._header, self._mpd, self._written = "", list[str](), 0
        if done:
            self._restore_mpd(position.epoch + 1, position.step)
        self.saved()

    @override
    def epoch(self, row: Mapping[str, Any], widths: Sequence[Mapping[str, Any]], step: int) -> None:
        self._metrics.append(dict(row))
        self._widths += map(dict, widths)

    @override
    def recorded(self, recorded: Recorded, step: int) -> None:
        table = recorded.table.copy()
        table.insert(0, "epoch", recorded.epoch)
        table.insert(1, "step", recorded.step)
        self._add_mpd(table)

    @override
    def flush(self) -> None:
        if self._mpd:
            write_text(self._folder.mpd, self._header + "".join(self._mpd))

    @override
    def saved(self) -> None:
        if len(self._metrics) > self._written:
            self._folder.write_table(self._folder.metrics, self._metrics)
            if self._widths:  # a network of the user's own has none that are known
                self._folder.write_table(self._folder.widths, self._widths)
            self._written = len(self._metrics)

    @override
    def close(self) -> None:
        """Do nothing: everything that counts was written with the last save."""

    def _restore_mpd(self, epoch: int, step: int) -> None:
        if self._folder.mpd.exists():
            path = self._folder.mpd
            try:
                text = StringIO(read_text(path, "table"))
                rows = pd.read_csv(text, dtype=str, keep_default_na=False)  # text: written as it was
                at, steps = rows["epoch"].astype(int), rows["step"].astype(int)
            except (ValueError, KeyError, OverflowError):
                raise BadInput(
                    f"table {path} is damaged", "remove it: the run goes on, with no recordings from before"
                ) from None
            known = (at < epoch) | ((at == epoch) & (steps <= step))
            if known.any():
                self._add_mpd(rows[known])

    def _add_mpd(self, table: pd.DataFrame) -> None:
        # As text at once: written again after every epoch, a long run's numbers would take ever longer.
        header, rows = table.to_csv(index=False).split("\n", 1)
        if self._header not in ("", header + "\n"):  # of an older version, which knew other columns
            text = StringIO(self._header + "".join(self._mpd))
            before = pd.read_csv(text, dtype=str, keep_default_na=False)
            before = before.reindex(columns=table.columns, fill_value="")
            self._mpd = [before.to_csv(index=False, header=False)]
        self._header = header + "\n"
        self._mpd.append(rows)
