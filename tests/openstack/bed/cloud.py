"""One real OpenStack cloud of plain processes on an address of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import configuration
import openstack
from database import Database
from openstack.connection import Connection
from processes import Processes, wait

HERE = Path(__file__).resolve().parent
PASSWORD = "secret"
PORTS = {
    "keystone": 5000,
    "glance": 9292,
    "nova": 8774,
    "placement": 8778,
    "neutron": 9696,
    "cinder": 8776,
}
CATALOGUE = (
    ("glance", "image", ""),
    ("nova", "compute", "/v2.1"),
    ("placement", "placement", ""),
    ("neutron", "network", ""),
    ("cinder", "block-storage", "/v3"),
    ("cinder", "volumev3", "/v3"),
)
DATABASES = ("keystone", "glance", "placement", "nova_api", "nova", "nova_cell0", "neutron", "cinder")
FLAVORS = (("m1.tiny", 1, 512, 1), ("m1.small", 1, 2048, 20), ("m1.medium", 2, 4096, 40))
WORKERS = ("nova-compute", "nova-conductor", "nova-scheduler", "cinder-scheduler", "cinder-volume")
STATE = (
    "images",
    "staging",
    "tasks",
    "volumes",
    "mnt",
    "nova/instances",
    "nova/locks",
    "neutron",
    "cinder/conversion",
    "keystone/fernet",
    "keystone/credential",
    "locks",
)
FILLED = ("images", "staging", "tasks", "volumes", "nova/instances")
"""What a tenant leaves below ``state``, besides the database."""


class Cloud:
    """All services of one cloud. ``home`` holds what it is; ``home / "pristine"`` what it was at first."""

    def __init__(self, name: str, root: Path, *, address: str, external: str, newest: bool) -> None:
        self.name = name
        self.home = root / name
        self.processes = Processes(self.home)
        self._external = external
        self._pristine = self.home / "pristine"
        self._database = Database(self.home, self.processes, address=address, password=PASSWORD)
        self._place = configuration.Place(
            name=name,
            address=address,
            password=PASSWORD,
            newest=newest,
            home=self.home,
            share=f"{address}:{self.home}/state/volumes",
            libvirt=f"qemu+unix:///system?socket={self.home}/libvirt/run/libvirt-sock",
            database=self._database.url,
        )

    # -- what it is asked for

    def up(self) -> None:
        """Start everything; the first time, make it."""
        if not self._made():
            self._make()
        self._prepare()
        self._start(self._commands())
        self._wait_healthy()

    def down(self) -> None:
        """End everything. What the cloud holds stays."""
        running = self.processes.running()
        self.processes.stop([name for name in running if name not in {"mariadb", "libvirtd"}], seconds=6)
        if "libvirtd" in running:
            self._end_guests("list")
            self.processes.stop(["libvirtd"])
        self._database.down()
        for point in (self.home / "state/mnt").glob("*"):
            while _mounted(point):  # Nova mounts the share once more for its volumes
                # The compute service may have unmounted it meanwhile, as the last of its guests ended.
                done = subprocess.run(["umount", point], check=False, capture_output=True, text=True)
                if done.returncode and _mounted(point):
                    raise SystemExit(done.stderr)

    def reset(self) -> None:
        """Back to what it was at first. The services stay up and see only a restart of their database."""
        if not (self._made() and set(self._commands()) <= set(self.processes.running())):
            self.up()
        self._end_guests("list", "--all")
        self.processes.stop(["keystone"])  # what it has cached
        self._database.down()
        shutil.rmtree(self._database.files)
        shutil.copytree(self._pristine / "mysql", self._database.files)
        for part in FILLED:
            for path in (self.home / "state" / part).iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._database.up(DATABASES)
        self._start(["keystone"])
        self._wait_healthy()

    def states(self) -> dict[str, int | None]:
        """The process of each service, or None for one that does not run."""
        return {name: self.processes.pid(name) for name in ("mariadb", *self._commands())}

    # -- making it

    def _made(self) -> bool:
        """Whether it is there, made as it would be made now."""
        stamp = self._pristine / "recipe"
        return stamp.exists() and stamp.read_text() == self._recipe()

    def _recipe(self) -> str:
        """What it is made of, in short."""
        made_by = [HERE / "cloud.py", HERE / "configuration.py", self._place.venv / ".installed"]
        return hashlib.sha256(b"".join(one.read_bytes() for one in made_by)).hexdigest()

    def _make(self) -> None:
        if self.home.exists():  # an earlier attempt broke off, or it was made otherwise
            self.down()
            shutil.rmtree(self.home)
        self._prepare()
        self._synchronise()
        self._start(["keystone"])
        wait(f"{self.name}: keystone", lambda: _answers(self._place.auth_url))
        self._seed_identity()
        self._start(self._commands())
        self._wait_healthy()
        self._seed_resources()
        self.down()
        for part in ("mysql", "state"):
            shutil.copytree(self.home / part, self.home / "new" / part, symlinks=True)
        (self.home / "new/recipe").write_text(self._recipe())
        (self.home / "new").rename(self._pristine)

    def _prepare(self) -> None:
        """Files, the share and the database: all that services find when they start."""
        for part in STATE:
            (self.home / "state" / part).mkdir(parents=True, exist_ok=True)
        configuration.write(self._place)
        # Nova's WSGI module wants it beside nova.conf.
        shutil.copy(self._place.venv / "etc/nova/api-paste.ini", self.home / "etc")
        self._mount_share()
        self._database.up(DATABASES)

    def _mount_share(self) -> None:
        """Cinder's NFS driver takes a share that is mounted already as it is: a bind mount stands for NFS."""
        digest = hashlib.md5(self._place.share.encode(), usedforsecurity=False).hexdigest()
        point = self.home / "state/mnt" / digest
        point.mkdir(exist_ok=True)
        if not _mounted(point):
            subprocess.run(["mount", "--bind", self.home / "state/volumes", point], check=True)

    def _synchronise(self) -> None:
        """Make every service's tables, and the administrator."""
        owner = ["--keystone-user", "root", "--keystone-group", "root"]
        kinds = ("public", "internal", "admin")
        urls = [word for kind in kinds for word in (f"--bootstrap-{kind}-url", self._place.auth_url)]
        region = ["--bootstrap-region-id", configuration.REGION]
        self._manage("keystone-manage", "keystone", "fernet_setup", *owner)
        self._manage("keystone-manage", "keystone", "credential_setup", *owner)
        self._manage("keystone-manage", "keystone", "db_sync")
        self._manage(
            "keystone-manage", "keystone", "bootstrap", "--bootstrap-password", PASSWORD, *region, *urls
        )
        self._manage("glance-manage", "glance-api", "db_sync")
        self._manage("placement-manage", "placement", "db", "sync")
        self._manage("nova-manage", "nova", "api_db", "sync")
        self._manage("nova-manage", "nova", "cell_v2", "map_cell0")
        self._manage("nova-manage", "nova", "cell_v2", "create_cell", "--name", "cell1")
        self._manage("nova-manage", "nova", "db", "sync")
        self._manage("neutron-db-manage", "neutron", "upgrade", "heads")
        self._manage("cinder-manage", "cinder", "db", "sync")

    def _manage(self, tool: str, configured: str, *words: str) -> None:
        bin_ = self._place.venv / "bin"
        conf = self.home / "etc" / f"{configured}.conf"
        log = self.processes.log("manage")
        with log.open("ab") as output:
            done = subprocess.run(
                [bin_ / "python", bin_ / tool, "--config-file", conf, *words],
                check=False,
                cwd=self.home,
                env={**os.environ, **self._environment()},
                stdout=output,
                stderr=output,
            )
        if done.returncode:
            raise SystemExit(f"{self.name}: {tool} {' '.join(words[:2])} failed: see {log}")

    def _seed_identity(self) -> None:
        identity = self._connection().identity
        project = identity.create_project(name="service", domain_id="default")
        user = identity.create_user(
            name="service", password=PASSWORD, domain_id="default", default_project_id=project.id
        )
        for name in ("admin", "service"):
            role = identity.find_role(name) or identity.create_role(name=name)
            identity.assign_project_role_to_user(project, user, role)
        for name, kind, path in CATALOGUE:
            service = identity.create_service(name=name, type=kind)
            for interface in ("public", "internal", "admin"):
                identity.create_endpoint(
                    service_id=service.id,
                    interface=interface,
                    region_id=configuration.REGION,
                    url=f"http://{self._place.address}:{PORTS[name]}{path}",
                )

    def _seed_resources(self) -> None:
        cloud = self._connection()
        for name, vcpus, ram, disk in FLAVORS:
            cloud.compute.create_flavor(name=name, vcpus=vcpus, ram=ram, disk=disk)
        # Asking for a project's security groups makes its default one. Else compute would make this one some
        # time, and it would look like something that a migration has left.
        service = cloud.identity.find_project("service")
        cloud.network.get(f"/security-groups?project_id={service.id}")
        public = cloud.network.create_network(
            name="public",
            is_router_external=True,
            provider_network_type="flat",
            provider_physical_network="public",
        )
        cloud.network.create_subnet(
            name="public", network_id=public.id, ip_version=4, cidr=self._external, is_dhcp_enabled=False
        )

    # -- running it

    def _commands(self) -> dict[str, list[object]]:
        """The command of each service, in the order in which they start."""
        libvirtd = uuid.uuid5(uuid.NAMESPACE_DNS, self.name)
        return {
            "libvirtd": ["unshare", "-m", HERE / "libvirtd.sh", self.home / "libvirt", libvirtd],
            **(self._newest_services() if self._place.newest else self._zed_services()),
            **{
                name: self._script(name, name if name == "nova-compute" else name.split("-")[0])
                for name in WORKERS
            },
        }

    def _newest_services(self) -> dict[str, list[object]]:
        """The newest release has WSGI modules alone."""
        cinder = ("--config-file", self.home / "etc/cinder.conf")
        return {
            "keystone": self._wsgi("keystone", "keystone.wsgi.api:application"),
            "placement": self._wsgi("placement", "placement.wsgi.api:application"),
            "glance": self._wsgi("glance", "glance.wsgi.api:application"),
            "neutron": self._wsgi("neutron", "neutron.wsgi.api:application"),
            "nova": self._wsgi("nova", "nova.wsgi.osapi_compute:application"),
            "cinder": self._wsgi("cinder", "cinder.wsgi.api:application", *cinder),
        }

    def _zed_services(self) -> dict[str, list[object]]:
        return {
            "keystone": self._wsgi("keystone", "keystone.server.wsgi:initialize_public_application()"),
            "placement": self._wsgi("placement", "placement.wsgi:init_application()"),
            "glance": self._script("glance-api", "glance-api"),
            "neutron": self._script("neutron-server", "neutron"),
            "nova": self._script("nova-api-os-compute", "nova"),
            "cinder": self._script("cinder-api", "cinder"),
        }

    def _wsgi(self, service: str, target: str, *words: object) -> list[object]:
        where = f"{self._place.address}:{PORTS[service]}"
        return [self._place.venv / "bin/python", HERE / "serve.py", where, target, *words]

    def _script(self, name: str, configured: str) -> list[object]:
        bin_ = self._place.venv / "bin"
        return [bin_ / "python", bin_ / name, "--config-file", self.home / "etc" / f"{configured}.conf"]

    def _environment(self) -> dict[str, str]:
        etc = str(self.home / "etc")
        services = ("KEYSTONE", "PLACEMENT", "GLANCE", "NOVA", "NEUTRON")
        return {
            "PATH": f"{HERE / 'bin'}:{self._place.venv / 'bin'}:{os.environ['PATH']}",
            **{f"OS_{service}_CONFIG_DIR": etc for service in services},
            "OS_NEUTRON_CONFIG_FILES": "neutron.conf",
        }

    def _start(self, names: object) -> None:
        for name, command in self._commands().items():
            if name in names:
                self.processes.start(name, command, self._environment())

    def _wait_healthy(self) -> None:
        for service, port in PORTS.items():
            url = f"http://{self._place.address}:{port}/"
            wait(f"{self.name}: {service}", lambda url=url: self._alive() and _answers(url))
        cloud = self._connection()
        # A service is up by its last heartbeat, so that one from before a restart counts for ten seconds.
        wait(f"{self.name}: the workers", lambda: self._alive() and self._workers_up(cloud))
        hosts = "select 1 from nova_api.host_mappings"
        wait(f"{self.name}: a compute host", lambda: self._database.sql(hosts).startswith("1"))

    def _workers_up(self, cloud: Connection) -> bool:
        services = [*cloud.compute.services(), *cloud.block_storage.services()]
        return set(WORKERS) <= {one.binary for one in services if one.state == "up"}

    def _alive(self) -> bool:
        ended = [name for name, pid in self.states().items() if pid is None]
        if ended:
            raise SystemExit(f"{self.name}: {', '.join(ended)} ended: see {self.processes.log(ended[0])}")
        return True

    def _connection(self) -> Connection:
        return openstack.connect(
            auth_url=self._place.auth_url,
            username="admin",
            password=PASSWORD,
            project_name="admin",
            user_domain_name="Default",
            project_domain_name="Default",
            region_name=configuration.REGION,
        )

    def _end_guests(self, *which: str) -> None:
        virsh = ["virsh", "--quiet", "--connect", self._place.libvirt]
        listed = subprocess.run([*virsh, *which, "--uuid"], text=True, check=True, capture_output=True)
        for guest in listed.stdout.split():
            for words in (["destroy", guest], ["undefine", guest, "--managed-save", "--nvram"]):
                # One that is off cannot be destroyed, one that is not defined cannot be undefined.
                subprocess.run([*virsh, *words], check=False, capture_output=True)


def _mounted(point: Path) -> bool:
    """Whether something is mounted there; os.path.ismount does not see bind mounts in one file system."""
    with Path("/proc/mounts").open() as mounts:
        return any(line.split()[1] == str(point) for line in mounts)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status < 500
    except urllib.error.HTTPError as error:
        return error.code < 500
