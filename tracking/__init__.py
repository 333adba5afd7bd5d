"""What the floor shows becomes tracks and events over time."""
