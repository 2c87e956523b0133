"""What the users of a tenant make: keys, networks, groups, images, volumes, servers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from pumphouse.devcloud.client import Client
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.description import BadDescription, Description

# The action that brings an active server into a state, and the status that tells it is there.
_STATES = {
    "suspended": ("suspend", "SUSPENDED"),
    "paused": ("pause", "PAUSED"),
    "stopped": ("os-stop", "SHUTOFF"),
    "shelved": ("shelve", "SHELVED_OFFLOADED"),
}


class TenantFiller:
    """Makes the contents of one tenant as its first user, who must be a member; keys as their own users."""

    def __init__(
        self,
        cloud: DevCloud,
        clients: Mapping[str, Client],
        tenant: Description,
        *,
        contents: Callable[[Description], bytes],
        network: Callable[[Client, Description], dict[str, Any]],
        image: Callable[[Client, Description], str],
    ) -> None:
        self._cloud = cloud
        self._clients = clients
        self._tenant = tenant
        self._contents = contents
        self._add_network = network
        self._add_image = image
        self._client = next(iter(clients.values()))
        self._servers: dict[str, str] = {}

    def run(self) -> None:
        """Everything, in the order of need."""
        for key in self._all("keypairs"):
            body = {name: value for name, value in key.items() if name != "user"}
            client = self._clients[key["user"]] if "user" in key else self._client
            client.post("compute", "/os-keypairs", {"keypair": body})
        for network in self._all("networks"):
            self._add_network(self._client, network)
        for router in self._all("routers"):
            self._router(router)
        self._groups()
        for image in self._all("images"):
            self._add_image(self._client, image)
        for group in self._all("server_groups"):
            self._client.post("compute", "/os-server-groups", {"server_group": group})
        for volume in self._all("volumes"):
            self._volume(volume)
        for server in self._all("servers"):
            self._server(server)
        for server in self._all("servers"):
            self._settle(server)

    def _all(self, kind: str) -> list[Description]:
        return list(self._tenant.get(kind) or [])

    def _find(self, service: str, collection: str, name: str, *, key: str = "") -> dict[str, Any]:
        """The one resource of a name; BadDescription when there is none."""
        rows = self._client.get(service, f"/{collection}?name={name}")[key or collection.replace("-", "_")]
        for row in rows:
            if row["name"] == name:
                found: dict[str, Any] = row
                return found
        raise BadDescription(f"there are no {collection} named {name}")

    # Network

    def _router(self, router: Description) -> None:
        body = {key: value for key, value in router.items() if key not in ("gateway", "interfaces", "routes")}
        if "gateway" in router:
            network = self._find("network", "networks", router["gateway"])
            body["external_gateway_info"] = {"network_id": network["id"]}
        made = self._client.post("network", "/routers", {"router": body})["router"]
        path = f"/routers/{made['id']}"
        for name in router.get("interfaces", []):
            subnet = self._find("network", "subnets", name)
            self._client.put("network", f"{path}/add_router_interface", {"subnet_id": subnet["id"]})
        if "routes" in router:
            self._client.put("network", path, {"router": {"routes": router["routes"]}})

    def _groups(self) -> None:
        """All groups first, then their rules: they may name each other."""
        for group in self._all("security_groups"):
            if group["name"] != "default":
                body = {key: value for key, value in group.items() if key != "rules"}
                self._client.post("network", "/security-groups", {"security_group": body})
        for group in self._all("security_groups"):
            group_id = self._find("network", "security-groups", group["name"])["id"]
            for rule in group.get("rules", []):
                body = {"security_group_id": group_id, "direction": "ingress", **rule}
                if "remote_group" in body:
                    remote = self._find("network", "security-groups", body.pop("remote_group"))
                    body["remote_group_id"] = remote["id"]
                self._client.post("network", "/security-group-rules", {"security_group_rule": body})

    # Storage

    def _volume(self, volume: Description) -> None:
        late = ("content", "image", "bootable", "image_metadata", "readonly")
        body = {key: value for key, value in volume.items() if key not in late}
        if "image" in volume:
            body["imageRef"] = self._find("image", "images", volume["image"])["id"]
        made = self._client.post("volume", "/volumes", {"volume": body})["volume"]
        path = f"/volumes/{made['id']}"
        self._client.wait("volume", path, lambda seen: seen["volume"]["status"] == "available")
        if "content" in volume:
            with self._cloud.files.path("volumes", made["id"]).open("r+b") as file:
                file.write(self._contents(volume["content"]))
        actions = {
            "os-set_bootable": ("bootable", {"bootable": volume.get("bootable")}),
            "os-set_image_metadata": ("image_metadata", {"metadata": volume.get("image_metadata")}),
            "os-update_readonly_flag": ("readonly", {"readonly": volume.get("readonly")}),
        }
        for action, (field, given) in actions.items():
            if field in volume:
                self._client.post("volume", f"{path}/action", {action: given})

    # Servers

    def _server(self, server: Description) -> None:
        """A server on ports made before it, so that addresses and groups are as described."""
        late = (
            "flavor",
            "image",
            "boot_volume",
            "ports",
            "volumes",
            "group",
            "user_data",
            "floating_ip",
            "state",
            "lock",
        )
        body: dict[str, Any] = {key: value for key, value in server.items() if key not in late}
        body["flavorRef"] = self._find("compute", "flavors", server["flavor"])["id"]
        body["networks"] = [{"port": self._port(server["name"], port)} for port in server["ports"]]
        body["imageRef"] = self._find("image", "images", server["image"])["id"] if "image" in server else ""
        if "boot_volume" in server:
            volume = self._find("volume", "volumes", server["boot_volume"])
            mapping = {
                "boot_index": 0,
                "uuid": volume["id"],
                "source_type": "volume",
                "destination_type": "volume",
            }
            body["block_device_mapping_v2"] = [mapping]
        if "user_data" in server:
            body["user_data"] = base64.b64encode(server["user_data"].encode()).decode()
        request: dict[str, Any] = {"server": body}
        if "group" in server:
            groups = self._client.get("compute", "/os-server-groups")["server_groups"]
            group_id = next(row["id"] for row in groups if row["name"] == server["group"])
            request["os:scheduler_hints"] = {"group": group_id}
        self._servers[server["name"]] = self._client.post("compute", "/servers", request)["server"]["id"]

    def _port(self, server: str, port: Description) -> str:
        body = {key: value for key, value in port.items() if key not in ("network", "address", "groups")}
        body.setdefault("name", f"{server}-{port['network']}")
        body["network_id"] = self._find("network", "networks", port["network"])["id"]
        if "address" in port:
            body["fixed_ips"] = [{"ip_address": port["address"]}]
        if "groups" in port:
            found = [self._find("network", "security-groups", name)["id"] for name in port["groups"]]
            body["security_groups"] = found
        port_id: str = self._client.post("network", "/ports", {"port": body})["port"]["id"]
        return port_id

    def _settle(self, server: Description) -> None:
        """Wait for the server, give it volumes and a floating IP, and bring it into its state."""
        server_id = self._servers[server["name"]]
        path = f"/servers/{server_id}"
        self._become(path, "ACTIVE")
        for name in server.get("volumes", []):
            volume = self._find("volume", "volumes", name)
            body = {"volumeAttachment": {"volumeId": volume["id"]}}
            self._client.post("compute", f"{path}/os-volume_attachments", body)
            in_use = lambda seen: seen["volume"]["status"] == "in-use"  # noqa: E731 - shorter than a function
            self._client.wait("volume", f"/volumes/{volume['id']}", in_use)
        if "floating_ip" in server:
            network = self._find("network", "networks", server["floating_ip"])
            port = self._client.get("network", f"/ports?device_id={server_id}")["ports"][0]
            body = {"floating_network_id": network["id"], "port_id": port["id"]}
            self._client.post("network", "/floatingips", {"floatingip": body})
        if "state" in server:
            action, status = _STATES[server["state"]]
            self._client.post("compute", f"{path}/action", {action: None})
            self._become(path, status)
        if "lock" in server:
            self._client.post("compute", f"{path}/action", {"lock": {"locked_reason": server["lock"]}})

    def _become(self, path: str, status: str) -> None:
        def done(seen: Any) -> bool:
            if seen["server"]["status"] == "ERROR":
                raise RuntimeError(f"{path} is in ERROR: {seen['server'].get('fault')}")
            return bool(seen["server"]["status"] == status)

        self._client.wait("compute", path, done)
