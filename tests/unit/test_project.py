"""What the project's own pages and CI call is there: targets, commands, checks."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from pumphouse.cli.app import Application

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "doc").rglob("*.rst"))]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))


def commands(path: Path) -> list[str]:
    """The lines of a page's code blocks that a person copies into a shell."""
    lines = (line.strip().removeprefix("$ ") for line in path.read_text().splitlines() if line[:1] == " ")
    return [line.removeprefix(".venv/bin/") for line in lines]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_says_to_make_is_a_target(path):
    text = "\n".join(line for line in commands(path) if line.startswith("make "))
    named = re.findall(r"^make ((?:[a-z-]+ ?)+)", text, re.MULTILINE)
    named += [
        " ".join(found) for found in re.findall(r"``?make ([a-z-]+)(?: ([a-z-]+))*``?", path.read_text())
    ]
    assert {word for words in named for word in words.split()} - TARGETS == set()


def test_the_readme_says_both_commands():
    assert {"make demo", "make test"} <= {line.partition("  ")[0] for line in commands(ROOT / "README.md")}
    assert {"demo", "test"} <= TARGETS


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_commands_of_a_page_can_be_given(path):
    app = Application()
    for line in commands(path):
        words = shlex.split(line) if line.startswith("pumphouse ") and "..." not in line else []
        if words and not words[1].startswith("-"):
            factory, name, rest = app.command_manager.find_command(words[1:])
            factory(app, None, cmd_name=name).get_parser(f"pumphouse {name}").parse_args(rest)


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """Make as a person runs it, also when the tests themselves were started by make."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", *words]
    return subprocess.run(
        command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=60, check=False
    )


def test_everything_is_installed_in_the_clone_in_the_versions_that_were_tested(tmp_path):
    planned = make("--dry-run", "venv", f"VENV={tmp_path / 'venv'}")
    assert planned.returncode == 0, planned.stderr
    installs = [line for line in planned.stdout.replace("\\\n", "").splitlines() if "pip install" in line]
    assert installs
    for line in installs:
        assert str(tmp_path / "venv") in line
        assert "--constraint constraints.txt" in line
        assert not re.search(r"\bsudo\b|--user|--upgrade", line)


@pytest.mark.parametrize(
    ("target", "does"),
    [
        ("demo", r"pumphouse demo"),
        ("test", r'pytest .*-m "not slow"'),
        ("test-slow", r"pytest .*-m slow"),
        ("lint", r"ruff check[\s\S]*ruff format --check[\s\S]*mypy[\s\S]*lint-imports[\s\S]*towncrier"),
        ("docs", r"sphinx-build -W "),
    ],
)
def test_each_target_sets_itself_up_and_does_its_work(tmp_path, target, does):
    planned = make("--dry-run", target, f"VENV={tmp_path / 'venv'}")
    assert planned.returncode == 0, planned.stderr
    install, work = planned.stdout.find("pip install"), re.search(does, planned.stdout)
    assert work
    assert 0 <= install < work.start()


def test_without_a_python_that_is_new_enough_it_says_so(tmp_path):
    ended = make("new-venv", "PYTHON=", f"VENV={tmp_path / 'venv'}")
    assert ended.returncode == 2
    assert "Pumphouse needs Python 3.11 or newer" in ended.stderr
    assert not (tmp_path / "venv").exists()


def test_ci_checks_style_and_types_runs_the_tests_and_builds_the_documentation():
    called = re.findall(r"^make ([a-z-]+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert called == ["venv", "lint", "test", "test-slow", "docs", "test-openstack"]
