"""Health checks in override files, good and bad."""

from __future__ import annotations

import pytest
from toys import registry

from pumphouse import errors
from pumphouse.health import Kind, forbidden
from pumphouse.model import Ref, Resource
from pumphouse.plan.overrides import parse
from pumphouse.registry import Registry

CHECKS = [
    {"server": "web-*", "tcp": 22, "timeout": 5, "address": "fixed"},
    {"server": "id-1", "http": "https://{address}/ready?deep=1", "status": [200, 204], "verify": False},
    {"console": "login:"},
    {"server": "db", "command": ["/bin/check", "; rm -rf /"]},
]


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("tcp", "needs one of tcp, http, console, command"),
        ({"server": "web"}, "needs one of"),
        ({"tcp": 1, "console": "x"}, "and only one"),
        ({"tcp": "22"}, "a port, from 1 to 65535"),
        ({"tcp": True}, "a port"),
        ({"tcp": 22, "status": 200}, "tcp does not take status"),
        ({"tcp": 22, "address": "public"}, "address must be one of any, fixed, floating"),
        ({"tcp": 22, "timeout": 0}, "timeout must be a number of seconds"),
        ({"tcp": 22, "server": ""}, "server must be a name"),
        ({"http": "http://example.org/"}, "must be a URL such as"),
        ({"http": "http://{address}@example.org/"}, "must be a URL such as"),
        ({"http": "file://{address}/etc/passwd"}, "must be a URL such as"),
        ({"http": "http://{address}:99999/"}, "must be a URL such as"),
        ({"http": "http://{address}/\r\nX: y"}, "must be a URL such as"),
        ({"http": "http://{address}/", "status": "200"}, "status must be an HTTP status"),
        ({"http": "http://{address}/", "host": "a b"}, "host must be the name"),
        ({"http": "http://{address}/", "verify": "no"}, "verify must be true or false"),
        ({"console": "*"}, "a text to look for"),
        ({"command": "/bin/check --quick"}, "a list of words"),
        ({"command": []}, "a list of words"),
        ({"command": ["/bin/check", 7]}, "a list of words"),
    ],
)
def test_a_bad_check_is_one_clear_line(check, reason):
    with pytest.raises(errors.BadOverride, match=reason) as caught:
        parse({"health": [check]}, registry(), where="file")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("file: check 1 of health")


def test_checks_and_their_plan_form_are_the_same():
    made = parse({"health": CHECKS}, registry(), where="test")
    assert [one.kind for one in made.checks] == list(Kind)
    assert parse(made.to_dict(), registry(), where="again") == made


def test_a_server_has_the_checks_that_match_its_name_or_id_on_the_source():
    types = Registry.load()
    rename = {"type": "server", "when": {"name": "web-1"}, "set": {"name": "other"}}
    overrides = parse({"health": CHECKS, "rules": [rename]}, types, where="test")

    def checks(name: str, identity: str) -> list[str]:
        found = Resource(ref=Ref("server", identity), name=name, fields={"name": name})
        wanted = overrides.apply(types["server"], found)
        return [next(kind for kind in Kind if kind in one) for one in wanted.facts["health"]]

    assert checks("web-1", "id-2") == ["tcp", "console"]
    assert checks("mail", "id-1") == ["http", "console"]
    assert checks("db", "id-3") == ["console", "command"]
    network = Resource(ref=Ref("network", "id-1"), name="web-1", fields={"name": "web-1"})
    assert overrides.apply(types["network"], network) is network


def test_only_programs_that_are_named_may_be_run_for_others():
    checks = parse({"health": CHECKS}, registry(), where="test").checks
    refused = forbidden(checks, programs=("/bin/other",))
    assert refused is not None
    assert refused.kind is Kind.COMMAND
    assert forbidden(checks, programs=("/bin/check",)) is None
