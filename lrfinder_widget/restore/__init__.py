"""What a run can change, found, copied and put back."""
