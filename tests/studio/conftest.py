"""The store of the studio needs SQLAlchemy, of the extra ``studio``; PostgreSQL is started where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

import pytest
from tests.support import postgresql_server

collect_ignore_glob = [] if find_spec("sqlalchemy") else ["*"]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """Return a function that makes an empty database and returns its address."""
    if not (postgresql_server.is_available() and find_spec("pg8000")):
        pytest.skip("PostgreSQL is not installed")
    with postgresql_server.run_server() as server:
        yield lambda: postgresql_server.create_database(server)
