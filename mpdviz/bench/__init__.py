"""Our neurons, networks and recorder timed against others, side by side in one process.

Each benchmark first checks that the contenders compute the same, then runs them in turn and returns one
row for each, with its ratio to a reference. `mpdviz bench` prints the short form; the scripts in
benchmarks/ run full sizes.
"""
