"""Trains with torch, and puts everything back."""
