"""Values over seeds against Python's own statistics; the columns of predictions."""

import math
import statistics

import numpy as np
import pandas as pd
import pytest

from mpdviz.analysis.columns import of_prediction
from mpdviz.analysis.seeds import over_seeds, summarise


def test_tables_and_lists_are_summarised_alike():
    rng = np.random.default_rng(0)
    values = {"a": rng.random(4), "b": rng.random(3), "c": rng.random(1)}
    rows = [(name, seed, value) for name, many in values.items() for seed, value in enumerate(many)]
    table = over_seeds(pd.DataFrame(rows, columns=["variant", "seed", "x"]), ["variant"], "x")
    assert list(table["variant"]) == list(values)
    for (name, many), row in zip(values.items(), table.itertuples(), strict=True):
        one = summarise(many)
        assert (one.n, row.n, row.min, row.max) == (len(many), len(many), min(many), max(many)), name
        assert (one.mean, row.mean) == pytest.approx((statistics.mean(many),) * 2)
        if len(many) > 1:
            assert (one.std, row.std) == pytest.approx((statistics.stdev(many),) * 2)
        else:
            assert math.isnan(one.std)
            assert math.isnan(row.std)


def test_nothing_has_no_mean():
    nothing = summarise([])
    assert nothing.n == 0
    assert math.isnan(nothing.mean)
    assert math.isnan(nothing.std)


def test_the_paper_s_columns_have_no_suffix():
    assert of_prediction("ks", "paper") == "ks"
    assert of_prediction("ks", "reset") == "ks_reset"
