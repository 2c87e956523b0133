"""``python -m tenant CLOUD NAME``: make a tenant to try things with, or take it away again."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import openstack

sys.path.insert(0, str(Path(__file__).parents[2]))  # where pytest finds guest.py, too

from . import Site, fill, fill_with_everything, remove

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("cloud", help="a cloud of clouds.yaml")
parser.add_argument("name")
what = parser.add_mutually_exclusive_group()
what.add_argument("--small", action="store_true", help="not everything")
what.add_argument("--remove", action="store_true")
arguments = parser.parse_args()
keystone = os.environ.get(f"PUMPHOUSE_TEST_{arguments.cloud.upper()}_KEYSTONE")
site = Site(openstack.connect(cloud=arguments.cloud), arguments.name, keystone)
(remove if arguments.remove else fill if arguments.small else fill_with_everything)(site)
