"""Studies of any size as training leaves them, whose runs were never trained: their numbers are made up."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from mpdviz.compare import arms, plan
from mpdviz.system.files import make_folder


class StudySize(NamedTuple):
    """What a study is made of, and what each run's tables are."""

    arms: int = 2
    seeds: int = 2
    epochs: int = 5
    layers: int = 2
    timesteps: int = 2


def write(folder: Path, size: StudySize) -> None:
    """A finished study in `folder`: settings, results, metrics.csv, widths.csv and mpd.csv of every run."""
    names = [f"fixed:kappa={1 + arm / 1000}" for arm in range(size.arms)]
    settings = {"timesteps": size.timesteps, "epochs": size.epochs}
    study = plan.plan(arms.of_strategies(names), range(size.seeds), settings, folder)
    study.write()
    rng = np.random.default_rng(0)
    tables = {name: table.to_csv(index=False) for name, table in _tables(size, rng).items()}
    for run in study.runs():
        make_folder(run.folder.path)
        run.folder.config.write_text(run.config.to_toml(), encoding="utf-8")
        seed = run.config.seed
        result = {
            "finished": True,
            "epoch": size.epochs,
            "val_accuracy": 0.9,
            "test_accuracy": 0.8 + 0.1 * rng.random(),
            "initial_weights": f"weights {seed}",
            "drawn_weights": f"weights {seed}",
            "data_order": f"order {seed}",
        }
        run.folder.result.write_text(json.dumps(result), encoding="utf-8")
        for name, table in tables.items():
            (run.folder.path / f"{name}.csv").write_text(table, encoding="utf-8")


def _tables(size: StudySize, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    epochs, layers, timesteps = (range(1, count + 1) for count in size[2:])
    index = pd.MultiIndex.from_product([epochs, layers, timesteps], names=["epoch", "layer", "timestep"])
    rows = index.to_frame(index=False)
    rows["name"] = "layers." + rows["layer"].astype(str)
    for column in ("kappa", "available_ratio", "std", "predicted_std"):
        rows[column] = 0.1 + 0.8 * rng.random(len(rows))
    metrics = pd.DataFrame({"epoch": list(epochs)})
    for column in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        metrics[column] = rng.random(size.epochs)
    return {"metrics": metrics, "widths": rows, "mpd": rows}
