"""How well single classes are told apart: a run's `confusion.csv` and `classes.csv`."""

import numpy as np
import pandas as pd


def by_class(confusion: pd.DataFrame, classes: int) -> pd.DataFrame:
    """One row a class.

    Args:
        confusion: `label, predicted, count`, one row a pair that occurred.
        classes: K; labels and predictions are below it.

    Returns:
        Columns `class` (from 0), `samples`, `predicted` and `correct` (counts), and as fractions `recall`
        (of its samples, those found), `precision` (of what is called so, what is) and `f1` (their harmonic
        mean, 2 correct / (samples + predicted)). NaN where there is nothing to divide by.
    """
    counts = confusion["count"].to_numpy()
    right = (confusion["label"] == confusion["predicted"]).to_numpy()

    def total(column: str, weights: np.ndarray) -> np.ndarray:
        return np.bincount(confusion[column], weights, classes).astype(np.int64)

    samples, predicted = total("label", counts), total("predicted", counts)
    correct = total("label", counts * right)
    with np.errstate(invalid="ignore"):
        shares = {
            "recall": correct / samples,
            "precision": correct / predicted,
            "f1": 2 * correct / (samples + predicted),
        }
    whole = {"samples": samples, "predicted": predicted, "correct": correct}
    return pd.DataFrame({"class": np.arange(classes), **whole, **shares})


def averages(table: pd.DataFrame) -> dict[str, float]:
    """Means over the classes that have samples: `balanced_accuracy` (of recall) and `macro_f1`.

    Args:
        table: of `by_class`.
    """
    there = table[table["samples"] > 0]
    return {"balanced_accuracy": float(there["recall"].mean()), "macro_f1": float(there["f1"].mean())}
