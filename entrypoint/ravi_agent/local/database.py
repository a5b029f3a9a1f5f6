"""The SQLite file under the local Ravi: one connection, whole transactions, no writer kept out."""

import os
import shlex
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import quote

from ravi_agent.errors import SettingsError

Row = sqlite3.Row
DatabaseError = sqlite3.Error
IntegrityError = sqlite3.IntegrityError
# Raised whenever a table changes; a file of another number is refused, never guessed at.
SCHEMA_VERSION = 2
TABLE_NAMES = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid"


class Database:
    """One connection for every thread, in WAL mode.

    What has been committed survives `kill -9` at any moment: the write-ahead log is in the
    kernel's hands by then (https://www.sqlite.org/wal.html). Raises SettingsError for a file that
    cannot be used.
    """

    def __init__(self, path: str, schema: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        # Called after every change that is kept, by the thread that made it.
        self.on_change: Callable[[], None] = lambda: None
        try:
            self._connection = self._open(path, schema)
        except OSError as exc:
            raise SettingsError(
                f"--database {path}", str(exc.strerror), "give a file that can be written"
            ) from exc
        except sqlite3.Error as exc:
            raise SettingsError(
                f"--database {path}",
                f"SQLite says {exc}",
                "give the path of a file that ravi-local has made, or of a new one",
            ) from exc

    def _open(self, path: str, schema: str) -> sqlite3.Connection:
        if path != ":memory:":
            # SQLite gives the files beside it, which hold the same, the mode of this one.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.chmod(path, 0o600)
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        connection.row_factory = sqlite3.Row
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        is_new = connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
        if version != SCHEMA_VERSION and not is_new:
            connection.close()
            raise SettingsError(
                f"--database {path}",
                "another version of ravi-local made this file",
                f"ravi-local reset --database {shlex.quote(path)}",
            )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.executescript(schema)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        return connection

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing; one inside another belongs to the outer one."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                if self._depth == 1:
                    self._connection.execute("ROLLBACK")
                raise
            else:
                if self._depth == 1:
                    self._connection.execute("COMMIT")
            finally:
                self._depth -= 1
        self._tell()

    def run(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Carry out one statement; returns how many rows it changed."""
        with self._lock:
            count = self._connection.execute(statement, parameters).rowcount
        self._tell()
        return count

    def insert(self, table: str, /, **values: object) -> int:
        """Add a row; returns its id. Names of tables and columns come from the code alone."""
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608
        with self._lock:
            added = self._connection.execute(statement, list(values.values())).lastrowid
        assert added is not None
        self._tell()
        return added

    def update(self, table: str, row_id: int, /, **values: object) -> None:
        """Change a row; names of tables and columns come from the code alone."""
        changes = ", ".join(f"{column} = ?" for column in values)
        self.run(
            f"UPDATE {table} SET {changes} WHERE id = ?",  # noqa: S608
            [*values.values(), row_id],
        )

    def _tell(self) -> None:
        if self._depth == 0:
            self.on_change()

    def all(self, query: str, parameters: Sequence[object] = ()) -> list[Row]:
        with self._lock:
            return self._connection.execute(query, parameters).fetchall()

    def one(self, query: str, parameters: Sequence[object] = ()) -> Row | None:
        with self._lock:
            row: Row | None = self._connection.execute(query, parameters).fetchone()
        return row


class Snapshot:
    """A database as it is at one moment, for reading, while a server may write on.

    Raises SettingsError for a file that cannot be read, or of another version.
    """

    def __init__(self, path: str) -> None:
        if not os.path.exists(path):
            raise SettingsError(f"--database {path}", "there is none", "give the file of another")
        try:
            self._connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            self._connection.execute("BEGIN")
        except sqlite3.Error as exc:
            raise SettingsError(
                f"--database {path}", f"SQLite says {exc}", "give a file that ravi-local has made"
            ) from exc
        if version != SCHEMA_VERSION:
            self.close()
            raise SettingsError(
                f"--database {path}",
                "another version of ravi-local made this file",
                "use it with that version",
            )

    def tables(self) -> list[str]:
        """The names of all tables, those that SQLite keeps itself among them."""
        return [str(name) for (name,) in self._connection.execute(TABLE_NAMES).fetchall()]

    def rows(self, table: str) -> Iterator[dict[str, object]]:
        """One row after the other; `table` is one of `tables`."""
        found = self._connection.execute(f"SELECT * FROM {table}")  # noqa: S608
        columns = [column[0] for column in found.description]
        for row in found:
            yield dict(zip(columns, row, strict=True))

    def close(self) -> None:
        self._connection.close()


def now() -> str:
    """This moment as the service writes it: ISO 8601 with an offset."""
    return datetime.now(UTC).isoformat()
