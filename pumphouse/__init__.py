"""Pumphouse moves tenants and their workloads from one OpenStack cloud to another."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("pumphouse")
