"""Whether the runs of a study started alike: hashes of their initial weights by seed."""

from collections.abc import Sequence

import pandas as pd

from mpdviz.errors import BadInput
from mpdviz.runs.studies import Arm

OF_WEIGHTS = {"model", "encode_channels", "planes", "neuron", "norm", "gamma", "decay", "timesteps"}
"""Settings that can make other initial weights: sizes, constants of norms, learned decays, weights over t."""
OF_SHAPES = OF_WEIGHTS - {"gamma", "decay", "norm"}
"""Those of them that leave no weight the same; the others change what is set, not what is drawn."""


def told(runs: pd.DataFrame, arms: Sequence[Arm]) -> str:
    """What is known of the initial weights, in a sentence.

    Args:
        runs: `arm, seed, initial_weights, drawn_weights`.
        arms: of the study.

    Raises:
        BadInput: runs of one seed whose arms must have started from the same weights did not.
    """
    groups = _groups(arms, OF_WEIGHTS)
    _check(runs, "initial_weights", groups)
    if len(groups) == 1:
        return "Runs of a seed start from the same weights, by hash, and see the data in the same order."
    alike = _groups(arms, OF_SHAPES)
    if len(alike) == 1 and runs["drawn_weights"].notna().any():
        _check(runs, "drawn_weights", alike)
        return (
            "Runs of a seed start from the same drawn weights, by hash, and see the data in the same order; "
            "constants of batch norms and neurons are the arms' own."
        )
    sides = "; ".join(", ".join(names) for names in groups)
    return (
        "Runs of a seed see the data in the same order; they start from the same weights, by hash, within "
        f"these groups of arms alone: {sides}."
    )


def _groups(arms: Sequence[Arm], settings: set[str]) -> list[list[str]]:
    """Arms that differ in none of these settings, together."""
    found: dict[str, list[str]] = {}
    for arm in arms:
        own = sorted((name, str(value)) for name, value in arm.settings.items() if name in settings)
        found.setdefault(str(own), []).append(arm.name)
    return list(found.values())


def _check(runs: pd.DataFrame, column: str, groups: Sequence[Sequence[str]]) -> None:
    for seed, of_seed in runs.dropna(subset=column).groupby("seed"):
        for names in groups:
            group = of_seed[of_seed["arm"].isin(names)]
            if group[column].nunique() > 1:
                hashes = dict(zip(group["arm"], group[column], strict=True))
                each = ", ".join(f"{name} {str(digest)[:8]}" for name, digest in hashes.items())
                raise BadInput(
                    f"runs of seed {seed} did not start from the same weights: {each}",
                    "train them again with one version of mpdviz and of torch",
                )
