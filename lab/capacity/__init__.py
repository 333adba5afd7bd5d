"""What a yard of many bays needs: a discrete-event model of a slot, fed with measured times. See docs/capacity.md."""
