"""What a recording says about a neuron layer besides counts: constants, widths, intervals, its batch norm."""

import math
from dataclasses import dataclass

from mpdviz.accumulations.census import Census
from mpdviz.accumulations.currents import OF_CURRENTS, CurrentSums
from mpdviz.accumulations.gradients import GradientFlow
from mpdviz.accumulations.layer import SUMS_DIFFER, LayerAccumulation, LayerInfo
from mpdviz.norm import Norm
from mpdviz.recording.adapters import Native
from mpdviz.recording.adapters.base import NAN
from mpdviz.recording.inputs import Input, Inputs
from mpdviz.recording.layers import Layer
from mpdviz.recording.measure.meter import Meter
from mpdviz.recording.norms import weights

UNKNOWN = "the code that spikes does not say"
MIXED = "in training the strategy has some outputs analog, which reset potentials in part"
OTHER_RULE = "predictions are for neurons that follow v(t) = decay v(t-1) (1 - s(t-1)) + input"


@dataclass(frozen=True, eq=False)
class Description:
    """One layer as of now."""

    layer: Layer
    name: str
    meter: Meter
    flow: GradientFlow | None
    fan_out: float
    inputs: Inputs
    follows_data: bool
    """Whether its widths and thresholds may be of these very data."""

    @property
    def decay(self) -> float:
        """NaN where it is not known."""
        return NAN if self.layer.adapter is None else self.layer.adapter.decay

    def info(self) -> LayerInfo:
        """What describes it."""
        sums, adapter = self.layer.sums, self.layer.adapter
        rows, known = sums.rows, self.inputs.of(self.layer)
        carries = None if adapter is None else adapter.carries
        reach_known = carries is not None and not self.layer.lost_reach
        gamma, beta = weights(known.norm)
        thresholds = tuple(row.threshold for row in rows)
        # Ours may be moved over time by a strategy; what they were made with stays.
        first = adapter.threshold if isinstance(adapter, Native) else thresholds[0]
        return LayerInfo(
            name=self.name,
            v_th=first,
            unit=sums.unit,
            thresholds=thresholds if any(threshold != first for threshold in thresholds) else (),
            decay=self.decay,
            surrogate="/".join(dict.fromkeys(row.surrogate for row in rows)),
            epsilon=None if all(row.compact for row in rows) else self.meter.epsilon,
            kappa=tuple(row.kappa for row in rows),
            lower=tuple(row.lower for row in rows),
            upper=tuple(row.upper for row in rows),
            gamma=gamma,
            beta=beta,
            fan_out=self.fan_out,
            repeated_input=bool(known.repeated),
            what_if=self.meter.what_if,
            steady=sums.steady and not self.follows_data,
            strict=rows[0].strict,
            reach_known=reach_known,
            nan_below=rows[0].nan_below,
            reset="" if adapter is None else adapter.reset,
            floor=self._floor,
            not_measured=self._not_measured(known, reach_known=reach_known),
        )

    def _not_measured(self, known: Input, *, reach_known: bool) -> dict[str, str]:
        missing = {}
        if self.decay != self.decay:
            missing["decay"] = f"{UNKNOWN} which share of a potential is kept"
        if not reach_known:
            mixed = isinstance(self.layer.adapter, Native) and self.layer.adapter.module.mixed
            missing["reach_ratio"] = MIXED if mixed else f"{UNKNOWN} how potentials are reset"
        if self.layer.adapter is None or not self.layer.adapter.predictable:
            missing["predicted_ratio"] = OTHER_RULE
        if isinstance(known.norm, Norm) and known.norm.factors(1) is not None:
            missing["predicted_ratio"] = (
                "predictions are for a batch norm that is the same at every timestep, and this one is not"
            )
        if not known.driven:
            missing["silent_input"] = f"{UNKNOWN} what its input is"
        for column in OF_CURRENTS:
            if self.layer.adapter is None or not self.layer.adapter.follows:
                missing[column] = OTHER_RULE
            elif not known.driven:
                missing[column] = missing["silent_input"]
        if self.layer.adapter is None:
            return missing
        unknown = self.layer.adapter.unknown
        if "predicted_ratio" in unknown:
            missing |= dict.fromkeys(OF_CURRENTS, unknown["predicted_ratio"])
        return missing | dict(unknown)

    @property
    def _floor(self) -> float | None:
        adapter = self.layer.adapter
        floor = adapter.module.dynamics.floor if isinstance(adapter, Native) else -math.inf
        return floor if math.isfinite(floor) else None

    def accumulation(self) -> LayerAccumulation:
        """All that was recorded of it."""
        sums, flow = self.layer.sums, self.flow
        census = None
        if sums.comparable and sums.census is not None and sums.shape is not None:
            census = Census(sums.census.reshape(sums.shape).cpu().numpy().copy())
        if flow is not None:  # the gradients of its last timesteps may be still to come
            flow = flow.at(0, sums.timesteps)
        info = self.info()
        if set(OF_CURRENTS) <= set(info.not_measured):
            return LayerAccumulation(info, sums.statistics(), census, flow)
        currents, why = self._currents()
        if why:
            info = info.without(OF_CURRENTS, why)
        return LayerAccumulation(info, sums.statistics(), census, flow, currents)

    def _currents(self) -> tuple[CurrentSums | None, str]:
        """Sums over its currents, or why there are none."""
        tally = self.layer.sums.currents.as_if_over()
        found = tally.found()
        if found is None:
            return None, tally.why or "no whole sequence of currents was recorded"
        if found.sums.shape[1] != self.layer.sums.timesteps:
            return None, SUMS_DIFFER
        return found, "" if found.finite else "some currents are NaN or infinite"
