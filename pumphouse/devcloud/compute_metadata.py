"""Nova: metadata and tags of servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.compute_boot import check_metadata, check_names
from pumphouse.devcloud.compute_model import find_server
from pumphouse.devcloud.errors import bad_request, not_found
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.services import COMPUTE

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

_METADATA = "/servers/{server_id}/metadata"
_TAGS = "/servers/{server_id}/tags"


@COMPUTE.route("GET", _METADATA, policy="server-metadata:index")
def list_metadata(cloud: DevCloud, request: ApiRequest, server_id: str) -> dict[str, Any]:
    return {"metadata": find_server(cloud, request, server_id)["metadata"]}


@COMPUTE.route("POST", _METADATA, policy="server-metadata:create")
def add_metadata(cloud: DevCloud, request: ApiRequest, server_id: str) -> dict[str, Any]:
    row = find_server(cloud, request, server_id)
    row["metadata"] = check_metadata({**row["metadata"], **request.member("metadata")})
    return {"metadata": row["metadata"]}


@COMPUTE.route("PUT", _METADATA, policy="server-metadata:update_all")
def replace_metadata(cloud: DevCloud, request: ApiRequest, server_id: str) -> dict[str, Any]:
    row = find_server(cloud, request, server_id)
    row["metadata"] = check_metadata(request.member("metadata"))
    return {"metadata": row["metadata"]}


@COMPUTE.route("GET", _METADATA + "/{key}", policy="server-metadata:show")
def show_metadata(cloud: DevCloud, request: ApiRequest, server_id: str, key: str) -> dict[str, Any]:
    metadata = find_server(cloud, request, server_id)["metadata"]
    if key not in metadata:
        raise not_found("Metadata item was not found")
    return {"meta": {key: metadata[key]}}


@COMPUTE.route("PUT", _METADATA + "/{key}", policy="server-metadata:update")
def set_metadata(cloud: DevCloud, request: ApiRequest, server_id: str, key: str) -> dict[str, Any]:
    row = find_server(cloud, request, server_id)
    meta = request.member("meta")
    if set(meta) != {key}:
        raise bad_request("Request body and URI mismatch")
    row["metadata"] = check_metadata({**row["metadata"], **meta})
    return {"meta": meta}


@COMPUTE.route("DELETE", _METADATA + "/{key}", policy="server-metadata:delete")
def delete_metadata(cloud: DevCloud, request: ApiRequest, server_id: str, key: str) -> None:
    show_metadata(cloud, request, server_id, key)
    row = find_server(cloud, request, server_id)
    row["metadata"] = {name: value for name, value in row["metadata"].items() if name != key}


@COMPUTE.route("GET", _TAGS, since=(2, 26), policy="os-server-tags:index")
def list_tags(cloud: DevCloud, request: ApiRequest, server_id: str) -> dict[str, Any]:
    return {"tags": find_server(cloud, request, server_id)["tags"]}


@COMPUTE.route("PUT", _TAGS, since=(2, 26), policy="os-server-tags:update_all")
def replace_tags(cloud: DevCloud, request: ApiRequest, server_id: str) -> dict[str, Any]:
    row = find_server(cloud, request, server_id)
    tags = request.json_object().get("tags")
    check_names({"name": row["name"], "tags": tags}, request)
    row["tags"] = sorted(set(tags or []))
    return {"tags": row["tags"]}


@COMPUTE.route("DELETE", _TAGS, since=(2, 26), policy="os-server-tags:delete_all")
def clear_tags(cloud: DevCloud, request: ApiRequest, server_id: str) -> None:
    find_server(cloud, request, server_id)["tags"] = []


@COMPUTE.route("GET", _TAGS + "/{tag}", since=(2, 26), policy="os-server-tags:show")
def check_tag(cloud: DevCloud, request: ApiRequest, server_id: str, tag: str) -> None:
    if tag not in find_server(cloud, request, server_id)["tags"]:
        raise not_found(f"Server {server_id} has no tag '{tag}'")


@COMPUTE.route("PUT", _TAGS + "/{tag}", since=(2, 26), policy="os-server-tags:update")
def add_tag(cloud: DevCloud, request: ApiRequest, server_id: str, tag: str) -> Response:
    row = find_server(cloud, request, server_id)
    if tag in row["tags"]:
        return Response(204)
    check_names({"name": row["name"], "tags": [*row["tags"], tag]}, request)
    row["tags"] = sorted([*row["tags"], tag])
    return Response(201, None, {"Location": f"{request.url}/servers/{server_id}/tags/{tag}"})


@COMPUTE.route("DELETE", _TAGS + "/{tag}", since=(2, 26), policy="os-server-tags:delete")
def delete_tag(cloud: DevCloud, request: ApiRequest, server_id: str, tag: str) -> None:
    check_tag(cloud, request, server_id, tag)
    row = find_server(cloud, request, server_id)
    row["tags"] = [one for one in row["tags"] if one != tag]
