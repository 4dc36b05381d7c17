"""Server-sent events: lines in, events out (HTML standard, 9.2.6). No I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pathfinder.model.errors import Malformed

EVENT_BYTES_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event. `id` is what to send as Last-Event-ID to go on after it."""

    id: str
    name: str
    data: str

    def document(self) -> Mapping[str, Any]:
        """The data as an object; Malformed when it is none."""
        try:
            value = json.loads(self.data)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Malformed(f"event {self.id}: its data is not an object")
        return value


class EventLines:
    """Takes lines and gives an event at each blank one. Comments (heartbeats) give nothing."""

    def __init__(self) -> None:
        self._data: list[str] = []
        self._bytes = 0
        self._name = ""
        self._id = ""

    def take(self, line: bytes) -> ServerEvent | None:
        """The event that this line completes; Malformed when it grows beyond EVENT_BYTES_MAX."""
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text:
            return self._completed()
        field, _, value = text.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "data":
                self._bytes += len(line)
                if self._bytes > EVENT_BYTES_MAX:
                    raise Malformed(f"an event is larger than {EVENT_BYTES_MAX} bytes")
                self._data.append(value)
            case "event":
                self._name = value
            case "id" if "\0" not in value:
                self._id = value
        return None

    def _completed(self) -> ServerEvent | None:
        data, name = self._data, self._name
        self._data, self._name, self._bytes = [], "", 0
        if not data:
            return None
        return ServerEvent(self._id, name or "message", "\n".join(data))
