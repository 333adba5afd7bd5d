"""What all cameras saw becomes one picture of the floor."""
