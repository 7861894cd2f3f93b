"""Curves: how they are planned, streamed, measured and read. NumPy only."""
