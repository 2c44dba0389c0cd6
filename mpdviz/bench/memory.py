"""How much memory this process has resident, and the most of it over a while (Linux)."""

import gc
import threading
import time
from pathlib import Path
from typing import Self

PAUSE = 0.002
"""Seconds between two samples."""


def resident_mb() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


class Peak:
    """Samples this process's resident memory from a thread of its own, inside the `with` block."""

    def __enter__(self) -> Self:
        """Start, with what nobody holds any more collected."""
        gc.collect()
        self.start = self.most = resident_mb()
        self._going = True
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def _sample(self) -> None:
        while self._going:
            self.most = max(self.most, resident_mb())
            time.sleep(PAUSE)

    def __exit__(self, *_: object) -> None:
        """Stop; what is resident at the end counts too."""
        self._going = False
        self._thread.join()
        self.most = max(self.most, resident_mb())

    @property
    def above(self) -> float:
        """MB above what was resident at the start."""
        return self.most - self.start
