"""The message bus that both clouds share, with a virtual host for each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from processes import Processes

ADDRESS = "127.0.0.1"
USER = "openstack"


class Bus:
    """One RabbitMQ, in a directory of its own."""

    def __init__(self, home: Path, *, hosts: Iterable[str], password: str) -> None:
        self._home = home
        self._hosts = list(hosts)
        self._password = password
        self.processes = Processes(home)

    def up(self) -> None:
        """Start it, unless it runs."""
        if self.processes.pid("rabbit"):
            return
        self._home.mkdir(parents=True, exist_ok=True)
        self._configure()
        env = {
            "HOME": str(self._home),
            "ERL_EPMD_ADDRESS": ADDRESS,
            "RABBITMQ_NODENAME": "pumphouse-bed@localhost",
            "RABBITMQ_CONFIG_FILE": str(self._home / "rabbitmq.conf"),
            "RABBITMQ_MNESIA_BASE": str(self._home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._home / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            # One scheduler that does not spin while it waits: two clouds share this machine.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} "
            "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
        self.processes.start("epmd", ["epmd", "-address", ADDRESS], env)
        self.processes.start("rabbit", ["/usr/lib/rabbitmq/bin/rabbitmq-server"], env)

    def down(self) -> None:
        """End it."""
        self.processes.stop(["rabbit"], seconds=20)
        self.processes.stop(["epmd"])

    def _configure(self) -> None:
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        definitions = {
            "users": [{"name": USER, "password": self._password, "tags": ["administrator"]}],
            "vhosts": [{"name": name} for name in self._hosts],
            "permissions": [{"user": USER, "vhost": name, **everything} for name in self._hosts],
        }
        (self._home / "definitions.json").write_text(json.dumps(definitions))
        (self._home / "enabled_plugins").write_text("[].\n")
        settings = {
            "listeners.tcp.1": f"{ADDRESS}:5672",
            "load_definitions": self._home / "definitions.json",
            "log.console": "true",
            "log.file": "false",
            "log.console.level": "warning",
            "vm_memory_high_watermark.absolute": "512MB",
            "disk_free_limit.absolute": "50MB",
        }
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        (self._home / "rabbitmq.conf").write_text("".join(lines))
