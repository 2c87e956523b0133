"""Against SQLite files with Keystone's tables; the embedded cloud's own file where a login is what counts."""

from __future__ import annotations

import logging
import pickle

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from pumphouse import errors
from pumphouse.clouds.keystone_db import PasswordStore, algorithm_of, copy_passwords

BCRYPT = "$2b$12$abcdefghijklmnopqrstuuSecretHashSecretHash"
OLD = "$scrypt$ln=16,r=8,p=1$c2FsdA$b2xk"
LOCAL_USER = "CREATE TABLE local_user (id INTEGER PRIMARY KEY, user_id VARCHAR(64) UNIQUE, name VARCHAR(255))"
PASSWORD = """
CREATE TABLE password (
    id INTEGER PRIMARY KEY, local_user_id INTEGER NOT NULL, expires_at DATETIME,
    self_service BOOLEAN DEFAULT '0' NOT NULL, password_hash VARCHAR(255), created_at_int BIGINT NOT NULL,
    expires_at_int BIGINT, created_at DATETIME NOT NULL)"""


class Keystone:
    def __init__(self, path, heads=()):
        self.url = f"sqlite:///{path}"
        self.engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        self.run(LOCAL_USER, PASSWORD)
        if heads:
            self.run("CREATE TABLE alembic_version (version_num VARCHAR(32))")
            self.run(*(f"INSERT INTO alembic_version VALUES ('{head}')" for head in heads))
        self.store = PasswordStore(self.url)

    def run(self, *statements):
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))

    def user(self, number, id, *hashes):
        self.run(f"INSERT INTO local_user VALUES ({number}, '{id}', 'name-{id}')")
        for turn, password in enumerate(hashes):
            self.run(
                "INSERT INTO password (local_user_id, password_hash, created_at_int, created_at) VALUES"
                f" ({number}, '{password}', {turn + 1}, '2024-01-0{turn + 1} 00:00:00.000000')"
            )

    def hashes(self, id):
        query = sa.text(
            "SELECT p.password_hash FROM password p JOIN local_user l ON l.id = p.local_user_id"
            " WHERE l.user_id = :id ORDER BY p.created_at_int"
        )
        with self.engine.connect() as connection:
            return list(connection.execute(query, {"id": id}).scalars())


@pytest.fixture
def source(tmp_path):
    return Keystone(tmp_path / "source.db", heads=["29e87d24a316", "e25ffa003242"])


@pytest.fixture
def destination(tmp_path):
    return Keystone(tmp_path / "destination.db", heads=["742c857f1dfb", "c88cdce8f248"])


def test_the_rows_of_a_user_replace_the_destinations(source, destination):
    source.user(1, "u", OLD, BCRYPT)
    destination.user(7, "v", "$2b$12$made", "$2b$12$later", "$2b$12$latest")
    destination.user(8, "w", "$2b$12$other")
    copied = copy_passwords(source.store, destination.store, {"u": "v"})
    assert copied.kept == ("u",)
    assert destination.hashes("v") == [OLD, BCRYPT]
    assert destination.hashes("w") == ["$2b$12$other"]
    assert copy_passwords(source.store, destination.store, {"u": "v"}) == copied
    assert destination.hashes("v") == [OLD, BCRYPT]


def test_what_cannot_be_kept_is_told_with_its_reason_and_changes_nothing(source, destination):
    source.user(1, "sha", "$6$rounds=1$salt$x")
    source.user(2, "none")
    source.user(3, "lost", BCRYPT)
    for number, id in enumerate(("sha", "none")):
        destination.user(number, id, "$2b$12$made")
    copied = copy_passwords(source.store, destination.store, {id: id for id in ("sha", "none", "lost")})
    assert copied.kept == ()
    assert copied.refused["sha"] == "has a $6$ hash that the destination cannot check"
    assert "no password" in copied.refused["none"]
    assert "no local user" in copied.refused["lost"]
    assert destination.hashes("sha") == destination.hashes("none") == ["$2b$12$made"]


@pytest.mark.parametrize(
    ("heads", "sha512_crypt", "bcrypt_sha256"),
    [
        (["29e87d24a316", "e25ffa003242"], True, False),
        (["47147121", "c88cdce8f248"], False, False),
        (["742c857f1dfb", "c88cdce8f248"], False, True),
        ([], False, False),
    ],
)
def test_which_release_checks_which_hash(tmp_path, heads, sha512_crypt, bcrypt_sha256):
    store = Keystone(tmp_path / "keystone.db", heads).store
    for always in ("$2b$", "$scrypt$", "$pbkdf2-sha512$"):
        assert store.accepts(always)
    assert store.accepts("$6$") is sha512_crypt
    assert store.accepts("$bcrypt-sha256$") is bcrypt_sha256
    assert not store.accepts("$1$")
    assert not store.accepts("")


def test_an_old_hash_that_the_destination_cannot_check_is_left_out_of_the_history(source, destination):
    source.user(1, "u", "$6$rounds=1$salt$x", BCRYPT)
    destination.user(1, "u", "$2b$12$made")
    copy_passwords(source.store, destination.store, {"u": "u"})
    assert destination.hashes("u") == [BCRYPT]


def test_rows_show_no_hash_and_cannot_be_stored(source, caplog):
    caplog.set_level(logging.DEBUG, logger="sqlalchemy.engine")
    source.user(1, "u", BCRYPT)
    rows = PasswordStore(source.url).rows(["u", "nobody"])
    assert list(rows) == ["u"]
    assert rows["u"].algorithm == "$2b$"
    assert "Secret" not in repr(rows)
    with pytest.raises(TypeError):
        pickle.dumps(rows)
    # The tests' own engine above logs what it writes; the store's must not log what it reads.
    ours = [record.getMessage() for record in caplog.records if record.name.endswith(".keystone")]
    assert not any("Secret" in line for line in ours)


def test_an_error_has_the_place_and_no_password(tmp_path):
    store = PasswordStore(f"sqlite:///{tmp_path / 'missing' / 'keystone.db'}")
    with pytest.raises(errors.DatabaseError, match=r"keystone\.db") as caught:
        store.rows(["u"])
    assert caught.value.next_step


def test_a_write_that_fails_keeps_the_old_password_and_tells_no_hash(source, destination):
    source.user(1, "u", BCRYPT)
    destination.user(1, "u", "$2b$12$made")
    destination.run(
        "CREATE TRIGGER refuse BEFORE INSERT ON password BEGIN SELECT RAISE(ABORT, 'read-only'); END"
    )
    with pytest.raises(errors.DatabaseError, match="IntegrityError") as caught:
        copy_passwords(source.store, destination.store, {"u": "u"})
    assert "Secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert destination.hashes("u") == ["$2b$12$made"]


@pytest.mark.parametrize("url", ["", "no url: hush", "nosuch://user:hush@host/keystone"])
def test_a_url_that_cannot_be_used(url):
    with pytest.raises(errors.BadConfig) as caught:
        PasswordStore(url)
    assert "hush" not in str(caught.value)


def test_the_password_in_the_url_is_never_shown():
    store = PasswordStore("mysql+pymysql://keystone:hush@127.0.0.1:1/keystone")
    with pytest.raises(errors.DatabaseError, match=r"127\.0\.0\.1/keystone") as caught:
        store.rows(["u"])
    assert "hush" not in str(caught.value) + repr(store)


@pytest.mark.parametrize(
    ("password_hash", "algorithm"),
    [(BCRYPT, "$2b$"), (OLD, "$scrypt$"), ("$6$rounds=1$s$x", "$6$"), (None, ""), ("", ""), ("plain", "")],
)
def test_algorithm_of(password_hash, algorithm):
    assert algorithm_of(password_hash) == algorithm


def test_many_users_are_read(source):
    with source.engine.begin() as connection:
        for number in range(1201):
            connection.execute(sa.text(f"INSERT INTO local_user VALUES ({number}, 'u{number}', 'n')"))
            connection.execute(
                sa.text(
                    "INSERT INTO password (local_user_id, password_hash, created_at_int, created_at)"
                    f" VALUES ({number}, '{BCRYPT}', 1, '2024-01-01 00:00:00.000000')"
                )
            )
    assert len(source.store.rows([f"u{number}" for number in range(1201)])) == 1201


def test_hidden_parameters_are_what_sqlalchemy_itself_shows(source):
    with pytest.raises(exc.SQLAlchemyError) as caught, source.store._engine.begin() as connection:
        connection.execute(sa.text("SELECT :secret FROM nowhere"), {"secret": "hush"})
    assert "hush" not in str(caught.value)


def test_a_refused_row_is_told_without_the_words_of_the_database(source, destination):
    source.user(1, "u", BCRYPT)
    destination.user(1, "u", "$2b$12$made")
    # As PostgreSQL does, which quotes the whole row that breaks a rule.
    destination.run(
        "CREATE TRIGGER rule BEFORE INSERT ON password BEGIN"
        f" SELECT RAISE(ABORT, 'Failing row contains (7, {BCRYPT})'); END"
    )
    with pytest.raises(errors.DatabaseError) as caught:
        copy_passwords(source.store, destination.store, {"u": "u"})
    assert "Hash" not in str(caught.value)
    assert "IntegrityError (SQLITE_CONSTRAINT_TRIGGER)" in str(caught.value)
    assert destination.hashes("u") == ["$2b$12$made"]
