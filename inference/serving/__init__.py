"""A warm server: one process per device keeps the models of its bays loaded and does batches for others.

A client needs neither torch nor the models; only the server process loads them.
"""

from inference.serving.client import InferenceClient, NoServerError
from inference.serving.messages import Observed, Reply
from inference.serving.observing import observe_capture

__all__ = ["InferenceClient", "NoServerError", "Observed", "Reply", "observe_capture"]
