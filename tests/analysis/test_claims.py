"""What is said of available shares: closed forms by SciPy, counts and means by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import mpdviz
from mpdviz.analysis.claims import claims, modes
from mpdviz.errors import BadInput
from mpdviz.figures import closed_form
from mpdviz.inspection.claims import claims as held

SAMPLES = ["sample:fixed", "sample:mpd_agl"]


def table(available, closed):
    """Two layers, two timesteps."""
    index = pd.MultiIndex.from_product([[1, 2], [1, 2]], names=["layer", "timestep"]).to_frame(index=False)
    return index.assign(
        name="a",
        kappa=1.0,
        available_ratio=available,
        predicted_ratio=closed,
        predicted_ratio_correlated=np.nan,
    )


def test_counts_and_means_by_hand():
    frames = [
        ("fixed", 0, "eval", table([0.50, 0.40, 0.60, 0.50], 0.45)),
        ("fixed", 1, "eval", table([0.52, 0.42, 0.62, 0.52], 0.45)),
        ("mpd-agl", 0, "eval", table([0.60, 0.30, 0.70, 0.52], 0.55)),
        ("mpd-agl", 1, "eval", table([0.62, 0.32, 0.72, 0.48], 0.55)),
    ]
    runs = pd.DataFrame(
        [(name, seed, name) for name, seed, *_ in frames], columns=["variant", "seed", "strategy"]
    )
    found = claims(modes(frames), runs)
    row = found.layers.set_index(["variant", "layer", "timestep"]).loc[("mpd-agl", 2, 2)]
    assert (row["n"], row["available"], row["closed_form"]) == pytest.approx((2, 0.5, 0.55))
    assert row["available_std"] == pytest.approx(0.04 / 2**0.5)
    steps = found.steps.set_index(["variant", "step"])["available"]
    assert steps["fixed", "1"] == pytest.approx((0.50 + 0.60 + 0.52 + 0.62) / 4)
    assert steps["mpd-agl", "> 1"] == pytest.approx((0.30 + 0.52 + 0.32 + 0.48) / 4)
    # Means .61 .31 .71 .50 against .51 .41 .61 .51: two above, two below, +2.25 points on average.
    assert found.sentences[0] == (
        "eval: mpd-agl has more inside its interval than fixed at 2 of 4 layers and timesteps, "
        "+2.2 points on average"
    )
    # From .45: .06 .04 .16 .06; from .55: .06 .24 .16 .05, so .06 in the middle.
    assert found.sentences[1] == "eval: the closed form is off by 6.0 points (median), 24.0 at most"


def test_strategies_are_compared_at_the_same_settings_alone():
    frames, rows = [], []
    for gamma, fixed, own in ((0.5, 0.5, 0.1), (2.0, 0.3, 0.6)):
        for strategy, share in (("fixed", fixed), ("mpd-agl", own)):
            variant = f"{strategy}, gamma={gamma}"
            frames.append((variant, 0, "train", table(share, np.nan)))
            rows.append((variant, 0, strategy, gamma))
    found = claims(modes(frames), pd.DataFrame(rows, columns=["variant", "seed", "strategy", "gamma"]))
    assert found.sentences == (
        "train: mpd-agl has more inside its interval than fixed at 4 of 8 layers and timesteps, on average "
        "at 1 of 2 settings (points): gamma=2.0 (+30.0)",
        "train: nothing is predicted of these networks",
    )


@pytest.fixture(scope="module")
def of_samples():
    return held(SAMPLES, limit=48)


def test_both_modes_are_recorded_and_the_closed_form_is_the_theorems(of_samples):
    for path, variant in zip(SAMPLES, of_samples.strategies, strict=True):
        for mode in ("eval", "train"):
            recording = mpdviz.inspect(path, split="test", limit=48, mode=mode)
            own = of_samples.layers[
                (of_samples.layers["variant"] == variant) & (of_samples.layers["mode"] == mode)
            ]
            assert own["available"].tolist() == recording.table()["available_ratio"].tolist()
            for row in own.to_dict("records"):
                info = recording.layers[row["layer"]].info
                gamma, beta, later = np.mean(info.gamma), np.mean(info.beta), row["timestep"] > 1
                law = norm(
                    beta * (1 + info.decay * later),
                    abs(gamma) * info.v_th * (1 + info.decay**2 * later) ** 0.5,
                )
                inside = law.cdf(info.v_th + row["kappa"] / 2) - law.cdf(info.v_th - row["kappa"] / 2)
                assert row["closed_form"] == pytest.approx(inside, rel=1e-6)


def test_the_figure_shows_every_layer_and_timestep(of_samples):
    figure = closed_form.closed_form(of_samples)
    assert [axis.get_title() for axis in figure.axes] == ["evaluation", "training (batch statistics)"]
    for axis, mode in zip(figure.axes, ("eval", "train"), strict=True):
        drawn = {point for line in axis.lines[1:] for point in zip(*line.get_data(), strict=True)}
        rows = of_samples.layers[of_samples.layers["mode"] == mode]
        wanted = {(100 * c, 100 * a) for c, a in zip(rows["closed_form"], rows["available"], strict=True)}
        assert drawn == wanted
    assert "n = 1" in closed_form.caption(of_samples)
    assert "Data: digits" in closed_form.caption(of_samples)


def test_what_cannot_be_held_against_anything_is_refused(tmp_path):
    with pytest.raises(BadInput, match="nowhere"):
        held([tmp_path / "nowhere"])
    with pytest.raises(BadInput, match="same run"):
        held([SAMPLES[0], SAMPLES[0]])
