"""Training: settings in, a run folder out."""
