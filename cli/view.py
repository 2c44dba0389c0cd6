"""A run at a glance, for `mpdviz train --live` and `mpdviz watch`: how far, how well, which layers starve."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from mpdviz.analysis.words import percent
from mpdviz.runs.following import duration
from mpdviz.runs.status import LayerShare, Status

from .fitted import shortened
from .output import heights, printable

NAME, BAR, LINE = 28, 24, 40
"""Characters of a layer's name and of bars at the most."""
LEAST_NAME = 8
BESIDE = 34
"""Characters of a layer's row beside its name and bar."""
STARVED = "bold red"


def of_run(title: str, status: Status | None, news: str, width: int, height: int) -> list[Text]:
    """The lines of a run.

    Args:
        title: what is trained, and where.
        status: how it stands; None where it has not said so.
        news: whether it still runs, in words; empty where there is nothing to say.
        width: characters that a line may have.
        height: lines that there may be, at least 5; of more layers than fit the worst are shown.
    """
    lines = [Text(shortened(_clean(title), width), "bold")]
    if status is not None:
        lines += _progress(status, width)
    if news:
        lines.append(Text(shortened(_clean(news), width), "yellow"))
    if status is not None and status.layers:
        lines += _layers(status, width, height - len(lines))
    return lines[:height]


def one_line(name: str, status: Status | None, news: str, width: int | None = None) -> str:
    """A run of a study.

    Args:
        name: the run's.
        status: how it stands.
        news: whether it still runs, in words.
        width: characters that the line may have; what does not fit is left out.
    """
    parts = [news]
    if status is not None and status.of:
        parts.append(f"epoch {status.epoch}/{status.epochs}")
        if status.val_accuracy is not None:
            parts.append(f"validation {percent(status.val_accuracy, 2)}")
        worst = next(iter(status.worst_first()), None)
        if worst is not None and worst.lowest is not None:
            mark = "! " if worst.starved else ""
            parts += [f"{mark}lowest share {percent(worst.lowest)}", f"in {worst.name}"]
    line = _clean(name)
    for part in parts:
        longer = f"{line}  {_clean(part)}"
        if width is not None and cell_len(longer) > width:
            break
        line = longer
    return line if width is None else shortened(line, width)


def curve(losses: Sequence[float | None], width: int) -> str:
    """Losses as bars from the lowest to the highest; `?` where one is not finite."""
    if len(losses) > width:  # the last of neighbours stands for them
        losses = [losses[(place + 1) * len(losses) // width - 1] for place in range(width)]
    known = [loss for loss in losses if loss is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    marks = heights()[1:]
    scale = (len(marks) - 1) / (high - low) if high > low else 0.0
    return "".join("?" if loss is None else marks[round((loss - low) * scale)] for loss in losses)


def _progress(status: Status, width: int) -> list[Text]:
    if not status.of:
        return [Text("no training step done yet")]
    share = status.done / status.of
    spot = f"epoch {status.epoch}/{status.epochs}  step {status.step}/{status.steps}  "
    room = min(LINE, width - cell_len(spot) - 6)
    said = [f"{spot}{_bar(share, room)} {100 * share:3.0f} %" if room > 4 else spot.rstrip()]
    numbers = []
    if status.loss is not None:
        numbers.append(f"loss {status.loss:.4f}")
    if status.accuracy is not None:
        numbers.append(f"accuracy {percent(status.accuracy, 2)}")
    if status.images_per_second is not None:
        numbers.append(f"{status.images_per_second:.0f} images/s")
    if status.seconds_left and status.ended is None:
        numbers.append(f"{duration(status.seconds_left)} left")
    said.append("  ".join(numbers))
    if status.val_epoch is not None:
        loss = "-" if status.val_loss is None else f"{status.val_loss:.4f}"
        accuracy = "-" if status.val_accuracy is None else percent(status.val_accuracy, 2)
        said.append(f"validation after epoch {status.val_epoch}: {loss}, {accuracy}")
    known = [loss for loss in status.losses if loss is not None]
    if len(known) > 1:
        ends = f"  {known[0]:.4g} to {known[-1]:.4g}"
        said.append(f"loss  {curve(status.losses, max(min(width - 6 - len(ends), 64), 8))}{ends}")
    return [Text(shortened(line, width)) for line in said]


def _layers(status: Status, width: int, room: int) -> list[Text]:
    """A row a layer, the worst first, in so many lines."""
    layers = status.worst_first()
    starved = sum(layer.starved for layer in layers)
    when = f"epoch {status.recorded_epoch}, step {status.recorded_step}"
    of = f"{starved} of {len(layers)} starved, the worst first"
    title = f"available share at each layer's worst timestep ({when}): {of}"
    if cell_len(title) > width:
        title = f"worst available shares ({when}), {starved} of {len(layers)} starved"
    lines = [Text(shortened(title, width), "dim")]
    if room < 3:
        return lines[:room]
    shown = layers if len(layers) < room else layers[: room - 2]
    names = max(min(NAME, width - BESIDE), LEAST_NAME)
    bars = max(min(BAR, width - BESIDE - names), 0)
    longest = min(max(cell_len(_clean(layer.name)) for layer in shown), names)
    lines += [_row(layer, longest, bars, width) for layer in shown]
    left = layers[len(shown) :]
    if left:
        lowest = left[0].lowest
        above = "not measured" if lowest is None else f"{percent(lowest)} or more"
        lines.append(Text(f"and {len(left)} more: {above}", "dim"))
    return lines


def _row(layer: LayerShare, names: int, bars: int, width: int) -> Text:
    name = shortened(_clean(layer.name), names)
    name += " " * (names - cell_len(name))
    share = "not measured" if layer.lowest is None else f"{percent(layer.lowest):>8}  t={layer.at}"
    bar = f"  {_bar(layer.lowest or 0.0, bars)}" if bars > 3 else ""
    mark = "!" if layer.starved else " "
    line = f"{mark} {layer.layer:4d}  {name}{bar}  {share}"
    return Text(shortened(line, width), STARVED if layer.starved else "")


def _bar(share: float, width: int) -> str:
    """A line of so many characters, filled to a share; what is not nothing shows."""
    full, empty = "━─" if printable("━─") else "#."
    filled = min(width, max(round(share * width), int(share > 0)))
    return full * filled + empty * (width - filled)


def _clean(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)
