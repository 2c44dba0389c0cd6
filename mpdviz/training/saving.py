"""What a run needs to go on and to be known by, in its folder, and how a resumed one takes it back."""

import json
from dataclasses import asdict
from typing import Any

from mpdviz import checkpoint
from mpdviz.config import RunConfig, differences
from mpdviz.errors import BadInput
from mpdviz.networks import NetworkConfig, SpikingNetwork
from mpdviz.runs.environments import add_environment
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.reading import is_finished
from mpdviz.runs.state import Position, Result
from mpdviz.system.environment import collect
from mpdviz.system.files import write_text
from mpdviz.training.resumed import Training, training_of


class Saver:
    """Writes the files of one run; of several processes the leader alone."""

    def __init__(
        self,
        folder: RunFolder,
        config: RunConfig,
        network: SpikingNetwork,
        architecture: NetworkConfig,
        order: str,
        leads: bool,
        command: str = "",
    ) -> None:
        """Name what is to be saved; nothing is written yet.

        Args:
            folder: where.
            config: the run's settings.
            network: its network, freshly initialised.
            architecture: what made it.
            order: hash of the order in which it sees the data.
            leads: whether this process writes.
            command: what started it; empty: the command line.
        """
        self._folder, self._config, self._network = folder, config, network
        self._architecture = architecture
        self._leads, self._command = leads, command
        self._start = {
            "initial_weights": network.weights_hash(),
            "drawn_weights": network.drawn_hash(),
            "data_order": order,
        }

    def begin(self) -> None:
        """Note the settings, and where there is work left this process."""
        if self._leads:
            write_text(self._folder.config, self._config.to_toml())
            if not is_finished(self._folder):
                add_environment(self._folder, collect(self._command))

    def result(self, result: Result | None) -> None:
        """Note what the run reached, None while it is under way."""
        reached = {} if result is None else asdict(result)
        reached.pop("folder", None)
        values = {**self._start, "finished": result is not None} | reached
        if self._leads:
            write_text(self._folder.result, json.dumps(values, indent=1) + "\n")

    def best(self, metrics: dict[str, float]) -> None:
        """Keep the network as the best so far."""
        if self._leads:
            self._save(metrics, None, best=True)

    def last(self, metrics: dict[str, float], engine: dict[str, Any], position: Position) -> None:
        """Keep all that a resumed run needs."""
        if self._leads:
            self._save(metrics, engine | {"position": vars(position)}, best=False)

    def restore(self) -> Training:
        """Take the weights from `last.pt`.

        Returns:
            What `last` was given besides.

        Raises:
            BadInput: it belongs to a run with other settings, those of role `log` apart, or to none.
        """
        saved = checkpoint.load(self._folder.last, into=self._of_this_run)
        if saved.training is None:
            raise BadInput(f"{self._folder.last} holds no run to go on with", "choose another `out`")
        training = training_of(saved.training, self._folder.last)
        self._network.place()
        return training

    def _of_this_run(self, saved: RunConfig | None) -> SpikingNetwork:
        """The network, where the settings of a file are the run's."""
        if saved is None:
            raise BadInput(f"{self._folder.last} holds no run to go on with", "choose another `out`")
        changed = differences(saved, self._config, roles=("result", "machine"))
        if changed:
            told = ", ".join(f"{name} was {before}, now {now}" for name, (before, now) in changed.items())
            raise BadInput(
                f"{self._folder.path} holds a run with other settings: {told}",
                "resume with the same settings, or choose another `out`",
            )
        return self._network

    def _save(self, metrics: dict[str, float], training: dict[str, Any] | None, *, best: bool) -> None:
        checkpoint.save(
            self._folder.best if best else self._folder.last,
            self._network,
            architecture=self._architecture,
            config=self._config,
            metrics=metrics,
            training=training,
        )
