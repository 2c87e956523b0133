"""TaskFlow's persistence on the application's engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from databases import Databases
from taskflow.exceptions import NotFound, StorageFailure
from taskflow.persistence import models
from taskflow.types.failure import Failure

from pumphouse.engine.backend import PersistenceBackend, open_persistence
from pumphouse.store.database import open_database


@pytest.fixture
def engine(databases: Databases) -> Iterator[sa.Engine]:
    database = open_database(databases.new())
    yield database.writer
    database.close()


def test_looking_up_by_parent_uses_an_index(engine: sa.Engine) -> None:
    open_persistence(engine)
    for table in ("atomdetails", "flowdetails"):
        indexed = [index["column_names"] for index in sa.inspect(engine).get_indexes(table)]
        assert ["parent_uuid"] in indexed


def test_what_an_atom_returned_is_kept_with_its_case_its_letters_and_in_any_length(engine: sa.Engine) -> None:
    results = {"Key": "é\u0000🔑", "key": "x" * 200_000, "list": [1, None, 0.1]}
    book, detail = models.LogBook("book"), models.FlowDetail("flow", "flow-1")
    atom = models.TaskDetail(f"keypair:{'é🔑' * 240}:create", "atom-1")
    atom.put("SUCCESS", results)
    detail.add(atom)
    book.add(detail)
    open_persistence(engine).get_connection().save_logbook(book)
    (found,) = open_persistence(engine).get_connection().get_flow_details("flow-1")
    assert (found.name, found.results) == (atom.name, results)


def test_opening_again_keeps_what_is_there(engine: sa.Engine) -> None:
    book = models.LogBook("book")
    open_persistence(engine).get_connection().save_logbook(book)
    assert open_persistence(engine).get_connection().get_logbook(book.uuid).name == "book"


def test_its_tables_are_made_once(engine: sa.Engine) -> None:
    """The stock backend describes all tables again for each operation, at ten times the cost."""
    backend = open_persistence(engine)
    assert backend.get_connection() is backend.get_connection()


def test_the_schema_is_changed_under_the_guard_only(engine: sa.Engine) -> None:
    seen: list[bool] = []

    @contextmanager
    def guard() -> Iterator[None]:
        seen.append(sa.inspect(engine).has_table("atomdetails"))
        yield
        seen.append(sa.inspect(engine).has_table("atomdetails"))

    open_persistence(engine, guard=guard())
    assert seen == [False, True]


def test_closing_it_leaves_the_engine_to_its_owner(engine: sa.Engine) -> None:
    backend = open_persistence(engine)
    backend.close()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM logbooks").scalar() == 0


@contextmanager
def statements(engine: sa.Engine) -> Iterator[list[str]]:
    """The first words of all statements that run meanwhile, but for the begin of a transaction."""
    seen: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(" ".join(statement.split()[:2]))

    sa.event.listen(engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(engine, "before_cursor_execute", note)


def saved_flow(engine: sa.Engine, *atoms: str) -> tuple[PersistenceBackend, models.FlowDetail]:
    backend = open_persistence(engine)
    book, flow = models.LogBook("book"), models.FlowDetail("flow", "flow-1")
    for atom in atoms:
        flow.add(models.TaskDetail(atom, atom))
    book.add(flow)
    backend.get_connection().save_logbook(book)
    return backend, flow


def test_a_flows_state_is_saved_without_its_atoms_and_new_atoms_with_it(engine: sa.Engine) -> None:
    backend, flow = saved_flow(engine, "a", "b")
    connection = backend.get_connection()
    flow.state = "RUNNING"
    flow.add(models.TaskDetail("c", "c"))
    connection.update_flow_details(flow)
    with statements(engine) as seen:
        connection.update_flow_details(flow)
    assert seen == ["UPDATE flowdetails", "SELECT atomdetails.uuid"]
    found = connection.get_flow_details("flow-1")
    assert (found.state, sorted(atom.name for atom in found)) == ("RUNNING", ["a", "b", "c"])


def test_an_atom_is_saved_with_all_that_it_has_by_one_statement(engine: sa.Engine) -> None:
    backend, flow = saved_flow(engine, "a")
    connection = backend.get_connection()
    atom = flow.find("a").copy()
    atom.put("FAILURE", Failure.from_exception(ValueError("broken")))
    atom.intention = "REVERT"
    with statements(engine) as seen:
        connection.update_atom_details(atom)
    assert seen == ["UPDATE atomdetails"]
    found = connection.get_atom_details("a")
    assert (found.state, found.intention, found.failure.exception_str) == ("FAILURE", "REVERT", "broken")


def test_what_is_not_in_the_database_is_not_found(engine: sa.Engine) -> None:
    connection = open_persistence(engine).get_connection()
    with pytest.raises(NotFound):
        connection.update_atom_details(models.TaskDetail("a", "a"))
    with pytest.raises(NotFound):
        connection.update_flow_details(models.FlowDetail("flow", "flow-1"))


def test_what_the_database_fails_at_is_a_storage_failure_which_taskflow_repeats(engine: sa.Engine) -> None:
    backend, flow = saved_flow(engine, "a")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE atomdetails")
    with pytest.raises(StorageFailure):
        backend.get_connection().update_atom_details(flow.find("a"))
