"""Planted secrets, and a search for them in all that pumphouse keeps, prints and shows of itself."""

import base64
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from pumphouse.devcloud.fill import fill

from .conftest import SHARED, network, tenant
from .conftest import server as make_server

USER_PASSWORD = "planted-password-of-a-user"
USER_DATA = "#cloud-config\nplanted: user data of a server\n"
DATABASE_PASSWORD = "planted-password-of-a-database"
WRAPPINGS = (str, lambda text: base64.b64encode(text.encode()).decode(), lambda text: repr(text)[1:-1])


@pytest.fixture
def tokens(cloud_pair, monkeypatch):
    """Every token that the clouds give out."""
    given = []
    for cloud in (cloud_pair.source, cloud_pair.destination):
        whole = cloud.tokens.add
        monkeypatch.setattr(
            cloud.tokens, "add", lambda token, whole=whole: (given.append(token.id), whole(token))
        )
    return given


@pytest.fixture
def planted(cloud_pair, operator):
    """A tenant with secrets in every place that has one; the secrets by what they are."""
    server = {**make_server("web", "web"), "user_data": USER_DATA}
    shop = {
        **tenant("shop", networks=[network("web")], servers=[server]),
        "users": [{"name": "ann", "password": USER_PASSWORD, "roles": ["member"]}],
    }
    fill(cloud_pair.source, {**SHARED, "tenants": {"shop": shop}})
    operator.write_text(
        f"{operator.read_text()}\n[cloud:third]\nkeystone_database = mysql+pymysql://keystone:{DATABASE_PASSWORD}@127.0.0.1:1/keystone\n"
    )
    with closing(sqlite3.connect(cloud_pair.source.keystone_database)) as database:
        hashes = [row[0] for row in database.execute("SELECT password_hash FROM password")]
    clouds = yaml.safe_load(cloud_pair.clouds_yaml.read_text())["clouds"]
    return {
        "a user's password": USER_PASSWORD,
        "user data": USER_DATA,
        "a database's password": DATABASE_PASSWORD,
        **{f"hash {number}": one for number, one in enumerate(hashes)},
        **{f"the operator's password on {name}": one["auth"]["password"] for name, one in clouds.items()},
    }


def echo(cloud, method, path, code, *, times=1):
    """A service that repeats, in its refusal, who asks and what it was told: the worst that it can say."""
    told = base64.b64encode(USER_DATA.encode()).decode() if "servers" in path else ""
    message = f"cannot do it with user_data {told} and password {cloud.admin_password}"
    body = {"badRequest": {"message": message, "code": code}, "error": {"message": message, "code": code}}
    return cloud.faults.add("status", method=method, path=path, code=code, body=body, times=times)


@pytest.mark.slow
def test_no_secret_is_kept_printed_or_shown(pumphouse, process, cloud_pair, tokens, planted, tmp_path):
    debug = ("--debug", "--log-file", "all.log")
    said = {}

    def run(*words):
        ended = pumphouse(*debug, *words)
        said[" ".join(words)] = ended.stdout + ended.stderr
        return ended

    run("cloud", "check", "source")
    run("cloud", "check", "third")
    run("inventory", "source", "--tenant", "shop", "-f", "json")
    run("plan", "tenant", "shop", "-o", "plan.json")
    run("plan", "tenant", "shop", "-f", "json")

    refused = echo(cloud_pair.destination, "POST", "/identity/v3/auth/tokens", 401)
    run("plan", "tenant", "shop")
    assert refused.hits

    failing = echo(cloud_pair.destination, "POST", "/compute/*/servers", 400)
    with process(*debug, "migrate", "tenant", "shop", "--yes") as started:
        seen = b""
        while started.poll() is None and not failing.hits:
            seen += Path(f"/proc/{started.pid}/cmdline").read_bytes()
        out, err = started.communicate(timeout=120)
    assert started.returncode == 3, err
    said["migrate"] = out + err + seen.decode()
    assert failing.hits
    id = re.search(r"\bm-\w{6}\b", out)[0]

    assert run("migration", "retry", id).returncode == 0
    for form in ("json", "csv", "yaml"):
        for what in ("show", "units", "steps", "events", "report"):
            run("migration", what, id, "-f", form)
    run("migration", "report", id, "-o", "report.html")
    assert run("migration", "verify", id).returncode == 0
    assert run("migration", "rollback", id, "--yes").returncode == 0
    assert {"user_data", "password_hash"} & set(re.findall(r"\w+", "".join(said.values()))), (
        "nothing was searched"
    )

    kept = {path: path.read_bytes().decode(errors="replace") for path in ours(tmp_path)}
    assert {path.suffix for path in kept} >= {".json", ".log", ".html", ".db"}
    assert len(tokens) > 10
    secrets = planted | {f"token {number}": one for number, one in enumerate(tokens)}
    found = [
        (what, str(where))
        for where, text in {**said, **kept}.items()
        for what, secret in secrets.items()
        if any(wrap(secret) in text for wrap in WRAPPINGS)
    ]
    assert found == []


def ours(folder):
    """The files that pumphouse has written: not those of the clouds, nor what the operator wrote."""
    theirs = ("source-", "destination-")
    for path in folder.rglob("*"):
        top = path.relative_to(folder).parts[0]
        if (
            path.is_file()
            and not top.startswith(theirs)
            and path.name not in {"clouds.yaml", "pumphouse.conf"}
        ):
            yield path
