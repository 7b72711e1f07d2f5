"""A database as a source, on PostgreSQL and on SQLite: what is read, when, and what no log may show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from include.data import contract, sources
from include.data.sources import Landed, Seen
from include.errors import BadRequest, DataRejected, SourceAway
from include.spec import UseCase
from tests.postgres import PASSWORD

on_postgres = pytest.mark.parametrize("state_url", ["postgresql"], indirect=True)  # SQLite has neither types nor users
on_sqlite = pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)


@dataclass
class Warehouse:
    """A database with a table ``orders``; ``uri`` is what a spec says of it."""

    engine: sa.Engine
    uri: str

    def insert(self, *rows: tuple[Any, ...]) -> None:
        """Rows of (id, time, amount, kind, paid)."""
        postgres = self.engine.dialect.name == "postgresql"
        texts = [(i, t if postgres else _iso(t), *rest) for i, t, *rest in rows]
        names = ("order no", "placed_at", "amount", "kind", "paid")
        values = [dict(zip(("i", "t", "a", "k", "p"), row, strict=True)) for row in texts]
        quoted = ", ".join(f'"{name}"' for name in names)
        with self.engine.begin() as connection:
            connection.execute(sa.text(f"INSERT INTO orders ({quoted}) VALUES (:i, :t, :a, :k, :p)"), values)

    def execute(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture
def warehouse(state_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    engine = sa.create_engine(state_url, poolclass=sa.NullPool)
    made = Warehouse(engine, state_url.replace(f":{PASSWORD}@", "@"))
    time = "timestamptz" if engine.dialect.name == "postgresql" else "text"
    made.execute(
        f'CREATE TABLE orders ("order no" text, placed_at {time}, amount numeric, kind text, paid text, note text)'
    )
    yield made
    engine.dispose()


@pytest.fixture
def orders(warehouse: Warehouse) -> UseCase:
    def column(kind: str, **more: Any) -> dict[str, Any]:
        return {"type": kind, "description": "made up", **more}

    return UseCase.model_validate(
        {
            "name": "orders",
            "title": "Orders",
            "description": "Which orders are paid",
            "owner": "sales",
            "id": "order no",
            "observed_at": "placed_at",
            "target": {"column": "paid", "positive": "yes", "negative": "no", "description": "paid in time"},
            "source": {"uri": warehouse.uri, "table": "orders"},
            "columns": {
                "placed_at": column("text"),
                "order no": column("text"),
                "amount": column("number", nullable=True),
                "kind": column("category", nullable=True),
            },
            "features": {"columns": ["amount", "kind"]},
            "training": {"candidates": {"tree": {"kind": "decision_tree"}}},
            "gate": {},
        }
    )


def with_source(spec: UseCase, **changes: Any) -> UseCase:
    return spec.model_copy(update={"source": spec.source.model_copy(update=changes)})


@pytest.fixture
def bring(orders: UseCase, tmp_path: Path) -> Callable[..., list[Landed]]:
    def brought(as_of: str, seen: Seen | None = None, spec: UseCase = orders) -> list[Landed]:
        landing = tmp_path / "landing"
        return sources.land(spec.source_uri, spec, seen or Seen(), as_of=date.fromisoformat(as_of), folder=landing)

    return brought


def ids(landed: Landed) -> list[str]:
    return pd.read_csv(landed.path, dtype="str")["order no"].tolist()


def order(name: str, day: str, **more: Any) -> tuple[Any, ...]:
    row = {"at": f"{day}T09:00:00+00:00", "amount": 12.5, "kind": "book", "paid": "yes", **more}
    return (name, datetime.fromisoformat(row["at"]), row["amount"], row["kind"], row["paid"])


def test_each_day_before_as_of_becomes_a_file(bring, warehouse: Warehouse, orders: UseCase) -> None:
    warehouse.insert(
        order("b", "2024-03-01"), order("a", "2024-03-01"), order("c", "2024-03-03"), order("d", "2024-03-04")
    )
    landed = bring("2024-03-04")
    assert [(file.kind, file.day, ids(file), file.late) for file in landed] == [
        ("rows", "2024-03-01", ["a", "b"], False),
        ("rows", "2024-03-03", ["c"], False),
    ]
    assert landed[0].uri == f"{warehouse.uri}#orders/2024-03-01"
    assert [file.sha256 for file in bring("2024-03-04")] == [file.sha256 for file in landed]
    later = bring("2024-03-09", Seen(date(2024, 3, 3), date(2024, 3, 4)))
    assert [ids(file) for file in later] == [["d"]]
    assert sources.newest_day(warehouse.uri, orders) == date(2024, 3, 4)


def test_an_empty_table_brings_nothing(bring, warehouse: Warehouse, orders: UseCase) -> None:
    assert bring("2024-03-04") == []
    assert sources.newest_day(warehouse.uri, orders) is None


def test_what_was_known_in_the_past_is_not_read_again(bring, warehouse: Warehouse) -> None:
    warehouse.insert(order("a", "2024-03-01"), order("b", "2024-03-05"))
    seen = Seen(date(2024, 3, 1), date(2024, 3, 10))
    assert bring("2024-03-10", seen) == bring("2024-03-04", seen) == []


def test_a_day_that_is_not_over_is_refused(bring, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "today", lambda: date(2024, 3, 4))
    warehouse.insert(order("a", "2024-03-03"), order("b", "2024-03-04"))
    assert [ids(file) for file in bring("2024-03-04")] == [["a"]]
    for seen in (Seen(), Seen(date(2024, 3, 3), date(2024, 3, 9))):
        with pytest.raises(BadRequest, match=r"as_of is 2024-03-05, and .* expected at most 2024-03-04, today in UTC"):
            bring("2024-03-05", seen)


def test_b37_rows_that_come_late_are_a_file_of_their_own(bring, warehouse: Warehouse, orders: UseCase) -> None:
    warehouse.insert(order("a", "2024-03-01"), order("b", "2024-03-05"))
    known = {("a", datetime(2024, 3, 1, 9, tzinfo=UTC)), ("b", datetime(2024, 3, 5, 9, tzinfo=UTC))}
    seen = Seen(date(2024, 3, 5), date(2024, 3, 6), keys=lambda day: {key for key in known if key[1].date() == day})
    assert bring("2024-03-07", seen) == []
    warehouse.insert(order("late", "2024-03-05"), order("later", "2024-03-02"), order("too late", "2024-02-01"))
    (late,) = bring("2024-03-07", seen)
    assert (late.day, late.late, ids(late)) == ("2024-03-05", True, ["later", "late"])
    assert late.uri == f"{warehouse.uri}#orders/late-2024-03-07"
    warehouse.insert(order("new", "2024-03-06"))
    assert [ids(file) for file in bring("2024-03-07", seen)] == [["new"], ["later", "late"]]
    assert [ids(file) for file in bring("2024-03-07", seen, with_source(orders, late_days=0))] == [["new"]]


def test_a_day_is_one_of_utc(bring, warehouse: Warehouse) -> None:
    warehouse.insert(order("a", "", at="2024-03-02T08:59+09:00"), order("b", "", at="2024-03-02T09:00+09:00"))
    assert [(file.day, ids(file)) for file in bring("2024-03-03")] == [("2024-03-01", ["a"]), ("2024-03-02", ["b"])]


def test_values_pass_the_contract_as_they_are(bring, warehouse: Warehouse, orders: UseCase) -> None:
    text = 'a "b", ß\n✓ :x %s ${HOME}\r'
    warehouse.insert(
        order("007", "2024-03-01", amount="0.10", kind=text),
        order("9007199254740993", "2024-03-01", amount=None, kind=None),
    )
    (landed,) = bring("2024-03-02")
    frame = conformed(landed, orders)
    assert frame["order no"].tolist() == ["007", "9007199254740993"]
    assert frame["amount"].iloc[0] == 0.1
    assert frame["kind"].iloc[0] == text.strip()
    assert frame[["amount", "kind"]].iloc[1].isna().all()
    assert frame["observed_at"].iloc[0] == pd.Timestamp("2024-03-01T09:00", tz="UTC")
    assert frame["label"].tolist() == [1.0, 1.0]


def conformed(landed: Landed, spec: UseCase) -> pd.DataFrame:
    return contract.conform(contract.read(Path(landed.path), spec), spec).frame


@on_postgres
@pytest.mark.parametrize(
    ("amount", "kind", "expected"),
    [
        ("12", "true", (12.0, "True")),
        ("12.5::float8", "12", (12.5, "12")),
        ("1e30::numeric", "'x'::name", (1e30, "x")),
        ("-0.000000000123::numeric", "0.10::numeric", (-1.23e-10, "0.10")),
        ("7::smallint", "'2024-03-01'::date", (7.0, "2024-03-01")),
        (
            "NULL::integer",
            "'00000000-0000-0000-0000-000000000001'::uuid",
            (None, "00000000-0000-0000-0000-000000000001"),
        ),
    ],
)
def test_types_of_postgres_become_those_of_the_spec(
    bring, warehouse: Warehouse, orders: UseCase, amount: str, kind: str, expected: tuple[float | None, str]
) -> None:
    warehouse.insert(order("a", "2024-03-01"))
    query = f'SELECT "order no", placed_at, {amount} AS amount, {kind} AS kind FROM orders'
    (landed,) = bring("2024-03-02", spec=with_source(orders, table=None, query=query))
    frame = conformed(landed, orders)
    assert frame["amount"].astype(object).where(frame["amount"].notna(), None).tolist() == [expected[0]]
    assert frame["kind"].tolist() == [expected[1]]


@on_postgres
@pytest.mark.parametrize(
    ("value", "found"),
    [("decode('00', 'hex')", "bytes"), ("'{\"a\": 1}'::json", "dict"), ("ARRAY[1]", "list"), ("time '12:00'", "time")],
)
def test_a_type_without_one_clear_text_is_named(
    bring, warehouse: Warehouse, orders: UseCase, value: str, found: str
) -> None:
    warehouse.insert(order("a", "2024-03-01"))
    query = f'SELECT "order no", placed_at, amount, {value} AS kind FROM orders'
    with pytest.raises(DataRejected, match=rf"#query: column 'kind': found a {found}, expected .*; cast it") as refusal:
        bring("2024-03-02", spec=with_source(orders, table=None, query=query))
    assert refusal.value.code == "BAD_TYPE"


def test_a_query_instead_of_a_table(bring, warehouse: Warehouse, orders: UseCase) -> None:
    warehouse.insert(
        order("a", "2024-03-01"), order("b", "2024-03-01", kind="12:30"), order("c", "2024-03-01", kind="5%")
    )
    query = "SELECT * FROM orders WHERE kind = '12:30' OR kind LIKE '5%' OR kind = ':x' ;"
    (landed,) = bring("2024-03-02", spec=with_source(orders, table=None, query=query))
    assert ids(landed) == ["b", "c"]
    assert "note" not in Path(landed.path).read_text().splitlines()[0]  # only what the spec describes leaves the house


def test_labels_that_become_known_later(bring, warehouse: Warehouse, orders: UseCase) -> None:
    warehouse.insert(order("a", "2024-03-01"), order("b", "2024-03-02"), order("c", "2024-03-03"))
    days = {
        "postgresql": "placed_at + interval '2 days'",
        "sqlite": "date(placed_at, '+2 days')",
    }
    known = days[warehouse.engine.dialect.name]
    query = f'SELECT "order no", placed_at AS observed_at, paid, {known} AS known_at FROM orders'
    spec = with_source(orders, labels_query=query)
    landed = bring("2024-03-05", spec=spec)
    labels = [(file.day, ids(file)) for file in landed if file.kind == "labels"]
    assert labels == [("2024-03-03", ["a"]), ("2024-03-04", ["b"])]
    times = contract.read_times(contract.read_columns(Path(landed[-1].path), ["observed_at"], [], 1000), "observed_at")
    assert times.tolist() == [pd.Timestamp("2024-03-02T09:00", tz="UTC")]
    again = bring("2024-03-07", Seen(date(2024, 3, 3), date(2024, 3, 5)), spec=spec)
    assert [(file.kind, file.day, ids(file)) for file in again] == [("labels", "2024-03-05", ["c"])]


def test_labels_that_come_late_are_files_of_their_own(bring, warehouse: Warehouse, orders: UseCase) -> None:
    for name, day in (("a", "2024-03-01"), ("b", "2024-03-01"), ("c", "2024-03-04"), ("too late", "2024-02-20")):
        warehouse.insert(order(name, day))
    query = 'SELECT "order no", placed_at AS observed_at, paid, placed_at AS known_at FROM orders'
    spec = with_source(orders, labels_query=query)
    placed, known = (
        pd.Series(pd.to_datetime([time], utc=True)).dt.as_unit("us") for time in ("2024-03-01T09:00", "2024-03-01")
    )
    lake = pd.DataFrame(
        {"order no": pd.Series(["a"], dtype="str"), "observed_at": placed, "label": 1.0, "known_at": known}
    )
    asked: list[date] = []
    seen = Seen(date(2024, 3, 3), date(2024, 3, 4), labels=lambda first: asked.append(first) or lake)
    landed = [file for file in bring("2024-03-05", seen, spec) if file.kind == "labels"]
    assert [(file.day, file.late, ids(file)) for file in landed] == [
        ("2024-03-01", True, ["b"]),
        ("2024-03-04", False, ["c"]),
    ]
    assert landed[0].uri == f"{warehouse.uri}#labels_query/late-2024-03-05-of-2024-03-01"
    assert asked == [date(2024, 2, 26)]
    none = bring("2024-03-05", seen, with_source(spec, late_days=0))
    assert [ids(file) for file in none if file.kind == "labels"] == [["c"]]


@pytest.mark.parametrize(
    ("statement", "code", "message"),
    [
        ("ALTER TABLE orders RENAME COLUMN kind TO kinds", "MISSING_COLUMN", r"'kind' \(did you mean 'kinds'\?\)"),
        ("UPDATE orders SET placed_at = NULL", "BAD_TIME", r"column 'placed_at': 1 rows have no time, expected one in"),
        ("DROP TABLE orders", "BAD_QUERY", r"the database refuses the query: .*orders.*; mend source\.table"),
    ],
)
def test_what_cannot_be_read_is_named(bring, warehouse: Warehouse, statement: str, code: str, message: str) -> None:
    warehouse.insert(order("a", "2024-03-01"))
    warehouse.execute(statement)
    with pytest.raises(DataRejected, match=f"(?s){message}") as refusal:
        bring("2024-03-02")
    assert refusal.value.code == code
    assert str(refusal.value).startswith(warehouse.uri)


@pytest.mark.parametrize("query", ["SELECT * FROM nowhere", "SELEC *", "DELETE FROM orders RETURNING *"])
def test_a_query_that_the_database_refuses_is_named_and_changes_nothing(
    bring, warehouse: Warehouse, orders: UseCase, query: str
) -> None:
    warehouse.insert(order("a", "2024-03-01"))
    with pytest.raises(DataRejected, match=r"the database refuses the query: .*; mend source\.table or source\.query"):
        bring("2024-03-02", spec=with_source(orders, table=None, query=query))
    with warehouse.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM orders")).scalar() == 1


@on_postgres
def test_a_function_that_writes_is_refused(bring, warehouse: Warehouse, orders: UseCase) -> None:
    warehouse.insert(order("a", "2024-03-01"))
    warehouse.execute("CREATE FUNCTION spoil() RETURNS text LANGUAGE sql AS 'DELETE FROM orders RETURNING kind'")
    query = 'SELECT "order no", placed_at, amount, spoil() AS kind FROM orders'
    with pytest.raises(DataRejected, match="read-only transaction"):
        bring("2024-03-02", spec=with_source(orders, table=None, query=query))


def test_a_day_over_the_limit_is_refused(bring, warehouse: Warehouse, orders: UseCase, tmp_path: Path) -> None:
    warehouse.insert(order("a", "2024-03-01"))
    small = orders.model_copy(update={"limits": orders.limits.model_copy(update={"maximum_bytes": 20})})
    with pytest.raises(DataRejected, match=r"#orders: more than 20 bytes of 2024-03-01; raise limits\.maximum_bytes"):
        bring("2024-03-02", spec=small)
    assert list((tmp_path / "landing").iterdir()) == []


@pytest.mark.parametrize(
    ("postgresql", "sqlite"),
    [
        ("placed_at AT TIME ZONE 'Asia/Tokyo'", "replace(placed_at, 'Z', '')"),
        ("(placed_at AT TIME ZONE 'UTC')::text", "replace(placed_at, 'Z', '+09:00')"),
    ],
    ids=["without its offset", "as text, or of another place"],
)
def test_a_time_that_is_not_clearly_one_moment_is_refused(
    bring, warehouse: Warehouse, orders: UseCase, postgresql: str, sqlite: str
) -> None:
    warehouse.insert(order("a", "2024-03-01"))
    time = {"postgresql": postgresql, "sqlite": sqlite}[warehouse.engine.dialect.name]
    query = f'SELECT "order no", amount, kind, {time} AS placed_at FROM orders'
    with pytest.raises(DataRejected, match=r"is no time in UTC|expected a time in UTC such as|operator does not exist"):
        bring("2024-03-02", spec=with_source(orders, table=None, query=query))


def test_a_plain_day_is_its_midnight(bring, warehouse: Warehouse, orders: UseCase) -> None:
    warehouse.insert(order("a", "2024-03-01"))
    day = {"postgresql": "(placed_at AT TIME ZONE 'UTC')::date", "sqlite": "date(placed_at)"}
    query = f'SELECT "order no", amount, kind, {day[warehouse.engine.dialect.name]} AS placed_at FROM orders'
    (landed,) = bring("2024-03-02", spec=with_source(orders, table=None, query=query))
    assert "2024-03-01T00:00:00+00:00" in Path(landed.path).read_text()


@on_sqlite
@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("postgresql+psycopg2://reader@warehouse/shop", "No module named 'psycopg2'"),
        ("postgresql://reader@warehouse:x/shop", "invalid literal for int"),
    ],
)
def test_a_uri_that_names_no_database_is_refused(bring, orders: UseCase, uri: str, says: str) -> None:
    with pytest.raises(DataRejected, match=rf"{says}.*; expected postgresql\+psycopg://USER@HOST"):
        bring("2024-03-02", spec=with_source(orders, uri=uri))


@on_sqlite
def test_a_database_that_is_not_there_asks_for_a_retry_and_is_not_made(bring, orders: UseCase, tmp_path: Path) -> None:
    with pytest.raises(SourceAway, match=r"gone\.db: the database does not answer: unable to open database file"):
        bring("2024-03-02", spec=with_source(orders, uri=f"sqlite:///{tmp_path}/gone.db"))
    assert not (tmp_path / "gone.db").exists()


@on_postgres
@pytest.mark.parametrize("password", [None, f"{PASSWORD[:-1]}x"], ids=["no password", "a wrong one"])
def test_a_database_that_lets_nobody_in_asks_for_a_retry_and_shows_no_password(
    bring, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, password: str | None
) -> None:
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    monkeypatch.setenv("PGPASSWORD", password or "")
    with pytest.raises(SourceAway, match=r"(?s)does not answer: .*password.*PGPASSWORD or ~/\.pgpass\?") as refusal:
        bring("2024-03-02")
    assert password is None or password not in str(refusal.value)
    (tmp_path / "pgpass").write_text(f"127.0.0.1:*:*:app:{PASSWORD}\n")
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.delenv("PGPASSWORD")
    assert bring("2024-03-02") == []
