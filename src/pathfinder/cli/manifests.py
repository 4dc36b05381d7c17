"""Manifests from files: YAML documents, each knowing on which line each of its fields stands.

They are checked here as far as that goes without the server, so that a mistake is shown at its
place in the file; the server checks them again.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from pathfinder.cli.kinds import nearest
from pathfinder.model import names
from pathfinder.model.definitions import container_spec
from pathfinder.model.documents import KINDS, allowed_fields
from pathfinder.model.errors import DefinitionWrong, Malformed

SUFFIXES: Final = (".yaml", ".yml", ".json")
FILE_BYTES_MAX: Final = 4 << 20
DEPTH_MAX: Final = 32
PLACES_MAX: Final = 200_000  # aliases of aliases grow a small file into a large one
TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
IN_DOCUMENTS: Final = re.compile(r"documents\[(\d+)\]\.?(.*)", re.DOTALL)
LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where it exists


@dataclass(frozen=True, slots=True)
class Manifest:
    """One document, the file it stands in, and the line of each place in it ("" is its first)."""

    document: dict[str, Any]
    file: str
    lines: dict[str, int]

    def location(self, place: str) -> str:
        """`file:line` of a place such as `spec.resources.memory`, or of what it is part of."""
        while place not in self.lines and place:
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        return f"{self.file}:{self.lines.get(place, 1)}"

    @property
    def title(self) -> str:
        """kind/name, for messages."""
        return f"{str(self.document.get('kind', '?')).lower()}/{self.document.get('name', '?')}"


def read_manifests(paths: Sequence[str], cluster: str) -> list[Manifest]:
    """All documents of these files, directories (their .yaml, .yml and .json) and `-`.

    Documents that name no cluster get `cluster`. Malformed or DefinitionWrong with file and line.
    """
    manifests: list[Manifest] = []
    for path in paths:
        for name, text in _texts(path):
            manifests += parse_manifests(text, name)
    if not manifests:
        raise Malformed(f"there is no document in {', '.join(paths)}")
    for manifest in manifests:
        if manifest.document.get("kind") != "Cluster":
            manifest.document.setdefault("cluster", cluster)
        check(manifest)
    return manifests


def parse_manifests(text: str, file: str) -> list[Manifest]:
    """The documents of one file; empty ones are left out."""
    loader: Any = LOADER(text)
    # A date is the text that a person wrote: JSON knows no other.
    loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != TIMESTAMP]
        for first, resolvers in loader.yaml_implicit_resolvers.items()
    }
    manifests = []
    try:
        while loader.check_node():
            node: yaml.Node = loader.get_node()
            lines: dict[str, int] = {}
            _note_lines(node, "", lines, file)
            value = loader.construct_document(node)
            json.dumps(value, allow_nan=False)
            if value is None:
                continue
            if not isinstance(value, dict):
                raise Malformed(
                    f"{file}:{node.start_mark.line + 1}: a document must be a mapping",
                    hint="it begins with kind: Container, or another kind",
                )
            manifests.append(Manifest(value, file, lines))
    except yaml.MarkedYAMLError as error:
        raise _yaml_wrong(error, file) from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise Malformed(f"{file}: {error}") from None
    finally:
        loader.dispose()
    return manifests


def check(manifest: Manifest) -> None:
    """What can be said without the server; DefinitionWrong with file and line."""
    try:
        _check_document(manifest.document)
    except DefinitionWrong as error:
        raise located(error, manifest, error.details["place"]) from None


def located(error: DefinitionWrong, manifest: Manifest, place: str) -> DefinitionWrong:
    """The same error, with file and line in front of its place."""
    message = error.message.removeprefix(f"{error.details['place']}: ")
    where = f"{manifest.location(place)}: {manifest.title}"
    return DefinitionWrong(f"{where}: {place}" if place else where, message, hint=error.hint)


def located_by_server(error: DefinitionWrong, manifests: Sequence[Manifest]) -> DefinitionWrong:
    """An error that the server found at `documents[N].place`, with file and line."""
    match = IN_DOCUMENTS.fullmatch(str(error.details.get("place", "")))
    if match is None or int(match[1]) >= len(manifests):
        return error
    return located(error, manifests[int(match[1])], match[2])


def _check_document(document: dict[str, Any]) -> None:
    kind = document.get("kind")
    if kind is None:
        raise DefinitionWrong("kind", "is missing", hint=f"kinds are {', '.join(KINDS)}")
    if kind not in KINDS:
        near = nearest(str(kind).title(), KINDS)
        hint = f"did you mean {near}?" if near else f"kinds are {', '.join(KINDS)}"
        raise DefinitionWrong("kind", f"{kind!r} is not a kind of document", hint=hint)
    allowed = allowed_fields(kind)
    for key in document:
        if key not in allowed:
            near = nearest(str(key), allowed)
            hint = f"did you mean {near}?" if near else f"fields are {', '.join(allowed)}"
            raise DefinitionWrong(str(key), f"is not a field of a {kind}", hint=hint)
    if "name" not in document:
        raise DefinitionWrong("name", "is missing", hint=f"give the {kind.lower()} a name")
    if kind in ("Container", "Deployment"):
        names.hostname(document["name"], "name")
        if "spec" not in document:
            raise DefinitionWrong("spec", "is missing", hint="write spec: {image: ...}")
        container_spec(document["spec"])


def _texts(path: str) -> Iterator[tuple[str, str]]:
    if path == "-":
        yield "standard input", sys.stdin.read(FILE_BYTES_MAX)
        return
    place = Path(path)
    if place.is_dir():
        files = sorted(file for file in place.iterdir() if file.suffix in SUFFIXES)
        if not files:
            raise Malformed(f"there is no .yaml, .yml or .json file in {path}")
    else:
        files = [place]
    for file in files:
        try:
            if file.stat().st_size > FILE_BYTES_MAX:
                raise Malformed(f"{file} is larger than {FILE_BYTES_MAX >> 20} MiB")
            yield str(file), file.read_text(encoding="utf-8")
        except OSError as error:
            raise Malformed(f"cannot read {file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise Malformed(f"{file} is not UTF-8 text") from None


def _note_lines(node: yaml.Node, place: str, lines: dict[str, int], file: str) -> None:
    """The line of every place below `node`; Malformed when a key stands twice or it is too deep."""
    lines.setdefault(place, node.start_mark.line + 1)
    if place.count(".") + place.count("[") > DEPTH_MAX or len(lines) > PLACES_MAX:
        raise Malformed(f"{file}:{node.start_mark.line + 1}: nested too deeply, or too large")
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note_lines(item, f"{place}[{index}]", lines, file)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = f"{place}.{key.value}" if place else str(key.value)
            line = key.start_mark.line + 1
            if inner in lines:
                raise Malformed(f"{file}:{line}: {inner} stands here for the second time")
            lines[inner] = line
            _note_lines(value, inner, lines, file)


def _yaml_wrong(error: yaml.MarkedYAMLError, file: str) -> Malformed:
    mark = error.problem_mark or error.context_mark
    line = f":{mark.line + 1}" if mark else ""
    problem = error.problem or "cannot be understood"
    hint = "check the indentation and the quotes here and in the line above"
    if "document start" in problem:
        hint = "separate documents by a line with three hyphens: ---"
    elif "cannot start any token" in problem or "tab" in problem:
        hint = "indent with spaces, and quote texts that begin with a sign"
    elif "mapping values are not allowed" in problem:
        hint = "check the indentation above, or quote a text with a colon in it"
    return Malformed(f"{file}{line}: {problem}", hint=hint)
