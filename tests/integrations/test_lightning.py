"""`MPDCallback` in trainings by the real Lightning, against `mpdviz.record` around the same steps by hand."""

import csv
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

import mpdviz
from mpdviz import neurons
from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.loggers import contents

pl = pytest.importorskip("pytorch_lightning")
from pytorch_lightning.loggers import CSVLogger  # noqa: E402

from mpdviz.integrations.lightning import MPDCallback  # noqa: E402

# Of the machine that the tests run on, or of trainings that are too small for it.
pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

T, BATCH, BATCHES = 3, 8, 6


class Net(nn.Module):
    """Two layers of neurons, both with a surrogate of one width."""

    def __init__(self, kappa):
        super().__init__()
        self.one, self.two = nn.Linear(10, 12), nn.Linear(12, 7)
        self.first, self.second, self.kappa = neurons.LIF(), neurons.LIF(), kappa

    def forward(self, x):
        spikes = self.first(self.one(x.expand(T, *x.shape)), self.kappa)
        return self.second(self.two(spikes), self.kappa).mean(0)


class Trained:
    """What a LightningModule of either package does; its weights are the same each time."""

    def __init__(self, kappa=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.net = Net(kappa)

    def forward(self, x):
        return self.net(x)

    def loss(self, batch):
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def training_step(self, batch, index):
        loss = self.loss(batch)
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, index):
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)


class Module(Trained, pl.LightningModule):
    """Of `pytorch_lightning`."""


def batches(seed=1, number=BATCHES):
    draw = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(BATCH, 10, generator=draw) * 2, torch.randint(7, (BATCH,), generator=draw))
        for _ in range(number)
    ]


def loader(of):
    return torch.utils.data.DataLoader(of, batch_size=None)


def fit(tmp_path, callback, module=None, *, val=None, **options):
    """Train; the module and the rows that were logged, by step and tag."""
    logger = CSVLogger(tmp_path, name="", version="")
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=logger,
        callbacks=[] if callback is None else [callback],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        log_every_n_steps=1,
        **({"max_epochs": 1} | options),
    )
    module = Module() if module is None else module
    trainer.fit(module, loader(batches()), None if val is None else loader(val))
    logger.finalize("success")
    found = {}
    for row in csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()):
        values = {tag: float(value) for tag, value in row.items() if value and tag != "step"}
        found.setdefault(int(row["step"]), {}).update(values)
    return module, found


def by_hand(recorded, *, epochs=1, accumulate=1, gradients=False, autocast=False):
    """The same training in a loop, recorded by `mpdviz.record`; what is logged, by step."""
    module, found, step = Module(), {}, 0
    optimizer = module.configure_optimizers()
    for _ in range(epochs):
        for first in range(0, BATCHES, accumulate):
            of = batches()[first : first + accumulate]
            wanted = step in recorded
            with mpdviz.record(module, gradients=gradients, every=1 if wanted else 10**6) as recording:
                for batch in of:
                    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                        loss = module.loss(batch)
                    (loss / accumulate).backward()
            optimizer.step()
            optimizer.zero_grad()
            if wanted:
                found[step] = contents.scalars(recording.layers)
            step += 1
    return module, found


def same_weights(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def ours(found):
    """What the callback logged."""
    steps = {step: {t: v for t, v in row.items() if "/" in t} for step, row in found.items()}
    return {step: row for step, row in steps.items() if row}


def test_what_is_logged_is_what_is_recorded_by_hand(tmp_path):
    callback = MPDCallback(every_n_steps=4, gradients=True)
    module, found = fit(tmp_path, callback, max_epochs=2)
    alone, expected = by_hand({0, 4, 8}, epochs=2, gradients=True)
    assert ours(found) == expected
    assert expected[4]["grad_norm/1 net.first"] > 0
    same_weights(module, alone)
    # The latest epoch has the steps 6 to 11, of which the 8th was recorded.
    assert callback.recording.samples == BATCH
    assert contents.scalars(callback.recording.layers) == expected[8]


def test_a_step_has_the_number_that_lightning_gives_it(tmp_path):
    _, found = fit(tmp_path, MPDCallback(every_n_steps=1, validation_batches=1), val=batches(2), max_epochs=2)
    for row in found.values():
        assert ("loss" in row) == ("available_ratio/lowest" in row)
        assert ("val_loss" in row) == ("val/available_ratio/lowest" in row)


def test_training_is_bit_for_bit_the_same_without_it(tmp_path):
    with_it, rows = fit(
        tmp_path / "with", MPDCallback(1, validation_batches=9, gradients=True), val=batches(2)
    )
    without, plain = fit(tmp_path / "without", None, val=batches(2))
    same_weights(with_it, without)
    assert [row.get("loss") for row in rows.values()] == [row.get("loss") for row in plain.values()]


def test_accumulated_batches_are_recorded_as_the_one_step_that_they_are(tmp_path):
    module, found = fit(tmp_path, MPDCallback(2, gradients=True), accumulate_grad_batches=2)
    alone, expected = by_hand({0, 2}, accumulate=2, gradients=True)
    assert ours(found) == expected
    same_weights(module, alone)


def test_mixed_precision(tmp_path):
    module, found = fit(tmp_path, MPDCallback(3), precision="bf16-mixed")
    alone, expected = by_hand({0, 3}, autocast=True)
    assert ours(found) == expected
    same_weights(module, alone)


def test_validation_is_recorded_without_the_sanity_check(tmp_path):
    val = batches(2, 4)
    callback = MPDCallback(None, validation_batches=2)
    module, found = fit(tmp_path, callback, val=val, max_epochs=2, num_sanity_val_steps=2)
    assert set(ours(found)) == {BATCHES - 1, 2 * BATCHES - 1}
    with torch.no_grad(), mpdviz.record(module.eval()) as recording:
        for x, _ in val[:2]:
            module(x)
    expected = contents.scalars(recording.layers)
    assert ours(found)[2 * BATCHES - 1] == {f"val/{tag}": value for tag, value in expected.items()}
    assert callback.validation_recording.samples == 2 * BATCH
    assert callback.recording.answer() == "Nothing was recorded."


def test_validation_in_the_middle_of_accumulating_is_not_taken_for_training(tmp_path):
    options = {"val_check_interval": 1, "accumulate_grad_batches": 2}
    _, found = fit(tmp_path, MPDCallback(1), val=batches(2), **options)
    _, expected = by_hand({0, 1, 2}, accumulate=2)
    assert ours(found) == expected


def test_training_that_goes_on_from_a_checkpoint_keeps_to_the_steps(tmp_path):
    fit(tmp_path / "one", None, max_epochs=1)
    module = Module()
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(module, loader(batches()))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    callback, logger = MPDCallback(4), CSVLogger(tmp_path, name="", version="again")
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, logger=logger, callbacks=[callback], enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(Module(), loader(batches()), ckpt_path=tmp_path / "last.ckpt")
    logger.finalize("success")
    rows = list(csv.DictReader((tmp_path / "again" / "metrics.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows if row.get("available_ratio/lowest")] == [8]


def test_layers_are_chosen_and_a_report_is_written(tmp_path):
    callback = MPDCallback(2, layers=["net.second"])
    fit(tmp_path, callback)
    assert set(callback.recording.table()["name"]) == {"net.second"}
    callback.recording.report(tmp_path / "report.html")
    assert "net.second" in (tmp_path / "report.html").read_text()


def test_a_starved_layer_is_warned_of_once(tmp_path):
    with pytest.warns(MpdvizWarning) as said:
        fit(tmp_path, MPDCallback(1), Module(kappa=0.01))
    (text,) = [str(warning.message) for warning in said if "starved" in str(warning.message)]
    assert text.startswith("step 0: 2 of 2 layers are starved: layer ")
    assert text.endswith(" `callback.recording.advice()` says what may help")


def test_an_error_in_a_batch_leaves_nothing_attached(tmp_path):
    class Failing(Module):
        def training_step(self, batch, index):
            super().training_step(batch, index)
            raise RuntimeError("on purpose")

    callback, module = MPDCallback(1), Failing()
    with pytest.raises(RuntimeError, match="on purpose"):
        fit(tmp_path, callback, module)
    assert not callback._training.recorder._detachers


def test_without_a_logger_there_is_the_recording(tmp_path):
    callback = MPDCallback(3)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, callbacks=callback, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(Module(), loader(batches()))
    assert callback.recording.samples == 2 * BATCH


def test_thresholds_that_are_learned_keep_the_latest_step(tmp_path):
    snntorch = pytest.importorskip("snntorch")

    class Learned(Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(10, 7)
            self.leaky = snntorch.Leaky(beta=0.9, learn_threshold=True)

        def forward(self, x):
            state, spikes = self.leaky.reset_mem(), []
            for _ in range(T):
                spike, state = self.leaky(self.net(x), state)
                spikes.append(spike)
            return torch.stack(spikes).mean(0)

    callback = MPDCallback(1)
    with pytest.warns(MpdvizWarning, match="steps cannot be added up, `callback.recording` has") as said:
        fit(tmp_path, callback, Learned())
    assert callback.recording.samples == BATCH
    assert len([w for w in said if "added up" in str(w.message)]) == 1


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"every_n_steps": 0}, "`every_n_steps` 0; give 1 or more, or None"),
        ({"validation_batches": -1}, "`validation_batches` -1; give 0 or more"),
    ],
)
def test_numbers_out_of_range_are_refused(options, line):
    with pytest.raises(BadInput, match=line):
        MPDCallback(**options)


def test_a_layer_that_is_not_there_is_told_before_training(tmp_path):
    module = Module()
    with pytest.raises(BadInput, match=r"there is no neuron layer 'net\.9'"):
        fit(tmp_path, MPDCallback(layers=["net.9"]), module)
    same_weights(module, Module())


SCRIPT = """
import os, sys, warnings
import torch
import {package} as lightning
from {package}.callbacks import Callback
from {package}.loggers import CSVLogger
from mpdviz.integrations.lightning import MPDCallback

sys.path.insert(0, {here!r})
from test_lightning import Trained, batches, loader

callback = MPDCallback(2)
assert isinstance(callback, Callback)
module = type("Module", (Trained, lightning.LightningModule), {{}})()
logger = CSVLogger(".", name="", version="")
options = dict(enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
trainer = lightning.Trainer(
    accelerator="cpu", max_epochs=1, logger=logger, callbacks=callback, {options}, **options
)
trainer.fit(module, loader(batches()))
# In one piece: two processes share the pipe.
os.write(1, f"recorded by {{trainer.global_rank}} : {{callback.recording.samples}}\\n".encode())
"""


def in_a_process(folder, package, options):
    """Train by a script of one's own, as several processes need; what it said, and the rows by step."""
    code = SCRIPT.format(package=package, options=options, here=str(Path(__file__).parent))
    (folder / "script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    rows = csv.DictReader((folder / "metrics.csv").read_text().splitlines())
    return done, {
        int(row["step"]): {tag: float(value) for tag, value in row.items() if value and tag != "step"}
        for row in rows
    }


@pytest.mark.skipif(find_spec("lightning") is None, reason="lightning is not installed")
def test_the_other_package_of_lightning(tmp_path):
    _, found = in_a_process(tmp_path, "lightning.pytorch", "devices=1")
    _, expected = by_hand({0, 2, 4})
    assert ours(found) == expected


@pytest.mark.thorough
def test_of_two_processes_the_first_records_its_share_and_says_so(tmp_path):
    """Both have the same batches, so that the mean of their gradients is that of one, bit for bit."""
    options = "devices=2, strategy='ddp', use_distributed_sampler=False"
    done, found = in_a_process(tmp_path, "pytorch_lightning", options)
    assert done.stderr.count("of 2 processes the first records, of its own share of the batches") == 1
    assert sorted(done.stdout.split("recorded by ")[1:]) == [f"0 : {3 * BATCH}\n", "1 : 0\n"]
    _, expected = by_hand({0, 2, 4})
    assert ours(found) == expected
