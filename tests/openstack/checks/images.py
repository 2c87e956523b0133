"""Images and flavors."""

from __future__ import annotations

from tenant.images import BOOTED, sha512

from .moved import Moved, equal

_GLANCES_OWN = {
    "os_glance_importing_to_stores",
    "os_glance_failed_import",
    "stores",
    "locations",
    "direct_url",
}


def flavors(moved: Moved) -> str:
    """The tenant's own: their values, extra specs and who may use them."""
    here, there = (
        {
            one["name"]: one
            for one in listed["flavors"].values()
            if one["name"].startswith(f"{moved.source.name}.")
        }
        for listed in (moved.here, moved.there)
    )
    equal("the flavors", sorted(there), sorted(here))
    moved.alike("flavor", here, there, own=())
    for name, one in here.items():
        equal(f"the id of the flavor {name}", there[name]["id"], one["id"])
        access = [
            sorted(moved.names[side][project["tenant_id"]] for project in listed["flavor access"][one["id"]])
            for side, listed in enumerate((moved.here, moved.there))
        ]
        equal(f"who may use the flavor {name}", access[1], access[0])
    return f"{len(there)} private flavors have their ids, sizes, extra specs and access lists."


def images(moved: Moved) -> str:
    """Bytes, properties, members and visibility of each, and none besides."""
    there = moved.same("images", own=_GLANCES_OWN)
    hidden = moved.same("hidden images", own=_GLANCES_OWN)
    equal("the bytes", there[BOOTED]["os_hash_value"], sha512(moved.source))
    members = [
        {
            name: sorted(
                (moved.names[side][one["member_id"]], one["status"])
                for one in listed["image members"].get(image["id"], ())
            )
            for name, image in moved.pair("images")[side].items()
        }
        for side, listed in enumerate((moved.here, moved.there))
    ]
    equal("the members", members[1], members[0])
    shelved = [one for one in moved.there["images"].values() if one["name"] == "shelved-shelved"]
    equal(
        "whose the images of shelved servers are",
        {one["owner"] for one in shelved} - {moved.projects[1]["id"]},
        set(),
    )
    kinds = sorted({one["visibility"] for one in there.values()})
    return (
        f"{len(there) + len(hidden)} images ({', '.join(kinds)}) have their bytes (SHA-512), properties, "
        "tags, parts and members, and there is none besides."
    )
