"""A recording on the terminal: the answer, a table that fits, what the table does not hold."""

from typing import TYPE_CHECKING

from .fitted import print_table
from .formats import print_markdown
from .output import aside, console, note, show
from .select import ranges

if TYPE_CHECKING:
    import pandas as pd

    from mpdviz.api import Recording


def table(
    recording: "Recording", frame: "pd.DataFrame", *, markdown: bool = False, full: bool = False, one: bool
) -> None:
    """Print the answer and the table.

    Args:
        recording: what it is of.
        frame: the rows of its main table to show, with what was asked for besides.
        markdown: for an issue or a pull request, all columns.
        full: a row a layer and timestep; else a row a layer.
        one: sketch the layer where there is but one in `frame`.
    """
    from mpdviz.analysis import summary
    from mpdviz.analysis.limits import Limits
    from mpdviz.analysis.words import percent

    from . import layers

    every = summary.by_layer(recording.layers)
    if markdown:  # as a paragraph of its own, however long
        print(summary.answer(every))
    else:
        show(summary.answer(every), "bold")
    if frame.empty:
        return
    print()
    rows = every[every["layer"].isin(frame["layer"])]
    if full:
        columns, breaks = layers.by_timestep(frame)
        styles: list[str] = []
    else:
        (columns, styles), breaks = layers.by_layer(rows), []
    if markdown:
        print_markdown(columns)
        return
    dropped = print_table(columns, styles, breaks)
    if rows["starved"].any() and not full:
        show(f"! starved: under {percent(Limits().starved)} at its worst timestep")
    if not full and layers.asked_for(frame):
        print()
        names = ["layer", "name", "timestep", "available_ratio", *layers.asked_for(frame)]
        columns, breaks = layers.by_timestep(frame, names)
        dropped += print_table(columns, breaks=breaks)
    chosen = frame["layer"].unique()
    if one and len(chosen) == 1:
        from .sketch import sketch

        print()
        row = frame[frame["layer"] == chosen[0]]
        console().print(
            sketch(row, recording.histogram(int(chosen[0])), console().width), no_wrap=True, crop=False
        )
    if dropped:
        aside(f"no room for {', '.join(dropped)}: a wider terminal has them, --format csv everything")


def notes(recording: "Recording", *, predicted: bool) -> None:
    """Say what the table does not hold, and what to know of the predictions where they are shown."""
    for name, why in recording.left_out.items():
        note("left out:", f"{name}: {why}")
    for why, columns in _not_measured(recording).items():
        note("not measured:", f"{columns}: {why}")
    for number, layer in recording.layers.items():
        if layer.repeated_input and predicted:
            note(
                "note:",
                f"layer {number} ({layer.info.name}) gets the same current at every timestep, so its spread "
                "grows with 1 + decay, not with sqrt(1 + decay^2) as all predictions but correlated take it",
            )


def _not_measured(recording: "Recording") -> dict[str, str]:
    """Columns, and the layers that lack them, by the reason."""
    found: dict[str, dict[str, list[int]]] = {}
    for number, columns in recording.not_measured.items():
        for column, why in columns.items():
            # Predictions say by their own absence that there is nothing to predict from.
            if not (column.startswith("predicted_ratio") and not recording.layers[number].info.gamma):
                found.setdefault(why, {}).setdefault(column, []).append(number)
    everywhere = len(recording.layers)
    return {
        why: ", ".join(
            column
            if len(numbers) == everywhere
            else f"{column} of layer{'s' * (len(numbers) > 1)} {ranges(numbers)}"
            for column, numbers in columns.items()
        )
        for why, columns in found.items()
    }
