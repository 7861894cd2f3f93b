"""Runs any stream of points in a background thread. Standard library and `curve` only."""
