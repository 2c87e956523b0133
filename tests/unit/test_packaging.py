"""What is installed: the same from a checkout and from a wheel, and in exact versions."""

import configparser
import re
import shutil
import subprocess
import sys
from importlib.metadata import entry_points, version
from importlib.resources import files
from pathlib import Path
from zipfile import ZipFile

import pytest

import pumphouse

ROOT = Path(__file__).parents[2]
SAMPLES = sorted(
    path.relative_to(ROOT / "etc" / "pumphouse").as_posix()
    for pattern in ("*.sample", "devcloud/*.yaml")
    for path in (ROOT / "etc" / "pumphouse").glob(pattern)
)


@pytest.fixture(scope="module")
def metadata():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg")
    return parser


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names in a wheel, built from a copy so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("wheel")
    for name in ("pumphouse", "etc"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    (made,) = (copy / "dist").iterdir()
    with ZipFile(made) as archive:
        return set(archive.namelist())


def test_the_version_is_the_metadata_s(metadata):
    assert pumphouse.__version__ == version("pumphouse") == metadata["metadata"]["version"]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_found_in_the_package(name):
    assert files("pumphouse").joinpath("samples", name).read_bytes()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_in_the_wheel(name, wheel):
    assert f"pumphouse/samples/{name}" in wheel


def test_every_module_and_data_file_is_in_the_wheel(wheel):
    tracked = subprocess.run(
        ["git", "ls-files", "pumphouse"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert sorted(set(tracked) - wheel - {"pumphouse/samples"}) == []


def test_installed_entry_points_are_those_declared(metadata):
    for group, declared in metadata["options.entry_points"].items():
        lines = [re.split(r"\s*=\s*", line, maxsplit=1) for line in declared.split("\n") if line.strip()]
        ours = (point for point in entry_points(group=group) if point.value.startswith("pumphouse."))
        assert {point.name: point.value for point in ours} == dict(lines), f"{group}: run make venv"


def test_constraints_name_exact_versions_and_nothing_else():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    odd = [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)]
    assert odd == []


def test_every_dependency_is_constrained(metadata):
    wanted = [metadata["options"]["install_requires"], *metadata["options.extras_require"].values()]
    names = {
        _normal(re.split(r"[\[<>=! ]", line, maxsplit=1)[0])
        for block in wanted
        for line in block.split("\n")
        if line.strip() and not line.startswith("%")
    }
    constrained = {
        _normal(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    assert sorted(names - constrained) == []


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()
