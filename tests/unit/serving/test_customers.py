"""The online side of the published tables: the newest row of each id, as it was published."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest

from include.data import tables
from include.serving import newest_rows
from include.serving.customers import FILE, Customers, ReadingFailed
from include.serving.newest_rows import YIELDING
from include.serving.problems import Problem
from include.settings import Settings
from include.stack.members import is_alive
from include.state import publications
from include.state.database import connect
from include.state.publications import Publication
from tests.unit.serving.test_rows import use_case


class Home:
    """A home whose publications a test makes."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings.from_environment({"MODELOPS_HOME": str(folder)})
        self.spec = use_case(folder)
        self.uri = tables.table_uri(self.settings.lake_uri, "tiny", "customers")
        self.version: int | None = None

    def publish(self, run_id: str, as_of: str, *rows: tuple[str, str, float | None]) -> None:
        """Rows of (id, day of the observation, n)."""
        days = pd.to_datetime([day for _, day, _ in rows], utc=True).as_unit("us")
        frame = pd.DataFrame(
            {
                "the key": pd.Series([key for key, _, _ in rows], dtype="str"),
                "seen": pd.Series([f"{day}T00:00:00Z" for _, day, _ in rows], dtype="str"),
                "n": pd.Series([n for _, _, n in rows], dtype="float64"),
                "whole": 1.0,
                "c": pd.Series([None] * len(rows), dtype="str"),
                "free": "text é",
                "paid": float("nan"),
                "observed_at": days,
                "as_of": as_of,
                "run_id": run_id,
            }
        )
        self.version = tables.append(self.uri, frame, run_id, after=self.version)
        publications.publish(
            connect(self.settings.state_url),
            Publication(
                "tiny", "data", run_id, as_of, as_of, as_of, {"customers": self.version}, 1, 1, 0, simulated=False
            ),
        )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


class Here(Customers):
    """Reads in this process, where a test sees what is read."""

    def _read(self) -> str:
        self._rows.refresh()
        return ""


@pytest.fixture
def customers(home: Home) -> Customers:
    return Here(home.settings, home.spec)


def test_the_newest_observation_is_found_and_of_one_moment_the_one_published_last(
    home: Home, customers: Customers
) -> None:
    home.publish("r1", "2026-11-20", ("a", "2026-11-18", 1.0), ("a", "2026-11-19", 2.0), ("b", "2026-11-19", None))
    customers.refresh()
    row, observed = customers.newest("a")
    assert row == {
        **{"the key": "a", "seen": "2026-11-19T00:00:00Z", "n": 2.0, "whole": 1.0, "c": None, "free": "text é"},
        "paid": None,
    }
    assert observed.isoformat() == "2026-11-19T00:00:00+00:00"
    assert customers.newest("b")[0]["n"] is None
    home.publish("r2", "2026-11-22", ("a", "2026-11-19", 3.0), ("a", "2026-11-10", 4.0), ("c", "2026-11-21", 5.0))
    assert customers.newest("a")[0]["n"] == 2.0
    customers.refresh()
    assert customers.newest("a")[0]["n"] == 3.0  # corrected; what came late and is older changes nothing
    assert customers.newest("c")[0]["n"] == 5.0


def test_before_anything_is_read_and_for_an_unknown_id_there_is_a_reason(home: Home, customers: Customers) -> None:
    customers.refresh()
    for _ in range(2):
        with pytest.raises(Problem) as problem:
            customers.newest("a")
        assert (problem.value.code, problem.value.status) == ("NO_ROWS", 503)
    home.publish("r1", "2026-11-20", ("a", "2026-11-18", 1.0))
    customers.refresh()
    with pytest.raises(Problem, match=r"no published row of tiny has the key '\.\./\.\./etc/passwd'"):
        customers.newest("../../etc/passwd")
    assert customers.newest("a")


def test_only_what_is_new_is_read_and_what_no_publication_names_never(
    home: Home, customers: Customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.publish("r1", "2026-11-20", *((str(number), "2026-11-18", 1.0) for number in range(50)))
    customers.refresh()
    read: list[int] = []
    real = tables.batches

    def counted(*arguments, **options):
        for batch in real(*arguments, **options):
            read.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(tables, "batches", counted)
    customers.refresh()
    assert read == []
    home.publish("r2", "2026-11-21", ("new", "2026-11-20", 1.0))
    version = home.version
    frame = pd.DataFrame(tables.read(home.uri, version)).assign(n=9.0, run_id="r3")
    tables.append(home.uri, frame, "r3", after=version)  # its run died before it published
    customers.refresh()
    assert sum(read) == 1
    assert customers.newest("new")[0]["n"] == 1.0


def test_columns_that_are_new_in_the_spec_make_the_file_anew(home: Home, customers: Customers, tmp_path: Path) -> None:
    home.publish("r1", "2026-11-20", ("a", "2026-11-18", 1.0))
    customers.refresh()
    columns = {name: column for name, column in home.spec.columns.items() if name != "paid"}
    later = Here(home.settings, home.spec.model_copy(update={"columns": columns}))
    with pytest.raises(Problem, match="nothing that is published has been read yet"):
        later.newest("a")
    later.refresh()
    assert "paid" not in later.newest("a")[0]


def test_a_file_of_another_format_is_made_anew(
    home: Home, customers: Customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.publish("r1", "2026-11-20", ("a", "2026-11-18", 1.0))
    with monkeypatch.context() as patch:
        patch.setattr("include.serving.newest_rows.FORMAT", 1)
        patch.setattr("include.serving.newest_rows.ROWS", "CREATE TABLE rows (id TEXT PRIMARY KEY, row TEXT)")
        patch.setattr("include.serving.newest_rows.UPSERT", "INSERT INTO rows VALUES (?1, ?2 + ?3 + ?4 + ?5)")
        Here(home.settings, home.spec).refresh()
    with pytest.raises(Problem) as problem:
        customers.newest("a")
    assert problem.value.code == "NO_ROWS"
    customers.refresh()
    assert customers.newest("a")[0]["n"] == 1.0


def test_a_damaged_file_is_made_again(home: Home, customers: Customers) -> None:
    home.publish("r1", "2026-11-20", ("a", "2026-11-18", 1.0))
    customers.refresh()
    path = home.settings.home / "serving" / "tiny" / FILE
    for one in path.parent.iterdir():
        one.unlink()
    path.write_bytes(b"no database" * 1000)
    fresh = Here(home.settings, home.spec)
    with pytest.raises(Problem, match="not a database"):
        fresh.newest("a")
    fresh.refresh()
    assert fresh.newest("a")[0]["n"] == 1.0


def test_it_is_read_by_a_process_that_yields_to_others(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    home.publish("r1", "2026-11-20", *((str(number), "2026-11-18", 1.0) for number in range(20_000)))
    customers, niceness = Customers(home.settings, home.spec), set[int]()
    with caplog.at_level("INFO"), ThreadPoolExecutor(1) as thread:
        reading = thread.submit(customers.refresh)
        while not reading.done():
            with suppress(psutil.NoSuchProcess):
                niceness |= {process.nice() for process in readers()}
            time.sleep(0.01)
        reading.result()
    assert YIELDING in niceness
    assert "20,000 row(s)" in caplog.text
    assert customers.newest("19999")[0]["n"] == 1.0


def test_a_reading_that_fails_says_why_and_is_tried_again_after_a_while(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.serving.customers.AGAIN_SECONDS", 1.0)
    home.publish("r1", "2026-11-20", ("a", "2026-11-18", 1.0))
    customers, table = Customers(home.settings, home.spec), Path(home.uri)
    away = table.rename(table.with_name("away"))
    why = r"customers\.db ended with 1: TableNotFoundError: .*does not exist"
    with pytest.raises(ReadingFailed, match=why):
        customers.refresh()
    away.rename(table)
    with pytest.raises(ReadingFailed, match=why):
        customers.refresh()
    time.sleep(1)
    customers.refresh()
    assert customers.newest("a")[0]["n"] == 1.0


def test_a_reading_is_given_up_when_the_api_ends(home: Home) -> None:
    home.publish("r1", "2026-11-20", *((str(number), "2026-11-18", 1.0) for number in range(100_000)))
    customers = Customers(home.settings, home.spec)
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(customers.refresh)
        while customers._reading is None:
            time.sleep(0.01)
        found = readers()
        customers.close()
        with pytest.raises(ReadingFailed, match="ended with -15"):
            reading.result(10)
    assert found
    assert not any(map(is_alive, found))


def readers() -> list[psutil.Process]:
    """The processes that read what is published, of this one."""
    return [child for child in psutil.Process().children() if newest_rows.__name__ in child.cmdline()]


def test_a_reader_sees_a_publication_whole_or_not_at_all(home: Home, customers: Customers) -> None:
    home.publish("r1", "2026-11-20", *((f"{number:05}", "2026-11-18", 1.0) for number in range(3000)))
    customers.refresh()
    home.publish("r2", "2026-11-21", *((f"{number:05}", "2026-11-20", 2.0) for number in range(3000)))
    seen: list[tuple[float, float]] = []
    writer = threading.Thread(target=customers.refresh)
    writer.start()
    while writer.is_alive():
        first, last = customers.newest("00000")[0]["n"], customers.newest("02999")[0]["n"]
        seen.append((first, last))
    assert (2.0, 1.0) not in seen
    assert customers.newest("02999")[0]["n"] == 2.0


def test_a_look_up_takes_far_less_than_a_millisecond(home: Home, customers: Customers) -> None:
    home.publish("r1", "2026-11-20", *((f"{number:05}", "2026-11-18", 1.0) for number in range(20_000)))
    customers.refresh()
    customers.newest("00000")
    began = time.process_time()
    for number in range(1000):
        customers.newest(f"{number * 20:05}")
    assert (time.process_time() - began) / 1000 < 0.0005
