"""Where a run's progress goes: tables, TensorBoard."""
