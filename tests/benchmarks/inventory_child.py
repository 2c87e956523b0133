"""Reads the cloud ``source`` in a process of its own, and prints what that took as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import Any

import openstack
import peak_memory
import requests

from pumphouse import config
from pumphouse.clouds import Cloud, Clouds, Settings
from pumphouse.inventory.collect import collect
from pumphouse.registry import Registry

SAMPLE = 2000
"""Objects of each kind that the SDK is asked for: all of them would take minutes."""


class Noting:
    """A cloud that notes what is asked of it."""

    def __init__(self, cloud: Cloud) -> None:
        self.asked: list[tuple[Any, ...]] = []
        get, self.cloud = cloud.get, cloud

        def noted(service: Any, path: str, *, params: Any = None, up_to: str | None = None) -> Any:
            self.asked.append((service, path, dict(params or {}), up_to))
            return get(service, path, params=params, up_to=up_to)

        cloud.get = noted  # type: ignore[method-assign]


def fetch_and_decode(cloud: Cloud, asked: list[tuple[Any, ...]]) -> float:
    """CPU seconds of fetching the same pages with requests, and decoding them."""
    headers = dict(cloud._sender.client(asked[0][0]).session.get_auth_headers())
    session = requests.Session()
    ready = [
        (f"{cloud.endpoint(service).rstrip('/')}{path}", params, version(cloud, service, up_to))
        for service, path, params, up_to in asked
    ]
    begin = time.process_time()
    for url, params, more in ready:
        session.get(url, params=params, headers=headers | more).json()
    return time.process_time() - begin


def version(cloud: Cloud, service: Any, up_to: str | None) -> dict[str, str]:
    names = {"compute": "compute", "block-storage": "volume"}
    if up_to is None or str(service) not in names:
        return {}
    return {"OpenStack-API-Version": f"{names[str(service)]} {cloud.microversion(service, up_to)}"}


def sdk_cost() -> float:
    """CPU microseconds per object of openstacksdk's own listings."""
    connection = openstack.connect(cloud="source")
    listings = (
        connection.compute.servers(all_projects=True, limit=1000),
        connection.network.ports(limit=1000),
        connection.block_storage.volumes(all_projects=True, limit=1000),
    )
    begin, number = time.process_time(), 0
    for listing in listings:
        for count, _ in enumerate(listing, 1):
            number += 1
            if count == SAMPLE:
                break
    return (time.process_time() - begin) / number * 1e6


def main() -> None:
    registry = Registry.load()
    settings = Settings(limits=config.Clouds(requests_per_second=0))
    cloud = Clouds(settings=settings).open("source")
    collect(cloud, registry, types=("domain", "project", "flavor"))
    noting = Noting(cloud)
    idle, begin = peak_memory.restart(), time.process_time()
    inventory = collect(cloud, registry)
    used = time.process_time() - begin
    above = peak_memory.peak() - idle
    number, asked = len(inventory), noting.asked
    paths = Counter(path for _, path, _, _ in asked)
    plain = fetch_and_decode(cloud, asked)
    json.dump(
        {
            "resources": number,
            "projects": len(inventory.of_type("project")),
            "requests": len(asked),
            "pages": sum(count for count in paths.values()) - sum("quota" in path for _, path, _, _ in asked),
            "microseconds": used / number * 1e6,
            "ratio": used / plain,
            "kilobytes": above / number * 2**20 / 1000,
            "sdk": sdk_cost() if "--sdk" in sys.argv else None,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
