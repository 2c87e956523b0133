"""What a cloud and the operator's account on it can do, and what a migration would lose for lack of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.clouds.cloud import Cloud

# What a migration makes of a microversion or an extension, so that its lack can be told.
_NEEDS_VERSION = (
    (Service.COMPUTE, "2.3", "servers lose their user data"),
    (Service.COMPUTE, "2.10", "key pairs of other users cannot be moved"),
    (Service.COMPUTE, "2.19", "servers lose their description"),
    (Service.COMPUTE, "2.52", "servers cannot have tags from the start"),
    (Service.COMPUTE, "2.55", "flavors lose their description"),
    (Service.COMPUTE, "2.64", "server groups lose their rules"),
    (Service.COMPUTE, "2.79", "attached volumes lose delete_on_termination"),
    (Service.COMPUTE, "2.90", "servers lose a host name that differs from the name"),
    (Service.COMPUTE, "2.96", "a pinned availability zone cannot be told from a placed one"),
)
_NEEDS_EXTENSION = (
    ("standard-attr-tag", "network resources lose their tags, and a second run finds them by name only"),
    ("port-security", "ports without port security get it"),
    ("net-mtu-writable", "networks lose an MTU of their own"),
    ("address-scope", "subnet pools lose their address scope"),
    ("stateful-security-group", "stateless security groups become stateful"),
    ("allowed-address-pairs", "ports lose their allowed address pairs"),
    ("dns-integration", "ports lose their DNS name"),
    ("quota_details", "a quota below what is in use is found only when it is set"),
)
# A cheap request per service, which proves that the service answers with this token.
_PROBES = {
    Service.COMPUTE: ("/flavors", {"limit": 1}),
    Service.IMAGE: ("/images", {"limit": 1}),
    Service.NETWORK: ("/extensions", {}),
    Service.VOLUME: ("/volumes", {"limit": 1}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCheck:
    """One service. ``error`` says why it cannot be used; then the rest may be empty."""

    service: Service
    url: str = ""
    version: str = ""
    oldest_microversion: str = ""
    newest_microversion: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudCheck:
    """What was found about one cloud."""

    name: str
    region: str
    user_id: str
    project_id: str
    roles: tuple[str, ...]
    services: tuple[ServiceCheck, ...]
    extensions: tuple[str, ...]
    admin: bool
    """Whether the account may do what a migration needs: see all projects and all servers."""
    lists_all_projects: bool
    lists_all_servers: bool
    warnings: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether a migration can be tried at all."""
        return self.admin and not any(service.error for service in self.services)


def check(cloud: Cloud) -> CloudCheck:
    """Ask every service of the cloud. A service that fails is in the result; nothing is raised for it."""
    access = cloud.access()
    services = tuple(_service(cloud, service) for service in Service)
    broken = {found.service for found in services if found.error}
    extensions = () if Service.NETWORK in broken else tuple(sorted(cloud.extensions()))
    projects = _allowed(
        lambda: cloud.get(Service.IDENTITY, "/projects", params={"name": access.project_name})
    )
    servers = Service.COMPUTE not in broken and _allowed(
        lambda: cloud.get(Service.COMPUTE, "/servers", params={"all_tenants": 1, "limit": 1})
    )
    return CloudCheck(
        name=cloud.name,
        region=cloud.region,
        user_id=cloud.user_id,
        project_id=cloud.project_id,
        roles=tuple(sorted(access.role_names or ())),
        services=services,
        extensions=extensions,
        admin=projects and servers,
        lists_all_projects=projects,
        lists_all_servers=servers,
        warnings=tuple(_warnings(cloud, broken, frozenset(extensions), projects=projects, servers=servers)),
    )


def _service(cloud: Cloud, service: Service) -> ServiceCheck:
    url = version = oldest = newest = ""
    try:
        url = cloud.endpoint(service)
        version = cloud.version(service)
        found = cloud.versions(service)
        if found:
            oldest, newest = (".".join(map(str, each)) for each in found)
        if service in _PROBES:
            path, params = _PROBES[service]
            cloud.get(service, path, params=params)
    except errors.CloudError as failure:
        return ServiceCheck(service=service, url=url, version=version, error=str(failure))
    return ServiceCheck(
        service=service, url=url, version=version, oldest_microversion=oldest, newest_microversion=newest
    )


def _allowed(request: Callable[[], object]) -> bool:
    """Whether the account may do it; a service that is down allows nothing."""
    try:
        request()
    except errors.CloudError:
        return False
    return True


def _warnings(
    cloud: Cloud, broken: set[Service], extensions: frozenset[str], *, projects: bool, servers: bool
) -> Iterator[str]:
    if not projects:
        yield "the account may not list all projects: give it the admin role"
    if not servers:
        yield "the account may not list the servers of all projects: give it the admin role"
    for service, version, loss in _NEEDS_VERSION:
        if service not in broken and not cloud.supports(service, version):
            yield f"{service} is older than {version}: {loss}"
    if Service.NETWORK not in broken:
        for alias, loss in _NEEDS_EXTENSION:
            if alias not in extensions:
                yield f"network has no extension {alias}: {loss}"
