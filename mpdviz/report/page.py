"""Sections -> one HTML file that holds all it needs and asks nobody for anything (no torch)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from mpdviz.report.blocks import Explorer, Picture, Section, Table
from mpdviz.report.counts import HISTOGRAM

POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline' 'unsafe-eval'"
)
"""What the browser may load: nothing from anywhere. Vega compiles its expressions, hence the eval."""


WIDEST = 16
"""Columns of a table that a sheet of paper holds."""


@dataclass(frozen=True)
class Placed:
    """A block and the identifier that the page's script finds it by."""

    id: str
    block: Any


def html(title: str, sections: Sequence[Section], generator: str) -> str:
    """The page.

    Args:
        title: of the page.
        sections: in order.
        generator: what the head of the file says that it was made by.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mpdviz.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    placed = [
        (section, f"s{number}", list(_placed(section, f"s{number}")))
        for number, section in enumerate(sections, 1)
    ]
    own = resources.files("mpdviz.report") / "page"
    return environment.get_template("page.html.j2").render(
        title=title,
        policy=POLICY,
        generator=generator,
        sections=placed,
        widest=WIDEST,
        style=(own / "report.css").read_text(encoding="utf-8"),
        script=(own / "report.js").read_text(encoding="utf-8"),
        libraries=_libraries(),
        data=_script_json(_data(block for _, _, blocks in placed for block in blocks)),
    )


def _placed(section: Section, prefix: str) -> Iterator[Placed]:
    for number, block in enumerate(section.blocks, 1):
        yield Placed(f"{prefix}-{number}", block)


def _data(blocks: Iterator[Placed]) -> dict[str, Any]:
    """What the script works with: charts, tables and counts by the blocks' identifiers."""
    charts: dict[str, Any] = {}
    tables: dict[str, str] = {}
    explorers: dict[str, Any] = {}
    for one in blocks:
        block = one.block
        if isinstance(block, Picture):
            charts[one.id] = block.spec
        elif isinstance(block, Table):
            tables[one.id] = block.frame.to_csv(index=False)
        elif isinstance(block, Explorer):
            charts[f"{one.id}-map"] = block.map.spec
            charts[f"{one.id}-potentials"] = block.distribution
            explorers[one.id] = {"layers": block.layers, "start": block.start}
    return {"histogram": HISTOGRAM, "charts": charts, "tables": tables, "explorers": explorers}


def _script_json(data: Mapping[str, Any]) -> str:
    """JSON that cannot end the script element that it lies in, whatever names the layers have."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _libraries() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, from the package that Altair draws with."""
    import altair
    import vl_convert

    version = ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    return bundle.replace("</script", "<\\/script")
