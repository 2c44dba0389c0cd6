"""What the machine lends: files, signals, devices, processes, memory, progress."""
