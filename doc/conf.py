"""How Sphinx builds the documentation. A warning is an error (see the Makefile)."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Pumphouse"
author = "The Pumphouse maintainers"
version = release = installed("pumphouse")
extensions = [
    "cliff.sphinxext",
    "oslo_config.sphinxext",
    "pumphouse_tables",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
nitpicky = True
html_theme = "furo"
html_title = "Pumphouse"
copybutton_prompt_text = "$ "
# A command is copied without what it prints.
copybutton_only_copy_prompt_lines = True

# What every listing takes is said once, at the head of the page.
autoprogram_cliff_ignored = [
    "--help",
    "--column",
    "--fit-width",
    "--format",
    "--max-width",
    "--noindent",
    "--prefix",
    "--print-empty",
    "--quote",
    "--sort-ascending",
    "--sort-column",
    "--sort-descending",
    "--variable",
]
