"""The labels feed: what no label can be taken from refuses the run, named; nothing of it is published."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from tests.bad_input.loans import FIRST_DAY, ROWS, Loop, Maker, as_csv, loans, write
from tests.steps.loop import ingest

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

GOOD = loans(FIRST_DAY).rename(columns={"granted": "observed_at"})[["loan", "observed_at", "failed"]]


def changed(column: str, value: str) -> bytes:
    frame = GOOD.copy()
    frame.loc[0, column] = value
    return as_csv(frame)


def contradicting() -> bytes:
    other = GOOD.head(2).assign(failed=GOOD["failed"].head(2).map({"yes": "no", "no": "yes"}))
    return as_csv(pd.concat([GOOD, other]))


BROKEN: dict[str, tuple[bytes, str, tuple[str, ...]]] = {
    "empty": (b"", "EMPTY_FILE", ("0 bytes",)),
    "unreadable": (as_csv(GOOD) + b'"open', "UNREADABLE", ("open quote",)),
    "ragged": (as_csv(GOOD) + b"1,2\n", "RAGGED_ROW", ("2 fields, expected 3",)),
    "encoding": (as_csv(GOOD) + b"\xff\xff\xff", "BAD_ENCODING", ("UTF-8",)),
    "missing_column": (as_csv(GOOD.rename(columns={"failed": "Failed"})), "MISSING_COLUMN", ("did you mean 'Failed'",)),
    "b32_new_class": (changed("failed", "maybe"), "BAD_LABEL", ("1 of 120", "neither 'yes' or 'no'", "'maybe'")),
    "b36_conflicting": (contradicting(), "CONFLICTING_LABELS", ("4 of 122 values", "two labels for one observation")),
    "b38_bad_time": (changed("observed_at", "01.11.2026"), "BAD_TIME", ("'observed_at'", "'01.11.2026'")),
    "blank_id": (changed("loan", " "), "BLANK_KEY", ("'loan'", "1 of 120", "a label needs its id")),
    "blank_time": (changed("observed_at", ""), "BLANK_KEY", ("'observed_at'", "1 of 120")),
}


def fed(maker: Maker, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, suffix: str = ".csv") -> Any:
    """The outcome of a day of rows without labels, and the loop, when ``content`` is the day's file of labels."""
    labels_uri = f"file://{maker.root / name}/labels-{{day}}{suffix}"
    rows_uri = f"file://{maker.root / name}/{{day}}.csv"  # register_source points elsewhere; a spec needs one
    source = {"uri": rows_uri, "labels_uri": labels_uri, "wait_seconds": 0}
    loop = maker.make(name, monkeypatch, source=source)
    write(maker.root / name / f"labels-{FIRST_DAY}{suffix}", content)
    write(loop.folder / f"{FIRST_DAY}.csv", as_csv(loans(FIRST_DAY).assign(failed="")))
    loop.runs.append("ingest/i1")
    return ingest("i1", str(FIRST_DAY + timedelta(days=1)), loop.name), loop


@pytest.mark.parametrize("row", BROKEN)
def test_broken_labels_refuse_the_run(row: str, maker: Maker, monkeypatch: pytest.MonkeyPatch):
    content, code, named = BROKEN[row]
    outcome, loop = fed(maker, monkeypatch, f"labels-{row}", content)
    assert outcome == "DATA_REJECTED"
    for part in (code, f"labels-{FIRST_DAY}.csv", *named):
        assert part in loop.reason
    assert loop.latest is None


def published(loop: Loop) -> pd.DataFrame:
    return loop.table("labels")


def test_good_labels_are_published_and_blank_ones_counted(maker: Maker, monkeypatch: pytest.MonkeyPatch):
    outcome, loop = fed(maker, monkeypatch, "labels-blank", changed("failed", ""))
    assert outcome == "PUBLISHED"
    assert len(published(loop)) == ROWS - 1
    assert loop.evidence["labels"] == {"rows": ROWS, "blank": 1, "repeated": 0, "late": 0}


def test_the_same_label_twice_is_one_label(maker: Maker, monkeypatch: pytest.MonkeyPatch):
    outcome, loop = fed(maker, monkeypatch, "labels-twice", as_csv(pd.concat([GOOD, GOOD.head(3)])))
    assert (outcome, len(published(loop))) == ("PUBLISHED", ROWS)
    assert loop.evidence["labels"]["repeated"] == 3


def test_a_day_on_which_no_label_became_known_is_fine(maker: Maker, monkeypatch: pytest.MonkeyPatch):
    outcome, loop = fed(maker, monkeypatch, "labels-none", as_csv(GOOD.head(0)))
    assert (outcome, loop.latest.rows_published) == ("PUBLISHED", ROWS)


def test_labels_may_be_parquet(maker: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path):
    GOOD.to_parquet(tmp_path / "x.parquet")
    content = (tmp_path / "x.parquet").read_bytes()
    outcome, loop = fed(maker, monkeypatch, "labels-parquet", content, ".parquet")
    assert (outcome, len(published(loop))) == ("PUBLISHED", ROWS)
