"""From segments to tables: each answer and each label once, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.data import tables
from include.data.served import DATASET, FEEDBACK, PREDICTIONS, Served, join_labels
from include.failpoints import VARIABLE, InjectedFault
from include.serving import capture, feedback
from include.serving.capture import Capture, Captured
from include.serving.collection import collect
from include.serving.feedback import FeedbackLog, check
from include.serving.segments import segments
from include.settings import Settings
from include.spec import Capturing, UseCase
from include.state import publications
from include.state.database import connect
from include.state.publications import Publication
from include.state.runs import Run

AT = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
AS_OF = "2026-11-25"
ROW: dict[str, Any] = {
    **{"customerID": "0042-A", "gender": "Female", "SeniorCitizen": "0", "Partner": "Yes", "Dependents": "No"},
    **{"tenure": 5, "PhoneService": "Yes", "MultipleLines": "No", "InternetService": "DSL", "OnlineSecurity": "No"},
    **{"OnlineBackup": "No", "DeviceProtection": "No", "TechSupport": "No", "StreamingTV": "No"},
    **{"StreamingMovies": "No", "Contract": "One year", "PaperlessBilling": "Yes", "PaymentMethod": "Mailed check"},
    **{"MonthlyCharges": 29.85, "TotalCharges": None},
}


class Api:
    """What a scoring API leaves on the disk of one home."""

    def __init__(self, settings: Settings, spec: UseCase) -> None:
        self.settings, self.spec = settings, spec
        self.engine = connect(settings.state_url)

    def answer(self, *records: Captured, **rules: Any) -> None:
        async def write() -> None:
            keeper = Capture(capture.folder_of(self.settings, "churn"), Capturing.model_validate(rules))
            await keeper.write(records)
            keeper.close()

        asyncio.run(write())

    def take(self, *items: dict[str, Any]) -> None:
        async def write() -> None:
            log = FeedbackLog(feedback.folder_of(self.settings, "churn"))
            await log.write(check(items, self.spec, AT))
            log.close()

        asyncio.run(write())

    def collect(self, run_id: str, as_of: str = AS_OF) -> Publication | None:
        return collect(self.engine, self.settings, self.spec, Run("churn", "monitor", run_id, as_of))[0]

    def table(self, name: str) -> pd.DataFrame:
        newest = publications.latest(self.engine, "churn", DATASET)
        assert newest is not None
        return tables.read(tables.table_uri(self.settings.lake_uri, "churn", name), newest.versions[name])

    def ids(self) -> list[str]:
        return sorted(self.table(PREDICTIONS)["prediction_id"])

    def served(self) -> Served:
        newest = publications.latest(self.engine, "churn", DATASET)
        assert newest is not None
        return Served(self.settings.lake_uri, self.spec, newest)


@pytest.fixture
def api(tmp_path: Path, churn: UseCase) -> Api:
    return Api(Settings.from_environment({"MODELOPS_HOME": str(tmp_path)}), churn)


def answered(name: str, entity: str | None = "0042-A", at: datetime = AT, **changes: Any) -> Captured:
    return replace(Captured(name, at, "3", "champion", entity, ROW, 0.25, True, 1.5), **changes)


def test_an_answer_is_a_row_with_the_columns_of_the_spec(api: Api):
    api.answer(answered("a"))
    publication = api.collect("m1")
    assert publication is not None
    assert (publication.rows_published, publication.first_day, publication.last_day) == (1, "2026-11-24", "2026-11-24")
    (row,) = api.table(PREDICTIONS).to_dict("records")
    assert all(pd.isna(row.pop(name)) for name in ("TotalCharges", "columns_left_out", "columns_added"))
    expected = {key: value for key, value in ROW.items() if key != "TotalCharges"}
    assert row == expected | {
        "prediction_id": "a",
        "predicted_at": pd.Timestamp(AT),
        "observed_at": pd.Timestamp(AT),
        "model_version": "3",
        "model_role": "champion",
        "score": 0.25,
        "acted_on": True,
        "latency_ms": 1.5,
        "is_whole": True,
        "as_of": AS_OF,
        "run_id": "m1",
    }


def test_a_row_that_was_looked_up_was_observed_when_it_was_published_and_its_label_finds_it(api: Api):
    observed = datetime(2026, 11, 14, tzinfo=UTC)
    api.answer(answered("a", observed_at=observed), answered("b"))
    api.take({"entity": "0042-A", "observed_at": "2026-11-14", "label": "Yes"})
    api.collect("m1")
    rows = api.table(PREDICTIONS).set_index("prediction_id")
    assert rows["observed_at"].to_dict() == {"a": pd.Timestamp(observed), "b": pd.Timestamp(AT)}
    served = api.served()
    answers = served.answers(date(2026, 11, 1), date(2026, 12, 1), AS_OF)
    joined = join_labels(answers, feed(), served.labels(AS_OF), api.spec).set_index("prediction_id")
    assert joined["label"].isna().to_dict() == {"a": False, "b": True}


def test_model_inputs_are_kept_as_far_as_they_are_columns(api: Api):
    inputs = {name: ROW[name] for name in ("tenure", "Contract")} | {"charge_change": 0.5}
    api.answer(answered("a", entity=None, inputs=inputs))
    api.collect("m1")
    (row,) = api.table(PREDICTIONS).to_dict("records")
    assert (row["tenure"], row["Contract"], row["is_whole"]) == (5.0, "One year", False)
    assert pd.isna(row["gender"])
    assert pd.isna(row["customerID"])
    assert "charge_change" not in row


def test_what_a_caller_left_out_and_added_is_kept_by_name(api: Api):
    inputs = {name: value for name, value in ROW.items() if name not in ("Partner", "customerID")} | {"Colour": "blue"}
    api.answer(answered("a", inputs=inputs))
    api.collect("m1")
    (row,) = api.table(PREDICTIONS).to_dict("records")
    found = (row["is_whole"], row["columns_left_out"], row["columns_added"])
    assert found == (False, '["Partner"]', '["Colour"]')


def test_a_row_of_the_model_s_inputs_leaves_nothing_out(api: Api):
    inputs = dict.fromkeys(api.spec.feature_types, 1.0)
    api.answer(answered("a", inputs=inputs))
    api.collect("m1")
    (row,) = api.table(PREDICTIONS).to_dict("records")
    assert (row["is_whole"], pd.isna(row["columns_left_out"]), pd.isna(row["columns_added"])) == (False, True, True)


def test_the_answers_of_the_shadow_are_read_apart(api: Api):
    api.answer(answered("a"), answered("a", role="shadow", version="4"), answered("b"))
    api.collect("m1")
    days = (date(2026, 11, 24), date(2026, 11, 25), AS_OF)
    assert api.served().shadows(*days)[["prediction_id", "model_version"]].to_numpy().tolist() == [["a", "4"]]
    assert api.served().answers(*days)["prediction_id"].tolist() == ["a", "b"]


def test_each_answer_is_published_once_over_many_collections(api: Api):
    api.answer(answered("a"), answered("b"))
    api.collect("m1")
    api.answer(answered("c"))
    api.collect("m2")
    assert api.collect("m3") is not None
    assert api.ids() == ["a", "b", "c"]
    assert segments(capture.folder_of(api.settings, "churn")) == []
    history = publications.history(api.engine, "churn", DATASET, AS_OF)
    assert [(one.run_id, one.rows_published) for one in history] == [("m1", 2), ("m2", 1)]


def test_a_segment_that_grows_is_collected_up_to_its_last_line_and_kept(api: Api):
    async def serve() -> None:
        keeper = Capture(capture.folder_of(api.settings, "churn"))
        await keeper.write([answered("a")])
        api.collect("m1")
        assert len(segments(capture.folder_of(api.settings, "churn"))) == 1
        await keeper.write([answered("b")])
        api.collect("m2")
        keeper.close()

    asyncio.run(serve())
    assert api.ids() == ["a", "b"]
    api.collect("m3")
    assert segments(capture.folder_of(api.settings, "churn")) == []


@pytest.mark.parametrize("point", ["tables.appended", "publications.published"])
def test_a_collection_that_dies_loses_nothing_and_doubles_nothing(
    point: str, api: Api, monkeypatch: pytest.MonkeyPatch
):
    api.answer(answered("a"))
    api.collect("m0")
    api.answer(answered("b"), answered("c"))
    api.take({"prediction_id": "a", "label": "Yes"})
    monkeypatch.setenv(VARIABLE, f"{point}=raise")
    with pytest.raises(InjectedFault):
        api.collect("m1")
    monkeypatch.delenv(VARIABLE)
    for run in ("m1", "m2"):
        api.collect(run)
    assert api.ids() == ["a", "b", "c"]
    assert len(api.table(FEEDBACK)) == 1


def test_i3_one_prediction_per_prediction_id(api: Api):
    api.answer(answered("a"), answered("a"), answered("a", role="shadow", version="4"))
    api.collect("m1")
    api.answer(answered("a"), answered("b"))
    api.collect("m2")
    kept = api.table(PREDICTIONS)
    assert sorted(zip(kept["prediction_id"], kept["model_role"], strict=True)) == [
        ("a", "champion"),
        ("a", "shadow"),
        ("b", "champion"),
    ]
    answers = api.served().answers(date(2026, 11, 24), date(2026, 11, 25), AS_OF)
    assert list(answers["prediction_id"]) == ["a", "b"]


def test_what_the_sampling_left_out_and_what_is_damaged_is_counted(api: Api):
    api.answer(*(answered(str(number)) for number in range(100)), sampling=0.5)
    (path,) = segments(capture.folder_of(api.settings, "churn"))
    path.write_bytes(path.read_bytes().replace(b'"score":0.25', b'"score":0.75', 1))
    _, gathered = collect(api.engine, api.settings, api.spec, Run("churn", "monitor", "m1", AS_OF))
    assert gathered is not None
    assert gathered.damaged == 1
    assert gathered.not_captured == 100 - len(api.ids()) - 1


def test_a_run_of_the_past_sees_what_was_collected_then(api: Api):
    api.answer(answered("a"))
    api.collect("m1", "2026-11-25")
    api.answer(answered("b"))
    api.collect("m2", "2026-11-26")
    days = (date(2026, 11, 24), date(2026, 11, 25))
    assert list(api.served().answers(*days, "2026-11-25")["prediction_id"]) == ["a"]
    assert list(api.served().answers(*days, "2026-11-26")["prediction_id"]) == ["a", "b"]


def feed(*labels: tuple[str, str, float, str]) -> pd.DataFrame:
    frame = pd.DataFrame(labels, columns=["customerID", "observed_at", "label", "known_at"])
    times = {name: pd.to_datetime(frame[name], utc=True).dt.as_unit("us") for name in ("observed_at", "known_at")}
    return frame.assign(**times)


DAY, KNOWN = "2026-11-24T00:00:00Z", "2026-11-24T12:00:00Z"
BY_DAY = {"entity": "0042-A", "observed_at": "2026-11-24", "label": "Yes", "known_at": KNOWN}
JOINS: dict[str, tuple[Sequence[tuple[str, str, float, str]], Sequence[dict[str, Any]], list[float | None]]] = {
    "no label yet": ([], [], [None, None]),
    "by prediction id": ([], [{"prediction_id": "a", "label": "Yes"}], [1.0, None]),
    "by prediction id with a blank": ([], [{"prediction_id": " a", "label": "Yes"}], [1.0, None]),
    "by customer and day": ([], [BY_DAY], [1.0, None]),
    "by customer with a blank and day": ([], [BY_DAY | {"entity": "0042-A "}], [1.0, None]),
    "by the labels feed": ([("0042-A", DAY, 1.0, KNOWN)], [], [1.0, None]),
    "of another day": ([("0042-A", "2026-11-23T23:59:59Z", 1.0, KNOWN)], [], [None, None]),
    "the later one corrects": ([("0042-A", DAY, 0.0, "2026-11-24T13:00:00Z")], [BY_DAY], [0.0, None]),
    "of two at once what came back": ([("0042-A", DAY, 0.0, KNOWN)], [BY_DAY], [1.0, None]),
    "of a prediction that is not there": ([], [{"prediction_id": "z", "label": "Yes"}], [None, None]),
}


@pytest.mark.parametrize("case", JOINS)
def test_i3_one_label_per_event(case: str, api: Api):
    fed, sent, expected = JOINS[case]
    api.answer(answered("a"), answered("b", entity=None, inputs={}))
    for item in sent:
        api.take(item)
    api.collect("m1")
    answers = api.served().answers(date(2026, 11, 24), date(2026, 11, 25), AS_OF)
    joined = join_labels(answers, feed(*fed), api.served().labels(AS_OF), api.spec)
    assert list(joined["prediction_id"]) == ["a", "b"]
    assert [None if pd.isna(label) else label for label in joined["label"]] == expected


def test_b36_a_later_label_corrects_an_earlier_one(api: Api):
    api.answer(answered("a"))
    api.take({"prediction_id": "a", "label": "Yes", "known_at": "2026-11-24T10:00:00Z"})
    api.take({"prediction_id": "a", "label": "No", "known_at": "2026-11-24T11:00:00Z"})
    api.collect("m1")
    answers = api.served().answers(date(2026, 11, 24), date(2026, 11, 25), AS_OF)
    assert list(join_labels(answers, feed(), api.served().labels(AS_OF), api.spec)["label"]) == [0.0]
