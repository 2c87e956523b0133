"""The options and where they come from.

Nothing here is global. :func:`load` reads the files and returns a :class:`Config`, which is passed to what
needs it. ``Config()`` is the configuration without any file.

The file that ``$PUMPHOUSE_CONFIG_FILE`` names is read. Without it ``pumphouse.conf`` is looked for in the
working directory, in ``$XDG_CONFIG_HOME/pumphouse`` and in ``/etc/pumphouse``; the first one found is read.
An option may also be given in the environment, as ``OS_<GROUP>__<OPTION>``, which wins over the file
(oslo.config's rule).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from oslo_config import cfg

from pumphouse.errors import BadConfig
from pumphouse.model import DiskMode, Strategy
from pumphouse.options import option, options_of, values_of

CLOUD_GROUP: Final = "cloud:"
"""What the name of a cloud's own group begins with."""
CONFIG_FILE_VARIABLE: Final = "PUMPHOUSE_CONFIG_FILE"
"""The environment's variable that names the file."""


class Quiesce(StrEnum):
    """How a source server is brought to rest before it is moved."""

    SUSPEND = "suspend"
    STOP = "stop"


class Passwords(StrEnum):
    """What becomes of users' passwords."""

    KEEP = "keep"
    RANDOM = "random"
    NONE = "none"


class FloatingIPs(StrEnum):
    """What becomes of floating addresses."""

    KEEP = "keep"
    NEW = "new"
    SKIP = "skip"


def state_directory() -> Path:
    """Where an operator's own state is kept: ``$XDG_STATE_HOME/pumphouse``. It need not exist yet."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "pumphouse"


def _store_url() -> str:
    return f"sqlite:///{state_directory() / 'pumphouse.db'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where inventories, plans, migrations and their journals are kept."""

    url: str = option(
        _store_url,
        "The database, an SQLAlchemy URL: SQLite, PostgreSQL (extra 'postgresql') or MySQL (extra 'mysql'). "
        "A dollar sign in it is written twice.",
        sample="sqlite:///$$XDG_STATE_HOME/pumphouse/pumphouse.db",
        secret=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """How plans are carried out. Times are in seconds."""

    jobs: int = option(8, "How many steps run at the same time.", min=1, max=256)
    transfers: int = option(
        8, "How many images and disks of a migration are copied at the same time.", min=1, max=256
    )
    bandwidth: int = option(
        0,
        "How many bytes per second all copies of a migration may take together. 0 is no limit. With a limit "
        "all data pass through this process, also where the clouds could copy by themselves.",
        min=0,
    )
    poll_interval: float = option(2.0, "How often the state of what is awaited is read.", min=0.01)
    build_timeout: float = option(900.0, "How long a server may take to change its state.", min=1)
    move_timeout: float = option(
        7200.0, "How long a server may take to move to another host of its cloud.", min=1
    )
    volume_timeout: float = option(3600.0, "How long a volume or snapshot may take to be ready.", min=1)
    image_timeout: float = option(7200.0, "How long an image may take to be active.", min=1)
    delete_timeout: float = option(600.0, "How long a resource may take to be gone.", min=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clouds:
    """How the clouds are talked to. The limits hold for each service of each cloud. Times are in seconds."""

    requests_in_flight: int = option(16, "How many requests may be under way at the same time.", min=1)
    requests_per_second: float = option(50.0, "How many requests may start per second. 0 is no limit.", min=0)
    connect_timeout: float = option(10.0, "How long connecting may take.", min=0.1)
    read_timeout: float = option(
        120.0, "How long a service may be silent before the request is given up.", min=0.1
    )
    attempts: int = option(5, "How often a request is sent at most, where it is safe to repeat it.", min=1)
    first_wait: float = option(
        0.5, "The wait before the second attempt. It doubles each time; a random part is taken off.", min=0
    )
    longest_wait: float = option(
        60.0, "No wait before another attempt is longer, whatever a service's Retry-After says.", min=0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What a migration does where there is a choice."""

    quiesce: Quiesce = option(
        Quiesce.SUSPEND,
        "How a source server is brought to rest before it is moved.",
        choices={
            Quiesce.SUSPEND: "its memory is kept on the source, and it carries on there if the move fails",
            Quiesce.STOP: "it is shut down in order, and started again there if the move fails",
        },
    )
    disk_mode: DiskMode = option(
        DiskMode.IMAGE,
        "How a server's root disk gets to the destination. Servers that boot from a volume keep that.",
        choices={
            DiskMode.IMAGE: "made anew from the server's image: what was written to it since is lost",
            DiskMode.SNAPSHOT: "copied, as an image that is there for the time of the move",
            DiskMode.VOLUME: "copied into a new volume, from which the server boots",
            DiskMode.AUTO: "copied (snapshot), unless the server's metadata tell that it is disposable",
        },
    )
    passwords: Passwords = option(
        Passwords.KEEP,
        "What becomes of users' passwords.",
        choices={
            Passwords.KEEP: "kept, where both clouds' keystone_database is given; the plan says where not",
            Passwords.RANDOM: "replaced by random ones, written once to a file that only the operator reads",
            Passwords.NONE: "left out: each user needs a new one before the first login",
        },
    )
    floating_ips: FloatingIPs = option(
        FloatingIPs.KEEP,
        "What becomes of floating addresses.",
        choices={
            FloatingIPs.KEEP: "the same address, where it is free on the destination; else a new one",
            FloatingIPs.NEW: "a new address of the mapped external network",
            FloatingIPs.SKIP: "none",
        },
    )
    strategy: Strategy = option(
        Strategy.DEPENDENCIES,
        "Which meta-resources (all but servers and volumes) come along.",
        choices={
            Strategy.DEPENDENCIES: "what the selection needs, and what belongs to a selected tenant",
            Strategy.ALL: "all of the source's",
        },
    )


class Auth(StrEnum):
    """How the API knows who asks."""

    NONE = "none"
    TOKEN = "token"  # noqa: S105 -- the name of a way, not a token
    KEYSTONE = "keystone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The HTTP API, which ``pumphouse api`` serves."""

    listen: str = option(
        "127.0.0.1:8775", "Where it listens: HOST:PORT, [IPv6]:PORT, or unix:/path/to/socket."
    )
    auth: Auth = option(
        Auth.TOKEN,
        "How it knows who asks.",
        choices={
            Auth.NONE: "whoever reaches it may do everything; only on a loopback address or a unix socket",
            Auth.TOKEN: "whoever has the token of token_file may do everything",
            Auth.KEYSTONE: "users of Keystone, by the group [keystone_authtoken] and policy_file "
            "(extra 'keystone')",
        },
    )
    token_file: str = option(
        lambda: str(state_directory() / "api-token"),
        "The file with the token, which is made if it is not there. Only its owner may read it.",
        sample="$$XDG_STATE_HOME/pumphouse/api-token",
    )
    policy_file: str = option(
        "",
        "A file with rules of oslo.policy that differ from the defaults, for auth = keystone. If none is "
        "given, /etc/pumphouse/policy.yaml is read if it is there.",
    )
    hosts: tuple[str, ...] = option(
        (),
        "The names by which it may be called, such as pumphouse.example.org. A loopback address answers to "
        "its own besides; another one to all, if none are given.",
    )
    tls_certificate: str = option("", "A file with the certificate (PEM). With it, only TLS is spoken.")
    tls_key: str = option("", "The file with the certificate's key (PEM).")
    health_commands: tuple[str, ...] = option(
        (),
        "The programs, as absolute paths, that health checks of plans made over the API may run on this "
        "machine. Override files on the command line may name any.",
    )
    migrations: int = option(
        4, "How many migrations are carried out at the same time; others wait.", min=1, max=64
    )
    followers: int = option(
        256, "How many may follow events at the same time; each holds a thread.", min=1, max=4096
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """Where events are delivered to, by ``pumphouse api``."""

    urls: tuple[str, ...] = option((), "The URLs, separated by commas.", secret=True)
    secret: str = option("", "What deliveries are signed with, HMAC-SHA256. Needed with URLs.", secret=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """What clouds.yaml cannot say about one cloud. The group is named for the cloud: [cloud:NAME]."""

    keystone_database: str = option(
        "",
        "Keystone's database, an SQLAlchemy URL. It is read (on the source) and written (on the destination) "
        "to keep passwords. A dollar sign in it is written twice.",
        secret=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All options."""

    store: Store = field(default_factory=Store)
    engine: Engine = field(default_factory=Engine)
    clouds: Clouds = field(default_factory=Clouds)
    migration: Migration = field(default_factory=Migration)
    api: Api = field(default_factory=Api)
    webhooks: Webhooks = field(default_factory=Webhooks)
    cloud_groups: Mapping[str, Cloud] = field(default_factory=lambda: MappingProxyType({}))
    files: tuple[Path, ...] = field(default=(), compare=False)
    """Where it was read from."""

    def cloud(self, name: str) -> Cloud:
        """The options of one cloud. One without a group of its own has the defaults."""
        return self.cloud_groups.get(name, Cloud())


GROUPS: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {
        "store": Store,
        "engine": Engine,
        "clouds": Clouds,
        "migration": Migration,
        "api": Api,
        "webhooks": Webhooks,
    }
)


OTHERS: Final = frozenset({"keystone_authtoken", "oslo_policy"})
"""Groups in the same file that belong to libraries, which check them themselves."""


def load(files: Sequence[Path | str] | None = None) -> Config:
    """The configuration in the given files, later ones winning; None looks for one.

    Raises :class:`BadConfig` for a file that cannot be read, an unknown group or option, or a bad value.
    """
    paths = default_files() if files is None else [Path(path) for path in files]
    known = {**GROUPS, **dict.fromkeys(_cloud_groups(paths), Cloud)}
    options = cfg.ConfigOpts()
    for group, kind in known.items():
        options.register_opts(options_of(kind), group=group)
    try:
        options(
            [],
            project="pumphouse",
            default_config_files=[str(path) for path in paths],
            default_config_dirs=[],
        )
        values = {group: values_of(options, group, kind) for group, kind in known.items()}
    except cfg.Error as error:
        raise BadConfig(f"The configuration cannot be used: {error}") from error
    clouds = {
        group.removeprefix(CLOUD_GROUP): value for group, value in values.items() if group not in GROUPS
    }
    return Config(
        **{group: values[group] for group in GROUPS},
        cloud_groups=MappingProxyType(clouds),
        files=tuple(paths),
    )


def default_files() -> list[Path]:
    """The file that is read when none is named: the environment's, or the first of the known places'."""
    if named := os.environ.get(CONFIG_FILE_VARIABLE):
        return [Path(named)]
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    places = (Path.cwd(), home / "pumphouse", Path("/etc/pumphouse"))
    return [place / "pumphouse.conf" for place in places if (place / "pumphouse.conf").is_file()][:1]


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """What oslo.config's tools show: every group and its options."""
    shown = {**GROUPS, f"{CLOUD_GROUP}source": Cloud}
    return [(cfg.OptGroup(name, help=kind.__doc__), options_of(kind)) for name, kind in shown.items()]


def _cloud_groups(paths: Iterable[Path]) -> list[str]:
    """The clouds' groups in the files, which are also checked for names that nobody knows.

    oslo.config ignores those; a misspelt option would be a wish that silently does not come true.
    """
    found: dict[str, None] = {}
    for path in paths:
        sections: dict[str, dict[str, Any]] = {}
        try:
            cfg.ConfigParser(str(path), sections).parse()
        except (OSError, UnicodeDecodeError, cfg.ParseError) as error:
            raise BadConfig(f"The configuration file {path} cannot be read: {error}") from error
        for group, given in sections.items():
            _check_names(path, group, given)
            if _is_cloud(group):
                found[group] = None
    return list(found)


def _check_names(path: Path, group: str, given: Iterable[str]) -> None:
    if group in OTHERS:
        return
    if group not in GROUPS and group != "DEFAULT" and not _is_cloud(group):
        raise BadConfig(
            f"{path}: unknown group [{group}]", next_step=_choose([*GROUPS, f"{CLOUD_GROUP}NAME"])
        )
    kind = Cloud if _is_cloud(group) else GROUPS.get(group)
    names = [one.name for one in dataclasses.fields(kind)] if kind else []
    for name in given:
        if name not in names:
            raise BadConfig(f"{path}: unknown option {name} in [{group}]", next_step=_choose(names))


def _is_cloud(group: str) -> bool:
    return group.startswith(CLOUD_GROUP) and group != CLOUD_GROUP


def _choose(names: Iterable[str]) -> str:
    return f"Use one of: {', '.join(names)}." if names else "Put it into the group where it belongs."
