"""A PostgreSQL server of the tests' own: on loopback, in a temporary folder, ended with the process that started it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

PROGRAMS = ("initdb", "pg_ctl")
_USER = "postgres"  # the server refuses to run as root
_numbers = count()


def is_available() -> bool:
    """Whether the programs of PostgreSQL are here, and an account under which they run."""
    return all(_find(name) for name in PROGRAMS) and (os.getuid() != 0 or _has_account())


@dataclass(frozen=True)
class PostgresqlServer:
    """A server whose data are in ``folder``; ``address`` is ``postgresql://lince@127.0.0.1:PORT``, with no database."""

    folder: Path
    port: int

    @property
    def address(self) -> str:
        return f"postgresql://lince@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return when it answers."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=60"
        _call("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: ``fast`` cuts all connections and rolls back, ``immediate`` is as a crash."""
        _call("pg_ctl", "-D", self.folder / "data", "-w", "-m", mode, "stop")


@contextmanager
def run_server() -> Iterator[PostgresqlServer]:
    """Yield a running server."""
    with tempfile.TemporaryDirectory(prefix="lince-postgresql-") as name:
        folder = Path(name)
        if os.getuid() == 0:
            shutil.chown(folder, _USER)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        data, server = folder / "data", PostgresqlServer(folder, port)
        _call("initdb", "-D", data, "-U", "lince", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.stop()


def create_database(server: PostgresqlServer) -> str:
    """Return the address of a new, empty database on ``server``."""
    import sqlalchemy as sa

    name = f"project{next(_numbers)}"
    url = sa.make_url(f"{server.address}/postgres").set(drivername="postgresql+pg8000")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return f"{server.address}/{name}"


def _call(program: str, *words: str | Path) -> None:
    command = [str(_find(program)), *map(str, words)]
    if os.getuid() == 0:
        command = ["runuser", "-u", _USER, "--", *command]
    # Not captured through a pipe, which the server would inherit and keep open.
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


def _find(program: str) -> str | None:
    folders = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *folders]))


def _has_account() -> bool:
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        return False
    return shutil.which("runuser") is not None
