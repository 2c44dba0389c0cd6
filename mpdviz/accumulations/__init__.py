"""What a recording adds up to: counts, moments, histograms, gradients; they merge by addition (no torch)."""
