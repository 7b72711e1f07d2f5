"""B15 to B24: values that are not what their column says. A few send their rows to quarantine, many refuse the file."""

from __future__ import annotations

import json
from datetime import timedelta

import pandas as pd
import pytest

from tests.bad_input.loans import ROWS, Loop, as_csv, loans

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

FEW, MANY = 3, 30

BROKEN: dict[str, tuple[str, str, str]] = {
    "b15_text_in_a_number": ("amount", "12abc", "amount: not a number"),
    "b16_decimal_comma": ("amount", "29,85", "amount: not a number"),
    "b16_thousands": ("amount", "1,234.50", "amount: not a number"),
    "b17_mixed_flags": ("failed", "1", "failed: neither 'yes' or 'no'"),
    "b17_mixed_case": ("failed", "Yes", "failed: neither 'yes' or 'no'"),
    "b18_past_2_to_the_53": ("age", "9007199254740993", "age: too large to be kept exactly; make the column text"),
    "b19_null": ("purpose", "", "purpose: must not be blank"),
    "b21_inf": ("amount", "inf", "amount: not a number"),
    "b21_overflow": ("amount", "-1e999", "amount: not finite"),
    "b21_nan": ("amount", "NaN", "amount: not a number"),
    "b24_out_of_range": ("age", "17", "age: must be between 18 and 100"),
    "b24_negative": ("amount", "-0.01", "amount: must be at least 0"),
    "b32_a_new_class": ("failed", "maybe", "failed: neither 'yes' or 'no'"),
    "other_category": ("purpose", "boat", "purpose: must be one of car, house"),
}


def broken(loop: Loop, column: str, value: str, rows: int) -> bytes:
    frame = loans(loop.next_day)
    frame.loc[frame.index[:rows], column] = value
    return as_csv(frame)


@pytest.mark.parametrize("row", BROKEN)
def test_a_few_broken_values_send_their_rows_to_quarantine(row: str, loop: Loop):
    column, value, rule = BROKEN[row]
    assert loop.ingest(broken(loop, column, value, FEW)) == "PUBLISHED", loop.reason
    last = loop.latest
    assert last is not None
    assert (last.rows_in, last.rows_published, last.rows_quarantined) == (ROWS, ROWS - FEW, FEW)
    assert loop.adds_up()
    kept = loop.table("quarantine")
    assert kept["rule"].str.contains(rule, regex=False).all()
    assert [json.loads(text)[column] for text in kept["row"]] == [value] * FEW


@pytest.mark.parametrize("row", BROKEN)
def test_many_broken_values_refuse_the_file(row: str, loop: Loop):
    column, value, rule = BROKEN[row]
    before = loop.latest
    assert loop.ingest(broken(loop, column, value, MANY)) == "DATA_REJECTED"
    for part in ("QUARANTINE_RATE", f"{MANY} of {ROWS} rows", "at most 5.0%", rule, value, "Mend the file"):
        assert part in loop.reason
    assert loop.latest == before


def test_b16_a_decimal_comma_without_quotes_is_never_a_larger_number(loop: Loop):
    content = as_csv(loans(loop.next_day)).decode().replace(".", ",", 1).encode()
    assert loop.ingest(content) == "DATA_REJECTED"
    assert "RAGGED_ROW" in loop.reason


def test_b18_long_integers_and_leading_zeros_are_kept_exactly(loop: Loop):
    frame = loans(loop.next_day)
    frame.loc[0, "loan"], frame.loc[1, "loan"] = "9007199254740993", "007"
    assert loop.ingest(as_csv(frame)) == "PUBLISHED"
    assert {"9007199254740993", "007"} <= set(loop.table("customers")["loan"])


def test_b20_a_row_without_a_label_is_kept_and_not_learned_from(loop: Loop):
    frame = loans(loop.next_day)
    frame.loc[frame.index[:FEW], "failed"] = ""
    assert loop.ingest(as_csv(frame)) == "PUBLISHED"
    assert (len(loop.table("customers")), len(loop.table("labels"))) == (ROWS, ROWS - FEW)


def test_b22_a_column_without_any_value_refuses_the_file(loop: Loop):
    before = loop.latest
    assert loop.ingest(as_csv(loans(loop.next_day).assign(age=""))) == "DATA_REJECTED"
    assert "COLUMN_ALL_NULL" in loop.reason
    assert f"column 'age' has no readable value in any of {ROWS} rows" in loop.reason
    assert loop.latest == before


def test_b22_b23_drift_skips_an_empty_column_and_a_constant_one_is_at_a_distance_of_zero(loop: Loop):
    from include.monitoring.drift import checks_of, measure
    from include.spec import find

    spec = find(loop.name, loop.settings.use_case_folders)
    numbers = pd.DataFrame({"amount": [5.0] * ROWS, "age": [float("nan")] * ROWS})
    frame = numbers.assign(purpose="car", region=None, score=0.5)
    report = measure(frame, frame, checks_of(spec), spec, seed=0)
    found = {column.name: (column.status, column.distance) for column in report.columns}
    assert found["age"] == ("ALL_NULL", None)
    assert found["region"] == ("ALL_NULL", None)
    assert found["amount"] == found["purpose"] == ("OK", 0.0)


def test_b23_a_constant_column_is_published(loop: Loop):
    assert loop.ingest(as_csv(loans(loop.next_day).assign(purpose="car"))) == "PUBLISHED"
    assert loop.adds_up()


def test_b35_the_same_file_twice_is_taken_once(loop: Loop):
    content = as_csv(loans(loop.next_day))
    assert loop.ingest(content) == "PUBLISHED"
    before = loop.latest
    assert loop.ingest(content) == "NO_NEW_DATA"
    assert "the same, byte for byte" in loop.reason
    assert loop.latest == before


def test_b35_a_row_twice_is_dropped_and_counted(loop: Loop):
    frame = loans(loop.next_day)
    assert loop.ingest(as_csv(pd.concat([frame, frame.head(FEW)]))) == "PUBLISHED"
    assert loop.evidence["duplicate_rows"] == FEW
    assert loop.adds_up()


def test_b36_one_key_with_two_contents_goes_to_quarantine_whole(loop: Loop):
    frame = loans(loop.next_day)
    other = frame.head(2).assign(failed=frame["failed"].head(2).map({"yes": "no", "no": "yes"}))
    assert loop.ingest(as_csv(pd.concat([frame, other]))) == "PUBLISHED"
    assert set(loop.table("quarantine")["rule"]) == {"loan+observed_at: must be unique"}
    assert len(loop.table("quarantine")) == 4
    assert loop.adds_up()


def test_b37_late_rows_are_published_as_known_now_and_reported(loop: Loop):
    frame = loans(loop.next_day)
    late = frame["granted"].head(FEW).str.replace(str(loop.next_day), str(loop.next_day - timedelta(days=3)))
    frame.loc[frame.index[:FEW], "granted"] = late
    as_of = str(loop.next_day + timedelta(days=1))
    assert loop.ingest(as_csv(frame)) == "PUBLISHED"
    assert f"{FEW} late" in loop.reason
    assert loop.evidence["late_rows"] == FEW
    assert set(loop.table("customers")["as_of"]) == {as_of}


TIMES = {
    "b38_naive": ("2026-11-{day}T12:00:00", "BAD_TIME"),
    "b38_ambiguous_at_dst": ("2026-10-25T02:30:00", "BAD_TIME"),
    "b38_a_word": ("yesterday", "BAD_TIME"),
    "b38_no_such_day": ("2026-02-30T00:00:00Z", "BAD_TIME"),
    "b38_tomorrow": ("2027-01-01T00:00:00Z", "FUTURE_TIME"),
    "b38_year_9999": ("9999-12-31T23:59:59Z", "FUTURE_TIME"),
}


@pytest.mark.parametrize("row", TIMES)
def test_a_time_that_is_not_one_moment_of_the_past_refuses_the_file(row: str, loop: Loop):
    value, code = TIMES[row]
    before = loop.latest
    frame = loans(loop.next_day)
    frame.loc[5, "granted"] = value.format(day=loop.next_day.day)
    assert loop.ingest(as_csv(frame)) == "DATA_REJECTED"
    for part in (code, f"{loop.next_day}.csv", "column 'granted'", f"1 of {ROWS}", frame.loc[5, "granted"][:19]):
        assert part in loop.reason
    assert loop.latest == before


def test_b38_offsets_are_turned_into_utc(loop: Loop):
    frame = loans(loop.next_day)
    before = loop.next_day - timedelta(days=1)
    frame.loc[0, "granted"] = f"{loop.next_day}T00:30:00+02:00"
    assert loop.ingest(as_csv(frame)) == "PUBLISHED"
    kept = loop.table("customers").set_index("loan")["observed_at"]
    assert kept[frame.loc[0, "loan"]] == pd.Timestamp(f"{before}T22:30:00Z")
