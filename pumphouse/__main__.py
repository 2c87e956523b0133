"""``python -m pumphouse`` is the command line."""

from pumphouse.cli.main import main

raise SystemExit(main())
