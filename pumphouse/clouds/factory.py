"""clouds.yaml -> Cloud: found and read as every OpenStack tool does."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from keystoneauth1 import exceptions as ks
from openstack import exceptions as sdk
from openstack.config import OpenStackConfig
from openstack.config import loader as sdk_loader
from openstack.config.cloud_region import CloudRegion
from openstack.connection import Connection

from pumphouse import errors, yamlfile
from pumphouse.cloud_api import Service
from pumphouse.clouds.cloud import Cloud, Shared
from pumphouse.clouds.discovery import Session
from pumphouse.clouds.failures import clean
from pumphouse.clouds.http import Settings, http_session
from pumphouse.clouds.sender import Sender
from pumphouse.clouds.throttle import Limiter


class Clouds:
    """The clouds that the operator has.

    :param files: clouds.yaml files instead of those that every OpenStack tool looks for; the first that is
        there is read. ``OS_CLIENT_CONFIG_FILE`` comes before both.
    """

    def __init__(self, *, settings: Settings | None = None, files: Sequence[str] | None = None) -> None:
        self._settings = settings or Settings()
        self._files = list(files) if files is not None else None

    def names(self) -> list[str]:
        """The clouds' names, sorted."""
        with _config_errors("clouds.yaml"):
            return sorted(name for name in self._config(None).get_cloud_names() if name != "defaults")

    def open(self, name: str) -> Cloud:
        """A cloud with a valid token.

        Raises :class:`pumphouse.errors.UnknownCloud`, :class:`pumphouse.errors.BadConfig` or
        :class:`pumphouse.errors.CloudError`.
        """
        self.require(name)
        limits = self._settings.limits
        limiters = {
            service: Limiter(in_flight=limits.requests_in_flight, per_second=limits.requests_per_second)
            for service in Service
        }
        http = http_session(self._settings)
        with _config_errors(name):
            region = self._config(partial(Session, session=http), name).get_one(cloud=name)

        discovery = threading.RLock()

        def sender_for(project_id: str) -> Sender:
            scoped = _rescoped(region, project_id) if project_id else region
            return Sender(name, scoped, self._settings, limiters, discovery=discovery, project_id=project_id)

        shared = Shared(settings=self._settings, http=http, sender_for=sender_for)
        cloud = Cloud(name, sender_for(""), shared)
        with _missing_credentials(name):
            cloud.access()
        return cloud

    def require(self, name: str) -> None:
        """Raise UnknownCloud unless clouds.yaml has this cloud."""
        known = self.names()
        if name not in known:
            clouds, files = ", ".join(known) or "none", ", ".join(self._looked_at())
            raise errors.UnknownCloud(
                f"there is no cloud {name!r} in clouds.yaml",
                next_step=f"Known clouds: {clouds}. Looked at: {files}",
            )

    def _config(self, session_constructor: Any, name: str = "") -> OpenStackConfig:
        self._check_yaml(name)
        return OpenStackConfig(
            config_files=self._files, session_constructor=session_constructor, app_name="pumphouse"
        )

    def _looked_at(self) -> list[str]:
        """The files in which the SDK looks for clouds; the first that is there is read."""
        override = os.environ.get("OS_CLIENT_CONFIG_FILE")
        usual = [path for path in sdk_loader.CONFIG_FILES if path.endswith(".yaml")]
        return ([override] if override else []) + (usual if self._files is None else self._files)

    def _check_yaml(self, name: str) -> None:
        """Raise what is wrong with clouds.yaml, and with the entry of a cloud.

        The SDK passes over a file that is not YAML, and ends with an exception of Python's at an odd entry.
        """
        path = next((path for path in map(Path, self._looked_at()) if path.is_file()), None)
        if path is None:
            return
        data = yaml.safe_load(path.read_text())
        if not isinstance(data, dict) or not isinstance(data.get("clouds", {}), dict):
            raise errors.BadConfig(
                f"{path} has no mapping of clouds",
                next_step="Give it a key 'clouds' with one entry for each cloud.",
            )
        if name in data.get("clouds", {}):
            _check_entry(path, name, data["clouds"][name])


def _check_entry(path: Path, name: str, entry: Any) -> None:
    """Raise what is wrong with the form of a cloud's entry."""
    auth = entry.get("auth") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(auth, dict | None):
        raise errors.BadConfig(
            f"{path}: {'auth' if isinstance(entry, dict) else 'the entry'} is no mapping",
            cloud=name,
            next_step="Correct this cloud's entry in clouds.yaml.",
        )
    for key, value in (auth or {}).items():
        if not isinstance(value, str | None):
            raise errors.BadConfig(
                f"{path}: auth.{key} is not text", cloud=name, next_step="Put its value into quotes."
            )
        if key == "auth_url" and not str(value).startswith(("http://", "https://")):
            raise errors.BadConfig(
                f"{path}: auth.auth_url is no URL",
                cloud=name,
                next_step="Give it the identity service's, such as https://cloud.example:5000/v3.",
            )


def _rescoped(region: CloudRegion, project_id: str) -> CloudRegion:
    """The same entry of clouds.yaml with a token for another project; discovery is not done again."""
    with _config_errors(region.name):
        return Connection(config=region).connect_as(project_id=project_id).config


@contextmanager
def _missing_credentials(name: str) -> Iterator[None]:
    """A password that is not there: keystoneauth says so with a bare Exception."""
    try:
        yield
    except Exception as failure:
        if type(failure) is not Exception:
            raise
        raise errors.BadConfig(
            f"clouds.yaml: {failure}",
            cloud=name,
            next_step="Complete this cloud's auth section in clouds.yaml.",
        ) from failure


@contextmanager
def _config_errors(name: str) -> Iterator[None]:
    """What is wrong with clouds.yaml, as one clear line."""
    try:
        yield
    except yaml.YAMLError as failure:
        raise errors.BadConfig(
            f"clouds.yaml is not YAML: {yamlfile.explain(failure)}", next_step="Correct the file."
        ) from failure
    except (ks.ClientException, sdk.SDKException, OSError, UnicodeDecodeError) as failure:
        raise errors.BadConfig(
            f"clouds.yaml: {clean(str(failure))}",
            cloud=name,
            next_step="Correct this cloud's entry in clouds.yaml.",
        ) from failure
