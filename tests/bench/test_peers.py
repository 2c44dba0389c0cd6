"""The benchmarks compare like with like: what they time computes the same, and ratios are what they say."""

import csv
import io

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

from mpdviz import networks
from mpdviz.bench import networks as steps
from mpdviz.bench import neurons, peers, pipeline, plain, timing
from mpdviz.cli.main import app
from mpdviz.errors import BadInput
from mpdviz.norm import TDBatchNorm2d


def test_plain_lif_is_the_equation():
    current = torch.randn(5, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    v = s = np.zeros(40)
    expected = []
    for step in current.numpy():
        v = 0.3 * v * (1 - s) + step
        s = (v >= 0.4).astype(float)
        expected.append(s)
    assert np.array_equal(plain.PlainLIF(0.3, 0.4)(current).numpy(), expected)


def test_plain_norm_is_torchs_batch_norm():
    norm = TDBatchNorm2d(3, v_th=0.5).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
        norm.bias.copy_(torch.tensor([0.1, 0.0, -0.2]))
    x = torch.randn(2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    mean, var = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    expected = F.batch_norm(x.flatten(0, 1), mean, var, norm.weight * 0.5, norm.bias, True, 0.1, 1e-5)
    by_hand = plain.PlainNorm(norm)
    torch.testing.assert_close(by_hand(x).flatten(0, 1), expected)
    torch.testing.assert_close(by_hand.running_mean, mean)
    torch.testing.assert_close(by_hand.running_var, var)


def test_the_plain_build_is_the_same_network():
    torch.manual_seed(3)
    made = networks.build("convsnn", timesteps=3, num_classes=4, planes=(4, 6), hidden=8).double().train()
    by_hand = plain.plain_build(made)
    x = torch.rand(6, 1, 8, 8, dtype=torch.float64)
    for network in (made, by_hand):
        network(x).square().sum().backward()
    expected = dict(made.named_parameters())
    for name, parameter in by_hand.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-7, atol=1e-9)


def test_ratios_are_of_medians():
    times = {"plain": [4.0, 8.0, 100.0], "ours": [1.0, 2.0, 3.0]}
    table = timing.rows("case", times, times["plain"])
    assert [row.ratio for row in table] == [1.0, 4.0]
    assert table[1] == timing.Row("case", "ours", 2.0, 1.0, 3.0, 4.0)
    assert "4.00x" in timing.lines(table)[2]


def test_contenders_take_turns():
    called = []
    timing.alternate({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, 3)
    assert called == ["a", "b"] * 3


def test_neurons_are_checked_before_they_are_timed():
    current, grad = torch.randn(3, 50), torch.randn(3, 50)
    other = {"plain": plain.PlainLIF(0.2, 0.5), "wrong": plain.PlainLIF(0.2, 0.6)}
    with pytest.raises(AssertionError, match="wrong gives other spikes"):
        neurons.check(other, {}, current, grad)


def test_spikingjellys_lif_is_nearly_ours():
    pytest.importorskip("spikingjelly")
    current = torch.randn(4, 1000, generator=torch.Generator().manual_seed(4))
    theirs = peers.spikingjelly_lif(0.2, 0.5)(current)
    assert (theirs == plain.PlainLIF(0.2, 0.5)(current)).float().mean() > neurons.SIMILAR


def test_a_step_trains_both_builds_alike():
    contenders = steps.steps("resnet19", 2, 4, 16, encode_channels=4, planes=(4, 4, 8), hidden=8, bf16=False)
    table, losses = steps.compare("tiny", {name: contenders[name] for name in ("plain", "eager")}, 1)
    assert abs(losses["eager"] / losses["plain"] - 1) < steps.TOLERANCE
    assert {row.contender for row in table} == {"plain", "eager"}
    shares = steps.profile(contenders["eager"])
    assert sum(share for _, share in shares) == pytest.approx(1)
    assert shares[0][1] == max(share for _, share in shares)


def test_the_command_prints_a_table():
    done = CliRunner().invoke(app, ["bench", "recorder", "--repeats", "1", "--format", "csv"])
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["contender"] for row in rows] == ["bare", "recorded"]
    assert float(rows[0]["ratio"]) == 1


@pytest.mark.parametrize("arguments", [["nerons"], ["--repeats", "0"], ["--threads", "0"], ["--format", "x"]])
def test_bad_input(arguments):
    error = CliRunner().invoke(app, ["bench", *arguments]).exception
    assert isinstance(error, BadInput)
    assert error.exit_code == 2


@pytest.mark.slow
def test_the_pipeline_makes_the_batches_that_the_network_takes():
    for datasets, shape in (
        (pipeline.images(), (pipeline.BATCH, 3, 32, 32)),
        (pipeline.recordings(), (10, pipeline.BATCH, 2, 48, 48)),
    ):
        made = {label: next(pipeline._batches(dataset))[0] for label, dataset in datasets.items()}
        assert {tuple(x.shape) for x in made.values()} == {shape}
        assert all(not torch.equal(x, made["as stored"]) for label, x in made.items() if label != "as stored")
    rows = pipeline.compare("images", "resnet19", pipeline.images(), 1)
    assert [row.contender for row in rows] == ["slim resnet19", *pipeline.images()]
    assert all(row.ratio == pytest.approx(rows[0].median_ms / row.median_ms) for row in rows)
