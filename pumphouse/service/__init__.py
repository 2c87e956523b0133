"""The use cases: the only door for the command line and the API."""

from pumphouse.service.app import Pumphouse

__all__ = ["Pumphouse"]
