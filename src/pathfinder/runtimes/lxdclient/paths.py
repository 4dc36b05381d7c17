"""Paths of LXD's API, safe for any name and value. Pure.

Not `urllib.parse`: it takes 0.6 MB of the 22 that an agent may have.
"""

from typing import Final

PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def instance_path(name: str, *parts: str, **query: str) -> str:
    """`/1.0/instances/NAME/PARTS?query`."""
    path = "/".join(("/1.0/instances", quoted(name), *parts))
    pairs = "&".join(f"{key}={quoted(value)}" for key, value in query.items())
    return f"{path}?{pairs}" if pairs else path


def quoted(text: str) -> str:
    """One part of a path, or one value of a query."""
    return "".join(chr(byte) if byte in PLAIN else f"%{byte:02X}" for byte in text.encode())
