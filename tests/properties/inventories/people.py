"""Domains, projects, people and what they may do."""

from __future__ import annotations

from inventories.world import World


def build(world: World) -> None:
    """All of the identity service, and the quotas."""
    domains = [world.add("domain", "Default", identity="default")]
    domains += [world.add("domain", world.name("domain")) for _ in world.some(0, 2)]
    for _ in world.some(1, 4):
        _project(world, domains)
    _roles(world, domains)
    for _ in world.some(0, 2):
        _actor(world, "group", domains)
    for _ in world.some(0, 4):
        _actor(
            world,
            "user",
            domains,
            email=world.maybe(["a@b.example"]),
            default_project_id=world.maybe(world.projects()),
            groups=sorted(world.several(world.ids("group"))),
        )
    for _ in world.some(0, 6):
        _assignment(world)
    for project in world.projects():
        world.add(
            "quota", "", project=project, identity=project, facts={"used": {}},
            compute={"instances": world.one((-1, 1000)), "cores": -1, "ram": -1},
            network={"port": -1}, **{"block-storage": {"volumes": -1}},
        )  # fmt: skip


def _project(world: World, domains: list[str]) -> None:
    """A project right below its domain, or below another of the same domain; perhaps with nothing in it."""
    domain = world.one(domains)
    parents = [one.ref.id for one in world.of("project") if one.fields["domain_id"] == domain]
    world.add(
        "project",
        world.name("project", domain),
        domain_id=domain,
        parent_id=world.maybe(parents),
        description=world.one(("", "a shop")),
        enabled=world.oddly(True, False),
        tags=world.several(["a", "b"]),
    )


def _roles(world: World, domains: list[str]) -> None:
    """Roles of the cloud and of domains. One implies only those made before it, as the service demands."""
    for name in ("admin", "member", "reader"):
        world.add("role", world.keep(name, "role"), implies=[])
    for _ in world.some(0, 3):
        world.add(
            "role",
            world.one(("", "", "_")) + world.name("role"),
            domain_id=world.maybe(domains),
            implies=sorted(world.several(world.ids("role"))),
        )


def _actor(world: World, kind: str, domains: list[str], **fields: object) -> None:
    """A user or a group of the service itself, or one that is kept elsewhere and so is mapped."""
    domain = world.one(domains)
    foreign = world.one((False, False, True))
    world.add(
        kind,
        world.name(kind, domain),
        facts={"foreign": foreign},
        domain_id=domain,
        domain=next(one.name for one in world.of("domain") if one.ref.id == domain),
        **fields,
    )


def _assignment(world: World) -> None:
    """A role of a user or a group on a project or a domain."""
    actors = [*world.of("user"), *world.of("group")]
    if not actors:
        return
    actor = world.one(actors)
    target = world.one([*world.of("project"), *world.of("domain")])
    inherited = world.one((False, False, True))
    role = world.one(world.ids("role"))
    path = f"{target.ref.type}s/{target.ref.id}/{actor.ref.type}s/{actor.ref.id}/roles/{role}"
    identity = f"OS-INHERIT/{path}/inherited_to_projects" if inherited else path
    if identity in world.ids("role_assignment"):
        return
    on_project = target.ref.type == "project"
    world.add(
        "role_assignment",
        "a role",
        project=target.ref.id if on_project else None,
        identity=identity,
        role_id=role,
        user_id=actor.ref.id if actor.ref.type == "user" else None,
        group_id=actor.ref.id if actor.ref.type == "group" else None,
        domain_id=None if on_project else target.ref.id,
        inherited=inherited,
    )
