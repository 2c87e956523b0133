"""The console script: runs the application and turns what happens into an exit status.

====  ========================================================================
0     succeeded, also where nothing was to be done
1     failed, cancelled or rolled back
2     bad usage or bad input; nothing was written to any cloud
3     partly done: some units failed, or the migration was paused by somebody else
4     blocked by the plan; nothing was written to any cloud
130   interrupted; a migration that ran is paused
141   nobody read the output to its end; a migration goes on and ends with a status of its own
====  ========================================================================
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import TextIO

from pumphouse.cli.app import Application
from pumphouse.cli.logs import masked
from pumphouse.cli.streams import drop
from pumphouse.errors import PumphouseError
from pumphouse.text import explain, one_line

INTERRUPTED = 130
NO_READER = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; its exit status. Raises SystemExit for help and bad usage, as argparse does."""
    for stream in (sys.stdout, sys.stderr):
        _never_fail_to_encode(stream)
    app = Application()
    try:
        status = app.run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:
        drop(sys.stdout)
        return NO_READER
    except KeyboardInterrupt:
        print("pumphouse: interrupted", file=sys.stderr)
        return INTERRUPTED
    except PumphouseError as error:
        return _report(app, error, explain(error), error.exit_status)
    except OSError as error:
        status = _report(app, error, one_line(error), 1)
        _end_output()
        return status
    except Exception as error:  # noqa: BLE001 - the last resort: one line for the operator, the rest on request
        what = f"unexpected {type(error).__name__}: {one_line(error)}"
        return _report(app, error, f"{what}. Run it again with --debug for the traceback, and report it.", 1)
    return status


def _report(app: Application, error: Exception, text: str, status: int) -> int:
    if app.debugging:
        print(masked("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    print(f"pumphouse: {masked(text)}", file=sys.stderr)
    return status


def _never_fail_to_encode(stream: TextIO) -> None:
    """A name that the terminal's encoding lacks is shown escaped."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _end_output() -> None:
    """What standard output cannot take, such as for a full disk, must not fail once more at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        drop(sys.stdout)
