"""Recordings on disk: one `.npz` of plain arrays and a JSON header; nothing is ever unpickled."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mpdviz.accumulations.contents import Contents
from mpdviz.accumulations.histogram import PER_UNIT, REACH
from mpdviz.accumulations.stored import FORMAT, VERSION, Header, layer
from mpdviz.errors import BadInput
from mpdviz.system.arrays import archive_of, read_arrays
from mpdviz.system.files import exists, write_atomically
from mpdviz.system.reading import parse_json
from mpdviz.system.schema import checked


def save(path: Path, contents: Contents) -> None:
    """Write a recording, atomically.

    Raises:
        BadInput: the file cannot be written, or is there and no recording; it stays as it was.
    """
    check_place(path)
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "edges": [REACH, PER_UNIT],
        "left_out": dict(contents.left_out),
        "network": dict(contents.network),
        "origin": dict(contents.origin),
        "parts": sorted(contents.parts),
        "layers": {},
    }
    arrays: dict[str, Any] = {}
    for number, recorded in contents.layers.items():
        header["layers"][number] = {
            "info": asdict(recorded.info),
            "census": recorded.census is not None,
            "flow": recorded.flow is not None,
            "currents": recorded.currents is not None,
        }
        parts = {part: getattr(recorded, part) for part in ("statistics", "census", "flow", "currents")}
        for part, sums in parts.items():
            if sums is not None:
                for name, array in vars(sums).items():
                    arrays[f"{number}.{part}.{name}"] = array
    write_atomically(path, lambda file: np.savez_compressed(file, header=json.dumps(header), **arrays))


def check_place(path: Path) -> None:
    """Refuse to write a recording over a file that is none.

    Raises:
        BadInput: there is such a file.
    """
    if not exists(path):
        return
    try:
        with archive_of(path, "recording", "") as archive:
            ours = "header" in archive.files and FORMAT in str(archive["header"])
    except BadInput:
        ours = False
    if not ours:
        raise BadInput(f"{path} is no recording, and would be lost", "choose another name")


def load(path: Path) -> Contents:
    """A recording written by `save`; older files do not know what was left out, nor of which network.

    Raises:
        BadInput: missing, damaged, or not a recording.
    """
    what, remedy = f"recording {path}", "record again and `save` it"
    arrays = read_arrays(path, "recording", remedy)
    if "header" not in arrays:
        raise BadInput(f"{path} is no recording", remedy)
    try:
        content = parse_json(str(arrays["header"]))
    except (ValueError, RecursionError):
        raise BadInput(f"{what} is damaged: its header is not JSON", remedy) from None
    if isinstance(content, dict) and content.get("format") == FORMAT and content.get("version") != VERSION:
        raise BadInput(f"{path} has another format version", "make the recording again")
    header = checked(Header, content, what, remedy)
    try:
        layers = {number: layer(number, part, arrays) for number, part in sorted(header.layers.items())}
    except ValueError as error:
        raise BadInput(f"{what} is damaged ({error})", remedy) from None
    return Contents(layers, header.left_out, header.network, header.origin, frozenset(header.parts))
