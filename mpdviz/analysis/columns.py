"""Every column of the tables: name, dtype, unit and meaning, in one place.

`mpdviz list columns` prints this; tables are built in this order. Potentials and widths share one unit, that
of the threshold. What was not measured is NaN, or missing (`Int64`), never 0.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    dtype: str
    unit: str
    meaning: str


MAIN: tuple[Column, ...] = (
    Column("layer", "int64", "", "neuron layer, from 1, in execution order"),
    Column("name", "str", "", "module path of the layer"),
    Column("timestep", "int64", "", "timestep, from 1"),
    Column("count", "int64", "potentials", "recorded membrane potentials: samples x neurons"),
    Column("mean", "float64", "potential", "mean of the finite pre-reset membrane potentials"),
    Column("std", "float64", "potential", "their population standard deviation"),
    Column("min", "float64", "potential", "smallest finite potential"),
    Column("max", "float64", "potential", "largest finite potential"),
    Column("v_th", "float64", "potential", "threshold in force; 0 where only v - v_th is known"),
    Column("fires", "str", "", "`>=` or `>`: how v compares to v_th where a neuron spikes; empty: not known"),
    Column(
        "decay", "float64", "", "share of the potential kept from one timestep to the next; NaN: not known"
    ),
    Column("gamma_mean", "float64", "", "mean weight of the batch norm before the neuron, v_th excluded"),
    Column("kappa", "float64", "potential", "full width of the surrogate"),
    Column("lower", "float64", "potential", "lower end of the gradient-available interval (outside it)"),
    Column("upper", "float64", "potential", "upper end of the gradient-available interval (outside it)"),
    Column("available_ratio", "float64", "share", "potentials inside the interval, so with a spike gradient"),
    Column(
        "below_ratio", "float64", "share", "finite potentials at or under the interval: degeneration side"
    ),
    Column("above_ratio", "float64", "share", "finite potentials at or over the interval: saturation side"),
    Column(
        "mean_gain", "float64", "1/potential", "mean surrogate derivative E[h(v - v_th)], where it is finite"
    ),
    Column(
        "reach_ratio",
        "float64",
        "share",
        "potentials that get any gradient: available now, or at a later timestep reached without a spike",
    ),
    Column("firing_rate", "float64", "share", "spikes per neuron and timestep"),
    Column("predicted_mean", "float64", "potential", "mean that MPD-AGL's Theorems 1 and 2 predict"),
    Column("predicted_std", "float64", "potential", "standard deviation that they predict"),
    Column("predicted_ratio", "float64", "share", "available ratio of a normal with these"),
    Column(
        "ks", "float64", "", "Kolmogorov-Smirnov distance of the potentials from it, at the histogram's edges"
    ),
    Column(
        "wasserstein", "float64", "std", "Wasserstein-1 distance from it, in observed standard deviations"
    ),
    Column("synops", "float64", "operations", "spikes times mean fan-out: synaptic operations they cause"),
    Column("nonfinite", "int64", "potentials", "potentials that are NaN or infinite, counted in no share"),
)

BOUNDS: tuple[Column, ...] = (
    Column("ks_bound", "float64", "", "upper bound of the Kolmogorov-Smirnov distance within the bins"),
    Column(
        "wasserstein_error", "float64", "std", "bound on what the bins can change in the Wasserstein distance"
    ),
)
"""Follow the main table, then its predicted columns and these again for each other prediction, suffixed
`_mixture` (a normal per channel), `_time` (decay over the actual t), `_reset` (the reset included) and
`_correlated` (the reset included, and the correlation over time of the currents that were recorded)."""


def of_prediction(name: str, prediction: str) -> str:
    """The column `name` of one prediction: the paper's has no suffix."""
    return name if prediction == "paper" else f"{name}_{prediction}"


BEST = Column("best_prediction", "str", "", "prediction with the smallest Wasserstein distance")

FLOW: tuple[Column, ...] = (
    Column(
        "grad_norm", "float64", "loss/potential", "norm of dL/dv(t), root mean square over backward passes"
    ),
    Column(
        "spike_grad_norm",
        "float64",
        "loss/potential",
        "the same of dL/dS(t) h alone, the path through the spike",
    ),
    Column("grad_zero", "Int64", "potentials", "potentials whose gradient dL/dv is exactly zero"),
    Column("grad_zero_ratio", "float64", "share", "potentials whose gradient dL/dv is exactly zero"),
    Column(
        "grad_nonzero_ratio", "float64", "share", "potentials whose gradient dL/dv is finite and not zero"
    ),
    Column("grad_cosine", "float64", "", "cosine between dL/dv(t) and dL/dv(t+1)"),
    Column(
        "grad_nonfinite",
        "Int64",
        "potentials",
        "gradients dL/dv that are NaN or infinite, in no norm or cosine",
    ),
    Column(
        "weight_grad_norm", "float64", "loss/weight", "norm of the gradient of the layer's synaptic weights"
    ),
)
"""Last columns where gradients were recorded."""

LAYER: tuple[Column, ...] = (
    Column("layer", "int64", "", "neuron layer, from 1, in execution order"),
    Column("name", "str", "", "module path of the layer"),
    Column("neurons", "Int64", "neurons", "neurons of the layer"),
    Column("silent", "Int64", "neurons", "neurons that never spiked"),
    Column("silent_channel", "Int64", "", "channel (from 0) where most of them sit"),
    Column("saturated", "Int64", "neurons", "neurons that spiked at every timestep of every sample"),
    Column("saturated_channel", "Int64", "", "channel (from 0) where most of them sit"),
    Column("gradient_dead", "Int64", "neurons", "neurons never inside the available interval"),
    Column("gradient_dead_channel", "Int64", "", "channel (from 0) where most of them sit"),
    Column("silent_input", "Int64", "neurons", "neurons whose input was exactly zero throughout"),
    Column("silent_input_channel", "Int64", "", "channel (from 0) where most of them sit"),
    Column(
        "channels", "int64", "channels", "channels of the batch norm before the neuron; 0 where there is none"
    ),
    Column("gamma_mean", "float64", "", "mean weight of the batch norm before the neuron, v_th excluded"),
    Column("gamma_min", "float64", "", "smallest of these weights"),
    Column("gamma_negative", "int64", "channels", "how many of them are negative"),
    Column(
        "repeated_input", "bool", "", "the same current at every timestep, as from a static image, not silent"
    ),
)
"""The table of layers: one row a neuron layer."""

SPREAD: tuple[Column, ...] = (
    Column("layer", "int64", "", "neuron layer, from 1, in execution order"),
    Column("name", "str", "", "module path of the layer"),
    Column("timestep", "int64", "", "timestep, from 1"),
    Column("observed", "float64", "potential", "standard deviation of the potentials"),
    Column("paper", "float64", "potential", "what MPD-AGL's Theorems 1 and 2 predict"),
    Column("correlated", "float64", "potential", "what the recorded currents predict, with the reset"),
    Column("past", "float64", "potential", "what all earlier inputs add where the theorems have one"),
    Column(
        "variance", "float64", "potential", "what each channel's and timestep's own mean and variance add"
    ),
    Column("correlation", "float64", "potential", "what the currents' correlation over time adds"),
    Column("reset", "float64", "potential", "what the reset after a spike adds"),
    Column("rest", "float64", "potential", "what is left: observed less correlated"),
)
"""The spread error: from `paper` by `past` to `rest` to `observed`; one row a layer and timestep."""

WHAT_IF: tuple[Column, ...] = (
    Column("layer", "int64", "", "neuron layer, from 1, in execution order"),
    Column("name", "str", "", "module path of the layer"),
    Column("timestep", "int64", "", "timestep, from 1"),
    Column("kappa", "float64", "potential", "full width that a rectangular surrogate would have"),
    Column("available_ratio", "float64", "share", "potentials that would be inside, exactly"),
    Column("mean_gain", "float64", "1/potential", "mean surrogate derivative there would be"),
    Column("on_edge", "int64", "potentials", "potentials exactly on an end of the interval: outside it"),
)
"""The what-if table: one row a layer, timestep and width."""
