"""The one error that a person at the keyboard sees: what is wrong, and what to do next."""


class Trouble(Exception):
    """Something outside this program stands in the way. `hint` says what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
