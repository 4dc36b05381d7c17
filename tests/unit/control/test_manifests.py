"""Documents that people apply: each wrong one names its place and says what would be right."""

from typing import Any

import pytest

from pathfinder.control.manifests import WantedContainer, WantedDeployment, wanted
from pathfinder.model.errors import DefinitionWrong

SPEC = {"image": "busybox"}
CONTAINER: dict[str, Any] = {"kind": "Container", "name": "one", "spec": SPEC}
DEPLOYMENT: dict[str, Any] = {"kind": "Deployment", "name": "web", "replicas": 3, "spec": SPEC}
REMOTE = {"kind": "Remote", "name": "hub", "server": "https://images.example"}
WRONG: list[tuple[object, str, str]] = [
    ("text", "d: must be a mapping with kind and name", ""),
    ({}, "d.kind: None is not one of Cluster, Remote", ""),
    ({"kind": "Contianer"}, "d.kind: 'Contianer' is not one of", "did you mean Container?"),
    ({"kind": ["Container"]}, "d.kind: ['Container'] is not one of", ""),
    ({"kind": "Cluster", "name": "a b"}, "d.name: 'a b' cannot be a name", ""),
    ({"kind": "Cluster", "name": "a", "cluster": "b"}, "d.cluster: is not a field", "kind, name"),
    ({**CONTAINER, "name": None}, "d.name: None cannot be a name", ""),
    ({**CONTAINER, "name": "a_b"}, "d.name: 'a_b' cannot be a name", ""),
    ({**CONTAINER, "name": "x" * 64}, "d.name: ", ""),
    ({**CONTAINER, "cluster": "/"}, "d.cluster: '/' cannot be a name", ""),
    ({**CONTAINER, "replicas": 2}, "d.replicas: is not a field of a Container", "priority, spec"),
    ({**CONTAINER, "labels": {"a": 1}}, "d.labels", ""),
    ({**CONTAINER, "spec": None}, "d.spec: must be a mapping, not nothing", ""),
    ({**CONTAINER, "spec": {}}, "d.spec.image: is missing", "pfi get images"),
    ({**CONTAINER, "spec": {**SPEC, "imgae": "x"}}, "d.spec.imgae: is not a field", "image?"),
    ({**CONTAINER, "spec": {**SPEC, "resources": {"memory": "lots"}}},
     "d.spec.resources.memory: 'lots' is not a size", "512MiB"),
    ({**CONTAINER, "spec": {**SPEC, "resources": {"gpu": 1}}},
     "d.spec.resources.gpu: is not a resource", "cpu, memory, disk and processes"),
    ({**CONTAINER, "spec": {**SPEC, "environment": {"A": 1}}},
     "d.spec.environment.A: must be a string", "quote numbers"),
    ({**DEPLOYMENT, "name": "x" * 61}, "d.name: ", ""),
    ({**DEPLOYMENT, "replicas": "3"}, "d.replicas: '3' is not a whole number from 0 to 99", ""),
    ({**DEPLOYMENT, "replicas": 100}, "d.replicas: 100 is not a whole number", ""),
    ({**DEPLOYMENT, "replicas": True}, "d.replicas: True is not a whole number", ""),
    ({**DEPLOYMENT, "min_available": 4}, "d.min_available: 4 cannot stay ready", "at most 2"),
    ({**DEPLOYMENT, "min_availble": 1}, "d.min_availble: is not a field", "min_available"),
    ({**REMOTE, "server": "http://images.example"}, "d.server: must be a URL", ""),
    ({**REMOTE, "protocol": "ftp"}, "d.protocol: is daemon, simplestreams or registry", ""),
    ({**REMOTE, "certificate": 1}, "d.certificate: must be a certificate in PEM", ""),
    ({"kind": "Image", "name": "i"}, "d: name either an alias or a fingerprint", ""),
    ({"kind": "Image", "name": "i", "alias": "a", "fingerprint": "f" * 64}, "d: name either", ""),
    ({"kind": "Image", "name": "i", "fingerprint": "XYZ"}, "d.fingerprint: 'XYZ' is not 12", ""),
    ({"kind": "Image", "name": "i", "alias": "a", "kind_of_image": "x"}, "d.kind_of_image: is", ""),
    ({"kind": "Image", "name": "i", "spec": {"alias": "a"}, "typo": 1}, "d.spec: is not", ""),
]  # fmt: skip


@pytest.mark.parametrize(("document", "message", "hint"), WRONG)
def test_wrong_document_names_its_place_and_what_would_be_right(
    document: object, message: str, hint: str
) -> None:
    with pytest.raises(DefinitionWrong) as refused:
        wanted(document, "d")

    assert refused.value.message.startswith(message)
    assert hint in refused.value.hint
    assert refused.value.message.startswith(refused.value.details["place"])


def test_short_documents_get_the_defaults_that_the_manual_names() -> None:
    container, deployment = wanted(CONTAINER, "d"), wanted(DEPLOYMENT, "d")

    assert isinstance(container, WantedContainer)
    assert (container.cluster, container.labels) == ("default", {})
    assert (container.spec.kind, container.spec.type) == ("system", "STATEFUL")
    assert isinstance(deployment, WantedDeployment)
    assert deployment.min_available == 2


@pytest.mark.parametrize(("replicas", "expected"), [(0, 0), (1, 0), (2, 1), (99, 98)])
def test_one_replica_is_free_to_be_replaced_unless_said_otherwise(
    replicas: int, expected: int
) -> None:
    made = wanted({**DEPLOYMENT, "replicas": replicas}, "d")

    assert isinstance(made, WantedDeployment)
    assert made.min_available == expected
