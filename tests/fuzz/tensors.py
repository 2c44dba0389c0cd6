"""Tensors that are not what code expects of a weight, and Python objects that no file of ours holds."""

import os
import warnings

import torch

from fuzz import values

CANARY = "canary"
"""Folder that a payload makes where it runs; the harness looks for it."""


class Payload:
    """Pickled, it is a call of `os.mkdir`."""

    def __reduce__(self):
        return os.mkdir, (CANARY,)


def _nested():
    return torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])


TENSORS = {
    "sparse": lambda x: x.to_sparse(),
    "csr": lambda x: x.reshape(len(x), -1).to_sparse_csr(),
    "meta": lambda x: x.to("meta"),
    "float8": lambda x: x.to(torch.float8_e4m3fn),
    "float8 e8m0": lambda x: x.to(torch.float8_e8m0fnu),
    "quantized": lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
    "nested": lambda x: _nested(),
    "complex": lambda x: x.to(torch.complex64),
    "conjugate": lambda x: x.to(torch.complex64).conj(),
    "bool": lambda x: x > 0,
    "half": lambda x: x.half(),
    "bfloat16": lambda x: x.bfloat16(),
    "double": lambda x: x.double(),
    "long": lambda x: x.long(),
    "uint16": lambda x: x.abs().to(torch.uint16),
    "reshaped": lambda x: x.reshape(-1),
    "more": lambda x: torch.cat([x, x]),
    "none": lambda x: x[:0],
    "scalar": lambda x: torch.tensor(1.0),
    "huge": lambda x: torch.zeros(1).expand(10**12),
    "huge of its rank": lambda x: torch.zeros(()).expand([10**4] * x.dim()),
    "one value": lambda x: torch.zeros(()).expand_as(x),
    "parameter": torch.nn.Parameter,
    "nan": lambda x: torch.full_like(x, float("nan")),
    "inf": lambda x: torch.full_like(x, float("inf")),
    "largest": lambda x: torch.full_like(x, 3e38),
    "smallest": lambda x: torch.full_like(x, 1e-45),
    "negative": lambda x: -x.abs() - 1,
    "zero": torch.zeros_like,
}


def odd(random, like):
    """Some odd tensor in the place of `like`: (which, tensor)."""
    name = random.choice(sorted(TENSORS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # prototypes and what is deprecated
        try:
            return name, TENSORS[name](like.float() if like.dim() else like.float().reshape(1))
        except (RuntimeError, NotImplementedError, ValueError) as error:
            return f"none ({error})"[:60], torch.empty(0)


def anything(random):
    """Any value that `torch.save` writes: plain ones, tensors, cycles, objects, functions."""
    kind = random.choice(
        ("plain",) * 6 + ("tensor",) * 3 + ("object", "function", "cycle", "deep", "key", "set")
    )
    if kind == "tensor":
        return odd(random, torch.ones(random.choice((1, 4, 128))))[1]
    if kind == "object":
        return random.choice((Payload(), torch.nn.Linear(2, 2), slice(3), torch.float32, torch.Size([3]), 1j))
    if kind == "function":
        return random.choice((os.getcwd, torch.nn.functional.relu, len))
    if kind == "cycle":
        loop = {"x": 1}
        loop["self"] = loop
        return loop
    if kind == "deep":
        tree = {}
        for _ in range(200):
            tree = {"x": tree}
        return tree
    if kind == "key":
        return {random.choice((1, None, b"x", (1, 2), 2.5, True)): values.plain(random)}
    if kind == "set":
        return random.choice(({1, 2}, frozenset("ab"), b"bytes", bytearray(3), (1, "x"), range(3), ...))
    return values.plain(random)
