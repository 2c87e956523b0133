"""Nova: flavors with their extra specs and access lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.compute_model import FLAVOR_ACCESS, FLAVORS, flag, self_links, text
from pumphouse.devcloud.errors import bad_request, conflict, not_found
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.paging import limit_of, links
from pumphouse.devcloud.services import COMPUTE
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest


def flavor_view(request: ApiRequest, row: Row) -> Row:
    """A flavor as the negotiated microversion shows it."""
    shown = {
        "id": row["id"],
        "name": row["name"],
        "ram": row["ram"],
        "disk": row["disk"],
        "swap": row["swap"] or ("" if not request.at_least(2, 75) else 0),
        "OS-FLV-EXT-DATA:ephemeral": row["ephemeral"],
        "OS-FLV-DISABLED:disabled": False,
        "vcpus": row["vcpus"],
        "os-flavor-access:is_public": row["is_public"],
        "rxtx_factor": row["rxtx_factor"],
        "links": self_links(request, "flavors", row["id"]),
    }
    if request.at_least(2, 55):
        shown["description"] = row["description"]
    if request.at_least(2, 61):
        shown["extra_specs"] = row["extra_specs"]
    return shown


def usable(cloud: DevCloud, row: Row, project_id: str | None) -> bool:
    """Whether a project may use a flavor."""
    return bool(row["is_public"]) or (row["id"], project_id) in cloud.table(FLAVOR_ACCESS)


def find_flavor(cloud: DevCloud, request: ApiRequest, flavor_id: str) -> Row:
    """A flavor that the caller may see; 404 else."""
    row = cloud.table(FLAVORS).get(flavor_id)
    if row is None or not (request.token.is_admin or usable(cloud, row, request.token.project_id)):
        raise not_found(f"Flavor {flavor_id} could not be found.")
    return row


def _listed(cloud: DevCloud, request: ApiRequest) -> tuple[list[Row], bool]:
    """The page of flavors that a list shows: by id, as Nova sorts them."""
    public = (request.arg("is_public") or "true").lower()
    if not request.token.is_admin:
        rows = [row for row in cloud.table(FLAVORS) if usable(cloud, row, request.token.project_id)]
    elif public == "none":
        rows = list(cloud.table(FLAVORS))
    else:
        wanted = flag(request, "is_public") if "is_public" in request.query else True
        rows = [row for row in cloud.table(FLAVORS) if row["is_public"] == wanted]
    for name, field in (("minRam", "ram"), ("minDisk", "disk")):
        least = request.arg(name)
        if least is not None:
            if not least.isdigit():
                raise bad_request(f"Invalid {name} filter [{least}]")
            rows = [row for row in rows if row[field] >= int(least)]
    rows.sort(key=lambda row: str(row["id"]))
    marker, limit = request.arg("marker"), limit_of(request)
    if marker:
        if marker not in cloud.table(FLAVORS):
            raise bad_request(f"marker [{marker}] not found")
        rows = [row for row in rows if str(row["id"]) > marker]
    return rows[:limit], limit is not None and len(rows) > limit


@COMPUTE.route("GET", "/flavors", role=None, policy="flavors:index")
def list_flavors(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    rows, more = _listed(cloud, request)
    shown = []
    for row in rows:
        one = {"id": row["id"], "name": row["name"], "links": self_links(request, "flavors", row["id"])}
        if request.at_least(2, 55):
            one["description"] = row["description"]
        shown.append(one)
    return _page(request, "/flavors", rows, shown, more=more)


@COMPUTE.route("GET", "/flavors/detail", role=None, policy="flavors:detail")
def list_flavor_details(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    rows, more = _listed(cloud, request)
    return _page(request, "/flavors/detail", rows, [flavor_view(request, row) for row in rows], more=more)


def _page(request: ApiRequest, path: str, rows: list[Row], shown: list[Row], *, more: bool) -> dict[str, Any]:
    following = links(request, path, rows, more=more)
    return {"flavors": shown, **({"flavors_links": following} if following else {})}


@COMPUTE.route("GET", "/flavors/{flavor_id}", role=None, policy="flavors:show")
def show_flavor(cloud: DevCloud, request: ApiRequest, flavor_id: str) -> dict[str, Any]:
    return {"flavor": flavor_view(request, find_flavor(cloud, request, flavor_id))}


def add_flavor(cloud: DevCloud, want: dict[str, Any]) -> Row:
    """Make a flavor of a request's fields; 400 for wrong ones, 409 for a name or id that is taken."""
    name = text(want, "name", required=True)
    wanted_id = want.get("id", want.get("flavorid"))
    flavor_id = cloud.new_id() if wanted_id in (None, "", "auto") else str(wanted_id)
    numbers = {}
    for key, least, default in (
        ("ram", 1, None),
        ("vcpus", 1, None),
        ("disk", 0, None),
        ("OS-FLV-EXT-DATA:ephemeral", 0, 0),
        ("swap", 0, 0),
    ):
        numbers[key] = _number(want, key, least=least, default=default)
    if cloud.table(FLAVORS).first(name=name):
        raise conflict(f"Flavor with name {name} already exists.")
    if flavor_id in cloud.table(FLAVORS):
        raise conflict(f"Flavor with ID {flavor_id} already exists.")
    row: Row = {
        "id": flavor_id,
        "name": name,
        "ram": numbers["ram"],
        "vcpus": numbers["vcpus"],
        "disk": numbers["disk"],
        "ephemeral": numbers["OS-FLV-EXT-DATA:ephemeral"],
        "swap": numbers["swap"],
        "rxtx_factor": float(want.get("rxtx_factor") or 1.0),
        "is_public": bool(want.get("os-flavor-access:is_public", True)),
        "description": want.get("description"),
        "extra_specs": {},
    }
    return cloud.table(FLAVORS).add(row)


def _number(want: dict[str, Any], key: str, *, least: int, default: int | None) -> int:
    value = want.get(key, default)
    if value in (None, ""):
        value = default
    try:
        number = int(value)  # type: ignore[arg-type]  # None raises the TypeError that is caught
    except (TypeError, ValueError) as error:
        raise bad_request(f"Invalid input for field/attribute {key}. Value: {value}.") from error
    if number < least:
        raise bad_request(
            f"Invalid input for field/attribute {key}. Value: {value}. {number} is less than the minimum of "
            f"{least}"
        )
    return number


@COMPUTE.route("POST", "/flavors", role="admin", policy="os-flavor-manage:create")
def create_flavor(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    want = request.member("flavor")
    if not request.at_least(2, 55):
        want.pop("description", None)
    return {"flavor": flavor_view(request, add_flavor(cloud, want))}


@COMPUTE.route("PUT", "/flavors/{flavor_id}", role="admin", since=(2, 55), policy="os-flavor-manage:update")
def update_flavor(cloud: DevCloud, request: ApiRequest, flavor_id: str) -> dict[str, Any]:
    row = find_flavor(cloud, request, flavor_id)
    row["description"] = request.member("flavor").get("description")
    return {"flavor": flavor_view(request, row)}


@COMPUTE.route("DELETE", "/flavors/{flavor_id}", role="admin", status=202, policy="os-flavor-manage:delete")
def delete_flavor(cloud: DevCloud, request: ApiRequest, flavor_id: str) -> None:
    find_flavor(cloud, request, flavor_id)
    cloud.table(FLAVORS).remove(flavor_id)
    for row in cloud.table(FLAVOR_ACCESS).find(flavor_id=flavor_id):
        cloud.table(FLAVOR_ACCESS).remove((flavor_id, row["project_id"]))


# Extra specs

_SPECS = "/flavors/{flavor_id}/os-extra_specs"


@COMPUTE.route("GET", _SPECS, role=None, policy="os-flavor-extra-specs:index")
def list_extra_specs(cloud: DevCloud, request: ApiRequest, flavor_id: str) -> dict[str, Any]:
    return {"extra_specs": find_flavor(cloud, request, flavor_id)["extra_specs"]}


@COMPUTE.route("POST", _SPECS, role="admin", policy="os-flavor-extra-specs:create")
def create_extra_specs(cloud: DevCloud, request: ApiRequest, flavor_id: str) -> dict[str, Any]:
    row = find_flavor(cloud, request, flavor_id)
    specs = {key: str(value) for key, value in request.member("extra_specs").items()}
    row["extra_specs"] = {**row["extra_specs"], **specs}
    return {"extra_specs": specs}


@COMPUTE.route("GET", _SPECS + "/{key}", role=None, policy="os-flavor-extra-specs:show")
def show_extra_spec(cloud: DevCloud, request: ApiRequest, flavor_id: str, key: str) -> dict[str, Any]:
    specs = find_flavor(cloud, request, flavor_id)["extra_specs"]
    if key not in specs:
        raise not_found(f"Flavor {flavor_id} has no extra specs with key {key}.")
    return {key: specs[key]}


@COMPUTE.route("PUT", _SPECS + "/{key}", role="admin", policy="os-flavor-extra-specs:update")
def update_extra_spec(cloud: DevCloud, request: ApiRequest, flavor_id: str, key: str) -> dict[str, Any]:
    row = find_flavor(cloud, request, flavor_id)
    body = request.json_object()
    if key not in body:
        raise bad_request("Request body and URI mismatch")
    row["extra_specs"] = {**row["extra_specs"], key: str(body[key])}
    return {key: row["extra_specs"][key]}


@COMPUTE.route("DELETE", _SPECS + "/{key}", role="admin", policy="os-flavor-extra-specs:delete")
def delete_extra_spec(cloud: DevCloud, request: ApiRequest, flavor_id: str, key: str) -> Response:
    show_extra_spec(cloud, request, flavor_id, key)
    row = find_flavor(cloud, request, flavor_id)
    row["extra_specs"] = {name: value for name, value in row["extra_specs"].items() if name != key}
    return Response(200)


# Access


def _access(cloud: DevCloud, flavor_id: str) -> dict[str, Any]:
    rows = cloud.table(FLAVOR_ACCESS).find(flavor_id=flavor_id)
    return {"flavor_access": [{"flavor_id": flavor_id, "tenant_id": row["project_id"]} for row in rows]}


@COMPUTE.route("GET", "/flavors/{flavor_id}/os-flavor-access", role="admin", policy="os-flavor-access")
def list_access(cloud: DevCloud, request: ApiRequest, flavor_id: str) -> dict[str, Any]:
    if find_flavor(cloud, request, flavor_id)["is_public"]:
        raise not_found("Access list not available for public flavors.")
    return _access(cloud, flavor_id)


@COMPUTE.route(
    "POST", "/flavors/{flavor_id}/action", role="admin", policy="os-flavor-access:add_tenant_access"
)
def change_access(cloud: DevCloud, request: ApiRequest, flavor_id: str) -> dict[str, Any]:
    row = find_flavor(cloud, request, flavor_id)
    body = request.json_object()
    action = next(iter(body), "")
    if action not in ("addTenantAccess", "removeTenantAccess"):
        raise bad_request(f"There is no such action: {action}")
    project_id = text(body[action], "tenant", required=True)
    table, key = cloud.table(FLAVOR_ACCESS), (flavor_id, project_id)
    if action == "addTenantAccess":
        if row["is_public"]:
            raise conflict("Can not add access to a public flavor.")
        if project_id not in cloud.table("projects"):
            raise bad_request(f"Project ID {project_id} is not a valid project.")
        if key in table:
            raise conflict(
                f"Flavor access already exists for flavor {flavor_id} and project {project_id} combination."
            )
        table.add({"flavor_id": flavor_id, "project_id": project_id})
    elif table.remove(key) is None:
        raise not_found(f"Flavor access not found for {flavor_id} / {project_id} combination.")
    return _access(cloud, flavor_id)
