"""Every way in which a spec can be wrong is said with its file and its path in it, and all of them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from include.spec import Metric, Rule, SpecError, load

SPEC: dict[str, Any] = {
    "name": "loans",
    "title": "Loans",
    "description": "Which loans fail",
    "owner": "risk",
    "id": "loan",
    "observed_at": "granted",
    "target": {"column": "failed", "positive": "yes", "negative": "no", "description": "not paid back in a year"},
    "columns": {
        "loan": {"type": "text", "description": "the loan"},
        "granted": {"type": "text", "description": "when it was granted"},
        "amount": {"type": "number", "min": 0, "description": "in euros"},
        "purpose": {"type": "category", "values": ["car", "house"], "sensitive": True, "description": "what for"},
        "remark": {"type": "text", "nullable": True, "description": "what the clerk wrote"},
    },
    "features": {"columns": ["amount", "purpose"]},
    "training": {"candidates": {"line": {"kind": "logistic_regression", "search": {"C": [0.1, 1.0]}}}},
    "gate": {"rules": [{"metric": "roc_auc", "floor": 0.7, "min_absolute_change": 0.0}]},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "loans").mkdir()
    return tmp_path / "loans" / "spec.yaml"


def put(path: Path, place: str, value: Any) -> None:
    """Write the good spec to ``path`` with ``value`` at ``place``; without a value (``...``) it is taken out."""
    content = yaml.safe_load(yaml.safe_dump(SPEC))
    *parents, last = place.split("/")
    part = content
    for name in parents:
        part = part.setdefault(name, {})
    if value is ...:
        del part[last]
    else:
        part[last] = value
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def faults(path: Path) -> list[str]:
    with pytest.raises(SpecError) as refusal:
        load(path)
    first, *lines = str(refusal.value).splitlines()
    assert first == f"{path}: {len(lines)} fault(s)"
    return [line.strip() for line in lines]


def test_the_good_spec_loads_and_is_frozen(path: Path) -> None:
    put(path, "title", "Loans")
    spec = load(path)
    assert spec.folder == path.parent
    assert spec.feature_types == {"amount": "number", "purpose": "category"}
    for part, name in ((spec, "title"), (spec.gate, "minimum_rows"), (spec.columns["amount"], "min")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, name, 1)


def sliced(**asked: Any) -> dict[str, Any]:
    """A rule that asks something of slices."""
    return {"metric": "roc_auc", "min_absolute_change": 0.0, "slices": [asked]}


COLUMN = {"type": "number", "description": "in euros"}
CASES: dict[str, tuple[str, Any, str]] = {
    "unknown key": ("colour", "red", "colour: unknown key"),
    "unknown key deep down": ("gate/rules", [{"treshold": 1}], "gate.rules.0.treshold: unknown key"),
    "missing key": ("owner", ..., "owner: Field required"),
    "missing key deep down": ("columns/amount/description", ..., "columns.amount.description: Field required"),
    "name": ("name", "Loans!", "name: String should match pattern"),
    "no column": ("columns", {}, "columns: Dictionary should have at least 1 item"),
    "no candidate": ("training/candidates", {}, "training.candidates: Dictionary should have at least 1 item"),
    # of another type
    "seed of letters": ("training/seed", "twenty", "training.seed: Input should be a valid integer"),
    "seed yes": ("training/seed", True, "training.seed: Input should be a valid integer"),
    "seed below 0": ("training/seed", -1, "training.seed: Input should be greater than or equal to 0"),
    "seed with a fraction": ("training/seed", 1.5, "training.seed: Input should be a valid integer"),
    "yes without quotes": ("target/positive", True, "target.positive: Input should be a valid string, found True"),
    "number among texts": ("columns/purpose/values", ["car", 1], "columns.purpose.values.1: Input should be a valid"),
    "text for a list": ("columns/purpose/values", "car", "columns.purpose.values: Input should be a valid tuple"),
    "number in quotes": ("limits/minimum_batch_rows", "10", "limits.minimum_batch_rows: Input should be a valid"),
    "rate above 1": ("limits/quarantine_rate", 1.5, "limits.quarantine_rate: Input should be less than or equal to 1"),
    "nan": ("limits/quarantine_rate", float("nan"), "limits.quarantine_rate: Input should be a finite number"),
    "unknown type": ("columns/amount/type", "decimal", "columns.amount.type: Input should be 'number', 'integer'"),
    "unknown kind": ("training/candidates/line/kind", "magic", "training.candidates.line.kind: Input should be"),
    "candidate's name": ("training/candidates/My Tree", {}, "training.candidates.My Tree.[key]: String should match"),
    # against each other
    "min above max": ("columns/amount/max", -1, "columns.amount: min 0 is above max -1"),
    "values of a number": ("columns/amount/values", ["1"], "columns.amount: 'values' fits type category, not number"),
    "range of texts": ("columns/purpose/min", 1, "columns.purpose: 'min' and 'max' fit type number or integer"),
    "value twice": ("columns/purpose/values", ["car", "car"], "columns.purpose: 'values' lists a value twice"),
    "one class": ("target/negative", "yes", "target: positive and negative are both 'yes'"),
    "feature twice": ("features/columns", ["amount", "amount"], "features.columns: 'amount' is listed twice"),
    "no feature": ("features", {}, "features: at least one column or derived feature is needed"),
    "never fires": ("retrain_policy/num_violation_windows", 4, "retrain_policy: num_violation_windows is greater than"),
    "set and searched": ("training/candidates/line/params", {"C": 1.0}, "training.candidates.line: C: stands both in"),
    "second seed": ("training/candidates/line/params", {"random_state": 1}, "training.candidates.line: random_state"),
    "early stopping": (
        "training/candidates/line/params", {"early_stopping": True}, "training.candidates.line: early_stopping: would"
    ),
    "number that YAML reads as text": (
        "training/candidates/line/search/C", ["1e-2"], "training.candidates.line: C: '1e-2' is text in YAML; write a",
    ),
    "parameter in quotes": (
        "training/candidates/line/params", {"tol": "0.1"}, "training.candidates.line: tol: '0.1' is text in YAML",
    ),
    "no time": ("training/candidates/line/seconds", 0, "training.candidates.line.seconds: Input should be greater"),
    "few rows": ("training/candidates/line/max_rows", 10, "training.candidates.line.max_rows: Input should be greater"),
    "calibration": ("training/candidates/line/calibration", "platt", "training.candidates.line.calibration: Input"),
    "empty grid": ("training/candidates/line/search/C", [], "training.candidates.line.search.C: Tuple should have at"),
    "rule without a limit": ("gate/rules", [{"metric": "f1"}], "gate.rules.0: a rule needs 'floor'"),
    "no rule asks for a gain": (
        "gate/rules", [{"metric": "f1", "max_regression": 0.1}], "gate: one of the rules has to ask for a gain"
    ),
    "acting is never worth it": ("decision", {"true_positive": -1.0}, "decision: to act has to be worth more"),
    "gate sure of nothing": ("gate/confidence", 0.5, "gate.confidence: Input should be greater than or equal to 0.8"),
    "unknown placeholder": ("source/uri", "s3://b/{date}.csv", "source.uri: unknown placeholder {date}; only {day} is"),
    "labels of no day": ("source", {"uri": "{day}.csv", "labels_uri": "l.csv"}, "source.labels_uri: needs {day}"),
    "labels beside a file": ("source", {"uri": "a.csv", "labels_uri": "{day}.csv"}, "source.labels_uri: is read"),
    "password": ("source", {"uri": "postgresql://me:s/e:t@h/db", "table": "t"}, "source.uri: holds a password"),
    "password asked for": ("source", {"uri": "sqlite:///a?password=b", "table": "t"}, "source.uri: holds a password"),
    "password of a store": ("source/uri", "ftp://me:secret@host/a", "source.uri: holds a password, which"),
    "nothing to read": ("source", {"uri": "postgresql://h/db"}, "source: a database needs a table or a query"),
    "two things to read": ("source", {"uri": "sqlite:///a", "table": "t", "query": "q"}, "source: table and query are"),
    "a table of a file": ("source", {"uri": "a.csv", "table": "t"}, "source: table, query and labels_query are for"),
    # names
    "unknown id": ("id", "nobody", "id: 'nobody' is not described under 'columns'"),
    "unknown time": ("observed_at", "never", "observed_at: 'never' is not described under 'columns'"),
    "id and time in one": ("observed_at", "loan", "observed_at: 'loan' is the id"),
    "number as id": ("id", "amount", "columns.amount: id needs type text"),
    "time that may be blank": ("columns/granted/nullable", True, "columns.granted: observed_at needs type text"),
    "id as feature": ("features/columns", ["loan"], "features.columns: 'loan' identifies or dates a row"),
    "feature of the future": (
        "columns/amount/after_event", True, "features.columns: 'amount' is written after the event (after_event)",
    ),
    "free text as feature": ("features/columns", ["remark"], "features.columns: 'remark' is of type text"),
    "unknown feature": ("features/columns", ["nothing"], "features.columns: 'nothing' is not described"),
    "derived like a column": ("features/derived/amount", {"description": "two"}, "features.derived.amount: the name"),
    "derived like the label": ("features/derived/label", {"description": "leak"}, "features.derived.label: the name"),
    "unknown column to watch": (
        "monitoring/columns/age", {"method": "psi", "threshold": 0.1}, "monitoring.columns: 'age' is not described",
    ),
    "watched text": (
        "monitoring/columns/remark", {"method": "psi", "threshold": 0.1}, "monitoring.columns.remark: text is not",
    ),
    "watched id": (
        "monitoring/columns/loan", {"method": "psi", "threshold": 0.1}, "monitoring.columns.loan: text is not watched",
    ),
    "distance of numbers for categories": (
        "monitoring/category", {"method": "wasserstein", "threshold": 0.1}, "monitoring.category.method: wasserstein",
    ),
    "distance of numbers for a category": (
        "monitoring/columns/purpose", {"method": "wasserstein", "threshold": 0.1},
        "monitoring.columns.purpose.method: wasserstein is between numbers",
    ),
    "distance that no two samples have": (
        "monitoring/number", {"method": "jensenshannon", "threshold": 0.9},
        "monitoring.number: threshold 0.9: jensenshannon is at most 0.8326",
    ),
    "target as column": ("columns/failed", COLUMN, "columns.failed: the target is described under 'target', not here"),
    **{
        f"column {name}": (f"columns/{name}", COLUMN, f"columns.{name}: the name is used by the project itself")
        for name in ("observed_at", "known_at", "as_of", "run_id", "label", "score", "rule", "feature_version")
    },
    **{
        f"column {name}": (
            f"columns/{name}", COLUMN, f"columns.{name}: the name is used by the project itself, as '{own}'; rename it",
        )
        for name, own in {"As_Of": "as_of", "RUN_ID": "run_id", "Score": "score", "Label": "label"}.items()
    },
    "columns that differ by case": (
        "columns/Amount", COLUMN, "columns.Amount: differs from 'amount' only by case, which tables ignore; rename one",
    ),
    **{
        f"cron {cron!r}": ("schedules/ingest", cron, f"schedules.ingest: {cron!r} is no cron expression")
        for cron in ("every day", "", "61 * * * *", "0 1 30 2 *", "@once")
    },
    # parts of the rows
    "slice of nothing": ("gate/slices", {"by": [["colour"]]}, "gate.slices.by.0: 'colour' is not described"),
    "slice by no column": ("gate/slices", {"by": [[]]}, "gate.slices.by.0: Tuple should have at least 1 item"),
    "slice by a column twice": ("gate/slices", {"by": [["purpose", "purpose"]]}, "gate.slices.by.0: a column is"),
    "number without bins": ("gate/slices", {"by": [["amount"]]}, "columns.amount: it stands in gate.slices.by, so it"),
    "free text as slice": ("gate/slices", {"by": [["remark"]]}, "columns.remark: it stands in gate.slices.by, so it"),
    "sensitive number": ("columns/amount/sensitive", True, "columns.amount: it is sensitive, so it needs groups; give"),
    "sensitive text": ("columns/remark/sensitive", True, "columns.remark: it is sensitive, so it needs groups; make"),
    "sensitive without values": ("columns/purpose/values", ..., "columns.purpose: it is sensitive, so it needs groups"),
    "bins of nothing": ("gate/slices", {"bins": {"size": [1.0]}}, "gate.slices.bins: 'size' is not described"),
    "bins of a category": ("gate/slices", {"bins": {"purpose": [1.0]}}, "gate.slices.bins.purpose: only numbers have"),
    "no bins": ("gate/slices", {"bins": {"amount": []}}, "gate.slices.bins.amount: Tuple should have at least 1 item"),
    "bins in disorder": ("gate/slices", {"bins": {"amount": [2.0, 1.0]}}, "gate.slices.bins.amount: each edge has to"),
    "too many groups": (
        "gate/slices", {"by": [["amount"]], "bins": {"amount": [float(n) for n in range(100)]}},
        "gate.slices: amount make 101 groups; at most 100 can be judged",
    ),
    "no support": ("gate/slices", {"minimum_support": 0}, "gate.slices.minimum_support: Input should be greater than"),
    "rule of no slices": ("gate/rules", [sliced(floor=0.7)], "gate.rules.0.slices.0: needs 'by' (columns, for each of"),
    "rule of both": (
        "gate/rules", [sliced(floor=0.7, by=["purpose"], where={"purpose": "car"})], "gate.rules.0.slices.0: needs 'by'"
    ),
    "rule that asks nothing": ("gate/rules", [sliced(by=["purpose"])], "gate.rules.0.slices.0: needs 'floor' or 'max_"),
    "rule of an unknown slice": (
        "gate/rules", [sliced(by=["colour"], floor=0.7)], "gate.rules.0.slices.0: 'colour' is not described"
    ),
    "rule of no grouping": (
        "gate/rules", [sliced(by=["amount", "purpose"], floor=0.7)],
        "gate.rules.0.slices.0: amount and purpose make no slices; add them to gate.slices.by",
    ),
    "rule of an unknown value": (
        "gate/rules", [sliced(where={"purpose": "boat"}, floor=0.7)],
        "gate.rules.0.slices.0.where.purpose: no group 'boat'; there are: car, house",
    ),
    "rule of one slice twice": (
        "gate/rules",
        [{**sliced(by=["purpose"], floor=0.7), "slices": [{"by": ["purpose"], "floor": f} for f in (0.6, 0.7)]}],
        "gate.rules.0.slices.1: the same slices are named a second time",
    ),
    "limit without a value": ("gate/fairness", {"limits": [{"metric": "calibration"}]}, "gate.fairness.limits.0: a"),
    "limit the wrong way": (
        "gate/fairness", {"limits": [{"metric": "selection_rate_ratio", "maximum": 0.8}]},
        "gate.fairness.limits.0: a limit of selection_rate_ratio needs 'minimum', and no 'maximum'",
    ),
    "limit of an unknown metric": (
        "gate/fairness", {"limits": [{"metric": "luck", "maximum": 0.8}]}, "gate.fairness.limits.0.metric: Input should"
    ),
    "limit by what is not sensitive": (
        "gate/fairness", {"limits": [{"metric": "calibration", "maximum": 0.1, "by": ["amount"]}]},
        "gate.fairness.limits.0.by: not marked sensitive under 'columns': amount",
    ),
    "two limits for the same": (
        "gate/fairness", {"limits": [{"metric": "calibration", "maximum": limit} for limit in (0.1, 0.2)]},
        "gate.fairness.limits.1: a second limit of calibration for the same groups",
    ),
    "thresholds by what is not sensitive": (
        "gate/fairness", {"mitigation": {"constraint": "equal_opportunity", "by": ["amount"]}},
        "gate.fairness.mitigation.by: not marked sensitive under 'columns': amount",
    ),
    "thresholds for what cannot be had": (
        "gate/fairness", {"mitigation": {"constraint": "equalized_odds", "by": ["purpose"]}},
        "gate.fairness.mitigation.constraint: Input should be 'equal_opportunity' or 'demographic_parity'",
    ),
    "an event that there is not": (
        "notifications/events", ["FAILED", "EXPLODED"], "notifications.events.1: Input should be 'FAILED', ",
    ),
    "an address with a header": (
        "notifications/email", ["ada@example.com\nBcc: eve@example.com"], "notifications.email.0: String should match",
    ),
    "no message at all in an hour": ("notifications/per_hour", 0, "notifications.per_hour: Input should be greater"),
    "cron with seconds": ("schedules/monitor", "0 0 1 * * *", "schedules.monitor: '0 0 1 * * *' has 6 fields"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_fault_is_named_with_its_path(path: Path, case: str) -> None:
    place, value, fault = CASES[case]
    put(path, place, value)
    found = faults(path)
    assert any(line.startswith(fault) for line in found), found


def test_a_word_is_a_setting(path: Path) -> None:
    put(path, "training/candidates/line/params", {"class_weight": "balanced"})
    assert load(path).training.candidates["line"].params == {"class_weight": "balanced"}


def test_a_derived_feature_cannot_be_named_as_a_column_of_another_case(path: Path) -> None:
    put(path, "features/derived/income", {"description": "per head"})
    column = "  Income: {type: number, description: in euros}\n"
    path.write_text(path.read_text().replace("  remark:", f"{column}  remark:"))
    assert faults(path) == [
        "features.derived.income: the name is taken by column 'Income', case ignored; choose another one"
    ]


def test_who_is_told_makes_no_other_model(path: Path) -> None:
    put(path, "title", "Loans")
    quiet = load(path)
    put(path, "notifications", {"email": ["risk@example.com"], "events": [], "per_hour": 1})
    told = load(path)
    assert told.notifications.email == ("risk@example.com",)
    assert told.model_dump() == quiet.model_dump()
    assert "BAD_REQUEST" not in quiet.notifications.events


def test_a_database_is_read_by_time(path: Path) -> None:
    put(path, "source", {"uri": "postgresql+psycopg://me@host:5432/db", "table": "loans"})
    assert load(path).source.late_days == 7
    path.write_text(path.read_text().replace("observed_at: granted\n", ""))
    assert faults(path) == [
        "observed_at: a database is read by time; name the column that says when a row was observed"
    ]


@pytest.mark.parametrize(
    "metric",
    Metric.__args__,  # type: ignore[attr-defined]
)
def test_a_rule_against_its_metric_is_refused(path: Path, metric: Any) -> None:
    lower = metric in ("brier", "log_loss", "calibration_error")
    assert Rule(metric=metric, floor=0.1, greater_is_better=not lower).floor == 0.1
    put(path, "gate/rules", [{"metric": metric, "floor": 0.1, "greater_is_better": lower}])
    assert faults(path) == [f"gate.rules.0: a rule for {metric} needs greater_is_better: {str(not lower).lower()}"]


def test_groups_to_compare_need_a_sensitive_column(path: Path) -> None:
    put(path, "gate/fairness", {"limits": [{"metric": "calibration", "maximum": 0.1}]})
    assert load(path).groupings == (("purpose",),)
    path.write_text(path.read_text().replace("sensitive: true", "sensitive: false"))
    assert faults(path) == ["gate.fairness.limits.0: no column is marked sensitive, so there are no groups to compare"]


def test_a_rule_at_the_threshold_does_not_go_with_several(path: Path) -> None:
    put(path, "gate", {
        "rules": [{"metric": "recall", "min_absolute_change": 0.0}],
        "fairness": {"mitigation": {"constraint": "equal_opportunity", "by": ["purpose"]}},
    })  # fmt: skip
    assert faults(path) == [
        "gate.rules.0: recall is measured at one threshold for all, and gate.fairness.mitigation has several"
    ]


def test_slices_are_the_sensitive_columns_each_two_of_them_and_what_the_spec_adds(path: Path) -> None:
    put(path, "gate/slices", {"by": [["purpose", "amount"], ["purpose"]], "bins": {"amount": [1000.0, 5000.0]}})
    spec = load(path)
    assert spec.groupings == (("purpose",), ("purpose", "amount"))
    assert spec.groups_of("amount") == ("below 1000", "1000 to below 5000", "5000 or more")
    path.write_text(path.read_text().replace("min: 0\n", "min: 0\n    sensitive: true\n    nullable: true\n"))
    spec = load(path)
    assert spec.groupings == (("amount",), ("purpose",), ("amount", "purpose"))
    assert spec.groups_of("amount")[-1] == "missing"


def test_faults_of_fields_are_listed_together(path: Path) -> None:
    put(path, "title", 5)
    path.write_text(path.read_text() + "colour: red\nlimits: {quarantine_rate: 2}\n")
    assert [line.split(":")[0] for line in faults(path)] == ["title", "limits.quarantine_rate", "colour"]


def test_faults_between_fields_are_listed_together(path: Path) -> None:
    put(path, "features", {"columns": ["loan", "nothing"]})
    path.write_text(path.read_text().replace("id: loan", "id: nobody"))
    found = [line.split(" ")[:2] for line in faults(path)]
    assert found == [["id:", "'nobody'"], ["features.columns:", "'nothing'"], ["features.columns:", "'loan'"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("name: loans\ntitle: a\nname: other\n", "the key 'name' stands twice.*line 3", id="key twice"),
        pytest.param("gate:\n  rules: []\n  rules: []\n", "the key 'rules' stands twice.*line 3", id="key twice, deep"),
        pytest.param("name: [loans\n", "not readable as YAML", id="open bracket"),
        pytest.param("- a\n- b\n", "expected a mapping of keys, found list", id="a list"),
        pytest.param("", "expected a mapping of keys, found NoneType", id="empty"),
        pytest.param("name: !!python/object/apply:os.getcwd []\n", "not readable as YAML", id="code"),
        pytest.param("name: \xff\n", "not readable as YAML", id="not UTF-8"),
    ],
)
def test_a_file_that_is_no_spec_is_named(path: Path, text: str, message: str) -> None:
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SpecError, match=f"(?s){path}: .*{message}"):
        load(path)


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(SpecError, match=f"{path}: there is no such file"):
        load(path)


def test_the_name_is_that_of_the_folder(path: Path) -> None:
    put(path, "name", "leases")
    with pytest.raises(SpecError, match=f"{path}: name: 'leases' is not the name of its folder, 'loans'"):
        load(path)
