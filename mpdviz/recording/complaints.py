"""What a recording has to say about layers that it cannot take as they are; each of them once."""

import warnings

from mpdviz.errors import MpdvizWarning


class Complaints:
    """Warnings about layers, by the name that tables show."""

    def __init__(self) -> None:
        """None yet."""
        self.unreadable: dict[str, str] = {}
        """Why a layer is not recorded."""
        self._carried: set[str] = set()

    def cannot_read(self, name: str, why: str) -> None:
        """Layer `name` is not recorded."""
        if name not in self.unreadable:
            self._warn(f"layer {name} is not recorded: {why}")
        self.unreadable[name] = why

    def not_reset(self, name: str) -> None:
        """Layer `name` did not start from rest."""
        if name not in self._carried:
            self._carried.add(name)
            self._warn(
                f"layer {name} began a sequence with the potentials that the one before had left; "
                "reset the network's state between batches"
            )

    def _warn(self, text: str) -> None:
        warnings.warn(text, MpdvizWarning, stacklevel=3)
