"""Amounts in words: "512MiB of memory", "0.5 CPU and 2GiB of disk"."""

from collections.abc import Iterable

from pathfinder.model.resources import Resources, cpu_text, size_mib, size_text


def amount_text(code: str, amount: int) -> str:
    """An amount alone, as people write it. code: a reason's code."""
    match code:
        case "cpu":
            return cpu_text(amount)
        case "memory" | "disk":
            text = size_text(amount)
            # Rounded, "free 1.1GiB" might not be enough: what is said must be true.
            return text if size_mib(text, "") == amount else f"{amount}MiB"
        case _:
            return str(amount)


def amount_words(code: str, amount: int) -> str:
    """An amount with what it is an amount of."""
    text = amount_text(code, amount)
    match code:
        case "cpu":
            return f"{text} CPU"
        case "containers_max":
            return f"{text} container" if amount == 1 else f"{text} containers"
        case "processes":
            return f"{text} process" if amount == 1 else f"{text} processes"
        case _:
            return f"{text} of {code}"


def resources_words(amounts: Resources, containers: int = 0) -> str:
    """All amounts that are not 0, in one phrase."""
    pairs = (
        ("cpu", amounts.cpu_millis),
        ("memory", amounts.memory_mib),
        ("disk", amounts.disk_mib),
        ("processes", amounts.processes),
        ("containers_max", containers),
    )
    extra = (f"{amount} {name}" for name, amount in amounts.extra)
    return joined((*(amount_words(code, amount) for code, amount in pairs if amount), *extra))


def joined(phrases: Iterable[str]) -> str:
    """Phrases as in "a", "a and b", "a, b and c"."""
    *first, last = list(phrases) or [""]
    return f"{', '.join(first)} and {last}" if first else last
