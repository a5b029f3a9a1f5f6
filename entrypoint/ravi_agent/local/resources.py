"""Records that an identity keeps by hand, told in a table: a row's columns, what is sealed of it,
and the five calls that each of them takes.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ravi_agent.local.database import Row, now
from ravi_agent.local.endpoints import Call, Endpoint
from ravi_agent.local.fields import Field
from ravi_agent.local.pages import Listing, Shown
from ravi_agent.local.refusals import not_found
from ravi_agent.local.store import Store


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One kind of record at `path`, in `table`.

    fields: what a caller gives. sealed: which of them are kept in the sealed column. defaults: what
    a field is where the caller leaves it out, by the call. check: what else is to hold, on a whole
    record. query: filters of the list, by columns.
    """

    name: str
    path: str
    table: str
    schema: str
    fields: Mapping[str, Field]
    sealed: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    defaults: Callable[[Call], Mapping[str, object]] = lambda _call: {}
    check: Callable[[Call, Mapping[str, object]], None] = lambda _call, _values: None
    query: Mapping[str, Field] = field(default_factory=dict)
    listing: "Callable[[Resource, Call], object] | None" = None

    def show(self, store: Store, row: Row) -> Shown:
        """A record as the service shows it; `identity` is the number older clients have for it."""
        kept = store.seal.open(row["sealed"]) if self.sealed else {}
        owner = store.identity(row["identity_uuid"])
        shown: Shown = {"uuid": row["uuid"], "identity": owner.id if owner else None}
        for name, given in self.fields.items():
            value = kept.get(name, "") if name in self.sealed else row[name]
            shown[name] = bool(value) if given.schema["type"] == "boolean" else value
        columns = (*self.extra, "created_dt", "updated_dt")
        return {**shown, **{column: row[column] for column in columns}}

    def rows(self, call: Call, condition: str = "", values: tuple[object, ...] = ()) -> Listing:
        """The identity's records, oldest first; of those, the ones that meet a condition."""
        query = f"SELECT * FROM {self.table} WHERE identity_uuid = ?{condition}"  # noqa: S608
        return Listing(
            call.store.db,
            query,
            (call.owner.uuid, *values),
            "id",
            lambda row: self.show(call.store, row),
        )

    def endpoints(self) -> tuple[Endpoint, ...]:
        """List, create, show, change, delete."""
        one = f"{self.path}{{uuid}}/"
        optional = {name: Field(given.schema) for name, given in self.fields.items()}
        return (
            Endpoint(
                method="GET",
                path=self.path,
                answer=self._list,
                does=f"List the identity's {self.name}s",
                query=self.query,
                returns=self.schema,
                many=True,
            ),
            Endpoint(
                method="POST",
                path=self.path,
                answer=self._create,
                does=f"Keep a {self.name}",
                body=self.fields,
                returns=self.schema,
                status=201,
            ),
            Endpoint(
                method="GET",
                path=one,
                answer=lambda call: self.show(call.store, self._found(call)),
                does=f"Show a {self.name}",
                returns=self.schema,
            ),
            *(
                Endpoint(
                    method=method,
                    path=one,
                    answer=self._change,
                    does=f"Change a {self.name}",
                    body=optional,
                    returns=self.schema,
                )
                for method in ("PUT", "PATCH")
            ),
            Endpoint(
                method="DELETE",
                path=one,
                answer=self._delete,
                does=f"Delete a {self.name}",
                status=204,
            ),
        )

    def _list(self, call: Call) -> object:
        if self.listing:
            return self.listing(self, call)
        condition = "".join(f" AND {column} = ?" for column in call.query)
        return self.rows(call, condition, tuple(call.query.values()))

    def _create(self, call: Call) -> object:
        blank = {
            name: False if given.schema["type"] == "boolean" else ""
            for name, given in self.fields.items()
        }
        values = {**blank, **self.defaults(call), **call.body}
        self.check(call, values)
        moment = now()
        row_id = call.store.db.insert(
            self.table,
            uuid=str(uuid.uuid4()),
            identity_uuid=call.owner.uuid,
            created_dt=moment,
            updated_dt=moment,
            **self._columns(call, values),
        )
        row = call.store.db.one(f"SELECT * FROM {self.table} WHERE id = ?", (row_id,))  # noqa: S608
        assert row
        return self.show(call.store, row)

    def _change(self, call: Call) -> object:
        row = self._found(call)
        shown = self.show(call.store, row)
        values = {**{name: shown[name] for name in self.fields}, **call.body}
        self.check(call, {**values, "uuid": row["uuid"]})
        columns = self._columns(call, values)
        call.store.db.update(self.table, row["id"], updated_dt=now(), **columns)
        return self.show(call.store, self._found(call))

    def _delete(self, call: Call) -> None:
        call.store.db.run(f"DELETE FROM {self.table} WHERE id = ?", (self._found(call)["id"],))  # noqa: S608

    def _found(self, call: Call) -> Row:
        row = call.store.db.one(
            f"SELECT * FROM {self.table} WHERE identity_uuid = ? AND uuid = ?",  # noqa: S608
            (call.owner.uuid, call.part("uuid")),
        )
        if row is None:
            raise not_found()
        return row

    def _columns(self, call: Call, values: Mapping[str, object]) -> dict[str, object]:
        columns = {name: value for name, value in values.items() if name not in self.sealed}
        if self.sealed:
            kept = {name: str(values[name]) for name in self.sealed}
            columns["sealed"] = call.store.seal.close(kept)
        return columns
