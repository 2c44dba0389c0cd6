"""Recording inside the training loops of others, one file a framework, which is imported with it."""
