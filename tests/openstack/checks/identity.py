"""Projects, people, what they may do, and limits."""

from __future__ import annotations

from typing import Any

from keystoneauth1.exceptions import Unauthorized
from listing import Listing
from tenant.identity import LIMITS, REFUSED

from .moved import Moved, equal

_SERVICES = {"compute": "compute quotas", "network": "network quotas", "block_storage": "volume quotas"}


def project(moved: Moved) -> str:
    """The projects' own fields, and their limits."""
    names = [moved.source.name, moved.source.partner]
    here, there = (
        {one["name"]: one for one in listed["projects"].values() if one["name"] in names}
        for listed in (moved.here, moved.there)
    )
    equal("the projects", sorted(there), sorted(here))
    moved.alike("project", here, there, own=())
    for service, limits in LIMITS.items():
        found = moved.there[_SERVICES[service]][moved.projects[1]["id"]]
        equal(f"the limits of {service}", {name: found[name] for name in limits}, limits)
    below = ", the one below it is below it there," if len(here) > 1 else ""
    return f"The project has its description and tags{below} and the limits of three services."


def people(moved: Moved) -> str:
    """Users with their fields, groups and roles."""
    here, there = (
        {
            one["name"]: one
            for one in listed["users"].values()
            if one["name"].startswith(f"{moved.source.name}-")
        }
        for listed in (moved.here, moved.there)
    )
    equal("the users", sorted(there), sorted(here))
    moved.alike("user", here, there, own={"password_expires_at"})
    roles = [_roles(moved, there=there) for there in (False, True)]
    equal("roles", roles[1], roles[0])
    equal("groups", _members(moved, moved.there), _members(moved, moved.here))
    return f"{len(there)} users have their fields, their groups and {len(roles[1])} roles."


def passwords(moved: Moved) -> str:
    """The old passwords log in, where the newer Keystone can check them."""
    kept = [one for one in moved.people if one != REFUSED]
    for person in kept:
        session = moved.destination.login(person)
        equal("the project logged into", session.current_project_id, moved.projects[1]["id"])
        rows = [_rows(listed, moved.source.user(person)) for listed in (moved.here, moved.there)]
        equal(f"the rows of {person}'s password", rows[1], rows[0])
        assert rows[0], f"{person} has no password on the source"
    told = f"{len(kept)} users log in with their old passwords"
    if REFUSED not in moved.people:
        return f"{told}."
    try:
        moved.destination.login(REFUSED).session.get_token()
    except Unauthorized:  # and no error of the service's
        pass
    else:
        raise AssertionError(f"{REFUSED} logs in, whose hash was to be refused")
    return f"{told} (hashes of bcrypt, pbkdf2 and scrypt); one whose hash is sha512_crypt needs a new one."


def _rows(listed: Listing, user: str) -> list[tuple[str, ...]]:
    ids = {row["id"] for row in listed["table local_user"].values() if row["name"] == user}
    return sorted(
        (row["password_hash"], row["created_at_int"], row["expires_at_int"], row["self_service"])
        for row in listed["table password"].values()
        if row["local_user_id"] in ids
    )


def _roles(moved: Moved, *, there: bool) -> list[Any]:
    """Of the tenant's projects, by names."""
    listed = moved.there if there else moved.here
    own = {one["id"] for one in listed["projects"].values() if one["name"].startswith(moved.source.name)}
    found = [
        {name: value for name, value in one.items() if name != "links"}
        for one in listed["role assignments"].values()
        if one["scope"].get("project", {}).get("id") in own
    ]
    return sorted((moved.plain(one, there=there) for one in found), key=repr)


def _members(moved: Moved, listed: Listing) -> dict[str, list[str]]:
    return {
        group["name"]: sorted(one["name"] for one in listed["group members"][group["id"]])
        for group in listed["groups"].values()
        if group["name"].startswith(f"{moved.source.name}-")
    }
