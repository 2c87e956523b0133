"""``python -m pumphouse.devcloud``: see runner.py."""

from pumphouse.devcloud.runner import main

raise SystemExit(main())
