"""Manifests: every mistake is shown at its line."""

from pathlib import Path

import pytest

from pathfinder.cli.manifests import (
    check,
    located_by_server,
    parse_manifests,
    read_manifests,
)
from pathfinder.model.errors import DefinitionWrong, Malformed

GOOD = """\
kind: Container
name: web
spec:
  image: busybox
  resources: {memory: 64MiB}
---
# nothing but a remark
---
kind: Deployment
name: many
replicas: 3
labels: {since: 2026-11-22}
spec:
  type: STATELESS
  image: busybox
"""


def test_each_document_knows_the_line_of_each_place() -> None:
    first, second = parse_manifests(GOOD, "a.yaml")

    assert first.location("spec.resources.memory") == "a.yaml:5"
    assert first.location("spec.resources.disk") == "a.yaml:5", "what it would be part of"
    assert second.location("replicas") == "a.yaml:11"
    assert second.location("") == "a.yaml:9"


def test_a_date_stays_the_text_that_was_written() -> None:
    _, second = parse_manifests(GOOD, "a.yaml")

    assert second.document["labels"] == {"since": "2026-11-22"}


def test_directories_are_read_in_order_and_documents_get_the_cluster(tmp_path: Path) -> None:
    (tmp_path / "2.yaml").write_text("{kind: Image, name: deb, alias: debian}")
    (tmp_path / "1.json").write_text('{"kind": "Cluster", "name": "blue"}')
    (tmp_path / "3.yml").write_text("{kind: Image, name: old, cluster: red, alias: debian-11}")
    (tmp_path / "notes.txt").write_text("not: a manifest")

    documents = [manifest.document for manifest in read_manifests([str(tmp_path)], "blue")]

    assert [document["name"] for document in documents] == ["blue", "deb", "old"]
    assert [document.get("cluster") for document in documents] == [None, "blue", "red"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Container\nname: x\n spec: y: z\n", r"a\.yaml:3: mapping values are not allowed"),
        ("kind: Container\nname: x\n\tspec: 1\n", r"a\.yaml:3: .*tab"),
        ("- a\n- b\n", r"a\.yaml:1: a document must be a mapping"),
        ("kind: Container\nname: x\nname: y\n", r"a\.yaml:3: name stands here for the second time"),
        ("a: &a [*a]\n", r"a\.yaml:1: nested too deeply"),
        ("kind: !!python/object/apply:os.system [id]\n", r"a\.yaml:1: could not determine"),
        ("a: !!set {x}\n", r"a\.yaml: .*not JSON serializable"),
        ("a: .nan\n", r"a\.yaml: .*not JSON compliant"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        parse_manifests(text, "a.yaml")


def test_aliases_of_aliases_cannot_grow_a_small_file_into_a_large_one() -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]

    with pytest.raises(Malformed, match="too large"):
        parse_manifests("\n".join(layers), "a.yaml")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("name: x", "a.yaml:1: ?/x: kind: is missing", "kinds are Cluster"),
        ("kind: Contaner\nname: x", "a.yaml:1: contaner/x: kind:", "did you mean Container?"),
        ("kind: Container\nnme: x", "a.yaml:2: container/?: nme:", "did you mean name?"),
        ("kind: Container\nspec: {}", "a.yaml:1: container/?: name:", "give the container"),
        ("kind: Container\nname: x", "a.yaml:1: container/x: spec: is missing", "write spec"),
        (
            "kind: Container\nname: x\nspec:\n  image: b\n  resources:\n    memory: 64Mbb",
            "a.yaml:6: container/x: spec.resources.memory: '64Mbb' is not a size",
            "write a number with a unit",
        ),
    ],
)
def test_a_wrong_definition_is_shown_at_its_line(text: str, message: str, hint: str) -> None:
    (manifest,) = parse_manifests(text, "a.yaml")

    with pytest.raises(DefinitionWrong) as caught:
        check(manifest)
    assert caught.value.message.startswith(message)
    assert caught.value.hint.startswith(hint)


def test_what_the_server_finds_is_shown_at_its_line_too() -> None:
    manifests = parse_manifests(GOOD, "a.yaml")
    found = DefinitionWrong("documents[1].replicas", "are more than 99", hint="fewer")

    located = located_by_server(found, manifests)

    assert located.message == "a.yaml:11: deployment/many: replicas: are more than 99"
    assert located.hint == "fewer"


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=r"cannot read .*none\.yaml: No such file"):
        read_manifests([str(tmp_path / "none.yaml")], "default")
    with pytest.raises(Malformed, match=r"there is no \.yaml"):
        read_manifests([str(tmp_path)], "default")
