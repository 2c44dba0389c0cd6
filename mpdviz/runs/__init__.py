"""Run folders: what lies where, where a run stands, and what is read of it (no torch)."""
