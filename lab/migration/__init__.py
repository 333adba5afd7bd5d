"""From the old system to this one, tried out: a stand-in of the old system, and every figure beside its bar."""
