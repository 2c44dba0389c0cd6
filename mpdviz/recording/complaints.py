"""What a recording has to say about layers that it cannot take as they are; each of them once."""

import warnings
from collections.abc import Collection, Iterable, Mapping

from mpdviz.errors import MpdvizWarning
from mpdviz.recording.adapters import Adapter
from mpdviz.recording.layers import shown
from mpdviz.recording.sequences import LONGEST

NEVER_RAN = "it never ran"
UNSEEN = "it ran, but no spikes were seen in it; if it spikes, say how with mpdviz.register"
NOT_WANTED = "it is not among `layers`"


class Complaints:
    """Warnings about layers, by the name that tables show."""

    def __init__(self) -> None:
        """None yet."""
        self.left_out: dict[str, str] = {}
        """Why a layer is not recorded."""
        self.held_back: list[MpdvizWarning] = []
        """Warnings that a filter made errors of."""
        self._said: set[str] = set()

    def cannot_read(self, name: str, why: str) -> None:
        """Layer `name` is not recorded."""
        if name not in self.left_out:
            self.refuted(name, why)
        self.left_out[name] = why

    def refuted(self, name: str, why: str) -> None:
        """The same of a layer that keeps the reason itself, since its name may still change."""
        self._warn(f"{name if name.startswith('layer ') else f'layer {name}'} is not recorded: {why}")

    def failed(self, path: str, error: Exception) -> None:
        """Something went wrong in reading what runs at `path`."""
        self.cannot_read(path or "network", f"reading it failed ({type(error).__name__}: {error})")

    def not_reset(self, name: str) -> None:
        """Layer `name` did not start from rest."""
        self._warn(
            f"layer {name} began a sequence with the potentials that the one before had left; "
            "reset the network's state between batches"
        )

    def no_sequences(self, name: str) -> None:
        """Nothing tells where the sequences of the stepped layer `name` begin."""
        self._warn(
            f"layer {name} is called once a forward, and nothing tells where a sequence begins: each call "
            "counts as one; if you step the network yourself, call new_sequence() before each"
        )

    def too_long(self, name: str) -> None:
        """Layer `name` was not reset for longer than a sequence may be."""
        self._warn(
            f"layer {name} ran for {LONGEST} timesteps without a reset; those after count as another sequence"
        )

    def never_reset(self, name: str, timesteps: int) -> None:
        """Layer `name`, which keeps its state from forward to forward, was never reset."""
        self._warn(
            f"layer {name} was called {timesteps} times without a reset, which counts as one sequence of "
            f"T={timesteps}; if these were several, reset the network's state between them"
        )

    def conclude(
        self,
        adapters: Mapping[str, Adapter],
        recorded: Collection[str],
        ran: Collection[int],
    ) -> None:
        """The recording has ended: what of the network is not in it?

        Args:
            adapters: the neurons that are known, by path.
            recorded: paths of the modules that spiked.
            ran: modules that ran, by identity.
        """
        for path, adapter in adapters.items():
            name = shown(path, adapter.module)
            if name in recorded or name in self.left_out:
                continue
            if id(adapter.module) not in ran:
                self.left_out[name] = NEVER_RAN
            else:
                self.cannot_read(name, adapter.silent or UNSEEN)

    def no_spikes(self, network: str) -> None:
        """Nothing in the network spiked while it ran."""
        self._warn(
            f"no spikes were seen in {network}, so nothing is recorded; call the network itself, not its "
            "forward, or say how it spikes with mpdviz.register"
        )

    def mixed_lengths(self, timesteps: Mapping[str, int]) -> None:
        """The layers ran for so many timesteps each."""
        lengths = sorted(set(timesteps.values()))
        if len(lengths) > 1:
            parts = [
                f"T={length}: {', '.join(_few([name for name, t in timesteps.items() if t == length]))}"
                for length in lengths
            ]
            self._warn(f"the layers ran for different numbers of timesteps ({'; '.join(parts)})")

    def _warn(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            try:
                warnings.warn(text, MpdvizWarning, stacklevel=3)
            except MpdvizWarning as error:  # a filter makes errors of them; not inside somebody's forward
                self.held_back.append(error.with_traceback(None))  # which would keep activations alive


def _few(names: Iterable[str]) -> list[str]:
    known = list(names)
    return known if len(known) <= 3 else [*known[:3], f"{len(known) - 3} more"]
