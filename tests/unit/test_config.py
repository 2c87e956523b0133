"""The options: where they come from, and that a wrong one is told."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pumphouse import config
from pumphouse.errors import BadConfig

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "etc" / "pumphouse" / "pumphouse.conf.sample"


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """A function that writes pumphouse.conf into an empty working directory and loads what is found there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(config.CONFIG_FILE_VARIABLE, raising=False)

    def load(text):
        (tmp_path / "pumphouse.conf").write_text(text)
        return config.load()

    return load


def test_without_a_file_all_options_have_their_defaults():
    assert config.load([]) == config.Config()


def test_a_file_sets_options_of_their_declared_types(conf):
    loaded = conf("[engine]\njobs = 3\npoll_interval = 1\n[migration]\nquiesce = stop\n")

    assert loaded.engine == config.Engine(jobs=3, poll_interval=1.0)
    assert isinstance(loaded.engine.poll_interval, float)
    assert loaded.migration.quiesce is config.Quiesce.STOP


def test_later_files_win(tmp_path):
    (tmp_path / "one.conf").write_text("[engine]\njobs = 3\npoll_interval = 5\n")
    (tmp_path / "two.conf").write_text("[engine]\njobs = 4\n")

    loaded = config.load([tmp_path / "one.conf", tmp_path / "two.conf"])

    assert (loaded.engine.jobs, loaded.engine.poll_interval) == (4, 5)


def test_the_working_directory_comes_before_the_home_directory(conf, tmp_path):
    home = tmp_path / "config" / "pumphouse"
    home.mkdir(parents=True)
    (home / "pumphouse.conf").write_text("[engine]\njobs = 7\n")
    assert config.load().engine.jobs == 7

    assert conf("[engine]\njobs = 3\n").engine.jobs == 3


def test_the_environment_names_the_file_before_any_place_is_looked_at(conf, tmp_path, monkeypatch):
    (tmp_path / "other.conf").write_text("[engine]\njobs = 7\n")
    monkeypatch.setenv(config.CONFIG_FILE_VARIABLE, str(tmp_path / "other.conf"))
    assert conf("[engine]\njobs = 3\n").engine.jobs == 7

    monkeypatch.setenv(config.CONFIG_FILE_VARIABLE, str(tmp_path / "missing.conf"))
    with pytest.raises(BadConfig, match=r"missing\.conf"):
        config.load()


def test_the_environment_wins_over_the_file(conf, monkeypatch):
    monkeypatch.setenv("OS_ENGINE__JOBS", "9")
    assert conf("[engine]\njobs = 3\n").engine.jobs == 9


def test_the_store_is_in_the_state_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "with $dollar"))
    assert config.load([]).store.url == f"sqlite:///{tmp_path}/with $dollar/pumphouse/pumphouse.db"


@pytest.mark.parametrize("name", ["source", "West 2", "ünïcode", "a:b"])
def test_a_cloud_has_a_group_of_its_own(conf, name):
    loaded = conf(f"[cloud:{name}]\nkeystone_database = mysql://k:pa$$s@db/keystone\n")

    assert loaded.cloud(name).keystone_database == "mysql://k:pa$s@db/keystone"
    assert loaded.cloud("another") == config.Cloud()


def test_secrets_are_not_shown(conf):
    loaded = conf("[store]\nurl = mysql://u:hidden@db/p\n[cloud:a]\nkeystone_database = sqlite:///hidden\n")
    assert "hidden" not in repr(loaded)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[engine]\njobs = many\n", "jobs"),
        ("[engine]\njobs = 0\n", "jobs"),
        ("[migration]\nquiesce = explode\n", "quiesce"),
        ("[engine]\njbos = 3\n", "unknown option jbos"),
        ("[engines]\njobs = 3\n", "unknown group"),
        ("[cloud:]\nkeystone_database = x\n", "unknown group"),
        ("[cloud:a]\nkeystone = x\n", "unknown option keystone"),
        ("[DEFAULT]\njobs = 3\n", "unknown option jobs"),
        ("jobs = 3\n", "cannot be read"),
        ("[engine\njobs = 3\n", "cannot be read"),
        ("[store]\nurl = $nowhere\n", "nowhere"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(conf, text, told):
    with pytest.raises(BadConfig, match=told):
        conf(text)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_an_unreadable_file_is_refused(tmp_path, content):
    path = tmp_path / "some.conf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadConfig, match=r"some\.conf"):
        config.load([path])


def test_options_cannot_be_changed_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.Config().engine.jobs = 1


@pytest.mark.parametrize("kind", [*config.GROUPS.values(), config.Cloud])
def test_every_option_is_read_somewhere(kind):
    code = [path.read_text() for path in (ROOT / "pumphouse").rglob("*.py") if path.name != "config.py"]
    for option in dataclasses.fields(kind):
        assert any(re.search(rf"\.{option.name}\b", text) for text in code), f"nothing reads {option.name}"


def test_the_sample_is_current(tmp_path):
    made = tmp_path / "made.sample"
    subprocess.run(
        [
            Path(sys.executable).parent / "oslo-config-generator",
            *("--config-file", "etc/pumphouse/config-generator.conf", "--output-file", made),
        ],
        cwd=ROOT,
        check=True,
    )
    assert made.read_text() == SAMPLE.read_text(), "run: make config-sample"


def test_the_sample_can_be_used_with_every_option_on(tmp_path, monkeypatch):
    lines = [
        line.removeprefix("#") if line.startswith("#") and not line.startswith("# ") and "=" in line else line
        for line in SAMPLE.read_text().splitlines()
    ]
    path = tmp_path / "pumphouse.conf"
    path.write_text("\n".join(lines).replace("$$XDG_STATE_HOME", "/state"))
    monkeypatch.setenv("XDG_STATE_HOME", "/state")

    loaded = config.load([path])

    assert dataclasses.replace(loaded, cloud_groups={}) == dataclasses.replace(
        config.Config(), cloud_groups={}
    )
    assert loaded.cloud("source") == config.Cloud()
