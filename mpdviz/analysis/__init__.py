"""What accumulations say: tables, predictions, distances, what-ifs, verdicts, statistics (no torch)."""
