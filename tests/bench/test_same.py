"""Four frameworks are set to one network: what they are timed at is the same training."""

import pytest
import torch
from torch.nn import functional as F

from mpdviz.bench import epochs, same
from mpdviz.bench.apart import apart
from mpdviz.kernels import backends

SIZES = same.Sizes(timesteps=3, in_channels=1, side=8, classes=4, planes=(4, 6))
OTHERS = {"SpikingJelly": "spikingjelly", "snnTorch": "snntorch", "Norse": "norse"}
TASK = epochs.Task("digits", None, 96, 2, 16)


@pytest.fixture(params=OTHERS)
def framework(request):
    pytest.importorskip(OTHERS[request.param])
    return request.param


def losses(framework):
    """Of some steps of training on one batch, and its last logits."""
    network = same.build(framework, SIZES).train()
    x = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.SGD(network.groups(0.1), 0.1, momentum=0.9)
    found = []
    for _ in range(6):
        logits = network(x)
        loss = F.cross_entropy(logits.mean(0), torch.arange(8) % 4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found, logits.detach()


def test_all_train_alike_from_the_same_weights(framework):
    ours, our_logits = losses("mpdviz")
    theirs, their_logits = losses(framework)
    # snnTorch's reset has no gradient, so that only its forward is the same.
    same_until = 1 if framework == "snnTorch" else len(ours)
    assert theirs[:same_until] == pytest.approx(ours[:same_until], rel=1e-4)
    assert ours[-1] < ours[0]
    if framework != "snnTorch":
        torch.testing.assert_close(their_logits, our_logits, rtol=1e-3, atol=1e-3)
    assert (our_logits[0] != our_logits[1]).any()  # something spiked


def test_each_keeps_every_potential_its_own_way(framework):
    network, x = epochs.settled(framework, SIZES, 8)
    layers = [(3, 8, 4, 8, 8), (3, 8, 6, 4, 4)]
    with torch.no_grad(), network.keeping() as kept:
        for _ in range(2):
            network(x)
        numbers = sum(potential.numel() for potential in kept)
    assert numbers == 2 * sum(torch.Size(shape).numel() for shape in layers)
    with torch.no_grad():
        network(x)
    assert not kept  # and lets go of them


def test_training_gives_the_accuracy_after_one_epoch():
    trained = epochs.train(["mpdviz"], TASK, 2, False)
    dataset = TASK.load()
    training = epochs.Training(epochs.Contender("mpdviz"), TASK.sizes(dataset))
    first = training.steps(TASK.batches(dataset, 0))[0]
    assert trained["first_loss"] == first
    test = dataset.test.take(torch.arange(96))
    with torch.no_grad():
        x = (test.x.float() - torch.tensor(dataset.mean or (0.0,)).view(-1, 1, 1)) / torch.tensor(
            dataset.std or (1.0,)
        ).view(-1, 1, 1)
        right = (training.network.eval()(x).mean(0).argmax(1) == test.y).float().mean()
    assert trained["accuracy"] == pytest.approx(float(right))
    assert len(trained["seconds"]) == 2


def test_watching_times_each_way(framework):
    found = epochs.watched_times(framework, SIZES, 4, 2)
    assert {way: len(ms) for way, ms in found.items()} == {"bare": 2, "own": 2, "recorded": 2}


@pytest.mark.thorough
def test_a_function_runs_in_a_process_of_its_own():
    peak = apart(epochs.watched_peak, "mpdviz", "recorded", 2)
    assert 0 <= peak < 1000
    with pytest.raises(RuntimeError, match="no such way"):
        apart(epochs.watched_peak, "mpdviz", "no such way", 2)


@pytest.mark.parametrize("name", [name for name, one in backends.KERNELS.items() if one.missing() is None])
def test_the_backend_that_is_named_runs_the_neurons(name, monkeypatch):
    """It falls back to the eager one, without a word, for what it cannot do."""
    kind, eager, ran = type(backends.KERNELS[name]), backends.KERNELS["eager"].run, []

    def noted(self, job):
        ran.append(job)
        return eager(job)  # nothing has to be compiled to see who was asked

    monkeypatch.setattr(kind, "run", noted)
    network = same.build("mpdviz", SIZES).train()
    with backends.using(name):
        network(torch.randn(8, 1, 8, 8))
    assert len(ran) == 2
