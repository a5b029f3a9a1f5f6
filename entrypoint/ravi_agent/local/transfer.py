"""Everything a database holds as JSON Lines, and back into an empty database.

The first line says what follows: `{"ravi-local": 1, "schema": N}`; each other line is one row,
`{"table": NAME, "row": {COLUMN: VALUE}}`, with bytes as `{"base64": TEXT}`. Keys of identities stay
the hashes that they are, and sealed values stay sealed: `<database>.key` opens them.
"""

import base64
import binascii
import json
from collections.abc import Iterable
from contextlib import closing
from typing import BinaryIO, TextIO

from ravi_agent.errors import SettingsError, UsageError
from ravi_agent.local.database import SCHEMA_VERSION, TABLE_NAMES, DatabaseError, Snapshot
from ravi_agent.local.store import Store

_FORMAT = 1
# SQLite's own: where the numbers of new rows go on, so that no phone number is given twice.
_COUNTERS = "sqlite_sequence"


def export_to(database: str, out: TextIO) -> int:
    """Write everything; returns how many rows. A server may use the database at the same time.

    Raises SettingsError as `Snapshot` does.
    """
    out.write(json.dumps({"ravi-local": _FORMAT, "schema": SCHEMA_VERSION}) + "\n")
    count = 0
    with closing(Snapshot(database)) as snapshot:
        for table in snapshot.tables():
            for row in snapshot.rows(table):
                values = {column: _shown(value) for column, value in row.items()}
                out.write(json.dumps({"table": table, "row": values}) + "\n")
                count += 1
    return count


def import_from(database: str, lines: BinaryIO, name: str) -> int:
    """Fill an empty database with what `export_to` wrote, wholly or not at all; how many rows.

    name: of the file, for messages. Raises UsageError for a line that is none of an export, and
    SettingsError for a database that is not empty, is in use, or whose key opens nothing of it.
    """
    store = Store(database)
    try:
        with store.db.transaction():
            if store.db.one("SELECT 1 FROM identities UNION SELECT 1 FROM events") is not None:
                raise SettingsError(
                    f"--database {database}",
                    "it is not empty",
                    f"ravi-local reset --database {database}",
                )
            # Rows come in the order of tables, not of what they refer to.
            store.db.run("PRAGMA defer_foreign_keys=ON")
            count = _read(store, lines, name)
            _check_sealed(store)
    except DatabaseError as exc:
        raise UsageError(f"import {name}", f"SQLite says {exc}", "import a whole export") from exc
    else:
        return count
    finally:
        store.close()


def _read(store: Store, lines: Iterable[bytes], name: str) -> int:
    tables = {
        row["name"]: {
            column["name"] for column in store.db.all(f"PRAGMA table_info({row['name']})")
        }
        for row in store.db.all(TABLE_NAMES)
    }
    number = 0
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            if number == 1:
                _check_head(entry)
                continue
            table, row = entry["table"], entry["row"]
            values = {column: _value(value) for column, value in row.items()}
            if not values.keys() <= tables[table]:
                raise ValueError("a column that is not there")
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise UsageError(
                f"import {name}", f"line {number} is none of an export: {exc}", "export it again"
            ) from exc
        if table == _COUNTERS:
            store.db.run(f"DELETE FROM {_COUNTERS} WHERE name = ?", (row["name"],))  # noqa: S608
        store.db.insert(table, **values)
    if number == 0:
        raise UsageError(f"import {name}", "it is empty", "export it again")
    return number - 1


def _check_head(entry: dict[str, object]) -> None:
    if entry.get("ravi-local") != _FORMAT or entry.get("schema") != SCHEMA_VERSION:
        raise ValueError("another version of ravi-local wrote it, or another program")


def _check_sealed(store: Store) -> None:
    """Raises SettingsError unless this database's key opens what is sealed in it."""
    for table in ("passwords", "secrets", "webhooks", "voice_agents"):
        for row in store.db.all(f"SELECT sealed FROM {table}"):  # noqa: S608
            store.seal.open(row["sealed"])


def _shown(value: object) -> object:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _value(shown: object) -> object:
    if not isinstance(shown, dict):
        return shown
    try:
        return base64.b64decode(shown["base64"], validate=True)
    except binascii.Error as exc:
        raise ValueError(str(exc)) from exc
