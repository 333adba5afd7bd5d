"""A candidate for the product's tracker: one account of all evidence, decided for the whole floor at once.

`make eval-tracking` runs it beside the tracker of the product. It takes the product's place when it holds the bars
there on days that it was not tuned on; until then nothing but the evaluation uses it. The model is `model.py`,
the marginals of identities `explanation.py`, what several slots leave open `hypotheses.py`.
"""

from lab.evaluation.joint_tracker.tracker import Tracker
from lab.evaluation.joint_tracker.types import TrackingResult

__all__ = ["Tracker", "TrackingResult"]
