"""Who did what stands in the journal, in the same append as what was done. Promise 10."""

from typing import Any

from pathfinder.control.codec import describe_record
from pathfinder.store.memory import MemoryStore
from tests.support.running import APP, running_server

CLUSTER = "/api/v3/clusters/default"
SPEC = {"image": "busybox", "resources": {"memory": "64MiB"}}


def test_every_change_a_person_makes_has_its_event_with_the_name_in_the_same_record() -> None:
    store = MemoryStore()
    with running_server(store) as server:
        began = end_of(store)
        api, app = server.api(), server.api(APP)
        app.put(f"{CLUSTER}/containers/one", {"spec": SPEC})
        app.put(f"{CLUSTER}/deployments/web", {"spec": SPEC, "replicas": 2})
        app.call("POST", f"{CLUSTER}/deployments/web/scale", {"replicas": 1})
        app.call("DELETE", f"{CLUSTER}/containers/one")
        api.put(f"{CLUSTER}/images/small", {"alias": "busybox"})
        api.put("/api/v3/clusters/other", {})
        api.call("POST", "/api/v3/tokens", {"name": "ci", "role": "reader"})
        changes = changes_after(store, began)
    people = [{event["who"] for event in change["events"]} for change in changes]

    assert people == [{"app"}] * 4 + [{"admin"}] * 3
    assert all(change["edits"] for change in changes)


def end_of(store: MemoryStore) -> int:
    """The last record's number."""
    return max((record.seq for record in store.read(0)), default=0)


def changes_after(store: MemoryStore, seq: int) -> list[dict[str, Any]]:
    """What the records after `seq` say, as people see it with `pathfinder journal show`."""
    bodies = [record.body for record in store.read(seq)]
    return [change for body in bodies for change in describe_record(body)["changes"]]
