"""Studies of made-up numbers, of any size, for the tests of figures and tables."""

from pathlib import Path

import numpy as np
import pandas as pd

from mpdviz.config import RunConfig
from mpdviz.figures.paper.study import Recorded, Study
from mpdviz.runs.reading import StoredRun

SEVEN = ("fixed", "fixed:kappa=0.5", "mpd-agl", "mpd-agl-reset", "observed", "lsg", "ds-atgo")
TWO = ("mpd-agl", "fixed")
METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def made_study(names, layers, timesteps, seeds=(0, 1), epochs=8, **options):
    """Runs of made-up numbers: all that any figure needs."""
    runs, recordings = [], {}
    for place, strategy in enumerate(names):
        for seed in seeds:
            rng = np.random.default_rng([place, seed])
            path = Path(f"{strategy}-{seed}")
            config = RunConfig(strategy=strategy, seed=seed, timesteps=timesteps, model="resnet19")
            index = pd.MultiIndex.from_product(
                [range(1, epochs + 1), range(1, layers + 1), range(1, timesteps + 1)]
            )
            rows = index.to_frame(index=False, name=["epoch", "layer", "timestep"])
            rows["name"] = "blocks." + rows["layer"].astype(str) + ".downsample"
            for column in ("kappa", "std", "predicted_std", "available_ratio"):
                rows[column] = 0.1 + 0.8 * rng.random(len(rows))
            metrics = pd.DataFrame({name: rng.random(epochs) for name in METRICS})
            metrics.insert(0, "epoch", range(1, epochs + 1))
            tables = {"metrics": metrics, "widths": rows, "mpd": rows}
            result = {"test_accuracy": 0.8 + 0.02 * place + 0.01 * rng.random(), "val_accuracy": 0.9}
            runs.append(StoredRun(path, path, config, tables, result))
            table = rows[rows["epoch"] == 1].assign(v_th=0.5, lower=0.2, upper=0.8, grad_norm=rng.random())
            bins = table[["layer", "name", "timestep"]].merge(_bins(rng), how="cross")
            recordings[path] = Recorded(table.drop(columns="epoch"), bins)
    return Study(runs, recordings, **options)


def _bins(rng):
    edges = np.linspace(-2, 2, 65)
    counts = np.histogram(rng.normal(0.2, 0.5, 500), edges)[0]
    density = counts / counts.sum() / np.diff(edges)
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "count": counts, "density": density})
