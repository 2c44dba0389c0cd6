"""One self-contained HTML file about recordings, runs and studies (no torch).

`write` takes sections: `of_recording`, `of_study`, `of_sides` and `of_making` make them.
"""

from collections.abc import Sequence
from pathlib import Path

from mpdviz.errors import BadInput
from mpdviz.report.blocks import Section, Text
from mpdviz.report.making import section as of_making
from mpdviz.report.recording import section as of_recording
from mpdviz.report.sides import section as of_sides
from mpdviz.report.study import section as of_study
from mpdviz.system.files import exists, make_folder, write_text
from mpdviz.system.reading import opened

__all__ = ["Section", "answers", "check_place", "of_making", "of_recording", "of_sides", "of_study", "write"]

GENERATOR = "mpdviz report"
"""Says at the head of the file that it is ours, and may be written over."""
SUFFIXES = (".html", ".htm")


def check_place(path: Path) -> None:
    """Refuse a place where no report can be, or where something else lies.

    Raises:
        BadInput: no name of an HTML file, or a file that is no report of ours.
    """
    if path.suffix not in SUFFIXES:
        raise BadInput(f"report {path}", f"give a name that ends in {SUFFIXES[0]}")
    if not exists(path):
        return
    with opened(path, "report") as file:
        head = file.read(1000)
    if f'content="{GENERATOR}"'.encode() not in head:
        raise BadInput(f"{path} is no report, and would be lost", "choose another name")


def answers(section: Section) -> list[str]:
    """What the section says first, in large letters."""
    return [block.words for block in section.blocks if isinstance(block, Text) and block.leads]


def write(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write the report.

    Args:
        path: where to, ending in .html.
        title: its heading.
        sections: what it shows.

    Raises:
        BadInput: something that is no report lies there, or it cannot be written.
    """
    from mpdviz.report.page import html

    check_place(path)
    make_folder(path.parent)
    write_text(path, html(title, sections, GENERATOR))
