"""Keystone v3: the tables of people and projects, and what all its modules need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.errors import Fault, bad_request, conflict, not_found
from pumphouse.devcloud.services import IDENTITY
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

DOMAINS = IDENTITY.table("domains", indexes=("name",))
PROJECTS = IDENTITY.table("projects", indexes=("name", "domain_id", "parent_id"), label=("domain_id", "name"))
USERS = IDENTITY.table("users", indexes=("name", "domain_id"), label=("domain_id", "name"))
GROUPS = IDENTITY.table("groups", indexes=("name", "domain_id"), label=("domain_id", "name"))
MEMBERSHIPS = IDENTITY.table(
    "group_memberships",
    indexes=("group_id", "user_id"),
    key=lambda row: (row["group_id"], row["user_id"]),
)

DEFAULT_DOMAIN = "default"
_WORDS = {DOMAINS: "domain", PROJECTS: "project", USERS: "user", GROUPS: "group"}
_LONGEST = {DOMAINS: 64, PROJECTS: 64, GROUPS: 64}


def require(cloud: DevCloud, table: str, row_id: str) -> Row:
    """The row, or Keystone's 404 for it."""
    row = cloud.table(table).get(row_id)
    if row is None:
        raise not_found(f"Could not find {_WORDS.get(table, table[:-1])}: {row_id}.")
    return row


def view(request: ApiRequest, table: str, row: Row) -> Row:
    """A row as Keystone shows it: with its link."""
    return {**row, "links": {"self": f"{request.url}/{table}/{row['id']}"}}


def listing(request: ApiRequest, collection: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A whole collection, with Keystone's links."""
    query = f"?{request.query_string}" if request.query_string else ""
    own = f"{request.cloud.url}{request.path}{query}"
    return {"links": {"next": None, "self": own, "previous": None}, collection: list(rows)}


_COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda value, wanted: wanted in value,
    "icontains": lambda value, wanted: wanted.lower() in value.lower(),
    "startswith": lambda value, wanted: value.startswith(wanted),
    "istartswith": lambda value, wanted: value.lower().startswith(wanted.lower()),
    "endswith": lambda value, wanted: value.endswith(wanted),
    "iendswith": lambda value, wanted: value.lower().endswith(wanted.lower()),
}


def filtered(cloud: DevCloud, request: ApiRequest, table: str, names: Iterable[str]) -> list[Row]:
    """The rows that match the query, which may name these fields, plainly or as ``name__contains``."""
    wanted = {name: value for name in names if (value := request.arg(name)) is not None}
    rows: Iterable[Row]
    indexed = [name for name in wanted if name in cloud.table(table).spec.indexes]
    rows = cloud.table(table).find(**{indexed[0]: wanted[indexed[0]]}) if indexed else cloud.table(table)
    tests = [(name, "", value) for name, value in wanted.items()]
    for key, values in request.query.items():
        name, _, comparison = key.partition("__")
        if comparison in _COMPARE:
            tests.append((name, comparison, values[-1]))
    return [row for row in rows if all(_matches(row.get(name), how, value) for name, how, value in tests)]


def _matches(value: Any, comparison: str, wanted: str) -> bool:
    if isinstance(value, bool):
        return value == (wanted.lower() in ("", "1", "true", "yes"))
    text = "" if value is None else str(value)
    return _COMPARE[comparison](text, wanted) if comparison else text == wanted


def check_name(
    cloud: DevCloud, table: str, name: Any, domain_id: str | None, *, but: str | None = None
) -> None:
    """Refuse a name that is empty or too long (400), or taken in the domain (409)."""
    if not isinstance(name, str) or not name.strip():
        raise bad_request("'name' is a required property" if name is None else f"{name!r} is too short")
    if len(name) > _LONGEST.get(table, 255):
        raise bad_request(f"{name!r} is too long")
    word = _WORDS.get(table, table[:-1])
    for row in cloud.table(table).find(name=name):
        if row["id"] != but and row.get("domain_id") == domain_id:
            where = f" at domain ID {domain_id}" if domain_id else ""
            raise conflict(
                f"Conflict occurred attempting to store {word} - "
                f"Duplicate entry found with name {name}{where}."
            )


def check_mutable(row: Row, word: str, action: str) -> None:
    """Keystone's 403 for a resource whose option ``immutable`` is set."""
    if (row.get("options") or {}).get("immutable"):
        raise Fault(
            403,
            f"Unable to {action} immutable {word} resource: {row['id']}. "
            "Set resource option 'immutable' to false first.",
        )


def change(cloud: DevCloud, table: str, row: Row, changes: Mapping[str, Any]) -> Row:
    """Apply the changes of a PATCH. Options are set one by one; null takes one away.

    A resource that is immutable takes that option alone.
    """
    options = changes.get("options") or {}
    if "immutable" not in options or len(changes) > 1:
        check_mutable(row, _WORDS.get(table, table[:-1]), "update")
    merged = {**(row.get("options") or {}), **options}
    kept = {name: value for name, value in merged.items() if value is not None}
    return cloud.table(table).update(row["id"], {**changes, "options": kept})


def add_domain(cloud: DevCloud, want: Mapping[str, Any]) -> Row:
    """Make a domain of a request's fields."""
    check_name(cloud, DOMAINS, want.get("name"), None)
    row = {"id": cloud.new_hex(), "description": "", "enabled": True, "tags": [], "options": {}, **want}
    return cloud.table(DOMAINS).add(row)


def add_project(cloud: DevCloud, want: Mapping[str, Any]) -> Row:
    """Make a project of a request's fields; it lies in its parent's domain, or in the Default one."""
    parent = want.get("parent_id")
    if parent and parent in cloud.table(PROJECTS):
        domain_id = cloud.table(PROJECTS)[parent]["domain_id"]
    else:
        domain_id = want.get("domain_id") or parent or DEFAULT_DOMAIN
        if parent not in (None, domain_id):
            raise not_found(f"Could not find project: {parent}.")
    _check_enabled(cloud, require(cloud, DOMAINS, domain_id), parent)
    check_name(cloud, PROJECTS, want.get("name"), domain_id)
    given = {key: value for key, value in want.items() if key not in ("id", "is_domain")}
    row = {
        "id": cloud.new_hex(),
        "description": "",
        "enabled": True,
        "is_domain": False,
        "tags": [],
        "options": {},
    }
    return cloud.table(PROJECTS).add(
        {**row, **given, "domain_id": domain_id, "parent_id": parent or domain_id}
    )


def _check_enabled(cloud: DevCloud, domain: Row, parent: str | None) -> None:
    """Keystone's 400 for a new project whose domain, or a project above it, is disabled."""
    above = cloud.table(PROJECTS).get(parent) if parent else None
    higher = [above, *(cloud.table(PROJECTS)[one] for one in ancestors(cloud, above))] if above else []
    for row in (*higher, domain):
        if not row["enabled"]:
            raise bad_request(
                f"cannot create a project in a branch containing a disabled project: {row['id']}"
            )


def add_users(cloud: DevCloud, wants: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Make users of requests' fields, with their passwords in the database only."""
    rows: list[Row] = []
    for want in wants:
        domain_id = want.get("domain_id") or DEFAULT_DOMAIN
        require(cloud, DOMAINS, domain_id)
        check_name(cloud, USERS, want.get("name"), domain_id)
        given = {key: value for key, value in want.items() if key not in ("id", "password")}
        row = {"id": cloud.new_hex(), "enabled": True, "options": {}, **given, "domain_id": domain_id}
        rows.append(cloud.table(USERS).add(row))
    cloud.passwords.add(rows, now=cloud.now())
    for want, row in zip(wants, rows, strict=True):
        if want.get("password") is not None:
            cloud.passwords.set_password(row["id"], want["password"], now=cloud.now())
    return rows


def ancestors(cloud: DevCloud, project: Row) -> list[str]:
    """The ids of the projects above, nearest first; the domain is not among them."""
    found: list[str] = []
    parent = cloud.table(PROJECTS).get(project["parent_id"])
    while parent is not None:
        found.append(parent["id"])
        parent = cloud.table(PROJECTS).get(parent["parent_id"])
    return found


def forget(cloud: DevCloud, entity_id: str) -> None:
    """Delete the role assignments and credentials of a user, group, project or domain."""
    for name, index in (
        ("role_assignments", "actor_id"),
        ("role_assignments", "target_id"),
        ("application_credentials", "user_id"),
        ("application_credentials", "project_id"),
    ):
        table = cloud.table(name)
        for row in table.find(**{index: entity_id}):
            table.remove(table.spec.key(row))


def remove_project(cloud: DevCloud, project_id: str) -> None:
    """Delete a project; what it owns in the other services stays, as in real clouds."""
    forget(cloud, project_id)
    cloud.tokens.revoke(project_id=project_id)
    cloud.table(PROJECTS).remove(project_id)


def remove_user(cloud: DevCloud, user_id: str) -> None:
    """Delete a user with all that hangs on it."""
    forget(cloud, user_id)
    for row in cloud.table(MEMBERSHIPS).find(user_id=user_id):
        cloud.table(MEMBERSHIPS).remove((row["group_id"], user_id))
    cloud.tokens.revoke(user_id=user_id)
    cloud.passwords.remove(user_id)
    cloud.table(USERS).remove(user_id)


def remove_group(cloud: DevCloud, group_id: str) -> None:
    """Delete a group; its members lose what they had through it."""
    forget(cloud, group_id)
    for row in cloud.table(MEMBERSHIPS).find(group_id=group_id):
        cloud.table(MEMBERSHIPS).remove((group_id, row["user_id"]))
        cloud.tokens.revoke(user_id=row["user_id"])
    cloud.table(GROUPS).remove(group_id)
