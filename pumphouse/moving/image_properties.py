"""Which of an image's properties mean anything on another cloud."""

from __future__ import annotations

MARKER = "pumphouse_source"

_OWN_FIELDS = frozenset(
    {
        "id", "name", "owner", "visibility", "disk_format", "container_format", "min_disk", "min_ram",
        "protected", "os_hidden", "tags", "kernel_id", "ramdisk_id", "base_image_ref", MARKER,
    }
)  # fmt: skip
_SERVICES_OWN = frozenset(
    {
        "checksum", "size", "virtual_size", "status", "os_hash_algo", "os_hash_value", "direct_url",
        "locations", "stores", "self", "file", "schema", "created_at", "updated_at", "deleted", "deleted_at",
    }
)  # fmt: skip
OTHER_CLOUDS = {
    "instance_uuid": "names a server of the source",
    "owner_id": "names a project of the source; the owner is carried",
    "user_id": "names a user of the source",
    "boot_roles": "names roles of the source",
    "owner_user_name": "names a user of the source",
    "owner_project_name": "names a project of the source; the owner is carried",
    "img_signature": "names a certificate in the source's key manager",
    "img_signature_hash_method": "belongs to img_signature",
    "img_signature_key_type": "belongs to img_signature",
    "img_signature_certificate_uuid": "belongs to img_signature",
}
"""Custom properties that mean nothing on another cloud. Server snapshots have most of them."""
_NOT_CUSTOM = _OWN_FIELDS | _SERVICES_OWN | {*OTHER_CLOUDS, "members"}
_PREFIXES = ("os_glance_", "os_hash_", "owner_specified.openstack.")


def is_custom(name: str) -> bool:
    """Whether a key of an image's body is a custom property that is carried."""
    return name not in _NOT_CUSTOM and not name.startswith(_PREFIXES)
