"""The embedded clouds as processes: started, used, listed and stopped; and the demonstration on them."""

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path
from urllib.parse import urljoin

import psutil
import pytest
import requests
import yaml


@pytest.fixture
def directory(pumphouse, tmp_path):
    """A directory for clouds, which end with the test."""
    path = tmp_path / "it's a place"
    yield path
    pumphouse("devcloud", "stop", "--directory", str(path))


def in_shell(directory, command):
    """What an operator would copy: the env file, then the command."""
    return subprocess.run(
        ["sh", "-c", f". {shlex.quote(str(directory / 'env'))}; {command}"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_clouds_run_in_the_background_until_they_are_stopped(pumphouse, directory, tmp_path):
    (tmp_path / "little.yaml").write_text("flavors: [{name: tiny.one, ram: 64, vcpus: 1, disk: 0}]")
    started = pumphouse(
        "devcloud", "start", "east", "--fill", "east=little.yaml", "--directory", str(directory)
    )
    assert (started.returncode, started.stderr) == (0, "")

    listed = json.loads(pumphouse("devcloud", "status", "--directory", str(directory), "-f", "json").stdout)
    assert [row["Name"] for row in listed] == ["east"]
    process = psutil.Process(listed[0]["Process"])
    assert process.is_running()
    assert (directory / "clouds.yaml").stat().st_mode & 0o077 == 0
    assert (directory / "pumphouse.conf").stat().st_mode & 0o077 == 0

    flavors = in_shell(directory, "pumphouse inventory east --type flavor -f value -c Name")
    assert (flavors.stdout.split(), flavors.stderr) == (["tiny.one"], "")

    (tmp_path / "more.yaml").write_text("flavors: [{name: tiny.two, ram: 64, vcpus: 1, disk: 0}]")
    fill = ("devcloud", "fill", "--directory", str(directory), "east")
    assert pumphouse(*fill, "more.yaml").stdout == "Filled east.\n"
    refused = pumphouse(*fill, "more.yaml")
    assert refused.returncode == 2
    assert "tiny.two" in refused.stderr
    assert pumphouse(*fill, "missing.yaml").returncode == 2
    flavors = in_shell(directory, "pumphouse inventory east --type flavor -f value -c Name")
    assert flavors.stdout.split() == ["tiny.one", "tiny.two"]

    again = pumphouse("devcloud", "start", "--directory", str(directory))
    assert again.returncode == 2
    assert "already: east" in again.stderr

    assert pumphouse("devcloud", "stop", "--directory", str(directory)).stdout == "Stopped.\n"
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert "No clouds run" in pumphouse("devcloud", "stop", "--directory", str(directory)).stdout
    assert pumphouse("devcloud", "status", "--directory", str(directory)).returncode == 1


def test_clouds_end_when_nobody_asks_them_any_longer(pumphouse, directory):
    started = pumphouse("devcloud", "start", "--directory", str(directory), "--idle-exit", "1")
    assert started.returncode == 0, started
    pid = json.loads((directory / "devcloud.json").read_text())["pid"]
    psutil.Process(pid).wait(30)
    assert pumphouse("devcloud", "status", "--directory", str(directory)).returncode == 1


def test_clouds_in_the_foreground_run_until_ctrl_c(process, directory):
    words = (
        "devcloud",
        "start",
        "east",
        "--foreground",
        "--timing",
        "build=7",
        "--directory",
        str(directory),
    )
    with process(*words) as started:
        ready = json.loads(started.stdout.readline())
        assert list(ready["clouds"]) == ["east"]
        assert ready["pid"] == started.pid
        started.send_signal(signal.SIGINT)
        _, err = started.communicate(timeout=30)
    assert (started.returncode, err) == (0, "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--fill", "source"), "NAME=FILE"),
        (("--fill", "source=missing.yaml"), "missing.yaml"),
        (("--fill", "source=bad.yaml"), "bad.yaml is not YAML"),
        (("--fill", "source=odd.yaml"), "there is no section 'flavrs'; there are volume_types, flavors"),
        (("--fill", "source=refused.yaml"), "answered 400"),
        (("--idle-exit", "soon"), "soon"),
        (("--timing", "paint=1"), "paint"),
        (("--timing", "build=long"), "'long' is not a number of seconds"),
        (("--timing", "build=-1"), "'-1' is not a number of seconds"),
        (("../elsewhere",), "'../elsewhere' cannot be a cloud's name"),
    ],
)
def test_what_cannot_be_started_is_told(pumphouse, directory, words, told):
    Path("bad.yaml").write_text("flavors: [")
    Path("odd.yaml").write_text("flavrs: [{name: tiny, ram: 64, vcpus: 1, disk: 0}]")
    Path("refused.yaml").write_text("flavors: [{name: tiny, vcpus: 1, disk: 0}]")
    ended = pumphouse("devcloud", "start", "--directory", str(directory), *words)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert told in ended.stderr
    assert pumphouse("devcloud", "status", "--directory", str(directory)).returncode == 1


def test_a_directory_that_cannot_be_used_is_told(pumphouse):
    Path("letter").write_text("dear")
    for words in (("devcloud", "start"), ("demo",)):
        ended = pumphouse(*words, "--directory", "letter")
        assert ended.returncode == 2, ended
        assert ended.stderr.splitlines()[0].endswith("Name another --directory.")
        assert Path("letter").read_text() == "dear"


def test_a_process_that_has_got_the_number_since_is_not_stopped(pumphouse, directory):
    directory.mkdir()
    (directory / "devcloud.json").write_text(json.dumps({"pid": os.getpid(), "clouds": {}}))
    assert "No clouds run" in pumphouse("devcloud", "stop", "--directory", str(directory)).stdout


@pytest.mark.slow
def test_the_demo_shows_a_migration_and_what_to_try_next(pumphouse, process, directory):
    """And a second one starts afresh. What it says to copy does what it says."""
    quick = [
        word
        for kind in ("build", "suspend", "volume", "upload", "image")
        for word in ("--timing", f"{kind}=0.1")
    ]
    with process("demo", "--directory", str(directory), *quick) as demo:
        out, err = demo.communicate(timeout=110)
    assert (demo.returncode, err) == (0, "")
    for shown in (
        "web-1",
        "52 resources to work on",
        "server db-1: done in",
        ": verified",
        "keeps its password",
    ):
        assert shown in out
    source, destination = (
        re.search(rf"^{name}: (\S+)$", out, re.MULTILINE)[1] for name in ("source", "destination")
    )
    assert {
        cloud["auth"]["auth_url"]
        for cloud in yaml.safe_load((directory / "clouds.yaml").read_text())["clouds"].values()
    } == {
        source,
        destination,
    }
    commands = [
        line.strip()
        for line in out.partition("What to try next")[2].splitlines()
        if line.startswith("  pump")
    ]
    second, report, verify, rollback, graph, stop = commands
    assert "Nothing to do" in in_shell(directory, f"{second} --yes").stdout
    for command in (report, verify, graph):
        assert in_shell(directory, command).returncode == 0, command
    assert "was rolled back" in in_shell(directory, f"{rollback} --yes").stdout

    first = json.loads((directory / "devcloud.json").read_text())["pid"]
    assert in_shell(directory, stop).stdout == "Stopped.\n"
    assert not psutil.pid_exists(first)


@pytest.mark.slow
def test_the_demo_serves_the_dashboard_until_ctrl_c(process, directory):
    quick = [word for kind in ("build", "suspend", "volume") for word in ("--timing", f"{kind}=0.1")]
    with process("demo", "--serve", "--directory", str(directory), *quick) as demo:
        link = next(line for line in demo.stdout if line.startswith("Log in with "))
        clouds = json.loads((directory / "devcloud.json").read_text())["pid"]
        with requests.Session() as browser:
            page = browser.get(link.removeprefix("Log in with ").strip(), timeout=60)
            assert "tenant shop" in page.text
            shown = browser.get(urljoin(page.url, "/clouds"), timeout=60).text
            assert "nothing has changed since" in shown
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=100)
    assert demo.returncode == 0
    assert not psutil.pid_exists(clouds)


def test_the_demo_removes_nothing_that_is_not_its_own(pumphouse, tmp_path):
    (tmp_path / "letters").write_text("dear")
    ended = pumphouse("demo", "--directory", str(tmp_path))
    assert ended.returncode == 2
    assert "not empty" in ended.stderr
    assert Path("letters").read_text() == "dear"
