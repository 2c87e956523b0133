"""Bad usage and bad input: one clear line on standard error, exit status 2, and never a traceback."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pumphouse.cli.main import main

COMMANDS = sorted(
    entry.name.replace("_", " ") for entry in importlib.metadata.entry_points(group="pumphouse.cli")
)


@pytest.fixture
def clouds_yaml(tmp_path, monkeypatch):
    path = tmp_path / "operators.yaml"
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    return path


def complains(ended, *words, status=2):
    assert ended.returncode == status, ended
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith("pumphouse")
    for word in words:
        assert word in ended.stderr


def test_help_lists_every_command(pumphouse):
    ended = pumphouse("--help")
    assert ended.returncode == 0
    assert ended.stderr == ""
    for command in COMMANDS:
        assert f"  {command} " in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 88


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(pumphouse, command):
    ended = pumphouse(*command.split(), "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"usage: pumphouse {command}" in ended.stdout


def test_version(pumphouse):
    ended = pumphouse("--version")
    assert ended.stdout.strip() == f"pumphouse {importlib.metadata.version('pumphouse')}"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "no command given"),
        (("migrat",), "migrate"),
        (("migration",), "migration list"),
        (("migration", "paint"), "migration list"),
        (("qwertyuiop",), "'qwertyuiop'"),
        (("migrate", "planet", "x", "--yes"), "invalid choice"),
        (("migrate", "--yes"), "--plan"),
        (("migrate", "tenant", "--yes"), "--plan"),
        (("migrate", "tenant", "", "--yes"), "must not be empty"),
        (("migrate", "tenant", "x"), "--yes"),
        (("migrate", "tenant", "x", "--yes", "--jobs", "0"), "1 to 256"),
        (("migrate", "tenant", "x", "--yes", "--plan", "p.json"), "leave out KIND and NAME"),
        (("migrate", "--plan", "missing.json", "--yes"), "missing.json"),
        (("migrate", "--plan", "two\nlines.json", "--yes"), "two lines.json"),
        (("migrate", "--plan", "p.json", "--yes", "--source", "x"), "leave out --source"),
        (("migrate", "--plan", "p.json", "--yes", "--destination", "x"), "leave out --destination"),
        (("migrate", "--plan", "p.json", "--yes", "--with", "all"), "leave out --with"),
        (("migrate", "--plan", "p.json", "--yes", "--override", "x"), "leave out --override"),
        (("migrate", "--yes", "tenant", "x", "--paint"), "--paint"),
        (("plan", "tenant"), "NAME"),
        (("plan", "tenant", "x", "-o", "nowhere/plan.json"), "nowhere"),
        (("plan", "tenant", "x", "--dot", "--mermaid"), "not allowed with"),
        (("inventory",), "CLOUD"),
        (("migration", "show", "m-nothing"), "m-nothing"),
        (("migration", "list", "--state", "happy"), "happy"),
        (("migration", "list", "--limit", "many"), "many"),
        (("--config-file", "missing.conf", "migration", "list"), "missing.conf"),
        (("--log-file", "nowhere/log", "migration", "list"), "nowhere/log"),
        (("migration", "rollback", "last"), "--yes"),
        (("help", "qwertyuiop"), "qwertyuiop"),
        (("--paint",), "there is no option '--paint'"),
        (("-x", "migration", "list"), "there is no option '-x'"),
        (("complete", "--shell", "fish"), "'fish'"),
    ],
)
def test_bad_usage(pumphouse, words, told):
    complains(pumphouse(*words), told)


def test_clouds_are_found_as_every_openstack_tool_finds_them(process, tmp_path):
    (tmp_path / "clouds.yaml").write_text("clouds: {east: {}, west: {}}")
    with process("cloud", "list", "-f", "value") as ended:
        assert ended.stdout.read().split() == ["east", "west"]


def test_an_unknown_cloud_names_those_there_are(pumphouse, clouds_yaml):
    clouds_yaml.write_text("clouds: {east: {}, west: {}}")
    complains(pumphouse("inventory", "north"), "'north'", "east, west")
    complains(pumphouse("migrate", "tenant", "x", "--yes"), "'source'", "east, west")


def test_source_and_destination_must_differ(pumphouse):
    complains(pumphouse("plan", "tenant", "x", "--source", "a", "--destination", "a"), "'a'")


def test_damaged_files(pumphouse, tmp_path, clouds_yaml):
    (tmp_path / "plan.json").write_text('{"format": "pumphouse-plan"')
    complains(pumphouse("migrate", "--plan", "plan.json", "--yes"), "plan.json is damaged")
    clouds_yaml.write_text("clouds: [")
    complains(pumphouse("cloud", "list"), "clouds.yaml")
    (tmp_path / "over.yaml").write_text("paint: {a: b}")
    complains(pumphouse("plan", "tenant", "x", "--override", "over.yaml"), "unknown keys: paint")


def test_debug_shows_the_traceback_too(pumphouse):
    ended = pumphouse("--debug", "migration", "show", "m-nothing")
    assert ended.returncode == 2
    assert "Traceback" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("pumphouse: there is no migration")


@pytest.mark.parametrize("words", [("resource", "types"), ("migration", "list", "-f", "json")])
def test_a_reader_that_leaves_early_hears_no_complaint(process, words):
    """Whether what is said fits into the buffer or not."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nobody, process(*words, stdout=nobody) as ended:
        assert ended.stderr.read() == ""
    assert ended.returncode == 141


def test_a_full_disk_is_told(process):
    with (
        Path("/dev/full").open("w") as full,
        process("migration", "list", "-f", "json", stdout=full) as ended,
    ):
        assert ended.stderr.read().splitlines() == ["pumphouse: [Errno 28] No space left on device"]
    assert ended.returncode == 1


def test_it_is_a_module_and_a_console_script(process):
    with process("--version") as ended:
        assert ended.stdout.read().startswith("pumphouse ")
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="pumphouse")
    assert script.load() is main


@pytest.mark.parametrize(
    ("form", "shown"),
    [("json", "[]"), ("yaml", "[]"), ("csv", '"ID"'), ("table", ""), ("value", "")],
)
def test_an_empty_listing_in_each_format(pumphouse, form, shown):
    ended = pumphouse("migration", "list", "-f", form)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.strip().startswith(shown)


def test_an_unknown_column_is_told(pumphouse):
    complains(pumphouse("migration", "list", "-c", "Colour"), "Colour", "State")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("mig", "migrate migrate_wave migration"),
        ("migration r", "report resume retry rollback"),
        ("migrate --de", "--destination"),
        ("devcloud ", "fill start status stop"),
        ("plan tenant --over", "--override"),
    ],
)
def test_a_shell_completes_commands_and_options(pumphouse, tmp_path, words, offered):
    """The helper is bash-completion's, of which this needs only the words so far."""
    script = tmp_path / "complete.bash"
    script.write_text(
        "_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]};"
        ' words=("${COMP_WORDS[@]}"); }\n' + pumphouse("complete").stdout + "\n"
        'IFS=" " read -ra COMP_WORDS <<<"pumphouse $1"; [[ $1 == *" " ]] && COMP_WORDS+=("")\n'
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
        "complete -p pumphouse >/dev/null && _pumphouse && echo ${COMPREPLY[@]}\n"
    )
    ended = subprocess.run(["bash", script, words], capture_output=True, text=True, timeout=30, check=False)
    assert (ended.stdout.split(), ended.stderr) == (offered.split(), "")


@pytest.mark.parametrize(
    ("words", "not_loaded"),
    [
        (["--help"], {"openstack", "taskflow", "networkx", "sqlalchemy", "oslo_config", "rich"}),
        (["migration", "list"], {"openstack", "taskflow", "networkx", "alembic", "rich"}),
    ],
)
def test_the_start_loads_only_what_it_needs(pumphouse, words, not_loaded):
    """So it is quick; seconds would tell more of the machine than of the code."""
    pumphouse("migration", "list")  # makes the store, which takes alembic
    code = (
        "import sys; from pumphouse.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=True
    )
    assert not_loaded & set(ended.stdout.splitlines()[-1].split()) == set()
