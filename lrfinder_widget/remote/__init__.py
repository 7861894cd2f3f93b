"""Runs that go on elsewhere, as streams of points. No torch, and no engine is imported."""
