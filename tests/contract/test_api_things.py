"""The API v3 for clusters and what is in them, and for tokens, on a real server.

Promises 1, 8 and 10.
"""

from collections.abc import Iterator

import pytest

from pathfinder.store.memory import MemoryStore
from tests.support.running import APP, READER, Api, RunningServer, running_server

CONTAINERS = "/api/v3/clusters/default/containers"
DEPLOYMENTS = "/api/v3/clusters/default/deployments"
SPEC = {"image": "busybox"}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(MemoryStore()) as running:
        yield running


@pytest.fixture
def api(server: RunningServer) -> Api:
    return server.api()


def test_health_needs_no_credential(server: RunningServer) -> None:
    anonymous = server.api("")

    assert anonymous.get("/healthz") == {"status": "ok"}
    assert anonymous.get("/readyz") == {"status": "ok"}


def test_version_tells_epoch_and_revision(api: Api) -> None:
    version = api.get("/api/v3/version")

    assert version["api"] == "v3"
    assert version["epoch"] >= 1
    assert version["revision"] >= 4


def test_container_is_made_shown_and_deleted(api: Api) -> None:
    made = api.put(f"{CONTAINERS}/one", {"spec": SPEC})
    shown = api.call("GET", f"{CONTAINERS}/one")
    gone = api.call("DELETE", f"{CONTAINERS}/one")

    assert made["phase"] == "PENDING"
    assert made["explanation"]["nodes_total"] == 0
    assert shown.document == made
    assert shown.headers["etag"] == f'"{made["revision"]}"'
    assert gone.status == 200
    assert api.call("GET", f"{CONTAINERS}/one").code == "not_found"


def test_same_put_twice_changes_nothing(api: Api) -> None:
    first = api.put(f"{CONTAINERS}/twice", {"spec": SPEC})
    before = api.get("/api/v3/version")["revision"]
    second = api.put(f"{CONTAINERS}/twice", {"spec": SPEC})

    assert second == first
    assert api.get("/api/v3/version")["revision"] == before


def test_document_that_contradicts_its_path_is_refused(api: Api) -> None:
    answer = api.call("PUT", f"{CONTAINERS}/here", {"spec": SPEC, "name": "there"})

    assert answer.status == 400
    assert "body.name" in answer.document["error"]["message"]


def test_dry_run_tells_the_plan_and_changes_nothing(api: Api) -> None:
    before = api.get("/api/v3/version")["revision"]
    plan = api.put(f"{CONTAINERS}/dry?dry_run=true", {"spec": SPEC})

    assert plan["dry_run"]
    assert [(item["name"], item["action"]) for item in plan["changes"]] == [("dry", "create")]
    assert api.get("/api/v3/version")["revision"] == before
    assert api.call("GET", f"{CONTAINERS}/dry").status == 404


def test_change_with_another_revision_is_refused(api: Api) -> None:
    made = api.put(f"{CONTAINERS}/matched", {"spec": SPEC})
    other = {"spec": {"image": "debian"}}
    stale = api.call(
        "PUT", f"{CONTAINERS}/matched", other, headers={"If-Match": f'"{made["revision"] - 1}"'}
    )
    fresh = api.call(
        "PUT", f"{CONTAINERS}/matched", other, headers={"If-Match": f'"{made["revision"]}"'}
    )

    assert stale.status == 412
    assert stale.document["error"]["details"]["revision"] == made["revision"]
    assert fresh.status == 200


def test_same_idempotency_key_has_the_effect_and_answer_of_one(api: Api) -> None:
    api.put(f"{DEPLOYMENTS}/idem", {"spec": SPEC, "replicas": 1})
    key = {"Idempotency-Key": "scale-it"}
    first = api.call("POST", f"{DEPLOYMENTS}/idem/scale", {"replicas": 2}, headers=key)
    api.call("POST", f"{DEPLOYMENTS}/idem/scale", {"replicas": 5})
    again = api.call("POST", f"{DEPLOYMENTS}/idem/scale", {"replicas": 2}, headers=key)

    assert again.body == first.body
    assert api.get(f"{DEPLOYMENTS}/idem")["replicas"] == 5


def test_idempotency_key_of_another_request_is_refused(api: Api) -> None:
    key = {"Idempotency-Key": "used"}
    api.call("PUT", f"{CONTAINERS}/key-a", {"spec": SPEC}, headers=key)
    answer = api.call("PUT", f"{CONTAINERS}/key-b", {"spec": SPEC}, headers=key)

    assert answer.status == 409
    assert answer.code == "conflict"


def test_apply_is_all_or_nothing(api: Api) -> None:
    good = {"kind": "Container", "name": "apply-good", "spec": SPEC}
    bad = {"kind": "Container", "name": "apply-bad", "spec": {"image": "busybox", "cpus": 1}}
    refused = api.call("POST", "/api/v3/apply", {"documents": [good, bad]})

    assert refused.status == 400
    assert refused.document["error"]["details"]["place"] == "documents[1].spec.cpus"
    assert api.call("GET", f"{CONTAINERS}/apply-good").status == 404


def test_apply_answers_the_plan(api: Api) -> None:
    document = {"kind": "Deployment", "name": "planned", "replicas": 2, "spec": SPEC}
    plan = api.call("POST", "/api/v3/apply", {"documents": [document]}).document

    assert {(item["kind"], item["name"]) for item in plan["changes"]} == {
        ("deployment", "planned"),
        ("container", "planned-01"),
        ("container", "planned-02"),
    }


def test_lists_are_paged_by_name(api: Api) -> None:
    for number in range(5):
        api.put(f"{CONTAINERS}/page-{number}", {"spec": SPEC, "labels": {"set": "pages"}})
    found, after = [], ""
    while True:
        page = api.get(f"{CONTAINERS}?selector=set=pages&limit=2&after={after}")
        assert len(page["items"]) <= 2
        found += [item["name"] for item in page["items"]]
        after = page["next"]
        if not after:
            break

    assert found == [f"page-{number}" for number in range(5)]


def test_lists_are_filtered_by_labels_deployment_and_phase(api: Api) -> None:
    api.put(f"{DEPLOYMENTS}/filtered", {"spec": SPEC, "replicas": 2, "labels": {"app": "f"}})
    by_label = api.get(f"{CONTAINERS}?selector=app%20in%20(f,g)")
    by_deployment = api.get(f"{CONTAINERS}?deployment=filtered")
    by_phase = api.get(f"{CONTAINERS}?deployment=filtered&phase=BOOTSTRAPPED")

    assert [item["name"] for item in by_label["items"]] == ["filtered-01", "filtered-02"]
    assert by_deployment["items"] == by_label["items"]
    assert by_phase["items"] == []


def test_containers_are_found_by_a_part_of_their_name_and_by_readiness(api: Api) -> None:
    for name in ("sought-one", "sought-two"):
        api.put(f"{CONTAINERS}/{name}", {"spec": SPEC})
    by_text = api.get(f"{CONTAINERS}?text=SOUGHT-T")["items"]
    ready = api.get(f"{CONTAINERS}?text=sought&ready=true")["items"]
    others = api.get(f"{CONTAINERS}?text=sought&ready=false")["items"]

    assert [item["name"] for item in by_text] == ["sought-two"]
    assert (len(ready), len(others)) == (0, 2)


def test_selector_that_is_none_is_refused_by_name(api: Api) -> None:
    answer = api.call("GET", f"{CONTAINERS}?selector=a%20%3D%3D%3D%20!")

    assert answer.status == 400
    assert answer.document["error"]["details"]["place"] == "selector"


def test_list_of_a_cluster_that_is_not_there_is_not_found(api: Api) -> None:
    answer = api.call("GET", "/api/v3/clusters/nowhere/containers")

    assert (answer.status, answer.code) == (404, "not_found")


def test_explanation_says_why_a_container_is_nowhere(api: Api) -> None:
    api.put(f"{CONTAINERS}/homeless", {"spec": SPEC})
    explained = api.get(f"{CONTAINERS}/homeless/explanation")

    assert explained["explanation"]["text"]
    assert explained["node"] == ""


def test_images_and_remotes_are_made_listed_and_deleted(api: Api) -> None:
    base = "/api/v3/clusters/default"
    api.put(
        f"{base}/remotes/hub", {"server": "https://images.example", "protocol": "simplestreams"}
    )
    api.put(f"{base}/images/web", {"alias": "debian/12", "remote": "hub"})
    images = api.get(f"{base}/images")["items"]
    refused = api.call("DELETE", f"{base}/remotes/hub")

    assert [image["name"] for image in images] == ["web"]
    assert refused.status == 409
    assert api.call("DELETE", f"{base}/images/web").status == 200
    assert api.call("DELETE", f"{base}/remotes/hub").status == 200


def test_cluster_is_made_and_forgotten_when_empty(api: Api) -> None:
    api.put("/api/v3/clusters/second", {"password": "long enough"})
    view = api.get("/api/v3/clusters/second")
    full = api.call("DELETE", "/api/v3/clusters/default")
    gone = api.call("DELETE", "/api/v3/clusters/second")

    assert view["has_password"]
    assert full.status == 409
    assert gone.status == 200


def test_token_secret_is_shown_once_and_works(server: RunningServer, api: Api) -> None:
    made = api.call(
        "POST", "/api/v3/tokens", {"name": "ci", "role": "app", "clusters": ["default"]}
    )
    shown = api.call("GET", f"/api/v3/tokens/{made.document['id']}")
    mine = server.api(made.document["token"])

    assert made.status == 201
    assert made.document["token"].split(".")[2] not in shown.body.decode()
    assert mine.call("GET", CONTAINERS).status == 200
    assert mine.call("GET", "/api/v3/clusters/second/containers").status == 403
    assert api.call("DELETE", f"/api/v3/tokens/{made.document['id']}").status == 200
    assert mine.call("GET", CONTAINERS).status == 401


def test_repeated_token_request_gets_the_same_secret(api: Api) -> None:
    key = {"Idempotency-Key": "token-once"}
    body = {"name": "again", "role": "reader"}
    first = api.call("POST", "/api/v3/tokens", body, headers=key)
    second = api.call("POST", "/api/v3/tokens", body, headers=key)

    assert second.document == first.document


def test_reader_may_look_and_not_change(server: RunningServer) -> None:
    reader = server.api(READER)

    assert reader.call("GET", CONTAINERS).status == 200
    assert reader.call("PUT", f"{CONTAINERS}/mine", {"spec": SPEC}).code == "forbidden"


def test_app_may_change_containers_and_not_administer(server: RunningServer) -> None:
    app = server.api(APP)

    assert app.call("PUT", f"{CONTAINERS}/app-made", {"spec": SPEC}).status == 200
    assert app.call("POST", "/api/v3/tokens", {"name": "x", "role": "admin"}).status == 403
    assert app.call("GET", "/api/v3/tokens").status == 403


def test_credential_may_come_in_its_own_header(server: RunningServer) -> None:
    answer = server.api("").call("GET", CONTAINERS, headers={"X-Auth-Token": READER})

    assert answer.status == 200


def test_answers_survive_a_restart() -> None:
    store = MemoryStore()
    with running_server(store) as first:
        made = first.api().put(f"{CONTAINERS}/kept", {"spec": SPEC})
    with running_server(store.copy(), is_prepared=True) as second:
        shown = second.api().get(f"{CONTAINERS}/kept")

    assert shown["generation"] == made["generation"]
    assert shown["revision"] == made["revision"]
