"""Curves: what is planned, streamed, measured and read off. NumPy only."""
