"""Advice as a study: the arms of a comparison that trains a network as it was against each remedy (no torch).

Two files, the second only where a remedy is a width:

FILE.toml          the run's settings, and the arms for `mpdviz compare --arms`: a name and what differs
FILE.widths.json   widths by layer and timestep, for the strategy `prescribed`
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis.advice import Advice
from mpdviz.analysis.cases import Remedy
from mpdviz.analysis.scaled import ENOUGH
from mpdviz.config import RunConfig, role
from mpdviz.errors import BadInput
from mpdviz.system.files import exists, write_text
from mpdviz.system.reading import opened

MARK = "# Written by mpdviz advise, which may write over it; "
MADE_BY = "mpdviz advise, which may write over this file"
"""By what files of ours are known."""
DIGITS = 12
"""Of the widths' SHA-256 that the arm names, so that a changed file is refused."""
CONTROL = "control"
LEFT_OUT = ("strategy", "seed")
"""Settings that are not shared by the arms: each has its strategy, and every seed of the comparison."""


def check_place(path: Path) -> None:
    """Refuse a place where no arms can be, or where something else lies.

    Raises:
        BadInput: no name of a TOML file, or a file that is not ours.
    """
    if path.suffix != ".toml":
        raise BadInput(f"arms {path}", "give a name that ends in .toml")
    if ":" in str(path):
        raise BadInput(f"arms {path}: a strategy cannot name a file with a colon", "choose another name")
    for file, mark in ((path, MARK), (widths_beside(path), MADE_BY)):
        if exists(file):
            with opened(file, "arms") as content:
                if mark.encode() not in content.read(1000):
                    raise BadInput(f"{file} was not written by `mpdviz advise`", "choose another name")


def widths_beside(path: Path) -> Path:
    """The file of widths of a file of arms."""
    return path.with_suffix(".widths.json")


def write(
    path: Path, advice: Advice, layers: Mapping[int, LayerAccumulation], config: RunConfig
) -> list[Path]:
    """Write the arms.

    Args:
        path: where to, ending in .toml; its folder exists.
        advice: whose remedies become arms, as far as they bring `ENOUGH` and settings of a run do them.
        layers: the recording that the advice is on.
        config: settings of the run that trained the network.

    Returns:
        The files that were written; none where there is no arm but the control, or where the control's
        strategy moves the thresholds.

    Raises:
        BadInput: a file that is not ours lies there, or one cannot be written.
    """
    check_place(path)
    widths = json.dumps(_widths(advice, layers), indent=1) + "\n"
    digest = hashlib.sha256(widths.encode()).hexdigest()[:DIGITS]
    file = widths_beside(path)
    arms = _arms(advice, config, _shape(layers, config), f"prescribed:{file.as_posix()}:sha256={digest}")
    # Thresholds that a strategy moves go with it: under another one, nothing that was counted would hold.
    if len(arms) == 1 or any(layer.info.thresholds for layer in layers.values()):
        return []
    settings = {
        name: value
        for name, value in config.model_dump(mode="json", exclude_none=True).items()
        if role(name) == "result" and name not in LEFT_OUT
    }
    written = []
    if any(arm["strategy"].startswith("prescribed") for arm in arms):
        write_text(file, widths)
        written.append(file)
    told = f"{MARK}for mpdviz compare --arms {path.name} --seeds 0-4 --out DIR\n\n"
    write_text(path, told + tomli_w.dumps({"settings": settings, "arms": arms}))
    return [path, *written]


def _arms(advice: Advice, config: RunConfig, shape: str, prescribed: str) -> list[dict[str, Any]]:
    """The control, then an arm for each kind of remedy; a single number is that of the worst layer."""
    control: dict[str, Any] = {"name": CONTROL, "strategy": config.strategy}
    arms = {CONTROL: control}
    for number in advice.order:
        for remedy in advice.of(number):
            kind, arm = _arm(remedy, config, shape, prescribed)
            enough = remedy.after is not None and remedy.after.lowest[0] >= ENOUGH * advice.target
            if kind and enough and kind not in arms:
                arms[kind] = control | arm
    alike = {"strategy": config.strategy, "surrogate": config.surrogate}
    return [
        arm
        for arm in arms.values()
        if arm is control or any(alike.get(name) != arm[name] for name in arm if name != "name")
    ]


def _shape(layers: Mapping[int, LayerAccumulation], config: RunConfig) -> str:
    """The shape that the run's strategy sets or has, as an option for another; empty: it has none."""
    told = next((f":{option}" for option in config.strategy.split(":") if option.startswith("shape=")), "")
    found = {layer.info.surrogate for layer in layers.values()}
    own = f":shape={next(iter(found))}" if len(found) == 1 and found != {config.surrogate} else ""
    return told or own


def _arm(remedy: Remedy, config: RunConfig, shape: str, prescribed: str) -> tuple[str, dict[str, Any]]:
    """The kind of a remedy and its settings, its name among them; no kind where no setting does it."""
    if remedy.gamma_scale != 1:
        gamma = float(f"{config.gamma * remedy.gamma_scale:.3g}")
        return "gamma", {"name": f"gamma {gamma:g}", "gamma": gamma}
    settings = dict(remedy.settings)
    if not settings:
        return "", {}
    if "v_th" in settings:
        return "v_th", {"name": remedy.remedy} | settings
    if settings["strategy"] == "prescribed":
        settings["strategy"] = prescribed
    if "surrogate" not in settings:  # else the strategy's own would be in its place
        settings["strategy"] += shape
    return remedy.remedy, {"name": remedy.remedy} | settings


def _widths(advice: Advice, layers: Mapping[int, LayerAccumulation]) -> dict[str, Any]:
    """Widths of every layer: those of its remedy, or those it has."""
    of = {number: list(layer.info.kappa) for number, layer in layers.items()}
    for number in advice.order:
        for remedy in advice.of(number):
            if remedy.settings.get("strategy") == "prescribed":
                of[number] = list(remedy.kappa)
    return {"made_by": MADE_BY, "layers": {layers[number].info.name: of[number] for number in sorted(of)}}
