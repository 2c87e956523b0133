"""The use cases: the only door for the command line and the API."""

from pumphouse.engine.control import Control
from pumphouse.service.app import Pumphouse

__all__ = ["Control", "Pumphouse"]
