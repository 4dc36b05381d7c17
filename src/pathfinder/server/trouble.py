"""What ends a program with one clear line instead of a traceback."""


class Trouble(Exception):
    """Something that the person at the keyboard can put right; `hint` is the next step."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
