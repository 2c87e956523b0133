"""What all network resources have in common: create, list, update, delete, tags.

A resource is a subclass of `Collection` that declares its attributes and adds its own rules in `build`,
`insert`, `change`, `remove`, `visible` and `view`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, ClassVar
from urllib.parse import urlencode

from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest
from pumphouse.devcloud.errors import Fault, bad_request, conflict, forbidden, not_found
from pumphouse.devcloud.network_attributes import Attribute, parse, read_only, tag_list, text
from pumphouse.devcloud.services import NETWORK
from pumphouse.devcloud.table import Row, Table

Filters = Mapping[str, list[str]]

_CONTROL = {"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"}
_TAG_FILTERS: dict[str, Callable[[set[str], set[str]], bool]] = {
    "tags": lambda wanted, found: wanted <= found,
    "tags-any": lambda wanted, found: bool(wanted & found),
    "not-tags": lambda wanted, found: not wanted <= found,
    "not-tags-any": lambda wanted, found: not wanted & found,
}

STANDARD = (
    *read_only("id", "created_at", "updated_at", "revision_number"),
    Attribute(name="tenant_id", check=text(255), put=False),
    Attribute(name="project_id", check=text(255), put=False),
    Attribute(name="description", check=text(255), default=""),
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """Who asks which cloud."""

    cloud: DevCloud
    project: str
    admin: bool

    @classmethod
    def of(cls, cloud: DevCloud, request: ApiRequest) -> Call:
        """The caller of a request."""
        return cls(cloud=cloud, project=request.token.project_id or "", admin=request.token.is_admin)

    def elevated(self) -> Call:
        """The same caller with an admin's rights, as the service uses inside."""
        return Call(cloud=self.cloud, project=self.project, admin=True)


class Collection:
    """One kind of network resource: its declaration, and the operations that follow from it.

    `policy_word` is the name in policies, `admin_only` the attributes that others do not see,
    `not_found_type` the error type and `noun` the wording of its 404.
    """

    singular: ClassVar[str]
    plural: ClassVar[str]
    path: ClassVar[str] = ""
    noun: ClassVar[str]
    not_found_type: ClassVar[str]
    attributes: ClassVar[tuple[Attribute, ...]]
    indexes: ClassVar[tuple[str, ...]] = ()
    label: ClassVar[tuple[str, ...]] = ("name",)
    admin_only: ClassVar[frozenset[str]] = frozenset()
    extra_filters: ClassVar[frozenset[str]] = frozenset()
    taggable: ClassVar[bool] = True
    write_role: ClassVar[str] = "member"

    def __init__(self) -> None:
        self.path = self.path or self.plural.replace("_", "-")  # type: ignore[misc]
        self.hidden = frozenset(attribute.name for attribute in self.attributes if attribute.hidden)
        self.names = {attribute.name for attribute in self.attributes}
        NETWORK.table(
            self.plural,
            indexes=("project_id", *self.indexes),
            label=self.label,
            volatile=("created_at", "updated_at", "revision_number"),
            chosen=self.chosen,
        )
        self._route()
        COLLECTIONS[self.plural] = self

    # What a resource adds

    @staticmethod
    def chosen(row: Row) -> tuple[str, ...]:
        """The fields whose values the cloud chose at random, which a comparison of states leaves out."""
        del row
        return ()

    def build(self, call: Call, values: dict[str, Any]) -> Row:
        """The new row of checked values; raises what forbids it."""
        return self.row(call, values)

    def insert(self, call: Call, row: Row) -> None:
        """Put a built row into its table, with all that comes with it."""
        self.table(call.cloud).add(row)

    def change(self, call: Call, row: Row, changes: dict[str, Any]) -> None:
        """Apply checked changes; raises what forbids them."""
        self.save(call.cloud, row, changes)

    def remove(self, call: Call, row: Row) -> None:
        """Delete a row with all that goes with it; raises what forbids it."""
        self.table(call.cloud).remove(row["id"])

    def visible(self, call: Call, row: Row) -> bool:
        """Whether the caller may see the row."""
        return call.admin or row["project_id"] == call.project

    def owned(self, call: Call, row: Row) -> bool:
        """Whether the caller may change the row that is visible to it."""
        return call.admin or row["project_id"] == call.project

    def owns_parent(self, call: Call, values: Mapping[str, Any]) -> bool:  # noqa: ARG002 - ports look at it
        """Whether the caller owns what the resource lies in (a port's network); see `Attribute.owner_may`."""
        return call.admin

    def view(self, call: Call, row: Row) -> Row:
        """The row as the API shows it."""
        shown = {key: value for key, value in row.items() if key not in self.hidden}
        if not call.admin:
            for key in self.admin_only:
                shown.pop(key, None)
        shown["tenant_id"] = row["project_id"]
        return shown

    def matches(self, row: Row, name: str, wanted: list[str]) -> bool:
        """Whether the row (as shown) passes a filter. A boolean is asked for in any case."""
        value = row.get(name)
        if isinstance(value, bool):
            return str(value).lower() in (one.lower() for one in wanted)
        return plain(value) in wanted

    def before_list(self, call: Call, filters: Filters) -> None:
        """What happens before a list is answered."""

    # Rows

    def table(self, cloud: DevCloud) -> Table:
        """The cloud's rows."""
        return cloud.table(self.plural)

    def row(self, call: Call, values: Mapping[str, Any], **more: Any) -> Row:
        """A row with the standard attributes filled in."""
        now = timestamp(call.cloud)
        row: Row = {"id": call.cloud.new_id(), **values, **more}
        row.pop("tenant_id", None)
        return {
            **row,
            "created_at": now,
            "updated_at": now,
            "revision_number": 1,
            "tags": list(row.get("tags") or []),
        }

    def save(self, cloud: DevCloud, row: Row, changes: Mapping[str, Any]) -> Row:
        """Write changes into the table, and the time and revision with them."""
        stamp = {"updated_at": timestamp(cloud), "revision_number": row["revision_number"] + 1}
        return self.table(cloud).update(row["id"], {**changes, **stamp})

    def get(self, call: Call, resource_id: str) -> Row:
        """The row, if it exists and the caller may see it; 404 otherwise."""
        row = self.table(call.cloud).get(resource_id)
        if row is None or not self.visible(call, row):
            raise not_found(self.missing(resource_id), type=self.not_found_type)
        return row

    def missing(self, resource_id: str) -> str:
        """The words of the 404."""
        return f"{self.noun} {resource_id} could not be found."

    # Operations

    def create(self, call: Call, body: Mapping[str, Any]) -> Row:
        """Create one resource of a request's body, with checks, policy and quota; returns the stored row."""
        given = dict(body)
        project = self.project_of(call, given)
        values = parse(self.attributes, given, method="POST")
        values["project_id"] = project
        self.check_references(call, values)
        self.check_policy(
            call, "create", values, {key: given[key] for key in given if key in self.names}, values
        )
        for hook in BEFORE_CREATE:
            hook(call, self, project)
        row = self.build(call, values)
        self.insert(call, row)
        return row

    def update(self, call: Call, row: Row, body: Mapping[str, Any]) -> Row:
        """Change one resource by a request's body."""
        changes = parse(self.attributes, body, method="PUT")
        self.check_references(call, changes)
        if not self.owned(call, row):
            raise forbidden(f"(rule:update_{self.singular}) is disallowed by policy")
        self.check_policy(call, "update", changes, changes, row)
        self.change(call, row, changes)
        return row

    def delete(self, call: Call, row: Row) -> None:
        """Delete one resource."""
        if not self.owned(call, row):
            raise forbidden(f"(rule:delete_{self.singular}) is disallowed by policy")
        self.remove(call, row)

    def project_of(self, call: Call, body: Mapping[str, Any]) -> str:
        """The project that the new resource will belong to: the caller's, or for an admin any."""
        tenant, project = body.get("tenant_id"), body.get("project_id")
        if tenant is not None and project is not None and tenant != project:
            raise bad_request("'project_id' and 'tenant_id' do not match")
        wanted = project or tenant or call.project
        if wanted != call.project and not call.admin:
            raise forbidden(f"rule:create_{self.singular} is disallowed by policy")
        return str(wanted)

    @staticmethod
    def check_references(call: Call, values: Mapping[str, Any]) -> None:
        """404 for a QoS policy that is not there; several kinds of resources may have one."""
        if values.get("qos_policy_id"):
            COLLECTIONS["policies"].get(call, values["qos_policy_id"])

    def check_policy(
        self,
        call: Call,
        action: str,
        values: Mapping[str, Any],
        given: Mapping[str, Any],
        target: Mapping[str, Any],
    ) -> None:
        """Refuse (403) attributes that the caller may not set."""
        if call.admin:
            return
        for attribute in self.attributes:
            if not attribute.policy or attribute.name not in given:
                continue
            if action == "create" and values[attribute.name] == attribute.default:
                continue
            if not (attribute.owner_may and self.owns_parent(call, target)):
                rule = f"{action}_{self.singular}"
                raise forbidden(f"(rule:{rule} and rule:{rule}:{attribute.name}) is disallowed by policy")

    # Lists

    def candidates(self, call: Call, filters: Filters, after: str | None, *, reverse: bool) -> Iterator[Row]:
        """The rows that may match, by the best index, from behind the marker on."""
        table = self.table(call.cloud)
        by = next(
            (
                (name, filters[key][0])
                for name, key in (*((index, index) for index in self.indexes), *_PROJECT_KEYS)
                if len(filters.get(key, [])) == 1
            ),
            None,
        )
        if "id" in filters and after is None:
            rows = (table.get(resource_id) for resource_id in dict.fromkeys(filters["id"]))
            return (row for row in rows if row is not None)
        return self._walk(table, by=by, after=after, reverse=reverse)

    @staticmethod
    def _walk(table: Table, *, by: tuple[str, str] | None, after: str | None, reverse: bool) -> Iterator[Row]:
        try:
            yield from table.walk(by=by, after=after, reverse=reverse)
        except KeyError:
            raise bad_request(f"Invalid input for marker. Reason: '{after}' is unknown.") from None

    def select(self, call: Call, filters: Filters, rows: Iterable[Row]) -> Iterator[Row]:
        """The views of the visible rows that pass the filters."""
        for row in rows:
            if self.visible(call, row):
                shown = self.view(call, row)
                if self.passes(shown, filters):
                    yield shown

    def passes(self, shown: Row, filters: Filters) -> bool:
        """Whether a shown row passes all filters."""
        for name, wanted in filters.items():
            if name in _TAG_FILTERS:
                tags = {tag for value in wanted for tag in value.split(",")}
                if not _TAG_FILTERS[name](tags, set(shown["tags"])):
                    return False
            elif not self.matches(shown, name, wanted):
                return False
        return True

    def filters(self, request: ApiRequest) -> dict[str, list[str]]:
        """The filters of a request; unknown ones are refused as the filter-validation extension does."""
        filters = {name: values for name, values in request.query.items() if name not in _CONTROL}
        allowed = self.names | self.extra_filters | (set(_TAG_FILTERS) if self.taggable else set())
        unknown = sorted(set(filters) - allowed)
        if unknown:
            raise bad_request(f"{unknown} is invalid attribute for filtering")
        return filters

    def listing(self, call: Call, request: ApiRequest) -> dict[str, Any]:
        """The answer to a list request."""
        filters = self.filters(request)
        self.before_list(call, filters)
        limit = _limit(request)
        reverse = request.arg("page_reverse", "false") in ("True", "true")
        marker = request.arg("marker")
        if "sort_key" in request.query:
            shown = _sorted(
                list(self.select(call, filters, self.candidates(call, filters, None, reverse=False))), request
            )
            rows: Iterator[Row] = iter(_behind(shown, marker, reverse=reverse))
        else:
            rows = self.select(call, filters, self.candidates(call, filters, marker, reverse=reverse))
        found = list(islice(rows, limit))
        if reverse:
            found.reverse()
        answer: dict[str, Any] = {self.plural: [_fields(row, request.query.get("fields")) for row in found]}
        if limit is not None:
            answer[f"{self.plural}_links"] = self._links(call, request, found, limit)
        return answer

    def _links(self, call: Call, request: ApiRequest, found: list[Row], limit: int) -> list[dict[str, str]]:
        links = []
        base = [(name, value) for name, values in request.query.items() for value in values]
        base = [(name, value) for name, value in base if name not in ("marker", "page_reverse")]
        url = f"{call.cloud.url}{NETWORK.root}/{self.path}"
        if len(found) == limit:
            links.append({"rel": "next", "href": f"{url}?{urlencode([*base, ('marker', found[-1]['id'])])}"})
        if found and request.arg("marker"):
            query = [*base, ("marker", found[0]["id"]), ("page_reverse", "True")]
            links.append({"rel": "previous", "href": f"{url}?{urlencode(query)}"})
        return links

    # Routes

    def _route(self) -> None:
        one = f"/{self.path}/{{resource_id}}"
        NETWORK.route("GET", f"/{self.path}", policy=f"get_{self.singular}")(self._index)
        NETWORK.route("GET", one, policy=f"get_{self.singular}")(self._show)
        role = self.write_role
        NETWORK.route("POST", f"/{self.path}", status=201, policy=f"create_{self.singular}", role=role)(
            self._create
        )
        NETWORK.route("PUT", one, policy=f"update_{self.singular}", role=role)(self._update)
        NETWORK.route("DELETE", one, status=204, policy=f"delete_{self.singular}", role=role)(self._delete)
        if self.taggable:
            tags = f"{one}/tags"
            NETWORK.route("GET", tags)(self._tags)
            NETWORK.route("PUT", tags)(self._replace_tags)
            NETWORK.route("DELETE", tags, status=204)(self._remove_tags)
            NETWORK.route("GET", f"{tags}/{{tag}}", status=204)(self._has_tag)
            NETWORK.route("PUT", f"{tags}/{{tag}}", status=201)(self._add_tag)
            NETWORK.route("DELETE", f"{tags}/{{tag}}", status=204)(self._remove_tag)

    def _index(self, cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
        return self.listing(Call.of(cloud, request), request)

    def _show(self, cloud: DevCloud, request: ApiRequest, resource_id: str) -> dict[str, Any]:
        call = Call.of(cloud, request)
        shown = self.view(call, self.get(call, resource_id))
        return {self.singular: _fields(shown, request.query.get("fields"))}

    def _create(self, cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
        call = Call.of(cloud, request)
        body = _body(request)
        if self.plural in body:
            return {self.plural: [self.view(call, row) for row in self._create_all(call, body[self.plural])]}
        return {self.singular: self.view(call, self.create(call, _part(body, self.singular)))}

    def _create_all(self, call: Call, bodies: Any) -> list[Row]:
        """All or none."""
        if not isinstance(bodies, list) or not bodies:
            raise bad_request("Resources required")
        made: list[Row] = []
        try:
            for body in bodies:
                made.append(self.create(call, body))  # noqa: PERF401 - what is made before a fault is undone
        except Fault:
            for row in reversed(made):
                self.remove(call.elevated(), row)
            raise
        return made

    def _update(self, cloud: DevCloud, request: ApiRequest, resource_id: str) -> dict[str, Any]:
        call = Call.of(cloud, request)
        row = self.get(call, resource_id)
        return {self.singular: self.view(call, self.update(call, row, _part(_body(request), self.singular)))}

    def _delete(self, cloud: DevCloud, request: ApiRequest, resource_id: str) -> None:
        call = Call.of(cloud, request)
        self.delete(call, self.get(call, resource_id))

    # Tags

    def _tagged(self, cloud: DevCloud, request: ApiRequest, resource_id: str) -> tuple[Call, Row]:
        call = Call.of(cloud, request)
        row = self.get(call, resource_id)
        if request.method != "GET" and not self.owned(call, row):
            raise forbidden(f"(rule:update_{self.plural}_tags) is disallowed by policy")
        return call, row

    def _tags(self, cloud: DevCloud, request: ApiRequest, resource_id: str) -> dict[str, Any]:
        _, row = self._tagged(cloud, request, resource_id)
        return {"tags": row["tags"]}

    def _replace_tags(self, cloud: DevCloud, request: ApiRequest, resource_id: str) -> dict[str, Any]:
        _, row = self._tagged(cloud, request, resource_id)
        body = _body(request)
        if "tags" not in body:
            raise bad_request("Invalid input for operation: Invalid tags body.", type="InvalidInput")
        try:
            tags = tag_list(body["tags"])
        except ValueError as error:
            raise bad_request(f"Invalid input for operation: {error}.", type="InvalidInput") from None
        self.save(cloud, row, {"tags": sorted(tags)})
        return {"tags": row["tags"]}

    def _remove_tags(self, cloud: DevCloud, request: ApiRequest, resource_id: str) -> None:
        _, row = self._tagged(cloud, request, resource_id)
        self.save(cloud, row, {"tags": []})

    def _has_tag(self, cloud: DevCloud, request: ApiRequest, resource_id: str, tag: str) -> None:
        _, row = self._tagged(cloud, request, resource_id)
        _need_tag(row, tag)

    def _add_tag(self, cloud: DevCloud, request: ApiRequest, resource_id: str, tag: str) -> None:
        _, row = self._tagged(cloud, request, resource_id)
        if len(tag) > 60:
            raise bad_request(
                f"Invalid input for operation: '{tag}' exceeds maximum length of 60.", type="InvalidInput"
            )
        if tag not in row["tags"]:
            self.save(cloud, row, {"tags": sorted([*row["tags"], tag])})

    def _remove_tag(self, cloud: DevCloud, request: ApiRequest, resource_id: str, tag: str) -> None:
        _, row = self._tagged(cloud, request, resource_id)
        _need_tag(row, tag)
        self.save(cloud, row, {"tags": [other for other in row["tags"] if other != tag]})


COLLECTIONS: dict[str, Collection] = {}
"""All kinds of network resources by their plural, as their modules declare them."""

_PROJECT_KEYS = (("project_id", "project_id"), ("project_id", "tenant_id"))


BeforeCreate = Callable[[Call, Collection, str], None]
BEFORE_CREATE: list[BeforeCreate] = []
"""What every creation meets, given the caller, the kind and the project: quotas count, the default group is
made.
"""


def timestamp(cloud: DevCloud) -> str:
    """Now, as Neutron writes it."""
    now: datetime = cloud.now()
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain(value: Any) -> str:
    """A value as a filter has it."""
    if isinstance(value, bool):
        return str(value)
    return "" if value is None else str(value)


def in_use(message: str, kind: str) -> Fault:
    """A 409 of Neutron's InUse family."""
    return conflict(message, type=kind)


def invalid(message: str) -> Fault:
    """Neutron's InvalidInput (400)."""
    return bad_request(f"Invalid input for operation: {message}.", type="InvalidInput")


def _need_tag(row: Row, tag: str) -> None:
    if tag not in row["tags"]:
        raise not_found(f"Tag {tag} could not be found.", type="TagNotFound")


def _limit(request: ApiRequest) -> int | None:
    value = request.arg("limit")
    if value is None:
        return None
    if not value.isdigit():
        raise bad_request(f"Limit must be an integer 0 or greater and not '{value}'")
    return int(value) or None


def _sorted(rows: list[Row], request: ApiRequest) -> list[Row]:
    keys = request.query["sort_key"]
    directions = request.query.get("sort_dir", ["asc"] * len(keys))
    for name, direction in reversed(list(zip(keys, directions, strict=False))):
        rows.sort(key=lambda row: plain(row.get(name)), reverse=direction == "desc")
    return rows


def _behind(rows: list[Row], marker: str | None, *, reverse: bool) -> list[Row]:
    if reverse:
        rows.reverse()
    if marker is None:
        return rows
    places = [place for place, row in enumerate(rows) if row["id"] == marker]
    if not places:
        raise bad_request(f"Invalid input for marker. Reason: '{marker}' is unknown.")
    return rows[places[0] + 1 :]


def _fields(row: Row, wanted: list[str] | None) -> Row:
    return row if not wanted else {name: row[name] for name in wanted if name in row}


def _body(request: ApiRequest) -> dict[str, Any]:
    try:
        body = request.json()
    except ValueError:
        raise bad_request("The server could not comply with the request since it is malformed.") from None
    if not isinstance(body, dict):
        raise bad_request("Resource body required")
    return body


def _part(body: Mapping[str, Any], singular: str) -> dict[str, Any]:
    part = body.get(singular)
    if not isinstance(part, dict):
        raise bad_request(f"Unable to find '{singular}' in request body")
    return part
