"""Views of a migration's progress: bars, plain lines, JSON lines, or nothing."""

from __future__ import annotations

import argparse
import os
import sys
from enum import StrEnum
from typing import TextIO

from pumphouse.cli.progress.base import Progress
from pumphouse.cli.progress.tally import Tally
from pumphouse.events import Event

__all__ = ["Progress", "Style", "Tally", "add_option", "choose", "make"]


class Style(StrEnum):
    """How progress is shown."""

    AUTO = "auto"
    BARS = "bars"
    PLAIN = "plain"
    JSON = "json"
    NONE = "none"


class _Silence(Progress):
    def show(self, event: Event) -> None:
        pass

    def line(self, text: str) -> None:
        print(text, file=sys.stderr)


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--progress``."""
    parser.add_argument(
        "--progress",
        choices=[str(style) for style in Style],
        default=str(Style.AUTO),
        help="how to show progress: bars on a terminal, plain lines otherwise (auto), "
        "or the events as JSON lines",
    )


def choose(wanted: str, out: TextIO) -> Style:
    """The style for an output: ``auto`` becomes bars on a terminal that can move its cursor."""
    style = Style(wanted)
    if style is not Style.AUTO:
        return style
    capable = out.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}
    return Style.BARS if capable else Style.PLAIN


def make(style: Style, out: TextIO, tally: Tally) -> Progress:
    """A view in a style."""
    if style is Style.BARS:
        from pumphouse.cli.progress.bars import BarProgress

        return BarProgress(out, tally)
    if style is Style.JSON:
        from pumphouse.cli.progress.jsonlines import JsonProgress

        return JsonProgress(out, tally)
    if style is Style.NONE:
        return _Silence(out, tally)
    from pumphouse.cli.progress.plain import PlainProgress

    return PlainProgress(out, tally)
