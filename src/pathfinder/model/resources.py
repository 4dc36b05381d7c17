"""CPU, memory, disk and processes: amounts in whole units, and how people write them."""

import re
from dataclasses import dataclass
from typing import Any, Final

from pathfinder.model.errors import DefinitionWrong

MIB: Final = 1 << 20
SIZE: Final = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)\s*([a-zA-Z]*)", re.ASCII)
CORES: Final = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)(m?)", re.ASCII)
UNIT_BYTES: Final = {
    "": 1, "b": 1,
    "k": 1000, "kb": 1000, "ki": 1 << 10, "kib": 1 << 10,
    "m": 1000**2, "mb": 1000**2, "mi": 1 << 20, "mib": 1 << 20,
    "g": 1000**3, "gb": 1000**3, "gi": 1 << 30, "gib": 1 << 30,
    "t": 1000**4, "tb": 1000**4, "ti": 1 << 40, "tib": 1 << 40,
}  # fmt: skip
AMOUNT_MAX: Final = 1 << 40  # 2^40 MiB is an exbibyte: sums over a million containers stay in int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a container may use and reserves, or what a node has. 0 means no limit, none reserved.

    cpu_millis: thousandths of a core. memory_mib, disk_mib: mebibytes. processes: a count.
    extra: whole numbers of what people have named, such as `gpu`, in the order of the names.
    """

    cpu_millis: int = 0
    memory_mib: int = 0
    disk_mib: int = 0
    processes: int = 0
    extra: tuple[tuple[str, int], ...] = ()

    def document(self) -> dict[str, Any]:
        """The non-zero amounts under their field names."""
        amounts = {
            "cpu_millis": self.cpu_millis,
            "memory_mib": self.memory_mib,
            "disk_mib": self.disk_mib,
            "processes": self.processes,
            "extra": dict(self.extra),
        }
        return {key: amount for key, amount in amounts.items() if amount}


NOTHING: Final = Resources()


def cpu_millis(value: object, place: str) -> int:
    """2, 0.5, "1500m" -> thousandths of a core."""
    match = None
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        match = CORES.fullmatch(str(value).strip())
    if match is not None:
        digits, scale = _scaled(match[1])
        millis, rest = divmod(digits * (1 if match[2] else 1000), scale)
        if rest == 0 and millis <= AMOUNT_MAX:
            return millis
    raise DefinitionWrong(
        place, f"{value!r} is not a number of cores", hint='write 2, 0.5 or "500m"'
    )


def size_mib(value: object, place: str) -> int:
    """Mebibytes, rounded up, of "512MiB", "1GB" or 1073741824 (bytes)."""
    match = None
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        match = SIZE.fullmatch(str(value).strip())
    unit_bytes = UNIT_BYTES.get(match[2].lower()) if match else None
    if match is None or unit_bytes is None:
        raise DefinitionWrong(
            place, f"{value!r} is not a size", hint="write a number with a unit, such as 512MiB"
        )
    digits, scale = _scaled(match[1])
    mib = -(-digits * unit_bytes // (scale * MIB))
    if mib > AMOUNT_MAX:
        raise DefinitionWrong(place, f"{value!r} is more than any machine has")
    return mib


def _scaled(number: str) -> tuple[int, int]:
    """15 and 10 for "1.5": exact, and without `decimal`, which takes 0.3 MB of an agent's 22."""
    whole, _, fraction = number.partition(".")
    return int(whole + fraction), 10 ** len(fraction)


def count(value: object, place: str, *, most: int = AMOUNT_MAX) -> int:
    """A whole number from 0 to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise DefinitionWrong(place, f"{value!r} is not a whole number from 0 to {most}")
    return value


def size_text(mib: int) -> str:
    """How people read an amount of mebibytes: "512MiB", "1.5GiB"."""
    for unit, size in (("TiB", 1 << 20), ("GiB", 1 << 10)):
        if mib >= size:
            return f"{mib / size:.1f}".removesuffix(".0") + unit
    return f"{mib}MiB"


def cpu_text(millis: int) -> str:
    """How people read thousandths of a core: "2", "0.5"."""
    return f"{millis / 1000:.3f}".rstrip("0").rstrip(".")
