"""Truth against result: how right the floor plan and the tracks are."""
