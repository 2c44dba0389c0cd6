"""Every column of the tables: name, dtype, unit and meaning, in one place.

`mpdviz list columns` prints this; tables are built in this order; potentials and widths share one unit,
that of the threshold.
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
    Column("v_th", "float64", "potential", "threshold: a neuron spikes where v >= v_th"),
    Column("decay", "float64", "", "share of the potential kept from one timestep to the next"),
    Column("gamma_mean", "float64", "", "mean weight of the batch norm before the neuron, v_th excluded"),
    Column("kappa", "float64", "potential", "full width of the surrogate"),
    Column("lower", "float64", "potential", "lower end of the gradient-available interval (outside it)"),
    Column("upper", "float64", "potential", "upper end of the gradient-available interval (outside it)"),
    Column("available_ratio", "float64", "share", "potentials inside the interval, so with a spike gradient"),
    Column(
        "below_ratio", "float64", "share", "finite potentials at or under the interval: degeneration side"
    ),
    Column("above_ratio", "float64", "share", "finite potentials at or over the interval: saturation side"),
    Column("mean_gain", "float64", "1/potential", "mean surrogate derivative E[h(v - v_th)]"),
    Column(
        "reach_ratio",
        "float64",
        "share",
        "potentials that get any gradient: available now, or at a later timestep reached without a spike",
    ),
    Column("firing_rate", "float64", "share", "spikes per neuron and timestep"),
    Column("synops", "float64", "operations", "spikes times mean fan-out: synaptic operations they cause"),
    Column("nonfinite", "int64", "potentials", "potentials that are NaN or infinite, counted in no share"),
)
