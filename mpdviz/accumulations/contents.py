"""All that a recording holds, and when two of them may be added (no torch)."""

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mpdviz.accumulations.layer import LayerAccumulation, merge
from mpdviz.errors import BadInput, MpdvizWarning


@dataclass(frozen=True)
class Contents:
    """The layers, and where they come from."""

    layers: Mapping[int, LayerAccumulation]
    """By number, from 1 in the order in which they run."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why a layer is not among them, by its name."""
    network: Mapping[str, str] = field(default_factory=dict)
    """What tells the network from others, by the words to name it with; empty where that is not known."""
    origin: Mapping[str, str] = field(default_factory=dict)
    """What ran over which data, a value each by its name (network, strategy, data, split, ...), for readers
    alone; empty where that is not known."""
    merged_from: frozenset[str] = frozenset()
    """Digests of the recordings that these layers were merged from; empty where they are one."""

    @cached_property
    def parts(self) -> frozenset[str]:
        """Digests of the recordings that these layers are made of: one's own, where it is one."""
        return self.merged_from or frozenset([_digest(self.layers)])

    def merged(self, other: "Contents") -> "Contents":
        """Both recordings together, as if all data had been recorded at once.

        Raises:
            BadInput: they are of different networks or made with different options, or share data.
        """
        layers = merge(self.layers, other.layers)
        remedy = "merge recordings of one network, made with the same options"
        ours, theirs = self.network, other.network
        if ours and theirs:
            different = [what for what in {**ours, **theirs} if ours.get(what) != theirs.get(what)]
            for what in different[:1]:
                more = f" (and in {len(different) - 1} more)" if len(different) > 1 else ""
                values = f"{ours.get(what, 'none')} and {theirs.get(what, 'none')}"
                raise BadInput(f"recordings differ in the {what}: {values}{more}", remedy)
        else:
            warnings.warn(
                "a recording does not say which network it is of (it was made by an older mpdviz): "
                "whether the recordings are of one network is not checked",
                MpdvizWarning,
                stacklevel=3,
            )
        for number, layer in self.layers.items():
            moved = layer.moved(other.layers[number])
            if moved and layer.info.steady and other.layers[number].info.steady:
                raise BadInput(f"recordings differ in the {moved}", remedy)
        if self.parts & other.parts:
            raise BadInput("a recording is given twice, so that its data would count twice", "give it once")
        left_out = {**self.left_out, **other.left_out}
        origin = {
            what: "; ".join(
                dict.fromkeys(known[what] for known in (self.origin, other.origin) if what in known)
            )
            for what in {**self.origin, **other.origin}
        }
        return Contents(layers, left_out, ours or theirs, origin, self.parts | other.parts)


def _digest(layers: Mapping[int, LayerAccumulation]) -> str:
    """SHA-256 of everything counted and summed."""
    digest = hashlib.sha256()
    for number, layer in sorted(layers.items()):
        for sums in (layer.statistics, layer.census, layer.flow):
            for name, values in vars(sums).items() if sums is not None else ():
                digest.update(f"{number} {name} ".encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
