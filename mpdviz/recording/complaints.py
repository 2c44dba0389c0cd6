"""What a recording has to say about layers that it cannot take as they are; each of them once."""

import warnings

from mpdviz.errors import MpdvizWarning


class Complaints:
    """Warnings about layers, by the name that tables show."""

    def __init__(self) -> None:
        """None yet."""
        self.left_out: dict[str, str] = {}
        """Why a layer is not recorded."""
        self._said: set[str] = set()

    def cannot_read(self, name: str, why: str) -> None:
        """Layer `name` is not recorded."""
        if name not in self.left_out:
            self._warn(f"layer {name} is not recorded: {why}")
        self.left_out[name] = why

    def not_reset(self, name: str) -> None:
        """Layer `name` did not start from rest."""
        self._warn(
            f"layer {name} began a sequence with the potentials that the one before had left; "
            "reset the network's state between batches"
        )

    def no_sequences(self, name: str) -> None:
        """Nothing tells where the sequences of the stepped layer `name` begin."""
        self._warn(
            f"layer {name} is called once a timestep, and nothing tells where a sequence begins: each call "
            "counts as one; call new_sequence() before each"
        )

    def _warn(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            warnings.warn(text, MpdvizWarning, stacklevel=3)
