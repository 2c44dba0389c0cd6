"""What all figures share: colours that colour-blind eyes and grey prints tell apart, sizes, names, saving."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, cycle
from pathlib import Path
from typing import Any

import numpy as np

from mpdviz.errors import BadInput
from mpdviz.system.files import write_atomically

try:
    import matplotlib as mpl  # which reads the variable as it is imported
except ValueError:
    named = os.environ.get("MPLBACKEND")
    raise BadInput(
        f"environment variable MPLBACKEND is {named!r}, which matplotlib does not know", "unset it"
    ) from None
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
INDIGO, OLIVE, TEAL = "#332288", "#999933", "#117733"
"""Okabe & Ito's palette, with indigo, olive and teal in place of yellow, which vanishes on white."""
INSIDE, OUTSIDE, INTERVAL, THRESHOLD = ORANGE, "#D4D4D4", "#FCF0D6", "#222222"
"""Potentials inside and outside the available interval, its shade, the threshold: of no strategy's colour."""
BELOW, ABOVE = "#5A5A5A", "#DDDDDD"
"""Potentials on either side of the interval; grey prints keep the three apart."""
UNKNOWN = "#DDDDDD"
"""Where there is nothing to colour by."""
FRAME = "#E3000F"
"""Around what needs attention; the colour maps have no red."""
OBSERVED = OUTLINE = "#222222"
PREDICTIONS = {
    "paper": ("o", 3.8, "#882255"),
    "mixture": ("s", 5.6, "#44AA99"),
    "time": ("x", 2.2, "#AA8800"),
    "reset": ("+", 4.6, "#666666"),
    "correlated": ("D", 7.2, "#AA3377"),
}
"""Marker, size in points and colour (no strategy's) of each prediction; those upon another stay visible."""
SPREAD_PARTS = {
    "past": "#DDCC77",
    "variance": "#88CCEE",
    "correlation": "#882255",
    "reset": "#44AA99",
    "rest": "#666666",
}
"""Parts of the spread error, no strategy's colours."""

Dashes = str | tuple[float, tuple[float, ...]]
DASHES: tuple[Dashes, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (3, 1)),
    (0, (6, 1.5, 1, 1.5, 1, 1.5)),
    (0, (9, 2)),
    (0, (1, 3)),
    (0, (3, 3)),
    (0, (9, 1.5, 3, 1.5)),
    (0, (12, 1.5, 1, 1.5)),
    (0, (2, 1, 2, 4)),
    (0, (6, 5)),
    (0, (1, 1, 1, 4)),
)


@dataclass(frozen=True)
class Appearance:
    """How a strategy looks and is spelled, in every figure and table."""

    label: str
    colour: str
    marker: str
    """So that grey prints tell strategies apart too."""
    dashes: Dashes

    def line(self, **properties: Any) -> Line2D:
        """An entry of a legend."""
        looks = {"color": self.colour, "marker": self.marker, "ls": self.dashes, "label": self.label}
        return Line2D([], [], **looks | properties)


FAMILIES = {
    "mpd-agl": Appearance("MPD-AGL", BLUE, "o", DASHES[0]),
    "fixed": Appearance("fixed", VERMILION, "s", DASHES[1]),
    "mpd-agl-reset": Appearance("MPD-AGL reset", GREEN, "^", DASHES[2]),
    "mpd-agl-correlated": Appearance("MPD-AGL correlated", TEAL, "h", DASHES[6]),
    "observed": Appearance("observed quantile", PURPLE, "D", DASHES[3]),
    "lsg": Appearance("LSG", SKY, "v", DASHES[4]),
    "ds-atgo": Appearance("DS-ATGO", INDIGO, "P", DASHES[5]),
}
"""Strategies by name; what is said beside their options."""
MARKERS = ("X", "<", ">", "*", "d", "p", "8", "1")
"""Of strategies that are not in `FAMILIES`, and of further members of a family."""
OF_KAPPA = {0.25: "<", 0.5: ">", 2.0: "X", 4.0: "*", 8.0: "d"}
"""Markers of fixed widths beside 1."""
MOST_STRATEGIES = len(FAMILIES) + len(MARKERS)
"""Beyond, markers would be the same."""


def spelled(name: str) -> str:
    """A strategy's name with options and further settings as figures, captions and tables spell it.

    `fixed:kappa=0.5` is `fixed κ = 0.5`, and `fixed`, whose width is 1, is `fixed κ = 1`.
    """
    strategy, *settings = name.split(", ")
    base, *options = strategy.split(":")
    if "=" in base:  # an arm that is called by its settings alone
        return name.replace("=", " = ")
    if base == "fixed" and not any(option.startswith("kappa=") for option in options):
        options.insert(0, "kappa=1")
    texts = [option.removeprefix("shape=").replace("kappa=", "κ=").replace("=", " = ") for option in options]
    family = FAMILIES[base].label if base in FAMILIES else base
    head = f"{family} {', '.join(texts)}" if texts else family
    return ", ".join([head, *(setting.replace("=", " = ") for setting in settings)])


def kappa(name: str) -> float | None:
    """The width of a `fixed` strategy by its name, in units of potential; None of any other."""
    base, *options = name.split(", ")[0].split(":")
    if base != "fixed":
        return None
    widths = [option.removeprefix("kappa=") for option in options if option.startswith("kappa=")]
    return float(widths[0]) if widths else 1.0


def appearances(names: Iterable[str], of: Mapping[str, str] | None = None) -> dict[str, Appearance]:
    """How each of these strategies looks; a known one looks the same whatever else is shown.

    Fixed widths are shades of one colour, dark where they are wide.

    Args:
        names: strategies, or networks.
        of: the strategies of networks, which are then spelled by their own names.
    """
    strategies = {name: (of or {}).get(name, name) for name in names}
    labels = {name: name if of else spelled(name) for name in strategies}
    if len(set(labels.values())) < len(labels):
        labels = dict(zip(labels, labels, strict=True))
    bases = {name: _base(strategy) for name, strategy in strategies.items()}
    known = {base: look for base, look in FAMILIES.items() if base in bases.values()}
    others = [base for base in dict.fromkeys(bases.values()) if base not in known]
    spare = [OLIVE, *(look.colour for base, look in FAMILIES.items() if base not in known)]
    free = {base: spare[place % len(spare)] for place, base in enumerate(others)}
    own = {OF_KAPPA.get(kappa(strategy) or 1.0) for strategy in strategies.values()}
    used = [look.dashes for look in known.values()]
    markers = chain((marker for marker in MARKERS if marker not in own), cycle(MARKERS))
    dashes = chain((dash for dash in DASHES if dash not in used), cycle(DASHES))
    looks: dict[str, Appearance] = {}
    seen: list[tuple[str, float]] = []
    for name, base in bases.items():
        width = kappa(strategies[name]) or 1.0
        again = seen.count((base, width))
        seen.append((base, width))
        if base in known and width == 1 and not again:
            looks[name] = replace(known[base], label=labels[name])
            continue
        colour = shade(known[base].colour if base in known else free[base], np.log2(width) / 2.5 + again / 3)
        marker = OF_KAPPA[width] if width in OF_KAPPA and not again else next(markers)
        looks[name] = Appearance(labels[name], colour, marker, next(dashes))
    return looks


def shade(colour: str, dark: float) -> str:
    """`colour` mixed with black for `dark` in (0, 1], with white for [-1, 0); by half at most."""
    base = np.array(mpl.colors.to_rgb(colour))
    share = 0.55 * float(np.clip(dark, -1, 1))
    return str(mpl.colors.to_hex(tuple(base + abs(share) * ((share < 0) - base))))


def _base(name: str) -> str:
    return name.split(", ")[0].split(":")[0]


GRID: dict[str, Any] = {"axis": "y", "lw": 0.3, "color": "#CCCCCC"}
NOTE: dict[str, Any] = {"fontsize": 6, "style": "italic", "va": "center"}
"""Text where there is nothing to draw."""
SMALLEST = 6
"""Points; smaller text is not read in print."""
PAGE_WIDTH = 7.0
"""Width in inches of the text of a two-column page."""
NARROW = 0.7 * PAGE_WIDTH
"""Least width that the legends need."""
FORMATS = ("png", "pdf", "svg")
SERIF = ["STIXGeneral", "DejaVu Sans"]
"""Times-like letters that come with matplotlib, so that figures are the same on every machine;
the second has what the first lacks."""


@contextmanager
def style(*, serif: bool = False) -> Iterator[None]:
    """Print-ready settings inside the block: 8-point text, embedded fonts, no chart junk.

    Args:
        serif: letters like those of Times, for documents set in it.
    """
    settings: dict[Any, Any] = {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "legend.fontsize": 7,
        "legend.frameon": False,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "lines.linewidth": 1.0,
        "figure.dpi": 120,
        "savefig.dpi": 300,
        "pdf.fonttype": 42,  # TrueType: Type 3 fonts are refused by conference checkers
        "svg.fonttype": "none",
        "svg.hashsalt": "mpdviz",  # the same figure gives the same bytes
    }
    if serif:
        settings |= {"font.family": SERIF, "mathtext.fontset": "stix"}
    with mpl.rc_context(settings):
        yield


def timestep_colours(timesteps: int) -> list[str]:
    """A colour for each of so many timesteps, from dark to light, light ones still seen on white."""
    return [mpl.colors.to_hex(colour) for colour in mpl.colormaps["viridis"](np.linspace(0, 0.88, timesteps))]


def check_format(name: str) -> None:
    """Refuse a format that `save` does not write.

    Raises:
        BadInput: `name` is not in `FORMATS`.
    """
    if name not in FORMATS:
        raise BadInput(f"figure format {name!r}", f"choose one of: {', '.join(FORMATS)}")


def save(figure: Figure, path: Path) -> Path:
    """Write `figure` to `path`, its format from the suffix.

    Raises:
        BadInput: an unknown format, or a file that cannot be written.
    """
    kind = path.suffix.removeprefix(".")
    check_format(kind)
    # No creation date, so that the same figure gives the same bytes.
    metadata = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
    with style():
        write_atomically(path, lambda file: figure.savefig(file, format=kind, metadata=metadata))
    return path
