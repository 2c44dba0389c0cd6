"""Print the tables of docs/findings.md from the folder that docs/study.sh worked in.

python docs/tables.py WORK
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm

import mpdviz
from mpdviz import checkpoint, data

STUDIES = (
    "cifar10",
    "digits",
    "digits-decay0.5",
    "digits-decay0.9",
    "digits-gamma0.5",
    "digits-gamma2",
    "digits-T2",
)


def accuracy(folder: Path) -> pd.DataFrame:
    """Test accuracy by strategy, and the difference from fixed kappa = 1 with its interval, in percent."""
    means = pd.read_csv(folder / "accuracy.csv").set_index("arm")
    apart = pd.read_csv(folder / "differences.csv").set_index("arm")
    rows = {}
    for strategy, row in means.iterrows():
        rows[strategy] = {"accuracy": f"{100 * row['mean']:.2f} ± {100 * row['std']:.2f} ({row['n']:.0f})"}
        if strategy in apart.index:
            d = 100 * apart.loc[strategy, ["difference", "low", "high"]].astype(float)
            rows[strategy]["difference"] = f"{d['difference']:+.2f}"
            rows[strategy]["95 % interval"] = f"{d['low']:+.2f} to {d['high']:+.2f}"
    return pd.DataFrame(rows).T.fillna("")


def ratios(folder: Path) -> pd.DataFrame:
    """Available ratio, width, gain and firing rate after the last epoch, means over t, layers, seeds."""
    rows = {}
    for strategy, runs in pd.read_csv(folder / "runs.csv").groupby("strategy", sort=False):
        last = []
        for run in runs["folder"]:
            table = pd.read_csv(folder / run / "mpd.csv")
            last.append(table[table["epoch"] == table["epoch"].max()])
        table = pd.concat(last)
        by_layer = 100 * table.groupby("layer")["available_ratio"].mean()
        rows[strategy] = {
            "available": f"{by_layer.mean():.1f}",
            "lowest layer": f"{by_layer.min():.1f} (layer {by_layer.idxmin()})",
            "highest layer": f"{by_layer.max():.1f} (layer {by_layer.idxmax()})",
            "kappa": f"{table['kappa'].mean():.2f}",
            "gain": f"{table['mean_gain'].mean():.2f}",
            "firing": f"{100 * table['firing_rate'].mean():.1f}",
        }
    return pd.DataFrame(rows).T


def against_fixed(folder: Path, strategy: str = "mpd-agl") -> pd.DataFrame:
    """The same potentials under the strategy's widths and under kappa = 1, beside METHOD E's closed form."""
    runs = pd.read_csv(folder / "runs.csv")
    tables = []
    for run in runs[runs["strategy"] == strategy]["folder"]:
        saved = checkpoint.load(folder / run / "checkpoints" / "best.pt")
        dataset = data.load(saved.config.data, timesteps=saved.config.timesteps)
        with torch.no_grad(), mpdviz.record(saved.network.eval(), what_if=[1.0]) as mpd:
            for x, _ in data.batches(dataset, "val", 64):
                saved.network(x)
        tables.append(mpd.table())
    table = pd.concat(tables)
    s = table["kappa"] / 2 / table["v_th"]  # MPD-AGL's predicted spread, in units of v_th
    table["closed"] = norm.cdf(1 / s + 1) - norm.cdf(1 / s - 1) - (norm.cdf(2 / s) - 0.5)
    table["change"] = table["available_ratio"] - table["available_ratio_kappa1"]
    table["wider"] = table["kappa"] > 1
    rows = table.groupby("layer").agg(
        gamma=("gamma_mean", "mean"),
        wider=("wider", "mean"),
        change=("change", "mean"),
        closed=("closed", "mean"),
    )
    return rows.assign(
        change=100 * rows["change"], closed=100 * rows["closed"], wider=100 * rows["wider"]
    ).round(2)


def main(work: Path) -> None:
    """All tables, as Markdown."""
    for study in STUDIES:
        folder = work / study
        if not (folder / "runs.csv").exists():
            continue
        print(f"## {study}\n")
        print(accuracy(folder).join(ratios(folder)).to_markdown(), "\n")
        both = against_fixed(folder)
        print(both.to_markdown(), "\n")
        agree = (np.sign(both["change"]) == np.sign(both["closed"])).mean()
        print(f"Layers in which the change has the closed form's sign: {agree:.0%}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
