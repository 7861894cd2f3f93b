"""Any stream of points, run in a background thread. Standard library and `curve` only."""
