"""Training with torch, and putting everything back."""
