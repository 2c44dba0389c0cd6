"""Spike sites: the places where a network, whoever wrote it, turns a potential into spikes."""
