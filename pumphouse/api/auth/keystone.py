"""Users of Keystone: keystonemiddleware checks their tokens, oslo.policy says what they may do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flask import Flask, request
from oslo_config import cfg

from pumphouse.api.auth import User
from pumphouse.errors import BadConfig

GROUP = "keystone_authtoken"


class KeystoneLogin:
    """Knows users by what keystonemiddleware has found out about their token."""

    def user(self) -> User | None:
        """The token's user."""
        if request.headers.get("X-Identity-Status") != "Confirmed":
            return None
        headers = request.headers
        return User(
            name=headers.get("X-User-Name", headers.get("X-User-Id", "")),
            id=headers.get("X-User-Id", ""),
            project_id=headers.get("X-Project-Id", ""),
            roles=frozenset(filter(None, headers.get("X-Roles", "").split(","))),
        )


class KeystonePolicy:
    """oslo.policy, with the rules of a file where it has some.

    :param policy_file: rules that differ from the defaults; empty for ``policy.yaml`` in the places where
        oslo.policy looks, such as ``/etc/pumphouse``, if it is there.
    """

    def __init__(self, policy_file: str) -> None:
        from oslo_policy.policy import Enforcer

        from pumphouse.api.auth.policy import PREFIX, list_rules

        path = Path(policy_file).expanduser().absolute() if policy_file else None
        if path is not None and not path.is_file():
            raise BadConfig(f"there is no policy file {path}")
        self._prefix = PREFIX
        self._enforcer = Enforcer(_options([]), policy_file=str(path) if path else None)
        self._enforcer.register_defaults(list_rules())
        self._enforcer.load_rules()

    def allows(self, user: User, rule: str) -> bool:
        """Whether the policy says so."""
        credentials = {
            "user_id": user.id,
            "project_id": user.project_id,
            "roles": sorted(user.roles),
        }
        return bool(self._enforcer.enforce(f"{self._prefix}{rule}", {}, credentials))


def guard(app: Flask, files: Sequence[Path]) -> None:
    """Let keystonemiddleware look at each request before the application does.

    :param files: where its options are, in the group ``keystone_authtoken``.
    """
    from keystonemiddleware.auth_token import AuthProtocol

    options = {"oslo_config_config": _options(files), "delay_auth_decision": True}
    app.wsgi_app = AuthProtocol(app.wsgi_app, options)  # type: ignore[method-assign]  # as Flask documents it


def _options(files: Sequence[Path]) -> cfg.ConfigOpts:
    options: Any = cfg.ConfigOpts()
    options(
        [], project="pumphouse", default_config_files=[str(path) for path in files], default_config_dirs=[]
    )
    found: cfg.ConfigOpts = options
    return found
