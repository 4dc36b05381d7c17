"""Routes for things: clusters, nodes, deployments, containers, images, remotes."""

from typing import Annotated, Any, Final

from litestar import Response, delete, get, patch, post, put
from litestar.params import JSONBody, QueryParameter

from pathfinder.api import bodies
from pathfinder.api import parameters as given
from pathfinder.api.answers import answer, encoded
from pathfinder.api.asking import SECRET_BODY, AnyRequest, FromAsking, FromChanging
from pathfinder.control import commands, explaining, queries, views
from pathfinder.control.explaining import Explanation
from pathfinder.control.views import Plan
from pathfinder.model.errors import Malformed

CLUSTER: Final = "/api/v3/clusters/{cluster:str}"
Force = Annotated[bool, QueryParameter(description="A person confirms that the machine is dead.")]


@post("/api/v3/apply", status_code=200, tags=["apply"])
async def apply(data: JSONBody[bodies.ApplyBody], changing: FromChanging) -> Response[Plan]:
    """Make documents true, all of them or none; the plan of what that changes."""
    return answer(await changing.run(commands.Apply(data.documents, dirty=data.dirty)), Plan)


@get("/api/v3/clusters", tags=["clusters"])
async def list_clusters(
    asking: FromAsking, after: given.After = "", limit: given.Limit = given.LIMIT_DEFAULT
) -> Response[queries.ClusterPage]:
    """The clusters that the caller may see."""
    caller = asking.caller
    verb_of = caller.clusters[0] if caller.clusters else ""
    window = given.window(after, limit)
    return encoded(
        await asking.look(lambda c, _: queries.clusters(c, caller, window), cluster=verb_of)
    )


@get(CLUSTER, tags=["clusters"])
async def get_cluster(
    cluster: given.ClusterName, asking: FromAsking
) -> Response[views.ClusterView]:
    """One cluster."""
    view = await asking.look(lambda c, _: queries.one_cluster(c, cluster), cluster=cluster)
    return encoded(view, etag=view.revision)


@put(CLUSTER, tags=["clusters"], opt=SECRET_BODY)
async def put_cluster(
    request: AnyRequest,
    cluster: given.ClusterName,
    changing: FromChanging,
    data: JSONBody[bodies.ClusterBody | None] = None,
) -> Response[views.ClusterView | Plan]:
    """Make a cluster, or set the password by which nodes may join it."""
    changing.caller.require("admin", cluster)
    hashed = None
    if data is not None and data.password is not None:
        peer = request.client.host if request.client else ""
        hashed = await changing.backend.hash_password(data.password, peer)
    body = await changing.run(commands.PutCluster(cluster, hashed))
    return answer(body, views.ClusterView)


@delete(CLUSTER, status_code=200, tags=["clusters"])
async def delete_cluster(
    cluster: given.ClusterName, changing: FromChanging
) -> Response[views.ClusterView | Plan]:
    """Forget an empty cluster."""
    command = commands.Delete("cluster", cluster, cluster)
    return answer(await changing.run(command), views.ClusterView)


@get(f"{CLUSTER}/nodes", tags=["nodes"])
async def list_nodes(
    cluster: given.ClusterName,
    asking: FromAsking,
    after: given.After = "",
    limit: given.Limit = given.LIMIT_DEFAULT,
    selector: given.Selector = "",
) -> Response[queries.NodePage]:
    """Nodes of a cluster."""
    window = given.window(after, limit, selector)
    return encoded(
        await asking.look(lambda c, now: queries.nodes(c, cluster, window, now), cluster=cluster)
    )


@get(f"{CLUSTER}/nodes/{{name:str}}", tags=["nodes"])
async def get_node(
    cluster: given.ClusterName, name: given.ThingName, asking: FromAsking
) -> Response[views.NodeView]:
    """One node."""
    view = await asking.look(
        lambda c, now: queries.one_node(c, cluster, name, now), cluster=cluster
    )
    return encoded(view, etag=view.revision)


@patch(f"{CLUSTER}/nodes/{{name:str}}", tags=["nodes"])
async def change_node(
    cluster: given.ClusterName,
    name: given.ThingName,
    data: JSONBody[bodies.NodeChanges],
    changing: FromChanging,
) -> Response[views.NodeView | Plan]:
    """Change a node's labels, whether it takes new containers, and whether it is drained."""
    command = commands.PatchNode(
        cluster, name, data.labels, data.cordoned, data.draining, data.reason
    )
    return answer(await changing.run(command), views.NodeView)


@delete(f"{CLUSTER}/nodes/{{name:str}}", status_code=200, tags=["nodes"])
async def delete_node(
    cluster: given.ClusterName,
    name: given.ThingName,
    changing: FromChanging,
    *,
    force: Force = False,
) -> Response[views.NodeView | Plan]:
    """Forget a node that has nothing. `force`: a person confirms that the machine is dead."""
    command = commands.Delete("node", cluster, name, force)
    return answer(await changing.run(command), views.NodeView)


@get(f"{CLUSTER}/deployments", tags=["deployments"])
async def list_deployments(
    cluster: given.ClusterName,
    asking: FromAsking,
    after: given.After = "",
    limit: given.Limit = given.LIMIT_DEFAULT,
    selector: given.Selector = "",
) -> Response[queries.DeploymentPage]:
    """Deployments of a cluster."""
    window = given.window(after, limit, selector)
    return encoded(
        await asking.look(lambda c, _: queries.deployments(c, cluster, window), cluster=cluster)
    )


@get(f"{CLUSTER}/deployments/{{name:str}}", tags=["deployments"])
async def get_deployment(
    cluster: given.ClusterName, name: given.ThingName, asking: FromAsking
) -> Response[views.DeploymentView]:
    """One deployment."""
    view = await asking.look(lambda c, _: queries.one_deployment(c, cluster, name), cluster=cluster)
    return encoded(view, etag=view.revision)


@put(f"{CLUSTER}/deployments/{{name:str}}", tags=["deployments"])
async def put_deployment(
    cluster: given.ClusterName,
    name: given.ThingName,
    data: JSONBody[dict[str, Any]],
    changing: FromChanging,
) -> Response[views.DeploymentView | Plan]:
    """Make a deployment, or change it."""
    command = commands.Put(_document("Deployment", cluster, name, data))
    return answer(await changing.run(command), views.DeploymentView)


@delete(f"{CLUSTER}/deployments/{{name:str}}", status_code=200, tags=["deployments"])
async def delete_deployment(
    cluster: given.ClusterName, name: given.ThingName, changing: FromChanging
) -> Response[views.DeploymentView | Plan]:
    """Let a deployment and its replicas go."""
    command = commands.Delete("deployment", cluster, name)
    return answer(await changing.run(command), views.DeploymentView)


@post(f"{CLUSTER}/deployments/{{name:str}}/scale", status_code=200, tags=["deployments"])
async def scale_deployment(
    cluster: given.ClusterName,
    name: given.ThingName,
    data: JSONBody[bodies.ScaleBody],
    changing: FromChanging,
) -> Response[views.DeploymentView | Plan]:
    """Change the number of replicas."""
    command = commands.Scale(cluster, name, data.replicas, data.min_available)
    return answer(await changing.run(command), views.DeploymentView)


@get(f"{CLUSTER}/containers", tags=["containers"])
async def list_containers(  # noqa: PLR0913 - each is a filter of the list
    cluster: given.ClusterName,
    asking: FromAsking,
    *,
    after: given.After = "",
    limit: given.Limit = given.LIMIT_DEFAULT,
    selector: given.Selector = "",
    node: given.OnNode = "",
    deployment: given.OfDeployment = "",
    phase: given.InPhase = "",
    text: given.WithText = "",
    ready: given.IfReady = None,
) -> Response[queries.ContainerPage]:
    """Containers of a cluster."""
    window = given.window(after, limit, selector)
    sought = queries.Sought(node=node, deployment=deployment, phase=phase, text=text, ready=ready)
    return encoded(
        await asking.look(
            lambda c, _: queries.containers(c, cluster, window, sought), cluster=cluster
        )
    )


@get(f"{CLUSTER}/containers/{{name:str}}", tags=["containers"])
async def get_container(
    cluster: given.ClusterName, name: given.ThingName, asking: FromAsking
) -> Response[views.ContainerView]:
    """One container."""
    view = await asking.look(lambda c, _: queries.one_container(c, cluster, name), cluster=cluster)
    return encoded(view, etag=view.revision)


@put(f"{CLUSTER}/containers/{{name:str}}", tags=["containers"])
async def put_container(
    cluster: given.ClusterName,
    name: given.ThingName,
    data: JSONBody[dict[str, Any]],
    changing: FromChanging,
) -> Response[views.ContainerView | Plan]:
    """Make a container, or replace it by one of another definition."""
    command = commands.Put(_document("Container", cluster, name, data))
    return answer(await changing.run(command), views.ContainerView)


@delete(f"{CLUSTER}/containers/{{name:str}}", status_code=200, tags=["containers"])
async def delete_container(
    cluster: given.ClusterName, name: given.ThingName, changing: FromChanging
) -> Response[views.ContainerView | Plan]:
    """Let a container go."""
    command = commands.Delete("container", cluster, name)
    return answer(await changing.run(command), views.ContainerView)


@post(f"{CLUSTER}/containers/{{name:str}}/reschedule", status_code=200, tags=["containers"])
async def reschedule_container(
    cluster: given.ClusterName,
    name: given.ThingName,
    changing: FromChanging,
    data: JSONBody[bodies.RescheduleBody | None] = None,
) -> Response[views.ContainerView | Plan]:
    """Begin a new generation of a container, placed anew."""
    command = commands.Reschedule(cluster, name, data.reason if data else "")
    return answer(await changing.run(command), views.ContainerView)


@post(f"{CLUSTER}/containers/{{name:str}}/rebootstrap", status_code=200, tags=["containers"])
async def rebootstrap_container(
    cluster: given.ClusterName,
    name: given.ThingName,
    changing: FromChanging,
    data: JSONBody[bodies.RebootstrapBody | None] = None,
) -> Response[views.ContainerView | Plan]:
    """Bootstrap a container again where it runs, by other steps when some are given."""
    said = data or bodies.RebootstrapBody()
    command = commands.Rebootstrap(cluster, name, said.bootstrap, said.reason)
    return answer(await changing.run(command), views.ContainerView)


@post(f"{CLUSTER}/containers/{{name:str}}/relocate", status_code=200, tags=["containers"])
async def relocate_container(
    cluster: given.ClusterName,
    name: given.ThingName,
    changing: FromChanging,
    data: JSONBody[bodies.RelocateBody | None] = None,
) -> Response[views.ContainerView | Plan]:
    """Move a container with its data to another node, or to the best one; it runs on meanwhile."""
    said = data or bodies.RelocateBody()
    command = commands.Relocate(cluster, name, said.node, said.reason)
    return answer(await changing.run(command), views.ContainerView)


@delete(f"{CLUSTER}/containers/{{name:str}}/relocation", status_code=200, tags=["containers"])
async def cancel_relocation(
    cluster: given.ClusterName, name: given.ThingName, changing: FromChanging
) -> Response[views.ContainerView | Plan]:
    """Leave a container that is being moved where it is."""
    command = commands.CancelRelocation(cluster, name)
    return answer(await changing.run(command), views.ContainerView)


@get(f"{CLUSTER}/containers/{{name:str}}/explanation", tags=["containers"])
async def explain_container(
    cluster: given.ClusterName, name: given.ThingName, asking: FromAsking
) -> Response[Explanation]:
    """Why a container is where it is, nowhere, or gone; and where it would be best now."""
    return encoded(
        await asking.look(lambda c, _: explaining.explanation(c, cluster, name), cluster=cluster)
    )


@get(f"{CLUSTER}/images", tags=["images"])
async def list_images(
    cluster: given.ClusterName,
    asking: FromAsking,
    after: given.After = "",
    limit: given.Limit = given.LIMIT_DEFAULT,
) -> Response[queries.ImagePage]:
    """Named images of a cluster, and those that its nodes have in their local stores."""
    window = given.window(after, limit)
    return encoded(
        await asking.look(lambda c, _: queries.images(c, cluster, window), cluster=cluster)
    )


@get(f"{CLUSTER}/images/{{name:str}}", tags=["images"])
async def get_image(
    cluster: given.ClusterName, name: given.ImageName, asking: FromAsking
) -> Response[views.ImageView]:
    """One image."""
    view = await asking.look(lambda c, _: queries.one_image(c, cluster, name), cluster=cluster)
    return encoded(view, etag=view.revision)


@put(f"{CLUSTER}/images/{{name:str}}", tags=["images"])
async def put_image(
    cluster: given.ClusterName,
    name: given.ThingName,
    data: JSONBody[dict[str, Any]],
    changing: FromChanging,
) -> Response[views.ImageView | Plan]:
    """Name an image."""
    command = commands.Put(_document("Image", cluster, name, data))
    return answer(await changing.run(command), views.ImageView)


@delete(f"{CLUSTER}/images/{{name:str}}", status_code=200, tags=["images"])
async def delete_image(
    cluster: given.ClusterName, name: given.ThingName, changing: FromChanging
) -> Response[views.ImageView | Plan]:
    """Take the name of an image away."""
    command = commands.Delete("image", cluster, name)
    return answer(await changing.run(command), views.ImageView)


@get(f"{CLUSTER}/remotes", tags=["remotes"])
async def list_remotes(
    cluster: given.ClusterName,
    asking: FromAsking,
    after: given.After = "",
    limit: given.Limit = given.LIMIT_DEFAULT,
) -> Response[queries.RemotePage]:
    """Remotes of a cluster."""
    window = given.window(after, limit)
    return encoded(
        await asking.look(lambda c, _: queries.remotes(c, cluster, window), cluster=cluster)
    )


@get(f"{CLUSTER}/remotes/{{name:str}}", tags=["remotes"])
async def get_remote(
    cluster: given.ClusterName, name: given.ThingName, asking: FromAsking
) -> Response[views.RemoteView]:
    """One remote."""
    view = await asking.look(lambda c, _: queries.one_remote(c, cluster, name), cluster=cluster)
    return encoded(view, etag=view.revision)


@put(f"{CLUSTER}/remotes/{{name:str}}", tags=["remotes"])
async def put_remote(
    cluster: given.ClusterName,
    name: given.ThingName,
    data: JSONBody[dict[str, Any]],
    changing: FromChanging,
) -> Response[views.RemoteView | Plan]:
    """Say where images may come from."""
    command = commands.Put(_document("Remote", cluster, name, data))
    return answer(await changing.run(command), views.RemoteView)


@delete(f"{CLUSTER}/remotes/{{name:str}}", status_code=200, tags=["remotes"])
async def delete_remote(
    cluster: given.ClusterName, name: given.ThingName, changing: FromChanging
) -> Response[views.RemoteView | Plan]:
    """Forget a remote that no image names."""
    command = commands.Delete("remote", cluster, name)
    return answer(await changing.run(command), views.RemoteView)


def _document(kind: str, cluster: str, name: str, given_fields: dict[str, Any]) -> dict[str, Any]:
    """The whole document; what the path has said may be repeated and not contradicted."""
    said = {"kind": kind, "cluster": cluster, "name": name}
    for key, value in said.items():
        if given_fields.get(key, value) != value:
            raise Malformed(f"body.{key}: the path says {value!r}")
    return {**given_fields, **said}


ROUTES: Final[tuple[Any, ...]] = (
    apply,
    list_clusters,
    get_cluster,
    put_cluster,
    delete_cluster,
    list_nodes,
    get_node,
    change_node,
    delete_node,
    list_deployments,
    get_deployment,
    put_deployment,
    delete_deployment,
    scale_deployment,
    list_containers,
    get_container,
    put_container,
    delete_container,
    reschedule_container,
    rebootstrap_container,
    relocate_container,
    cancel_relocation,
    explain_container,
    list_images,
    get_image,
    put_image,
    delete_image,
    list_remotes,
    get_remote,
    put_remote,
    delete_remote,
)
