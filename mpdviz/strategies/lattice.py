"""Sums over a normal law without random numbers, for widths that follow a prediction."""

import math

import torch
from torch import Tensor

SINGULAR = 1e-6
"""Share of a variance of 1 below which what earlier values leave of it is rounding, in single precision."""


def lattice(points: int, dimensions: int) -> Tensor:
    """Standard normal values, in float64, at the points of Richtmyer's lattice `[points, dimensions]`.

        xi(n, k) = Phi^-1(frac(n sqrt(prime_k)))

    as `analysis.predict.currents.lattice`, in torch.
    """
    primes: list[int] = []
    number = 2
    while len(primes) < dimensions:
        if all(number % prime for prime in primes):
            primes.append(number)
        number += 1
    roots = torch.tensor([math.sqrt(prime) for prime in primes], dtype=torch.float64)
    u: Tensor = torch.outer(torch.arange(1, points + 1, dtype=torch.float64), roots) % 1
    xi: Tensor = torch.special.ndtri(u)
    return xi


def cholesky(correlation: Tensor) -> Tensor:
    """Lower factor of a correlation `[T, T]` that may be singular: what earlier values determine adds 0."""
    factor = torch.zeros_like(correlation)
    for t in range(len(correlation)):
        left = correlation[t:, t] - factor[t:, :t] @ factor[t, :t]
        # Without looking at the value, for which an accelerator would have to wait.
        scale = torch.where(left[0] > SINGULAR, left[0].clamp_min(SINGULAR).rsqrt(), 0)
        factor[t:, t] = left * scale
    return factor
