"""What `mpdviz compare` prints on a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .fitted import Column, print_table, shortened
from .output import aside, show

if TYPE_CHECKING:
    import pandas as pd

    from mpdviz.compare.results import Collected

POINTS = "points"
"""Form of a difference of shares."""
LABEL = 14
"""Characters of a network's name in a heading."""
WHOLE = 36
"""Characters of an arm's name that stay whole, whatever drops out: two that were shortened may look alike."""
VALUES = (
    ("available_ratio", "available", "share", POINTS, None),
    ("firing_rate", "firing", "share", POINTS, 4),
    ("mean_gain", "gain", ".3f", "+.3f", 3),
    ("grad_norm", "gradient", ".2e", "+.1e", 2),
)
"""Column of `analysis.sides`, heading, forms of value and difference, and which drops out first."""


def print_sides(sides: "pd.DataFrame") -> None:
    """In a sentence where they differ most, then the networks of each layer under one another."""
    first, *others = dict.fromkeys(sides["checkpoint"])
    for other in others:
        show(_most(sides, first, other), "bold")
    print()
    leads = (sides["checkpoint"] == first).tolist()
    against = f"vs {shortened(first, LABEL)}"
    columns = [
        Column("layer", [str(n) if lead else "" for n, lead in zip(sides["layer"], leads, strict=True)]),
        Column("name", [n if lead else "" for n, lead in zip(sides["name"], leads, strict=True)], "name"),
        Column("checkpoint", sides["checkpoint"].tolist(), "name"),
    ]
    for name, heading, form, signed, keep in VALUES:
        columns.append(Column(heading, [number(value, form) for value in sides[name]], keep=keep))
        apart = zip(sides[f"{name}_difference"], leads, strict=True)
        cells = ["" if lead else number(value, signed) for value, lead in apart]
        columns.append(Column(against, cells, keep=keep))
    best = [name or "-" for name in sides["best_prediction"]]
    columns.append(Column("best prediction", best, "text", keep=1))
    dropped = print_table(columns, breaks=_groups(sides["layer"].tolist()))
    show(f"vs {first}: minus the value of {first} (pt: points of a share in %)")
    _say_dropped([heading for heading in dropped if heading != against])


def print_widths(cross: "pd.DataFrame") -> None:
    """Each network's potentials under each one's widths: available share over all timesteps."""
    means = cross.groupby(["layer", "potentials", "widths"], sort=False)["available_ratio"]
    found = means.agg(lambda ratios: ratios.mean(skipna=False))
    keys = list(dict.fromkeys((layer, potentials) for layer, potentials, _ in found.index))
    layers = [layer for layer, _ in keys]
    columns = [Column("layer", _once(layers)), Column("potentials of", [p for _, p in keys], "name")]
    for at, label in enumerate(dict.fromkeys(cross["widths"])):
        cells = [number(found[(*key, label)], "share") for key in keys]
        columns.append(Column(f"widths of {shortened(label, LABEL)}", cells, keep=-at if at else None))
    print()
    show("available share under each one's widths, mean over timesteps", "bold")
    _say_dropped(print_table(columns, breaks=_groups(layers)))


def print_cross(cross: "pd.DataFrame") -> None:
    """Each network's potentials under each one's widths: ratio by timestep and mean gain."""
    groups = cross.groupby(["layer", "potentials", "widths"], sort=False)
    keys = [key for key, _ in groups]
    columns = [
        Column("layer", _once([layer for layer, *_ in keys])),
        Column("potentials of", [str(potentials) for _, potentials, _ in keys], "name"),
        Column("widths of", [str(widths) for *_, widths in keys], "name"),
    ]
    ratios = [rows["available_ratio"].tolist() for _, rows in groups]
    for t in sorted(cross["timestep"].unique()):
        at = [row[t - 1] if t <= len(row) else float("nan") for row in ratios]
        columns.append(Column(f"t={t}", [number(value, "share") for value in at], keep=2))
    for heading, name, form, keep in (
        ("available", "available_ratio", "share", None),
        ("gain", "mean_gain", ".3f", 1),
    ):
        means = [rows[name].mean(skipna=False) for _, rows in groups]
        columns.append(Column(heading, [number(value, form) for value in means], keep=keep))
    print()
    show("potentials under other widths: available share, mean gain", "bold")
    _say_dropped(print_table(columns, breaks=_groups([layer for layer, *_ in keys])))


def print_accuracy(collected: "Collected") -> None:
    """What can be said about the differences, and accuracy and available share of every arm."""
    for told in collected.differences["sentence"]:
        show(told, "bold")
    rows = collected.summary()
    columns = [
        arms("arm", rows["arm"].tolist(), rows["arm"].tolist()),
        Column("n", [str(n) for n in rows["n"]]),
        Column("test accuracy", [f"{number(100 * value, '.2f')} %" for value in rows["mean"]]),
        Column("std", [f"± {number(100 * value, '.2f')}" for value in rows["std"]]),
        Column("Holm p", [number(value, ".2g") for value in rows["p_holm"]], keep=3),
        Column("available", [number(value, "share") for value in rows["available"]], keep=2),
        Column("± std", [f"± {number(100 * value, '.1f')}" for value in rows["available_std"]], keep=1),
        Column("lowest", [number(value, "share") for value in rows["lowest"]], keep=1),
    ]
    if rows["chosen"].any():
        columns.insert(1, Column("chosen", rows["chosen"].tolist(), keep=4))
    print()
    dropped = print_table(columns)
    if len(collected.differences) > 1:
        show("Intervals are each comparison's own; Holm p is adjusted for their number.")
    show(collected.weights)
    _say_dropped(dropped)


def arms(heading: str, cells: Sequence[str], names: Sequence[str]) -> Column:
    """A column of arms, whole where they are not very long.

    Args:
        heading: of the column.
        cells: what stands in it.
        names: of all arms.
    """
    return Column(heading, cells, "text" if max(map(len, names)) <= WHOLE else "name")


def number(value: float, form: str) -> str:
    """A number in its form; a dash where it was not measured."""
    if value != value:
        return "-"
    if form == "share":
        return f"{100 * value:.1f} %"
    # A difference of shares in % would read as a change relative to the first.
    return f"{100 * value:+.1f} pt" if form == POINTS else format(value, form)


def _most(sides: "pd.DataFrame", first: str, other: str) -> str:
    """Where two networks' available shares differ most."""
    rows = sides[sides["checkpoint"] == other]
    apart = rows["available_ratio_difference"]
    if apart.isna().all():
        return f"{other} against {first}: available shares were not measured."
    row = rows.iloc[int(apart.abs().argmax())]
    share, difference = row["available_ratio"], row["available_ratio_difference"]
    return (
        f"{other} against {first}: available shares differ most in layer {row['layer']} ({row['name']}), "
        f"{number(share, 'share')} against {number(share - difference, 'share')} "
        f"({number(difference, POINTS)})."
    )


def _groups(layers: Sequence[object]) -> list[int]:
    return [row for row in range(1, len(layers)) if layers[row] != layers[row - 1]]


def _once(layers: Sequence[object]) -> list[str]:
    starts = {0, *_groups(layers)}
    return [str(layer) if row in starts else "" for row, layer in enumerate(layers)]


def _say_dropped(headings: Sequence[str]) -> None:
    if headings:
        aside(f"no room for {', '.join(headings)}: a wider terminal has them, --format csv everything")
