"""What ``init`` drafts from files of many kinds, and what it refuses to guess."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from include import spec as specs
from include.__main__ import main
from include.cli.draft import Wishes, draft
from include.cli.init import init
from include.cli.profile import profile, range_with_margin
from include.data import contract
from include.features.build import build
from include.settings import Settings
from include.spec import SpecError, UseCase

ROWS = 300
GUESS = Wishes()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(Settings.from_environment({}), home=tmp_path, use_case_folders=(tmp_path / "use_cases",))


def drafted(settings: Settings, frame: pd.DataFrame, wishes: Wishes = GUESS, suffix: str = ".csv") -> UseCase:
    """The spec that ``init`` makes of ``frame``, once written to a file."""
    file = settings.home / f"data{suffix}"
    frame.to_parquet(file) if suffix == ".parquet" else frame.to_csv(file, index=False)
    assert init(settings, "drafted", str(file), wishes) == 0
    return specs.find("drafted", settings.use_case_folders)


def breast_cancer() -> pd.DataFrame:
    data = load_breast_cancer(as_frame=True)
    return data.data.assign(diagnosis=np.where(data.target == 0, "malignant", "benign"))


def categories() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    drawn = {name: rng.choice(["a", "b", "No", "yes: 1"], ROWS) for name in ("plan", "region", "on")}
    won = np.where(np.arange(ROWS) % 4, "lost", "won")
    return pd.DataFrame({"ref": [f"r{n}" for n in range(ROWS)], **drawn, "result": won})


def odd() -> pd.DataFrame:
    """A column of every kind that is no feature, or that looks like another one."""
    rows = np.arange(ROWS)
    return pd.DataFrame(
        {
            "key": rows,
            "label": rows % 3 == 0,
            "blank": None,
            "always": "x",
            "note": [f"text {n % 200}" for n in rows],
            "signed_on": [f"2026-01-{n % 28 + 1:02d}" for n in rows],
            "as_of": rows,
            "postcode": [f"0{n % 40:03d}" for n in rows],
            "amount": np.where(rows % 5, rows / 4, np.nan),
            "flag": rows % 2,
            "grade": rows % 7,
            "moment": 1_769_860_800_000_000_000 + rows // 2,
            "vast": np.where(rows % 5, rows, sys.float_info.max),
            "Amount": rows % 9,
            "Run_ID": rows % 8,
        }
    )


def awkward() -> pd.DataFrame:
    """Names and values that YAML would take for something else, and the nameless index of a careless export."""
    rows = np.arange(ROWS)
    return pd.DataFrame(
        {
            "": rows,
            "Kunden Nr": [f"K{n}" for n in rows],
            "a: b # c": rows % 5,
            "no": np.where(rows % 2, "no", "null"),
            "{x}": np.where(rows % 3, 'it\'s "q"', "two\nlines"),
            "line\nbreak": rows / 7,
            "next\x85line": np.array(["a\x85b", "a\u2028b", "a\u2029b"])[rows % 3],
            "sep\u2028arated\u2029": rows / 3,
            "\xa0blank": rows / 9,
            "été": np.array(["1:30", "0x1f", "é"])[rows % 3],
            "big": rows * 1e12 + 0.5,
            "y": np.where(rows % 6, "0", "1"),
        }
    )


def text_of(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype("str")


def test_telco_is_drafted_as_its_owner_described_it(settings: Settings, telco_csv: Path) -> None:
    assert init(settings, "telco", str(telco_csv), GUESS) == 0
    spec = specs.find("telco", settings.use_case_folders)
    assert (spec.id, spec.target.column, spec.target.positive) == ("customerID", "Churn", "Yes")
    assert spec.columns["SeniorCitizen"].values == ("0", "1")
    assert spec.columns["tenure"].type == "integer"
    assert spec.columns["TotalCharges"].type == "number"
    assert [name for name, column in spec.columns.items() if column.nullable] == ["TotalCharges"]
    assert set(spec.columns) - set(spec.features.columns) == {"customerID"}
    assert [c.kind for c in spec.training.candidates.values()] == [
        "hist_gradient_boosting", "logistic_regression", "decision_tree", "random_forest", "linear_svm", "mlp",
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("frame", "wishes", "target", "positive", "key"),
    [
        pytest.param(
            breast_cancer().assign(patient_no=range(569)), GUESS, "diagnosis", "malignant", "patient_no", id="numeric"
        ),
        pytest.param(categories(), GUESS, "result", "won", "ref", id="categories"),
        pytest.param(categories(), Wishes(positive="lost"), "result", "lost", "ref", id="positive told"),
        pytest.param(odd(), GUESS, "label", "True", "key", id="odd columns"),
        pytest.param(awkward(), Wishes(target="y"), "y", "1", "Kunden Nr", id="awkward names"),
        pytest.param(odd(), Wishes(target="flag"), "flag", "1", "key", id="target told"),
    ],
)
def test_a_draft_fits_its_own_file(
    settings: Settings, frame: pd.DataFrame, wishes: Wishes, target: str, positive: str, key: str, suffix: str
) -> None:
    if wishes.target == "flag":
        frame = frame.drop(columns="label")
    spec = drafted(settings, frame, wishes, suffix)
    assert (spec.target.column, spec.target.positive, spec.id) == (target, positive, key)
    conformed = contract.conform(contract.read(Path(spec.source.uri), spec), spec)
    assert conformed.faults == ()
    assert conformed.frame["label"].notna().all()
    assert list(build(conformed.frame, spec)) == list(spec.feature_types)
    for name, column in spec.columns.items():
        if column.min is not None:
            assert conformed.frame[name].dropna().between(column.min, column.max).all()
        if column.values is not None:
            assert set(conformed.frame[name].dropna()) <= set(column.values)


def test_limits_let_a_small_file_through(settings: Settings) -> None:
    spec = drafted(settings, categories())
    assert spec.limits.minimum_training_rows < ROWS * 0.75
    assert spec.limits.minimum_class_rows < ROWS / 4 * 0.75
    assert spec.gate.minimum_rows < ROWS * 0.25
    assert spec.gate.minimum_class_rows < ROWS / 4 * 0.25


def test_what_is_no_feature_says_why(settings: Settings) -> None:
    spec = drafted(settings, odd())
    assert spec.features.columns == ("postcode", "amount", "flag", "grade", "vast")
    assert spec.columns["postcode"].type == "category"
    text = (spec.folder / "spec.yaml").read_text(encoding="utf-8")
    for name, why in [
        ("blank", "blank in every row"),
        ("always", "'x' in every row"),
        ("note", "200 different values"),
        ("signed_on", "it is a date"),
        ("as_of", "used by the project itself"),
        ("moment", "150 different values"),
        ("Amount", "tables take it for 'amount'"),
        ("Run_ID", "used by the project itself"),
    ]:
        assert any(name in line and why in line for line in text.splitlines() if "# left out" in line), name


def test_times_with_an_offset_become_observed_at(settings: Settings) -> None:
    times = pd.date_range("2026-01-01", periods=ROWS, freq="h", tz="UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    spec = drafted(settings, categories().assign(seen=times, customer_id=np.arange(ROWS) // 2))
    assert spec.observed_at == "seen"
    assert spec.id == "customer_id"  # twice for a customer, but never twice at one time


@dataclass(frozen=True)
class Refusal:
    frame: pd.DataFrame
    wishes: Wishes
    says: tuple[str, ...]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Refusal(breast_cancer(), GUESS, ("no id found", "--id", "add one")), id="no id"),
        pytest.param(
            Refusal(categories().assign(sold=categories()["result"], z="1"), GUESS, ("--target", "result, sold")),
            id="ambiguous target",
        ),
        pytest.param(
            Refusal(categories().assign(churned=categories()["result"], label=categories()["result"]), GUESS,
                    ("--target", "churned, label")),
            id="two columns named like a target",
        ),
        pytest.param(Refusal(categories().drop(columns="result"), GUESS, ("no target", "--target")), id="no target"),
        pytest.param(
            Refusal(categories().assign(target=categories()["plan"]), GUESS, ("'target'", "4 values")), id="of 4"
        ),
        pytest.param(Refusal(categories(), Wishes(target="plan"), ("--target plan", "found 4", "result")), id="told 4"),
        pytest.param(Refusal(categories(), Wishes(target="nil"), ("--target nil", "no such column")), id="told 0"),
        pytest.param(Refusal(categories(), Wishes(positive="?"), ("--positive ?", "lost and won")), id="no such value"),
        pytest.param(Refusal(categories(), Wishes(id="plan"), ("--id plan", "repeated")), id="id repeats"),
        pytest.param(Refusal(categories()[["ref", "result"]], GUESS, ("no column is left", "ref")), id="no feature"),
    ],
)  # fmt: skip
def test_an_unsafe_guess_is_refused(case: Refusal) -> None:
    with pytest.raises(SpecError) as refusal:
        draft(text_of(case.frame), case.wishes)
    for part in case.says:
        assert part in str(refusal.value)


@pytest.mark.parametrize("name", ["Churn", "1st", "a-b", "../up", ""], ids=["upper", "digit", "dash", "path", "empty"])
def test_a_name_that_is_none_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(SpecError, match="lower-case"):
        init(settings, name, "any.csv", GUESS)


def test_what_is_there_stays(settings: Settings) -> None:
    spec = drafted(settings, categories())
    (spec.folder / "spec.yaml").write_text("mine")
    with pytest.raises(SpecError, match="exists already"):
        init(settings, "drafted", str(settings.home / "data.csv"), GUESS)
    assert (spec.folder / "spec.yaml").read_text() == "mine"
    assert [path.name for path in spec.folder.parent.iterdir()] == ["drafted"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param(["1", "-2", "3.0", None], "integer", id="whole"),
        pytest.param(["1", "2.5"], "number", id="fractions"),
        pytest.param(["1", "1e999"], "text", id="infinite"),
        pytest.param(["1", "-9007199254740991"], "integer", id="the last exact one"),
        pytest.param(["1", "9007199254740992"], "text", id="past exact ones"),
        pytest.param(["1", "1e20"], "number", id="large and measured"),
        pytest.param(["0123", "4567"], "text", id="codes"),
        pytest.param(["2026-01-31", "2026-02-01 10:00"], "date", id="dates"),
        pytest.param(["2026-01-31T12:00:00Z", "2026-01-31 12:00:00.5+02:00"], "time", id="times"),
        pytest.param([None, None], "empty", id="blank"),
    ],
)
def test_kinds(values: list[str | None], kind: str) -> None:
    assert profile(pd.Series(values, name="c", dtype="str")).kind == kind


@pytest.mark.parametrize(
    ("seen", "bounds"),
    [
        pytest.param((0, 72), (0, 108), id="not below zero"),
        pytest.param((-1, 1), (-2, 2), id="both signs"),
        pytest.param((0.001, 0.003), (0, 0.004), id="small"),
        pytest.param((5, 5), (2.5, 7.5), id="constant"),
        pytest.param((0, 0), (0, 0.5), id="zero"),
        pytest.param((0, sys.float_info.max), None, id="largest"),
        pytest.param((-sys.float_info.max, sys.float_info.max), None, id="widest"),
        pytest.param((0, 5e-324), None, id="smallest"),
    ],
)
def test_ranges(seen: tuple[float, float], bounds: tuple[float, float] | None) -> None:
    assert range_with_margin(*seen) == bounds


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MODELOPS_HOME", str(tmp_path))
    categories().to_csv(tmp_path / "deals.csv", index=False)
    given = ["init", "deals", "--from", str(tmp_path / "deals.csv"), "--into", str(tmp_path / "mine"), "--id", "ref"]
    assert main([*given, "--target", "result", "--positive", "lost"]) == 0
    shown = capsys.readouterr().out
    assert "python -m include check deals" in shown
    assert "MODELOPS_USE_CASES" in shown
    assert specs.load(tmp_path / "mine" / "deals" / "spec.yaml").target.positive == "lost"
    assert main(given) == 1
    assert "exists already" in capsys.readouterr().err


def test_ids_that_come_back_and_labels_that_are_blank_are_what_the_draft_expects(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    days = [f"2026-05-{1 + row % 20:02}T12:00:00Z" for row in range(ROWS)]
    labels = [None if row % 3 == 0 else ("yes", "no")[row % 2] for row in range(ROWS)]
    frame = pd.DataFrame({"account": [row // 20 for row in range(ROWS)], "at": days, "usage": range(ROWS)})
    spec = drafted(settings, frame.assign(left=labels), Wishes(id="account"))
    assert spec.training.split.ids_return
    assert spec.limits.minimum_label_coverage == 0.53
    shown = capsys.readouterr().out
    assert "no label     33.3% of the rows" in shown
    assert "one id may stand in many rows" in shown


def test_ids_that_stand_once_and_whole_labels_need_no_word(settings: Settings) -> None:
    spec = drafted(settings, categories())
    assert not spec.training.split.ids_return
    assert spec.limits.minimum_label_coverage == 0.9
