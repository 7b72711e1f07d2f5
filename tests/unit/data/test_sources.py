"""What each kind of source lands: which days, which files, and what it says when something is not right."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from include.data import contract, fetch
from include.data.simulator import Drift
from include.data.sources import (
    Landed,
    Seen,
    Simulator,
    daily_days,
    kind_of,
    label_delay,
    land,
    parse_simulator,
    refuse_changed,
)
from include.errors import DataRejected
from include.spec import UseCase

AS_OF, NOTHING = date(2026, 1, 10), Seen()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "QUIET_SECONDS", 0.01)


@pytest.fixture
def loans(churn: UseCase) -> UseCase:
    """The churn use case reading daily files in a hurry."""
    return with_source(churn, uri="/somewhere/{day}.csv")


def with_source(spec: UseCase, **changes: object) -> UseCase:
    return spec.model_copy(update={"source": spec.source.model_copy(update={"wait_seconds": 0.0, **changes})})


@pytest.fixture
def bring(loans: UseCase, tmp_path: Path) -> Callable[..., list[Landed]]:
    def brought(uri: str, seen: Seen = NOTHING, as_of: date = AS_OF, spec: UseCase = loans) -> list[Landed]:
        return land(uri, spec, seen, as_of=as_of, folder=tmp_path / "landing")

    return brought


def put(folder: Path, *days: str, kind: str = "rows", text: str = "a\n1\n") -> str:
    """Write a file for each day of January; return the URI of the source."""
    folder.mkdir(exist_ok=True)
    for day in days:
        (folder / f"{kind}-2026-01-{day}.csv").write_text(text)
    return f"{folder}/{kind}-{{day}}.csv"


def named(landed: list[Landed]) -> list[str]:
    return [Path(file.path).name for file in landed]


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("simulator:", "simulator"),
        ("simulator:?seed=1", "simulator"),
        ("/data/rows-{day}.csv", "daily"),
        ("s3://bucket/{day}/rows.parquet", "daily"),
        ("/data/telco.csv", "replay"),
        ("https://host/telco.csv.gz", "replay"),
    ],
)
def test_the_uri_says_what_kind_of_source_it_is(uri: str, kind: str) -> None:
    assert kind_of(uri) == kind


def test_only_a_replayed_file_has_the_delay_of_a_replay(churn: UseCase) -> None:
    replay = churn.source.replay.model_copy(update={"label_delay_days": 3})
    spec = with_source(churn, label_delay_days=14, replay=replay)
    assert label_delay("telco.csv", spec) == timedelta(days=3)
    assert label_delay("simulator:", spec) == label_delay("{day}.csv", spec) == timedelta(days=14)


# The simulator.


@pytest.mark.parametrize(
    ("uri", "simulator"),
    [
        ("simulator:", Simulator()),
        ("simulator:?", Simulator()),
        ("simulator:?rows_per_day=12&days=3&seed=0", Simulator(12, 3, 0)),
        ("simulator:?drift=prior&drift_from=2026-01-05", Simulator(drift=Drift("prior", date(2026, 1, 5)))),
    ],
)
def test_parameters_of_the_simulator(uri: str, simulator: Simulator) -> None:
    assert parse_simulator(uri) == simulator


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ("rows_a_day=12", "rows_a_day"),
        ("rows_per_day=many", "'many'"),
        ("rows_per_day=", "''"),
        ("rows_per_day=0", "rows_per_day must be from 1 to 1,000,000"),
        ("rows_per_day=1000001", "rows_per_day must be from 1 to 1,000,000"),
        ("days=0", "days at least 1"),
        ("seed=-1", "seed at least 0"),
        ("yes", "yes"),
        ("drift=prior", "drift and drift_from belong together"),
        ("drift_from=2026-01-01", "drift and drift_from belong together"),
        ("drift=weather&drift_from=2026-01-01", "unknown kind of drift 'weather'"),
        ("drift=prior&drift_from=soon", "soon"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(options: str, fault: str) -> None:
    with pytest.raises(DataRejected, match=fault) as refusal:
        parse_simulator(f"simulator:?{options}")
    assert refusal.value.code == "BAD_SOURCE"
    assert f"simulator:?{options}" in str(refusal.value)


def test_simulated_days_come_with_the_labels_that_have_matured(bring, churn: UseCase) -> None:
    uri, spec = "simulator:?rows_per_day=5&days=6", with_source(churn, label_delay_days=4)
    first = bring(uri, spec=spec)
    assert named(first) == [
        *(f"rows-2026-01-0{day}.csv" for day in (4, 5, 6, 7, 8)),
        "labels-2026-01-08.csv",
        "rows-2026-01-09.csv",
        "labels-2026-01-09.csv",
    ]
    rows, labels = (pd.read_csv(file.path, keep_default_na=False) for file in (first[0], first[5]))
    assert (rows["Churn"] == "").all()
    assert list(labels["customerID"]) == list(rows["customerID"])
    assert set(labels["observed_at"]) == {"2026-01-04"}
    again = bring(uri, Seen(date(2026, 1, 8)), spec=spec)
    assert [file.sha256 for file in again] == [file.sha256 for file in first[-2:]]
    assert bring(uri, Seen(date(2026, 1, 9)), spec=spec) == []


def test_days_to_come_can_be_simulated_and_replayed(bring, churn: UseCase, tmp_path: Path) -> None:
    (tmp_path / "telco.csv").write_text("a\n1\n")
    assert [len(bring(uri, as_of=date(2999, 1, 1))) for uri in ("simulator:?days=2", f"{tmp_path}/telco.csv")] == [2, 1]


# A file a day.


def test_every_day_up_to_as_of_lands_at_once(bring, tmp_path: Path) -> None:
    uri = put(tmp_path / "in", "05", "06", "07", "08", "09", "10")
    landed = bring(uri)
    assert [file.day for file in landed] == [f"2026-01-0{n}" for n in range(5, 10)]
    assert landed[0].uri == f"{tmp_path}/in/rows-2026-01-05.csv"
    later = bring(uri, Seen(date(2026, 1, 8)))
    assert [file.day for file in later] == ["2026-01-09"]
    assert bring(uri, Seen(date(2026, 1, 9))) == []


def test_b1_a_missing_day_stops_the_run_and_is_named(bring, tmp_path: Path) -> None:
    uri = put(tmp_path / "in", "06", "08", "09")
    with pytest.raises(DataRejected, match=r"rows-2026-01-07\.csv: there is no such file") as refusal:
        bring(uri)
    assert refusal.value.code == "MISSING_FILE"
    put(tmp_path / "in", "07")
    assert [file.day for file in bring(uri)] == [f"2026-01-0{n}" for n in range(6, 10)]


def test_b1_a_source_without_any_file_says_what_it_expects(bring, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DataRejected, match=r"no file matches; expected one a day, such as .*/rows-2026-01-31\.csv"):
        bring(f"{tmp_path}/in/rows-{{day}}.csv")


def test_labels_come_from_files_of_their_own_also_late_ones(bring, loans: UseCase, tmp_path: Path) -> None:
    uri, labels = put(tmp_path / "in", "07", "08"), put(tmp_path / "in", "08", kind="labels")
    spec = with_source(loans, uri=uri, labels_uri=labels)
    first = bring(uri, as_of=date(2026, 1, 9), spec=spec)
    assert named(first) == ["rows-2026-01-07.csv", "rows-2026-01-08.csv", "labels-2026-01-08.csv"]
    put(tmp_path / "in", "09")
    put(tmp_path / "in", "07", "09", "10", kind="labels")  # one of them late, one not due yet
    seen = Seen(date(2026, 1, 8), files={file.uri: file.sha256 for file in first})
    landed = bring(uri, seen, spec=spec)
    assert named(landed) == ["rows-2026-01-09.csv", "labels-2026-01-07.csv", "labels-2026-01-09.csv"]
    assert [file.kind for file in landed] == ["rows", "labels", "labels"]


@pytest.mark.parametrize(
    "template",
    [
        "{base}/{{day}}.csv",
        "file://{base}/{{day}}.csv",
        "memory:/{base}/{{day}}/rows.csv",
        "{base}/[x]/{{day}}/{{day}}.csv",
    ],
    ids=["path", "file URI", "memory", "twice, beside brackets"],
)
def test_days_are_found_on_any_store(tmp_path: Path, template: str) -> None:
    uri = template.format(base=tmp_path)
    for day in ("2026-01-03", "2026-01-01", "2026-02-30", "README", "2026-01-01-old"):
        with fsspec.open(uri.replace("{day}", day), "w", auto_mkdir=True) as file:
            file.write("a\n")
    assert daily_days(uri) == [date(2026, 1, 1), date(2026, 1, 3)]


@pytest.mark.parametrize("uri", ["s3://bucket/rows.csv", "s3://bucket/{day}.csv", "nowhere://rows.csv"])
def test_a_store_that_nothing_here_can_read_is_named(bring, uri: str) -> None:
    with pytest.raises(DataRejected, match=uri.replace("{", r"\{")) as refusal:
        bring(uri)
    assert refusal.value.code == "BAD_SOURCE"


# One file, replayed.


def test_a_static_file_lands_once(bring, tmp_path: Path) -> None:
    source = tmp_path / "telco.csv"
    source.write_text("a\n1\n")
    (landed,) = bring(str(source))
    assert (landed.kind, landed.day, landed.uri) == ("rows", None, str(source))
    assert Path(landed.path).read_text() == "a\n1\n"
    seen = Seen(date(2026, 1, 9), files={str(source): landed.sha256})
    assert bring(str(source), seen, as_of=date(2026, 2, 1)) == []


def test_a_static_file_that_changed_later_is_said_to_have(bring, tmp_path: Path) -> None:
    source = tmp_path / "telco.csv"
    source.write_text("a\n1\n")
    (landed,) = bring(str(source))
    source.write_text("a\n1\n2\n")
    seen = Seen(date(2026, 1, 9), files={str(source): landed.sha256})
    with pytest.raises(DataRejected, match=r"telco\.csv: has changed since it was replayed.*start anew") as refusal:
        bring(str(source), seen)
    assert refusal.value.code == "SOURCE_CHANGED"
    with pytest.raises(DataRejected, match="has changed"):
        refuse_changed(str(source), landed.sha256)
    source.unlink()  # it is exhausted, so nobody needs it any more
    assert bring(str(source), seen) == []


@pytest.mark.parametrize(
    ("scheme", "form"), [("", "csv"), ("file://", "csv.gz"), ("memory:/", "CSV.GZ"), ("file://", "parquet")]
)
def test_the_real_file_is_the_same_table_in_every_form(
    bring, churn: UseCase, telco_csv: Path, tmp_path: Path, form: str, scheme: str
) -> None:
    whole = contract.read(telco_csv, churn).frame
    uri = f"{scheme}{tmp_path}/telco.{form}"
    with fsspec.open(uri, "wb") as file:
        file.write(_as(form, telco_csv))
    (landed,) = bring(uri, spec=with_source(churn))
    pd.testing.assert_frame_equal(contract.read(Path(landed.path), churn).frame, whole)


def _as(form: str, csv: Path) -> bytes:
    if form == "parquet":
        return pd.read_csv(csv, dtype="str", keep_default_na=False).to_parquet(index=False)
    return gzip.compress(csv.read_bytes(), compresslevel=1) if form.lower().endswith("gz") else csv.read_bytes()
