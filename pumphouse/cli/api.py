"""``pumphouse api``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pumphouse.cli.command import Command

if TYPE_CHECKING:
    from pumphouse.config import Config


def serve(config: Config, *, say: Callable[[str], None], secrets: bool) -> None:
    """Serve until a signal ends this process. See :func:`pumphouse.api.run.serve`."""
    from pumphouse.api import run

    run.serve(config, say=say, secrets=secrets)


class Api(Command):
    """Serve the HTTP API.

    Runs until Ctrl-C or SIGTERM, which pause in order what is under way; the next start goes on with it.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--listen",
            metavar="ADDRESS",
            help="HOST:PORT, or unix:/path/to/socket (default: as configured)",
        )
        parser.add_argument(
            "--auth",
            choices=["none", "token", "keystone"],
            help="how it knows who asks (default: as configured)",
        )
        parser.add_argument(
            "--tls-certificate",
            metavar="FILE",
            help="speak TLS with the certificate (PEM) in this file (default: as configured)",
        )
        parser.add_argument(
            "--tls-key",
            metavar="FILE",
            help="the certificate's key (PEM), if it is in a file of its own (default: as configured)",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Serve."""
        from pumphouse.config import Auth

        config = self.app.config()
        given = {
            "listen": parsed_args.listen,
            "auth": parsed_args.auth and Auth(parsed_args.auth),
            "tls_certificate": parsed_args.tls_certificate,
            "tls_key": parsed_args.tls_key,
        }
        config = replace(config, api=replace(config.api, **{name: one for name, one in given.items() if one}))
        serve(config, say=self._say_at_once, secrets=self.app.stdout.isatty())
        return 0

    def _say_at_once(self, text: str) -> None:
        self.say(text)
        self.app.stdout.flush()
