"""Rows of the original as things of ours: what is kept, what is written anew, what stops it."""

from typing import Any

import bcrypt
import pytest

from pathfinder.control.objects import Cluster, Container, Deployment, Node, Remote, Token
from pathfinder.model.phases import Phase
from pathfinder.server.original.importing import found_in, plan_lines
from pathfinder.server.original.translation import Found, written

DIGEST = "ab" * 64


def tables(**more: list[dict[str, Any]]) -> Any:
    """One cluster with one node; `more` replaces or adds tables."""
    rows = {
        "clusters": [{"id": "1", "name": "default", "hashed_password": "$2a$10$x"}],
        "nodes": [
            {
                "id": "7",
                "cluster_id": "1",
                "hostname": "n1",
                "hashed_authentication_token": DIGEST,
                "schedulable": "t",
            }
        ],
        "containers": [],
    }
    return {**rows, **more}


def row(hostname: str, status: str, **fields: Any) -> dict[str, Any]:
    usual = {
        "id": "1", "cluster_id": "1", "hostname": hostname, "status": status, "node_id": "7",
        "image_alias": "16.04", "bootstrappers": "[]",
    }  # fmt: skip
    return {**usual, **fields}


def things(found: Found, kind: type) -> list[Any]:
    return [thing for thing in found.things if isinstance(thing, kind)]


def test_names_that_ours_may_not_have_are_written_anew_and_remembered() -> None:
    rows = [{"id": "1", "name": "my cluster/eu"}, {"id": "2", "name": "my-cluster-eu"}]
    found = found_in(tables(clusters=rows, nodes=[]))
    first, second = things(found, Cluster)

    assert (first.name, second.name) == ("my-cluster-eu", "my-cluster-eu-2")
    assert first.extra["original_name"] == "my cluster/eu"
    assert any("my cluster/eu" in note for note in found.notes)


@pytest.mark.parametrize(
    ("told", "ours"),
    [
        ("a b", "a-b"),
        ("größe", "gr-e"),
        ("/", "unnamed"),
        ("x" * 99, "x" * 63),
        ("ok.name", "ok.name"),
    ],
)
def test_name_is_written_with_what_is_allowed(told: str, ours: str) -> None:
    assert written(told) == ours


def test_node_keeps_its_token_and_its_schedulability() -> None:
    rows = tables()["nodes"] + [
        {"id": "8", "cluster_id": "1", "hostname": "n2", "schedulable": "f"}
    ]
    first, second = things(found_in(tables(nodes=rows)), Node)

    assert (first.secret_digest, first.protocol) == (f"sha512:{DIGEST}", "poll")
    assert (first.cordoned, second.cordoned) == (False, True)
    assert second.secret_digest != first.secret_digest


def test_older_schema_is_read_too() -> None:
    rows = tables(
        containers=[row("web", "PROVISIONED")],
        deployments=[
            {
                "id": "1", "cluster_id": "1", "name": "web", "count": "3",
                "definition": '{"source": {"alias": "a"}}',
            }
        ],
    )  # fmt: skip
    found = found_in(rows)

    assert things(found, Deployment)[0].replicas == 3
    assert things(found, Container)[0].spec.type == "STATEFUL"


def test_copy_that_waits_for_its_deletion_is_counted_on_its_node() -> None:
    rows = [row("web", "SCHEDULE_DELETION"), row("web", "PENDING", node_id=None, id="2")]
    (container,) = things(found_in(tables(containers=rows)), Container)

    assert (container.phase, container.node, container.wanted) == (Phase.PENDING, "", True)
    assert [copy.node for copy in container.leaving] == ["n1"]


def test_deleted_rows_and_deletions_that_concern_no_node_are_left_out() -> None:
    rows = [row("a", "DELETED"), row("b", "SCHEDULE_DELETION", node_id=None)]
    found = found_in(tables(containers=rows))

    assert things(found, Container) == []
    assert any("container b is left out" in note for note in found.notes)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("web", "SCHEDULE_RELOCATION")], "does not say on which node"),
        ([row("web", "PROVISIONED"), row("web", "SCHEDULED")], "is there 2 times"),
        ([row("web", "ODD")], "unknown status"),
        ([row("web", "PROVISIONED", node_id="99")], "on no node"),
        ([row("-web", "PENDING")], "cannot be used"),
        ([row("web", "PENDING", image_alias=None)], "image"),
        ([row("web", "PENDING", bootstrappers='[{"bootstrap_type": "puppet"}]')], "puppet"),
    ],
)
def test_what_cannot_be_taken_over_is_a_problem(rows: list[dict[str, Any]], said: str) -> None:
    found = found_in(tables(containers=rows))

    assert any(said in problem for problem in found.problems), found.problems
    assert any(line.startswith("problem: ") for line in plan_lines(found))


def test_container_named_like_a_replica_is_one_and_is_not_made_anew() -> None:
    deployment = {
        "id": "1", "cluster_id": "1", "name": "web", "desired_num_replicas": "2",
        "definition": '{"source": {"alias": "new-image"}}',
    }  # fmt: skip
    rows = [row("web-01", "BOOTSTRAPPED"), row("web-x", "PENDING"), row("other-01", "PENDING")]
    found = found_in(tables(containers=rows, deployments=[deployment]))
    by_name = {each.name: each for each in things(found, Container)}
    (wanted,) = things(found, Deployment)

    assert (by_name["web-01"].deployment, by_name["web-01"].ordinal) == ("web", 1)
    assert by_name["web-01"].digest == wanted.digest
    assert by_name["web-x"].deployment == by_name["other-01"].deployment == ""


def test_remote_is_made_in_each_cluster_and_one_without_https_is_left_out() -> None:
    clusters = [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]
    remotes = [
        {"id": "1", "name": "ubuntu", "server": "https://u", "protocol": "simplestreams",
         "auth_type": "none", "certificate": "x"},
        {"id": "2", "name": "old", "server": "http://o", "protocol": "lxd", "auth_type": "tls"},
    ]  # fmt: skip
    found = found_in(tables(clusters=clusters, remotes=remotes))

    assert [(each.cluster, each.name) for each in things(found, Remote)] == [
        ("a", "ubuntu"),
        ("b", "ubuntu"),
    ]
    assert things(found, Remote)[0].certificate == ""
    assert any("'old' is left out" in note for note in found.notes)


def test_seeded_secrets_are_pointed_out() -> None:
    other = bcrypt.hashpw(b"another", bcrypt.gensalt(4)).decode()
    found = found_in(tables(clusters=[{"id": "1", "name": "a", "hashed_password": other}]))
    assert not any("every original" in note for note in found.notes)

    hashed = bcrypt.hashpw(b"pathfinder", bcrypt.gensalt(4)).decode()
    found = found_in(tables(clusters=[{"id": "1", "name": "a", "hashed_password": hashed}]))
    assert any("every original" in note for note in found.notes)


def test_app_without_a_usable_digest_is_left_out() -> None:
    apps = [
        {"id": "1", "name": "Barito Market", "hashed_access_token": DIGEST},
        {"id": "2", "name": "odd", "hashed_access_token": "zz"},
    ]
    (token,) = things(found_in(tables(ext_apps=apps)), Token)

    assert (token.name, token.role, token.clusters) == ("Barito-Market", "app", ())
