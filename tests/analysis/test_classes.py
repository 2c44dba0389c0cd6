"""Recall, precision and F1 against scikit-learn's."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_fscore_support

from mpdviz.analysis.classes import averages, by_class


@pytest.mark.parametrize("missing", [False, True])
def test_classes_are_scikit_learn_s(missing):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 300)
    guessed = np.where(rng.random(300) < 0.6, y, rng.integers(0, 4, 300))
    if missing:  # class 4 is neither there nor guessed, class 3 is never guessed
        guessed[guessed == 3] = 0
    pairs = pd.DataFrame({"label": y, "predicted": guessed}).value_counts().rename("count").reset_index()
    table = by_class(pairs, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, samples = precision_recall_fscore_support(
            y, guessed, labels=range(5), zero_division=np.nan
        )
    assert table["samples"].tolist() == samples.tolist()
    assert table["predicted"].tolist() == [int((guessed == label).sum()) for label in range(5)]
    np.testing.assert_allclose(table["recall"], recall)
    np.testing.assert_allclose(table["precision"], precision)
    there = samples > 0
    np.testing.assert_allclose(table["f1"][there], np.nan_to_num(f1[there]))
    assert np.isnan(table["recall"][4])
    found = averages(table)
    assert found["balanced_accuracy"] == pytest.approx(recall[there].mean())
    assert found["macro_f1"] == pytest.approx(np.nan_to_num(f1[there]).mean())
