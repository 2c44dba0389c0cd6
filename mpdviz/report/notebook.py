"""What a notebook shows of a recording: the answer, and a row a layer with its map (no torch)."""

from html import escape

import pandas as pd

from mpdviz.analysis import summary

MAP = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""Viridis in five stops, as in the report's map."""
MOST_NUMBERS = 12
"""Timesteps beyond which the map's cells have no room for their numbers."""


def compact(line: str, overview: pd.DataFrame) -> str:
    """HTML without a style sheet or a script, which any notebook shows.

    Args:
        line: the recording in a line.
        overview: `summary.by_layer`.
    """
    said = f"<p>{escape(line)}</p><p><b>{escape(summary.answer(overview))}</b></p>"
    if overview.empty:
        return said
    headings = ("layer", "name", "available", "by timestep", "lowest", "at", "why", "firing")
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    rows = "".join(_row(row) for row in overview.to_dict("records"))
    return f"{said}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(row: dict[object, object]) -> str:
    shares: tuple[float, ...] = row["by_timestep"]  # type: ignore[assignment]
    numbered = len(shares) <= MOST_NUMBERS
    cells = "".join(_cell(share, numbered) for share in shares)
    at = row["at_timestep"]
    values = (
        escape(str(row["layer"])),
        escape(str(row["name"])),
        _percent(row["available_ratio"]),
        f'<span style="white-space:nowrap">{cells}</span>',
        _percent(row["lowest_ratio"]),
        "" if at is pd.NA else f"t={at}",
        escape(str(row["why"])),
        _percent(row["firing_rate"]),
    )
    return f"<tr>{''.join(f'<td>{value}</td>' for value in values)}</tr>"


def _cell(share: float, numbered: bool) -> str:
    if share != share:
        style, said = "background:#ddd;color:#000", "-"
    else:
        place = min(share, 1) * (len(MAP) - 1)
        low = min(int(place), len(MAP) - 2)
        pairs = zip(MAP[low], MAP[low + 1], strict=True)
        mixed = [round(one + (place - low) * (other - one)) for one, other in pairs]
        ink = "#fff" if share < 0.6 else "#000"
        style, said = f"background:rgb{tuple(mixed)};color:{ink}", f"{100 * share:.0f}"
    told = "not measured" if share != share else f"{100 * share:.1f} %"
    text = said if numbered else "&nbsp;"
    return f'<span title="{told}" style="padding:1px 4px;{style}">{text}</span>'


def _percent(share: object) -> str:
    return "not measured" if share != share else f"{100 * float(share):.1f} %"  # type: ignore[arg-type]
