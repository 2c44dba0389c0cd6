"""Measures what docs/correlated-currents.md reports, then draws its figures and prints its tables.

    OMP_NUM_THREADS=1 python docs/study/currents.py WORK CIFAR     # CIFAR holds cifar-10-batches-bin

Trains one small MPD-AGL network a setting into WORK, records its potentials and currents on test samples,
and joins what was recorded in results/currents.csv. What is finished is skipped: give the command again
after an interruption. `python docs/study/currents_page.py` makes figures and tables alone, from that file.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import currents_page
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

import mpdviz
from mpdviz import data
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis.columns import of_prediction
from mpdviz.analysis.decomposition import PARTS
from mpdviz.analysis.predict import PREDICTIONS, correlated

SAMPLES = 512
"""Recorded of the test data, and held out of the validation data; digits-dvs has 359 and 179."""
EPOCHS = 4
OBSERVED = ("layer", "timestep", "gamma_mean", "kappa", "mean", "std", "available_ratio", "firing_rate")
"""Columns of the main table that are kept as they are."""
PREDICTED = {
    "predicted_std": PREDICTIONS,
    "predicted_ratio": ("paper", "reset", "correlated"),
    "wasserstein": PREDICTIONS,
    "ks": ("paper", "correlated"),
}
"""Its columns of predictions."""
COARSE = ("gamma_mean", "firing_rate", "accuracy", "wasserstein", "ks", "excess_kurtosis")
"""How columns begin that are written with three decimals, so that the file stays small; others have four."""
SMALL = "convsnn:encode_channels=8:hidden=64:planes=8-16"
RESNET = "resnet19:encode_channels=8:hidden=64:planes=8-16-32"
VGG = "vggsnn:encode_channels=8:planes=8-16-32"


@dataclass(frozen=True)
class Setting:
    """One network to train and record."""

    data: str
    model: str
    decay: float
    timesteps: int
    seed: int
    train_limit: int

    @property
    def network(self) -> str:
        """The model without its options."""
        return self.model.partition(":")[0]

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.data}-{self.network}-decay{self.decay}-T{self.timesteps}-seed{self.seed}"


def settings() -> Iterator[Setting]:
    """All settings, those of seed 0 first."""
    grid = [(decay, timesteps) for decay in (0.2, 0.5, 0.9) for timesteps in (2, 4, 8)]
    for seed in range(3):
        for decay, timesteps in grid:
            yield Setting("fashion-mnist", SMALL, decay, timesteps, seed, 2000)
            yield Setting("digits-dvs", SMALL, decay, timesteps, seed, 1000)
            if not seed:
                yield Setting("cifar10", VGG, decay, timesteps, seed, 2000)
        if not seed:
            for decay, timesteps in ((0.2, 2), (0.5, 4), (0.9, 4), (0.9, 8)):
                yield Setting("cifar10", RESNET, decay, timesteps, seed, 2000)


def dataset_of(setting: Setting, cifar: Path) -> data.Dataset:
    """The data, of whose validation and test parts only what is recorded is kept: the others cost time."""
    folder = cifar if setting.data == "cifar10" else None
    whole = data.load(setting.data, timesteps=setting.timesteps, data_dir=folder)
    val, test = (part.take(torch.arange(min(SAMPLES, len(part)))) for part in (whole.val, whole.test))
    return replace(whole, name=f"given:{setting.data}", val=val, test=test)


def measure(setting: Setting, work: Path, cifar: Path) -> pd.DataFrame:
    """Train and record; one row a layer and timestep, as in the table that is published."""
    dataset = dataset_of(setting, cifar)
    run = mpdviz.train(
        data=dataset,
        model=setting.model,
        strategy="mpd-agl",
        decay=setting.decay,
        timesteps=setting.timesteps,
        seed=setting.seed,
        train_limit=setting.train_limit,
        epochs=EPOCHS,
        augment=False,
        backend="fused",
        device="cpu",
        out=work / setting.name / "run",
        resume=True,
    )
    rows = recorded(run.folder, dataset)
    known = {
        "data": setting.data,
        "network": setting.network,
        "decay": setting.decay,
        "T": setting.timesteps,
        "seed": setting.seed,
        "accuracy": run.test_accuracy,
    }
    return pd.DataFrame(known, index=rows.index).join(rows)


def recorded(run: Path, dataset: data.Dataset) -> pd.DataFrame:
    """The test samples' potentials and currents in a trained network, and what is predicted of them."""
    on = {"data": dataset, "batch_size": 64, "device": "cpu"}
    test = mpdviz.inspect(run, split="test", **on)
    held_out = mpdviz.inspect(run, split="val", **on)
    in_training = mpdviz.inspect(run, split="test", mode="train", **on).table()
    network = mpdviz.load_checkpoint(run / "checkpoints" / "best.pt").network
    shuffled, shape = dealt_anew(network, dataset)

    table, parts = test.table(), test.spread_error()
    rows = table[list(OBSERVED)].copy()
    for prefix, names in PREDICTED.items():
        for name in names:
            rows[f"{prefix}_{name}"] = table[of_prediction(prefix, name)]
    rows[list(PARTS)] = parts[list(PARTS)]
    rows["std_in_training"] = in_training["std"]
    rows["predicted_std_in_training"] = in_training["predicted_std_correlated"]
    by_layer: dict[str, list[np.ndarray]] = {}
    for number, layer in sorted(test.layers.items()):
        found = {
            "one_step_correlation": [np.nan, *np.diag(layer.currents.correlation, 1)],
            "std_shuffled": shuffled[layer.info.name],
            "excess_kurtosis": shape[layer.info.name],
            "predicted_std_independent": law(layer, layer, 0.0),
            "predicted_std_held_out": law(layer, held_out.layers[number], 1.0),
        }
        for column, values in found.items():
            by_layer.setdefault(column, []).append(values)
    return rows.assign(**{column: np.concatenate(values) for column, values in by_layer.items()})


def law(layer: LayerAccumulation, known: LayerAccumulation, share: float) -> np.ndarray:
    """Standard deviation `[T]` of `correlated` for a layer, from the currents that another recording knows.

    Args:
        layer: the one whose potentials are predicted.
        known: where means and covariances of the currents come from.
        share: of the covariances of different timesteps; 0 makes the currents independent.
    """
    covariances = known.currents.covariances
    kept = np.where(np.eye(layer.info.timesteps, dtype=bool), 1.0, share)
    thresholds = np.array(layer.info.thresholds_in_force)
    return correlated(layer.info.decay, thresholds, known.currents.means, covariances * kept).std


@torch.no_grad()
def dealt_anew(
    network: nn.Module, dataset: data.Dataset
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What becomes of each layer's potentials if its currents are dealt out anew at every timestep.

    Within a batch and channel the currents of a timestep go to other samples and positions, drawn anew at
    each timestep. So their law at every timestep is as it was, normal or not, and what they share from one
    timestep to the next is gone. The neurons, with their reset, are run on these; what the layer hands on
    stays as it is.

    Returns:
        By layer, `[T]`: the spread of these potentials; and the excess kurtosis of the currents, in each
        channel about its own mean and then averaged, which is 0 where they are normal.
    """
    generator = torch.Generator().manual_seed(0)
    sums: dict[str, Tensor] = {}
    powers: dict[str, Tensor] = {}

    def watch(name: str, decay: float, v_th: float) -> Callable[..., None]:
        def deal(current: Tensor, *_: object) -> None:
            places = current.movedim(2, -1).flatten(1, -2)  # [T, samples x positions, channels]
            kept, found, moments = torch.zeros_like(places[0]), [], []
            for arriving in places:
                moments.append(
                    torch.stack([(arriving.double() ** k).mean(0) for k in range(5)]) * len(arriving)
                )
                dealt = arriving[torch.randperm(len(arriving), generator=generator)]
                v = decay * kept + dealt
                found.append([v.numel(), v.double().sum(), v.double().square().sum()])
                kept = torch.where(v < v_th, v, 0.0)
            sums[name] = sums.get(name, 0) + torch.tensor(found, dtype=torch.float64)
            powers[name] = powers.get(name, 0) + torch.stack(moments)

        return deal

    for name, layer in network.spiking_layers():
        layer.neuron.observers.append(watch(name, layer.neuron.decay_value, layer.neuron.v_th))
    network.eval()
    for x, _ in data.batches(dataset, "test", 128):
        network(x)
    spread, kurtosis = {}, {}
    for name, own in sums.items():
        count, total, squares = own.T
        spread[name] = (squares / count - (total / count).square()).sqrt().numpy()
        _, m1, m2, m3, m4 = (powers[name] / powers[name][:, :1]).unbind(1)  # each [T, channels]
        variance = m2 - m1**2
        fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
        kurtosis[name] = (fourth / variance**2 - 3).nanmean(1).numpy()
    return spread, kurtosis


def main(work: Path, cifar: Path) -> None:
    """Measure what is missing, then write the table, the figures and the page's tables."""
    torch.set_num_threads(1)
    pieces = []
    for setting in settings():
        piece = work / setting.name / "spread.csv"
        if not piece.exists():
            began = time.perf_counter()
            rows = measure(setting, work, cifar)
            rows.round({name: 3 if name.startswith(COARSE) else 4 for name in rows}).to_csv(
                piece, index=False
            )
            print(f"{setting.name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        pieces.append(pd.read_csv(piece))
    currents_page.RESULTS.parent.mkdir(exist_ok=True)
    pd.concat(pieces, ignore_index=True).to_csv(currents_page.RESULTS, index=False)
    currents_page.main()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
