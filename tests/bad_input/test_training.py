"""B13, B25 to B34, B39: what only shows when a model is to be trained. It is refused, and the champion stays."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from include.errors import BadRequest
from tests.bad_input.loans import DAYS, FIRST_DAY, Change, Loop, Maker, as_csv, loans
from tests.steps.loop import open_run

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other


def unlabelled(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(failed=frame["failed"].where(frame.index % 4 != 0, ""))


def all_good(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(failed="no")


def one_failed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(failed=["yes", *["no"] * (len(frame) - 1)])


def returning(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(loan=[f"L{n}" for n in range(len(frame))])


REFUSED: dict[str, tuple[Change, dict, str, tuple[str, ...]]] = {
    "b20_null_labels": (unlabelled, {}, "LOW_LABEL_COVERAGE", ("75.0%", "480 mature rows", "at least 90%")),
    "b30_one_class": (all_good, {}, "ONE_CLASS", ("all 480 labels", "one class, 'no'", "none is 'yes'")),
    "b31_small_class": (one_failed, {}, "SMALL_CLASS", ("class 'yes' of 'failed' has 4 rows", "at least 20")),
    "b31_fewer_than_folds": (
        lambda frame: one_failed(frame) if frame["granted"].iloc[0] < "2026-11-03" else all_good(frame),
        {"limits": {"minimum_training_rows": 100, "minimum_class_rows": 1}},
        "SMALL_CLASS",
        ("class 'yes'", "2 rows, at least 3"),
    ),
    "b34_same_ids": (returning, {}, "SAME_IDS", ("column 'loan': 120 ids", "training.split.ids_return: true")),
}


@pytest.mark.parametrize("row", REFUSED)
def test_a_window_that_cannot_be_learned_from_is_refused(row: str, maker: Maker, monkeypatch: pytest.MonkeyPatch):
    change, spec, code, named = REFUSED[row]
    loop = maker.make(row, monkeypatch, days=4, change=change, **spec)
    assert loop.retrain() == "DATA_REJECTED"
    for part in (code, *named):
        assert part in loop.reason
    assert loop.champion is None


def test_b27_a_hundred_thousand_categories_are_refused(maker: Maker, monkeypatch: pytest.MonkeyPatch):
    loop = maker.make("b27", monkeypatch, limits={"minimum_training_rows": 100, "maximum_categories": 50})
    frame = loans(FIRST_DAY, rows=100_000)
    assert loop.ingest(as_csv(frame.assign(region=[f"village {n}" for n in range(len(frame))]))) == "PUBLISHED"
    assert loop.retrain() == "DATA_REJECTED"
    for part in ("TOO_MANY_CATEGORIES", "column 'region' has 100000 categories, at most 50", "group them"):
        assert part in loop.reason


def test_b13_columns_in_another_order_make_the_same_model(served: Loop, maker: Maker, monkeypatch: pytest.MonkeyPatch):
    champion = served.champion
    loop = maker.make("b13", monkeypatch, days=DAYS, change=lambda frame: frame[sorted(frame.columns)[::-1]])
    assert loop.retrain(run_mode="dry_run") == "DRY_RUN"
    manifests = sorted((loop.settings.home / "runs").rglob("candidates/line/manifest.json"))
    assert len(manifests) == 1
    assert champion.model_sha256 in manifests[0].read_text(encoding="utf-8")


def test_b25_a_change_of_unit_is_blocked_until_it_is_mended(loop: Loop):
    frame = loans(loop.next_day)
    in_cents = frame.assign(amount=(frame["amount"].astype(float) * 1000).map("{:.2f}".format))
    assert loop.ingest(as_csv(in_cents)) == "PUBLISHED"
    assert loop.retrain(run_mode="dry_run") == "DATA_REJECTED"
    for part in ("SHIFT_GUARD", "'amount': the median went from", "a change of unit?"):
        assert part in loop.reason
    following = loans(loop.next_day)
    assert loop.ingest(as_csv(pd.concat([following, frame]))) == "PUBLISHED"  # the rows once more, as they should be
    assert loop.retrain(run_mode="dry_run") != "DATA_REJECTED", loop.reason


LEAKS: dict[str, Change] = {
    "b33_copy_of_the_label": lambda frame: frame.assign(region=frame["failed"]),
    "b33_written_after_the_event": lambda frame: frame.assign(
        amount=np.where(frame["failed"] == "yes", "0", frame["amount"])
    ),
}


@pytest.mark.parametrize("row", LEAKS)
def test_a_label_that_leaked_is_stopped_at_the_gate(row: str, maker: Maker, monkeypatch: pytest.MonkeyPatch):
    loop = maker.make(row, monkeypatch, days=8, change=LEAKS[row])
    column = "region" if "copy" in row else "amount"
    assert loop.retrain(run_mode="dry_run") == "REFUSED"
    code = "COPY_OF_TARGET" if "copy" in row else "LEAKAGE"
    for part in (code, f"column '{column}' alone 1 > 0.99", "take it out of the features"):
        assert part in loop.reason
    assert loop.champion is None


PARAMETERS = {
    "b39_a_word": {"as_of": "tomorrow"},
    "b39_no_such_day": {"as_of": "2026-02-30"},
    "b39_unknown_key": {"path": "x"},
    "b39_a_path": {"as_of": "../../etc/passwd"},
    "b39_no_such_mode": {"run_mode": "force"},
}


@pytest.mark.parametrize("row", PARAMETERS)
def test_bad_parameters_are_refused_before_anything_is_read_or_written(row: str, loop: Loop):
    before = {path for path in loop.settings.home.rglob("*") if "state.db" not in path.name}
    with pytest.raises(BadRequest) as refusal:
        open_run("retrain", row, PARAMETERS[row], use_case=loop.name)
    (key, value), *_ = PARAMETERS[row].items()
    assert key in str(refusal.value) or value in str(refusal.value)
    assert {path for path in loop.settings.home.rglob("*") if "state.db" not in path.name} == before


def test_b39_without_a_day_the_run_is_as_of_its_own(loop: Loop):
    assert date.fromisoformat(open_run("ingest", "b39-no-day", {}, use_case=loop.name)["run"]["as_of"])
