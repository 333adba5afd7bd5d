"""Python imports this at its start in each process that a test starts: `tests/conftest.py` puts its folder on the path.

A start of Airflow, torch or the web application makes a million objects that stay to the end. To look through them for
garbage while they are made, and once more at the end, is a quarter of what a command of Airflow costs.
"""

import atexit
import gc

gc.set_threshold(20_000, 10, 10)
atexit.register(gc.freeze)
