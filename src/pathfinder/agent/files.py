"""Small files that survive a power cut: written beside, flushed, and moved into place."""

import json
import os
from collections.abc import Mapping
from typing import Any, Final

FILE_BYTES_MAX: Final = 1 << 16


def write_document(path: str, document: Mapping[str, Any]) -> None:
    """Replace `path` by `document` as JSON, mode 0600, durably: the old content or the new."""
    beside = f"{path}.new"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(json.dumps(document, indent=2, sort_keys=True).encode() + b"\n")
        file.flush()
        os.fsync(descriptor)
    os.replace(beside, path)
    directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_document(path: str) -> dict[str, Any] | None:
    """The object in a JSON file; None when there is no file. ValueError when it holds no object."""
    try:
        with open(path, "rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    document = json.loads(content) if len(content) <= FILE_BYTES_MAX else None
    if isinstance(document, dict):
        return document
    raise ValueError(f"{path}: not a JSON object of at most {FILE_BYTES_MAX} bytes")
