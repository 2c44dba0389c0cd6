"""docs/correlated-currents.md says what docs/study/results/currents.csv holds, and that holds together."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from mpdviz.analysis.decomposition import PARTS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "correlated-currents.md").read_text(encoding="utf-8")
ROUNDED = 1e-4
"""The file has four decimals; several of them are added below."""


def script():
    spec = importlib.util.spec_from_file_location("currents_page", DOCS / "study" / "currents_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


page = script()
results = page.results()
TABLES = page.tables(results)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_the_page_is_that_of_the_results(name):
    assert f"<!-- {name} -->\n{TABLES[name]}\n" in PAGE


def test_every_number_in_the_text_is_that_of_the_results():
    text = " ".join(PAGE.split())
    assert [quoted for quoted in page.quoted(results) if quoted not in text] == []


def test_the_page_shows_every_figure():
    shown = re.findall(r"!\[[^\]]+\]\(figures/currents/(\w+)\.png\)", PAGE)
    assert sorted(shown) == sorted(path.stem for path in page.FIGURES.glob("*.png"))
    assert sorted(shown) == sorted(page.figures(results))


def test_no_network_lacks_a_layer_or_a_timestep():
    for _, rows in results.groupby(["what", "decay", "T", "seed"], observed=True):
        layers, timesteps = rows["layer"].max(), rows["T"].iloc[0]
        assert rows[["layer", "timestep"]].drop_duplicates().shape[0] == len(rows) == layers * timesteps
    measured = results.drop(columns="one_step_correlation")
    assert measured.notna().all(axis=None)
    assert (results["one_step_correlation"].isna() == (results["timestep"] == 1)).all()


def test_the_parts_lead_from_the_paper_to_what_was_observed():
    total = results["predicted_std_paper"] + results[list(PARTS)].sum(axis=1)
    np.testing.assert_allclose(total, results["std"], atol=4 * ROUNDED)
    np.testing.assert_allclose(
        results["predicted_std_correlated"] + results["rest"], results["std"], atol=2 * ROUNDED
    )


def test_at_the_first_timestep_the_potentials_are_the_currents():
    """So there is no correlation, no reset and no rest; and to deal them out anew changes nothing."""
    first = results[results["timestep"] == 1]
    assert (first[["past", "correlation", "reset", "rest"]].abs() <= ROUNDED).all(axis=None)
    np.testing.assert_allclose(first["std_shuffled"], first["std"], atol=2 * ROUNDED)


def test_a_repeated_image_brings_the_encoding_layer_the_same_current_at_every_timestep():
    later = results[(results["layer"] == 1) & (results["timestep"] > 1)]
    static = later["data"] != "digits-dvs"
    assert (later.loc[static, "one_step_correlation"] == 1).all()
    assert (later.loc[~static, "one_step_correlation"] < 0.99).all()


def test_the_width_is_the_paper_s_spread():
    np.testing.assert_allclose(results["kappa"] / 2, results["predicted_std_paper"], atol=ROUNDED)
