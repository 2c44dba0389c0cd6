"""Figures: tables in, matplotlib figures out; one file a figure (no torch)."""
