"""Whether the runs of a study started alike: hashes of their initial weights and data order by seed."""

from collections.abc import Sequence

import pandas as pd

from mpdviz.errors import BadInput
from mpdviz.runs.studies import Arm

OF_WEIGHTS = {"model", "neuron", "norm", "gamma", "decay", "timesteps"}
"""Settings that can make other initial weights: sizes, constants of norms, learned decays, weights over t."""
OF_SHAPES = OF_WEIGHTS - {"gamma", "decay", "norm"}
"""Those of them that can change what is drawn; the others change what is set."""


def told(runs: pd.DataFrame, arms: Sequence[Arm]) -> str:
    """What is known of how the runs of a seed began, in a sentence.

    Args:
        runs: `arm, seed, initial_weights, drawn_weights, data_order`.
        arms: of the study.

    Raises:
        BadInput: runs of one seed whose arms must have started alike did not.
    """
    _check(runs, "data_order", [[arm.name for arm in arms]])
    _check(runs, "initial_weights", _groups(arms, OF_WEIGHTS))
    _check(runs, "drawn_weights", _groups(arms, OF_SHAPES))
    if runs["initial_weights"].isna().all():
        return "No run has begun, so that nothing is known of their weights."
    proven = ", by hash" if _same(runs, "data_order") else ""  # older versions kept none
    order = f"see the data in the same order{proven}"
    if _same(runs, "initial_weights"):
        return f"Runs of a seed start from the same weights, by hash, and {order}."
    if _same(runs, "drawn_weights"):
        return (
            f"Runs of a seed start from the same drawn weights, by hash, and {order}; constants of batch "
            "norms and neurons are the arms' own."
        )
    sides = "; ".join(", ".join(names) for names in _started_alike(runs))
    return (
        f"Runs of a seed {order}; they start from the same weights, by hash, within these groups of arms "
        f"alone: {sides}."
    )


def _same(runs: pd.DataFrame, column: str) -> bool:
    """Whether the runs of each seed that have begun have one hash, and all that have begun have any."""
    begun = runs.dropna(subset="initial_weights")
    return bool(begun[column].notna().all() and (begun.groupby("seed")[column].nunique() == 1).all())


def _started_alike(runs: pd.DataFrame) -> list[list[str]]:
    """Arms whose runs have the same hashes at every seed, together."""
    hashes = runs.pivot_table(
        index="arm", columns="seed", values="initial_weights", aggfunc="first", sort=False
    )
    found: dict[tuple[str, ...], list[str]] = {}
    for name, row in hashes.iterrows():
        found.setdefault(tuple(map(str, row)), []).append(str(name))
    return list(found.values())


def _groups(arms: Sequence[Arm], settings: set[str]) -> list[list[str]]:
    """Arms that differ in none of these settings, together."""
    found: dict[str, list[str]] = {}
    for arm in arms:
        own = sorted((name, str(value)) for name, value in arm.settings.items() if name in settings)
        found.setdefault(str(own), []).append(arm.name)
    return list(found.values())


def _check(runs: pd.DataFrame, column: str, groups: Sequence[Sequence[str]]) -> None:
    what = "see the data in the same order" if column == "data_order" else "start from the same weights"
    for seed, of_seed in runs.dropna(subset=column).groupby("seed"):
        for names in groups:
            group = of_seed[of_seed["arm"].isin(names)]
            if group[column].nunique() > 1:
                hashes = dict(zip(group["arm"], group[column], strict=True))
                each = ", ".join(f"{name} {str(digest)[:8]}" for name, digest in hashes.items())
                raise BadInput(
                    f"runs of seed {seed} did not {what}: {each}",
                    "train them again with one version of mpdviz and of torch",
                )
