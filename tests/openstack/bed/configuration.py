"""What the services of one cloud are configured with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import bus

Sections = dict[str, dict[str, object]]

REGION = "RegionOne"


@dataclass(frozen=True)
class Place:
    """Where a cloud lives, and how its services reach each other."""

    name: str
    address: str
    password: str
    newest: bool
    home: Path
    share: str
    libvirt: str
    database: Callable[[str], str]
    """The URL of a service's database."""

    @property
    def auth_url(self) -> str:
        """Keystone."""
        return f"http://{self.address}:5000/v3"

    @property
    def venv(self) -> Path:
        """The environment that the services are installed in."""
        return self.home.parent / "venv" / self.name

    def user(self, **more: object) -> dict[str, object]:
        """How a service logs in."""
        return {
            "auth_type": "password",
            "auth_url": self.auth_url,
            "username": "service",
            "password": self.password,
            "project_name": "service",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            "region_name": REGION,
            **more,
        }


def write(place: Place) -> None:
    """Write every service's file below ``home / "etc"``."""
    etc = place.home / "etc"
    etc.mkdir(parents=True, exist_ok=True)
    for name, sections in _files(place).items():
        (etc / f"{name}.conf").write_text(_ini(sections))
    (etc / "nfs_shares").write_text(f"{place.share}\n")


def _ini(sections: Mapping[str, Mapping[str, object]]) -> str:
    return "\n".join(
        "\n".join([f"[{name}]", *(f"{option} = {value}" for option, value in options.items()), ""])
        for name, options in sections.items()
    )


def _files(place: Place) -> dict[str, Sections]:
    nova = _nova(place)
    return {
        "keystone": _keystone(place),
        "placement": _placement(place),
        "glance-api": _glance(place),
        "nova": nova,
        "nova-compute": _compute(place, nova),
        "neutron": _neutron(place),
        "cinder": _cinder(place),
    }


def _bus(place: Place) -> dict[str, object]:
    return {
        "transport_url": f"rabbit://{bus.USER}:{place.password}@{bus.ADDRESS}:5672/{place.name}",
        "my_ip": place.address,
    }


def _database(place: Place, name: str) -> dict[str, object]:
    return {
        "connection": place.database(name),
        "connection_recycle_time": 280,
        "max_pool_size": 5,
        "max_overflow": 20,
    }


def _common(place: Place) -> Sections:
    """Checking tokens, locks, and telling nobody of what happens."""
    return {
        "keystone_authtoken": place.user(
            www_authenticate_uri=place.auth_url,
            service_token_roles="service",
            service_token_roles_required="true",
        ),
        "oslo_concurrency": {"lock_path": place.home / "state/locks"},
        "oslo_messaging_notifications": {"driver": "noop"},
    }


def _privsep(place: Place, name: str) -> dict[str, object]:
    helper = place.venv / "bin/privsep-helper"
    return {"helper_command": f"{helper} --config-file {place.home / 'etc' / name}.conf"}


def _keystone(place: Place) -> Sections:
    state = place.home / "state/keystone"
    return {
        "database": _database(place, "keystone"),
        # Every request to any service asks it about a token. It is one process, so its own memory will do.
        "cache": {"enabled": "true", "backend": "oslo_cache.dict"},
        "token": {"provider": "fernet"},
        "identity": {"password_hash_rounds": 5},  # the passwords are no secrets
        "fernet_tokens": {"key_repository": state / "fernet"},
        "credential": {"key_repository": state / "credential"},
    }


def _placement(place: Place) -> Sections:
    return {
        "api": {"auth_strategy": "keystone"},
        "placement_database": _database(place, "placement"),
        **_common(place),
    }


def _glance(place: Place) -> Sections:
    state = place.home / "state"
    paste = place.venv / "etc/glance/glance-api-paste.ini"
    return {
        "DEFAULT": {
            "bind_host": place.address,
            "workers": 0,
            "enabled_backends": "fs:file",
            "worker_self_reference_url": f"http://{place.address}:9292",
            "enabled_import_methods": "[glance-direct,web-download,copy-image]",
        },
        "database": _database(place, "glance"),
        "glance_store": {"default_backend": "fs"},
        "fs": {"filesystem_store_datadir": state / "images"},
        "os_glance_staging_store": {"filesystem_store_datadir": state / "staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": state / "tasks"},
        "paste_deploy": {"flavor": "keystone", "config_file": paste},
        **_common(place),
    }


def _nova(place: Place) -> Sections:
    unlimited = ("instances", "cores", "ram", "key_pairs", "server_groups", "metadata_items")
    return {
        "DEFAULT": {
            **_bus(place),
            "host": f"{place.name}-compute1",
            "state_path": place.home / "state/nova",
            "osapi_compute_listen": place.address,
            "osapi_compute_workers": 1,
            "enabled_apis": "osapi_compute",
            "resume_guests_state_on_host_boot": "true",
            "sync_power_state_interval": -1,
        },
        "api": {"auth_strategy": "keystone"},
        "wsgi": {"api_paste_config": place.venv / "etc/nova/api-paste.ini"},
        "api_database": _database(place, "nova_api"),
        "database": _database(place, "nova"),
        "quota": dict.fromkeys(unlimited, -1),
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 10},
        "glance": {"api_servers": f"http://{place.address}:9292"},
        "neutron": place.user(),
        "placement": place.user(),
        "cinder": place.user(os_region_name=REGION),
        "service_user": place.user(send_service_user_token="true"),
        "vnc": {"enabled": "false"},
        **_common(place),
    }


def _compute(place: Place, nova: Sections) -> Sections:
    """Nova's, for its compute service: that one must not know the databases, and it runs the guests."""
    without = {name: options for name, options in nova.items() if "database" not in name}
    guests = {
        "compute_driver": "pumphouse_bed.LibvirtDriver",
        "vif_plugging_is_fatal": "false",
        "vif_plugging_timeout": 0,
        "shutdown_timeout": 0,
        "initial_cpu_allocation_ratio": 500,
        "initial_ram_allocation_ratio": 100,
        "initial_disk_allocation_ratio": 1000,
        "reserved_host_memory_mb": 0,
    }
    return {
        **without,
        "DEFAULT": {**nova["DEFAULT"], **guests},
        "libvirt": {
            "virt_type": "qemu",
            "cpu_mode": "none",
            "connection_uri": place.libvirt,
            "inject_partition": -2,
            "hw_machine_type": "x86_64=pc",
            "device_detach_timeout": 5,
            "tb_cache_size": 32,
            "mem_stats_period_seconds": 0,
            "nfs_mount_point_base": place.home / "state/mnt",
        },
        "nova_sys_admin": _privsep(place, "nova-compute"),
        "privsep_osbrick": _privsep(place, "nova-compute"),
    }


def _neutron(place: Place) -> Sections:
    unlimited = ("network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule")
    return {
        "DEFAULT": {
            **_bus(place),
            "bind_host": place.address,
            "api_workers": 1,
            "rpc_workers": 0,
            "rpc_state_report_workers": 0,
            "core_plugin": "ml2",
            "service_plugins": "router,qos",
            "state_path": place.home / "state/neutron",
            "api_paste_config": place.venv / "etc/neutron/api-paste.ini",
            "auth_strategy": "keystone",
        },
        "database": _database(place, "neutron"),
        "nova": place.user(),
        "placement": place.user(),
        "quotas": {f"quota_{name}": -1 for name in unlimited},
        "ml2": {
            "type_drivers": "flat,vlan,vxlan",
            "tenant_network_types": "vxlan",
            "mechanism_drivers": "pumphouse_bed",
            "extension_drivers": "port_security,qos",
        },
        "ml2_type_flat": {"flat_networks": "public"},
        "ml2_type_vlan": {"network_vlan_ranges": "physnet1:100:199"},
        "ml2_type_vxlan": {"vni_ranges": "1:9999"},
        **_common(place),
    }


def _cinder(place: Place) -> Sections:
    state = place.home / "state"
    return {
        "DEFAULT": {
            **_bus(place),
            "host": f"{place.name}-volume1",
            "state_path": state / "cinder",
            "osapi_volume_listen": place.address,
            "osapi_volume_workers": 1,
            "api_paste_config": place.venv / "etc/cinder/api-paste.ini",
            "resource_query_filters_file": place.venv / "etc/cinder/resource_filters.json",
            "auth_strategy": "keystone",
            "enabled_backends": "nfs",
            "glance_api_servers": f"http://{place.address}:9292",
            "image_conversion_dir": state / "cinder/conversion",
            **{f"quota_{name}": -1 for name in ("volumes", "snapshots", "gigabytes")},
        },
        "nfs": {
            "volume_driver": "cinder.volume.drivers.nfs.NfsDriver",
            "volume_backend_name": "nfs",
            "nfs_shares_config": place.home / "etc/nfs_shares",
            "nfs_mount_point_base": state / "mnt",
            "nfs_snapshot_support": "true",
            "nas_secure_file_operations": "false",
            "nas_secure_file_permissions": "false",
        },
        "database": _database(place, "cinder"),
        "nova": place.user(),
        "service_user": place.user(send_service_user_token="true"),
        "coordination": {"backend_url": f"file://{state}/cinder"},
        "cinder_sys_admin": _privsep(place, "cinder"),
        "privsep_osbrick": _privsep(place, "cinder"),
        **_common(place),
    }
