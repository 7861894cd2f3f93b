"""Batches from loaders of any make, without moving the user's own on."""
