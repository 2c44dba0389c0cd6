"""Batch norms between synapses and neurons, over batch, time and space. A new one is a file and a line."""

from mpdviz.norm.base import Kind, Norm, frozen_statistics
from mpdviz.norm.tdbn import TDBatchNorm1d, TDBatchNorm2d
from mpdviz.norm.tebn import TEBatchNorm1d, TEBatchNorm2d
from mpdviz.registry import Registry

__all__ = [
    "NORMS",
    "Kind",
    "Norm",
    "TDBatchNorm1d",
    "TDBatchNorm2d",
    "TEBatchNorm1d",
    "TEBatchNorm2d",
    "frozen_statistics",
]

NORMS: Registry[Kind] = Registry(
    "norm",
    "mpdviz.norms",
    {"tdbn": "mpdviz.norm.tdbn:TDBN", "tebn": "mpdviz.norm.tebn:TEBN"},
    Kind,
)
