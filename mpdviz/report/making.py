"""How a report was made: by what, when, from what command (no torch)."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from mpdviz.report.blocks import Facts, Section

PACKAGES = ("mpdviz", "torch", "numpy", "pandas", "altair")


def section(command: str = "", files: Mapping[str, str] | None = None) -> Section:
    """The last section.

    Args:
        command: the command line; empty where there was none.
        files: SHA-256 of the files that were read, by name.
    """
    values = {"made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")}
    if command:
        values["command"] = command
    values["Python"] = platform.python_version()
    for package in PACKAGES:
        try:
            values[package] = version(package)
        except PackageNotFoundError:
            values[package] = "not installed"
    values |= {f"SHA-256 of {name}": digest for name, digest in (files or {}).items()}
    return Section("How this was made", [Facts(values)])
