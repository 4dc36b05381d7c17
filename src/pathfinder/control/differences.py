"""What differs between a thing before and after it was changed, in words: for events and plans."""

from collections.abc import Iterable, Mapping
from typing import Final

from pathfinder.control.objects import (
    Cluster,
    Deployment,
    Image,
    Limits,
    Node,
    Policy,
    Remote,
    Thing,
)
from pathfinder.model.resources import Resources
from pathfinder.scheduler.amounts import amount_text

CODES: Final = {
    "cpu_millis": "cpu",
    "memory_mib": "memory",
    "disk_mib": "disk",
    "processes": "processes",
}
VALUE_LENGTH_MAX: Final = 80  # a label may be long, and a certificate is


def changes(before: Thing | None, after: Thing | None) -> str:
    """`placement spread -> pack, quota.cpu none -> 4`: the fields that people set; "" for none.

    Of clusters, nodes, images and remotes: what changes in the others has words of its own.
    """
    if before is None or after is None or type(before) is not type(after):
        return ""
    return words(_fields(before), _fields(after))


def words(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The same of fields in words, which both have or one of them; none: it has no such field."""
    names = [*before, *(name for name in after if name not in before)]
    return ", ".join(
        f"{name} {_short(before.get(name, 'none'))} -> {_short(after.get(name, 'none'))}"
        for name in names
        if before.get(name) != after.get(name)
    )


def policy_fields(policy: Policy) -> dict[str, str]:
    """By the names that documents have for them."""
    lent, quota = policy.overcommit, policy.quota
    return {
        "placement": policy.placement,
        "preemption": policy.preemption,
        "overcommit.cpu": f"{lent.cpu_permille / 1_000:g}",
        "overcommit.memory": f"{lent.memory_permille / 1_000:g}",
        **_amounts("reserved", policy.reserved),
        **{
            f"quota.{code}": amount_text(code, amount) if amount else "none"
            for code, amount in (
                ("cpu", quota.cpu_millis),
                ("memory", quota.memory_mib),
                ("disk", quota.disk_mib),
                ("processes", quota.processes),
                ("containers", quota.containers),
            )
        },
        "moves_per_hour": str(policy.moves_per_hour),
    }


def limits_fields(limits: Limits) -> dict[str, str]:
    """By the names that documents have for them; 0 is no limit."""
    amounts = {name: getattr(limits, name) for name in ("memory_percent", "containers", "stateful")}
    return {f"limits.{name}": str(amount or "none") for name, amount in amounts.items()}


def _fields(thing: Thing) -> dict[str, str]:
    match thing:
        case Cluster():
            return {
                **limits_fields(thing.limits),
                **policy_fields(thing.policy),
            }
        case Node():
            return {
                "cordoned": "yes" if thing.cordoned else "no",
                "draining": "yes" if thing.drain else "no",
                **_amounts("granted", thing.granted),
                **{f"label {name}": value for name, value in sorted(thing.labels.items())},
            }
        case Image():
            return _named(thing, ("alias", "fingerprint", "remote", "kind"))
        case Remote():
            return _named(thing, ("server", "protocol", "certificate"))
        case _:
            return {}


def _named(thing: Thing, fields: Iterable[str]) -> dict[str, str]:
    return {name: getattr(thing, name) or "none" for name in fields}


def _amounts(name: str, amounts: Resources) -> dict[str, str]:
    given = {code: getattr(amounts, field) for field, code in CODES.items()}
    return {
        f"{name}.{code}": amount_text(code, amount) if amount else "none"
        for code, amount in given.items()
    }


def _short(text: str) -> str:
    return text if len(text) <= VALUE_LENGTH_MAX else f"{text[:VALUE_LENGTH_MAX]}..."


def deployment_change(old: Deployment | None, new: Deployment) -> str:
    """What is asked of a deployment that was not asked before."""
    if old is None:
        return f"{new.replicas} replicas of {new.spec.image.text()}"
    said = []
    if old.replicas != new.replicas:
        said.append(f"replicas {old.replicas} -> {new.replicas}")
    if old.min_available != new.min_available:
        said.append(f"min_available {old.min_available} -> {new.min_available}")
    if old.digest != new.digest:
        said.append("its definition changed")
    if old.bootstrap_digest != new.bootstrap_digest:
        said.append("its bootstrap changed")
    if old.priority != new.priority:
        said.append(f"priority {old.priority} -> {new.priority}")
    if old.labels != new.labels:
        said.append("its labels changed")
    return ", ".join(said)
