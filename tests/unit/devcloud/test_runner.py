from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

import openstack
import psutil
import pytest

from pumphouse.devcloud import ADMIN_PASSWORD
from pumphouse.devcloud.client import Client


@pytest.fixture
def run(tmp_path):
    """Starts the runner; it is ended with the test."""
    started = []

    def start(*options: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "pumphouse.devcloud", "--directory", str(tmp_path / "clouds")]
        command += ["--clouds-yaml", str(tmp_path / "clouds.yaml"), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=10)


def test_two_clouds_run_until_they_are_told_to_stop(run, tmp_path, monkeypatch):
    process = run("--cloud", "source", "--cloud", "destination", "--timing", "build=0.1")
    said = json.loads(process.stdout.readline())
    assert sorted(said["clouds"]) == ["destination", "source"]
    assert int((tmp_path / "clouds" / "devcloud.pid").read_text()) == process.pid == said["pid"]
    assert stat.S_IMODE(Path(said["clouds_yaml"]).stat().st_mode) == 0o600
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", said["clouds_yaml"])
    for name in said["clouds"]:
        with openstack.connect(cloud=name) as conn:
            assert [one.name for one in conn.identity.projects()] == ["admin", "service"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert not (tmp_path / "clouds" / "devcloud.pid").exists()


def test_an_idle_runner_ends(run):
    process = run("--cloud", "only", "--idle-exit", "0.5")
    assert json.loads(process.stdout.readline())["clouds"]["only"]["auth_url"].startswith("http://127.0.0.1:")
    assert process.wait(10) == 0


def test_an_ordinary_request_costs_well_under_a_millisecond_of_cpu(run, tmp_path):
    """Of the cloud's process alone. The least of some rounds, for what else the machine does only adds."""
    process = run("--cloud", "only")
    url = json.loads(process.stdout.readline())["clouds"]["only"]["auth_url"].partition("/identity")[0]
    cloud = psutil.Process(process.pid)
    rounds = []
    with Client(url, username="admin", password=ADMIN_PASSWORD, project="admin") as admin:
        for _ in range(8):
            begin = sum(cloud.cpu_times()[:2])
            for _ in range(200):
                admin.get("compute", "/flavors")
            rounds.append((sum(cloud.cpu_times()[:2]) - begin) / 200)
    assert min(rounds) < 0.0007


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cloud", "a", "--fill", "b=x.yaml"], "no --cloud is named b"),
        (["--cloud", "a", "--timing", "lunch=1"], "unknown kind 'lunch'"),
        (["--cloud", "a", "--port", "a"], "not of the form name=value"),
    ],
)
def test_wrong_options_are_refused(run, options, message):
    _, errors = run(*options).communicate(timeout=30)
    assert message in errors
