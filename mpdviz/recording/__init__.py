"""Recording: hooks over a model, streaming accumulators, what they add up to."""
