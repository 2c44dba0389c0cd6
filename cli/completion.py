"""Values that a shell completes: known without importing what they name, so that Tab answers at once."""

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points

NAMES: dict[str, tuple[str, ...]] = {
    "strategies": (
        *("fixed", "lsg", "mpd-agl", "mpd-agl-reset", "mpd-agl-correlated", "observed"),
        *("ds-atgo", "prescribed", "dspike", "asgl", "deeptage", "slope-schedule"),
    ),
    "surrogates": (
        *("rectangular", "triangular", "sigmoid", "atan", "fast-sigmoid"),
        *("dspike", "lorentz", "superspike"),
    ),
    "norms": ("tdbn", "tebn"),
    "losses": ("ce", "tet"),
    "regularizers": ("mpd-sgr", "im-loss"),
    "neurons": ("lif", "plif", "klif", "clif", "psn"),
    "networks": ("convsnn", "mlp", "resnet19", "spikformer", "vggsnn"),
    "data": (
        *("digits", "digits-dvs", "mnist", "fashion-mnist", "cifar10", "cifar100", "tiny-imagenet"),
        *("cifar10-dvs", "n-mnist", "dvs-gesture", "shd"),
    ),
    "sinks": ("csv", "tensorboard", "wandb", "mlflow"),
    "schedules": ("cosine", "step", "constant"),
    "kernels": ("auto", "eager", "fused", "compiled"),
    "splits": ("train", "val", "test", "all"),
    "modes": ("eval", "train"),
    "devices": ("auto", "cpu", "cuda"),
}
"""What the registries of the library hold, by the group of their entry points, and a few choices besides."""


def names(of: str | Sequence[str], *, several: bool = False) -> Callable[[str], list[str]]:
    """What an option completes to.

    Args:
        of: a group of `NAMES`, to which installed packages may add theirs; or the names themselves.
        several: whether the option takes several, with commas between them.
    """

    def complete(incomplete: str) -> list[str]:
        known = list(NAMES[of]) if isinstance(of, str) else list(of)
        if isinstance(of, str):
            known += [point.name for point in entry_points(group=f"mpdviz.{of}") if point.name not in known]
        before, comma, begun = incomplete.rpartition(",") if several else ("", "", incomplete)
        return [f"{before}{comma}{name}" for name in known if name.startswith(begun)]

    return complete
