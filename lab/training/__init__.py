"""Training the shipped weights on simulated yards; nothing of it is imported when a bay is observed.

The only place of this package that knows `simulation`: its truth reaches training and
scoring, never a batch.
"""
