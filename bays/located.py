"""A fault of values that do not fit each other, said of the one to change."""


class LocatedError(ValueError):
    """What a check of several values raises.

    Attributes:
        location: from the checked value to the one to change, as `("cameras", 3, "host")`; the
            message about the bay's file names its line and key.
    """

    def __init__(self, reason: str, *location: str | int) -> None:
        super().__init__(reason)
        self.location = location
