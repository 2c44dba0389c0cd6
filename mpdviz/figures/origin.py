"""Where a recording comes from, in a sentence for captions: what is known, and nothing else (no torch)."""

from mpdviz.accumulations.contents import Contents
from mpdviz.analysis import summary

LONGEST = 3
"""Strategies that are named; a network of more has one of its own in nearly every layer."""


def strategies(contents: Contents) -> list[str]:
    """The strategies of the network's layers as one writes them, each once; none where they are not ours."""
    named = (value for what, value in contents.network.items() if what.startswith("strategy of layer "))
    return list(dict.fromkeys(map(_written, named)))


def _written(strategy: str) -> str:
    """A strategy whose width a recording calls by its attribute's name, as `strategies.get` takes it."""
    base, _, width = strategy.partition(":width=")
    return f"{base}:kappa={float(width):g}" if width else base


def of(contents: Contents) -> str:
    """Network, strategy, data, split and n, each once, as far as the recording knows them."""
    known = contents.origin
    if "data" in known:
        facts = [known["network"], f"strategy {known['strategy']}" if "strategy" in known else ""]
        facts += [
            f"{known['data']} {known['split']}",
            f"n = {known['samples']} samples",
            known.get("mode", ""),
        ]
        return f"Recorded: {', '.join(filter(None, facts))}."
    layers = contents.layers
    timesteps = max((layer.info.timesteps for layer in layers.values()), default=0)
    facts = [f"{len(layers)} layer{'s' * (len(layers) != 1)}", f"T = {timesteps}"]
    samples = summary.samples(layers)
    if samples is not None:
        facts.append(f"n = {samples} sample{'s' * (samples != 1)}")
    if contents.network.get("mode") == "training":
        facts.append("batch statistics")
    names = strategies(contents)
    if 0 < len(names) <= LONGEST:
        facts.insert(0, f"strategy {' and '.join(names)}")
    return f"Recorded: {', '.join(facts)}; a recording does not say over which data."
