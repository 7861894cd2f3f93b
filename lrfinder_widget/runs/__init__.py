"""What the runs of a finder are, wherever they take place. No torch, no widgets."""
