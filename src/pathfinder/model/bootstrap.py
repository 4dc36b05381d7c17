"""How a system container is set up once it runs: Chef, a script, or cloud-init's user data.

The steps of one container run one after another, inside it. What they say is text for programs in
the container: it is written to files there, and never becomes part of a command line here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pathfinder.model.errors import DefinitionWrong

BootstrapType = Literal["chef-solo", "shell", "cloud-init"]
TYPES: Final = ("chef-solo", "shell", "cloud-init")
STEPS_MAX: Final = 16
BOOTSTRAP_BYTES_MAX: Final = 128 << 10  # of all steps together, as JSON
TRIES_DEFAULT: Final = 3  # as the original's agent has it
TRIES_MAX: Final = 20
TIMEOUT_S_DEFAULT: Final = 3_600
TIMEOUT_S_MAX: Final = 86_400
# Which field of a step says what its program gets, by type.
CONTENT_OF_TYPE: Final[Mapping[str, tuple[str, ...]]] = {
    "chef-solo": ("cookbooks_url", "attributes"),
    "shell": ("script",),
    "cloud-init": ("user_data",),
}
COMMON: Final = ("type", "tries", "timeout_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapStep:
    """One step. `tries`: how often it is run until it succeeds; `timeout_s`: the bound of each try.

    chef-solo: `cookbooks_url` is an archive of cookbooks, `attributes` any JSON, given to Chef byte
    for byte as written here. shell: `script` for the container's shell. cloud-init: `user_data`,
    which works in images that have cloud-init.
    """

    type: BootstrapType
    cookbooks_url: str = ""
    attributes: Any = field(default_factory=dict)
    script: str = ""
    user_data: str = ""
    tries: int = TRIES_DEFAULT
    timeout_s: int = TIMEOUT_S_DEFAULT
    extra: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The step as JSON-ready data, without defaults; `steps_from` gives it back."""
        document: dict[str, Any] = {"type": self.type}
        for name in CONTENT_OF_TYPE[self.type]:
            if (value := getattr(self, name)) not in ("", {}):
                document[name] = value
        if self.tries != TRIES_DEFAULT:
            document["tries"] = self.tries
        if self.timeout_s != TIMEOUT_S_DEFAULT:
            document["timeout_s"] = self.timeout_s
        return {**self.extra, **document}


def steps_from(value: object, place: str, *, strict: bool = False) -> tuple[BootstrapStep, ...]:
    """Parse a list of steps; DefinitionWrong with the place. `strict` refuses unknown fields."""
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > STEPS_MAX:
        raise DefinitionWrong(place, f"must be a list of at most {STEPS_MAX} steps")
    steps = tuple(
        _step(item, f"{place}[{index}]", strict=strict) for index, item in enumerate(value)
    )
    size = len(json.dumps([step.document() for step in steps]))
    if size > BOOTSTRAP_BYTES_MAX:
        raise DefinitionWrong(
            place,
            f"is {size} bytes long; at most {BOOTSTRAP_BYTES_MAX} are carried to the node",
            hint="put what is large where the container can download it",
        )
    return steps


def _step(value: object, place: str, *, strict: bool) -> BootstrapStep:
    if not isinstance(value, Mapping):
        raise DefinitionWrong(place, "must be a mapping with a type")
    type_ = value.get("type")
    if type_ not in TYPES:
        raise DefinitionWrong(f"{place}.type", f"{type_!r} is not one of {', '.join(TYPES)}")
    known = (*COMMON, *CONTENT_OF_TYPE[type_])
    extra = {key: item for key, item in value.items() if key not in known}
    if strict and extra:
        raise DefinitionWrong(
            f"{place}.{next(iter(extra))}",
            f"is not a field of a {type_} step",
            hint=f"fields are {', '.join(known)}",
        )
    texts = {
        key: _text(value.get(key), f"{place}.{key}")
        for key in CONTENT_OF_TYPE[type_]
        if key != "attributes"
    }
    for key in ("script", "user_data"):
        if key in texts and not texts[key]:
            raise DefinitionWrong(f"{place}.{key}", "is missing")
    attributes = value.get("attributes") if type_ == "chef-solo" else None
    return BootstrapStep(
        type=type_,
        **texts,
        attributes={} if attributes is None else attributes,
        tries=_whole(value.get("tries", TRIES_DEFAULT), f"{place}.tries", TRIES_MAX),
        timeout_s=_whole(
            value.get("timeout_s", TIMEOUT_S_DEFAULT), f"{place}.timeout_s", TIMEOUT_S_MAX
        ),
        extra=extra,
    )


def _text(value: object, place: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise DefinitionWrong(place, "must be a text without NUL")
    return value


def _whole(value: object, place: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise DefinitionWrong(place, f"{value!r} is not a whole number from 1 to {most}")
    return value
