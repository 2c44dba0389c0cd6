"""Measuring a layer's potentials: tensor operations, or one compiled pass."""
