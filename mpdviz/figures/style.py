"""What all figures share: colours that colour-blind eyes and grey prints tell apart, sizes, saving."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from mpdviz.errors import BadInput
from mpdviz.files import write_atomically

# Okabe & Ito's palette.
POTENTIAL = "#56B4E9"
OUTLINE = "#0072B2"
INTERVAL = "#E69F00"
THRESHOLD = "#D55E00"

PAGE_WIDTH = 7.0
"""Width in inches of the text of a two-column page."""
FORMATS = ("png", "pdf", "svg")


@contextmanager
def style() -> Iterator[None]:
    """Print-ready settings inside the block: 8-point text, embedded fonts, no chart junk."""
    settings: dict[Any, Any] = {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "legend.fontsize": 7,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "lines.linewidth": 1.0,
        "figure.dpi": 120,
        "savefig.dpi": 300,
        "pdf.fonttype": 42,  # TrueType: Type 3 fonts are refused by conference checkers
        "svg.fonttype": "none",
        "svg.hashsalt": "mpdviz",  # the same figure gives the same bytes
    }
    with mpl.rc_context(settings):
        yield


def save(figure: Figure, path: Path) -> Path:
    """Write `figure` to `path`, its format from the suffix.

    Raises:
        BadInput: an unknown format, or a file that cannot be written.
    """
    kind = path.suffix.removeprefix(".")
    if kind not in FORMATS:
        raise BadInput(f"figure format {kind!r}", f"choose one of: {', '.join(FORMATS)}")
    # No creation date, so that the same figure gives the same bytes.
    metadata = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
    with style():
        write_atomically(path, lambda file: figure.savefig(file, format=kind, metadata=metadata))
    return path
