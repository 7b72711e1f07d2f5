"""What a use case is: the schema of ``spec.yaml``, its loader and nothing else.

Everything is frozen, an unknown key is refused, and an error names the file and the path inside it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import combinations, pairwise
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from croniter import CroniterError, croniter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

T = TypeVar("T")
Many = Annotated[tuple[T, ...], Field(strict=False)]  # YAML has lists, a frozen spec holds tuples
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Scalar = float | int | str | bool | None
Metric = Literal[
    "roc_auc",
    "average_precision",
    "brier",
    "log_loss",
    "calibration_error",
    "f1",
    "precision",
    "recall",
    "lift_at_10",
    "expected_profit",
]
Columns = Annotated[Many[str], Field(min_length=1)]
FairnessMetric = Literal[
    "equal_opportunity",
    "equalized_odds",
    "predictive_parity",
    "demographic_parity",
    "selection_rate_ratio",
    "calibration",
]

Constraint = Literal["equal_opportunity", "demographic_parity"]

LOWER_IS_BETTER = frozenset({"brier", "log_loss", "calibration_error"})
AT_THE_THRESHOLD = frozenset({"f1", "precision", "recall", "expected_profit"})
MISSING = "missing"
"""The group of the rows without a value."""
MOST_GROUPS = 100
RESERVED_COLUMNS = frozenset(
    {
        *("observed_at", "known_at", "as_of", "run_id", "label", "score", "rule", "feature_version"),
        *("prediction_id", "predicted_at", "model_version", "model_role", "acted_on", "latency_ms", "is_whole"),
    }
)
CRON_FIELDS = 5
FIXED = {
    "random_state": "set training.seed instead",
    "early_stopping": "would hold out random rows, across days; search max_iter or tol instead",
}
"""Parameters of estimators that a candidate cannot have, and why."""
DATABASES = frozenset({"postgresql", "sqlite"})
URI_ADVICE = "holds a password, which logs would show; take it out, PostgreSQL finds it in PGPASSWORD or ~/.pgpass"


class SpecError(ValueError):
    """A spec that cannot be used; the message lists every fault with its path in the file."""


class Frozen(BaseModel):
    # Strict: a number written as text, or a yes where a number belongs, is a mistake and no other way to write it.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class Column(Frozen):
    """One input column: what may stand in it and what it means."""

    type: Literal["number", "integer", "category", "text"]
    description: str = Field(min_length=3)
    values: Many[str] | None = None
    min: float | None = None
    max: float | None = None
    nullable: bool = False
    sensitive: bool = False
    after_event: bool = False  # written once the label is known: no feature may see it

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if self.values is not None and self.type != "category":
            raise ValueError(f"'values' fits type category, not {self.type}")
        if (self.min is not None or self.max is not None) and not self.is_numeric:
            raise ValueError(f"'min' and 'max' fit type number or integer, not {self.type}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        if self.values is not None and len(set(self.values)) < len(self.values):
            raise ValueError("'values' lists a value twice")
        return self

    @property
    def is_numeric(self) -> bool:
        return self.type in ("number", "integer")


class Target(Frozen):
    """The column to predict; every value other than these two is a broken label."""

    column: str
    positive: str
    negative: str
    description: str = Field(min_length=3)


class Derived(Frozen):
    """A feature made by the function of this name in the use case's ``features.py``."""

    type: Literal["number", "category"] = "number"
    description: str = Field(min_length=3)


class Features(Frozen):
    """What the model sees: columns as they are, then derived features, in this order."""

    columns: Many[str] = ()
    derived: dict[Name, Derived] = {}


class Replay(Frozen):
    """How a file without dates becomes a history: spread over days by a hash of the id."""

    days: Count = 60
    label_delay_days: int = Field(0, ge=0)


class Source(Frozen):
    """Where data comes from: ``simulator:``, a file to replay, a URI with ``{day}`` for daily files, or a database."""

    uri: str = "simulator:"
    labels_uri: str | None = None
    label_delay_days: int = Field(0, ge=0)
    wait_seconds: float = Field(60, ge=0, le=3600)
    """How long a file may be missing, or change while it is read, before the run fails."""
    replay: Replay = Replay()
    table: str | None = None
    """The table of a database, as ``name`` or ``schema.name``; or ``query``, a SELECT."""
    query: str | None = None
    labels_query: str | None = None
    """Labels that come later: a SELECT of the id, ``observed_at``, the target and ``known_at``."""
    late_days: int = Field(7, ge=0)
    """How many of the published days are read again for rows that came to the database late."""


class Limits(Frozen):
    """When a batch or a training window is refused as a whole."""

    minimum_batch_rows: Count = 1
    quarantine_rate: Fraction = 0.01
    maximum_bytes: Count = 2_000_000_000
    minimum_training_rows: Count = 500
    minimum_class_rows: Count = 50
    minimum_label_coverage: Fraction = 0.9
    maximum_data_age_days: Count = 3
    maximum_categories: Count = 1000
    shift_median_ratio: float = Field(3.0, gt=1)
    shift_unseen_share: Fraction = 0.5


class Split(Frozen):
    """Time-ordered split: the newest days with mature labels are the hold-out."""

    window_days: Count = 365
    holdout_fraction: float = Field(0.25, gt=0, lt=1)
    folds: int = Field(3, ge=2)
    ids_return: bool = False  # one id may be observed on many days


class Candidate(Frozen):
    """One kind of model, the grid from which ``trials`` settings are drawn, seeded, and what training may cost."""

    kind: Literal[
        "logistic_regression", "decision_tree", "random_forest", "hist_gradient_boosting", "linear_svm", "mlp"
    ]
    params: dict[str, Scalar] = {}
    search: dict[str, Annotated[Many[Scalar], Field(min_length=1)]] = {}
    trials: Count = 1
    seconds: float | None = Field(None, gt=0)
    """After so long no further setting is tried. What is found then depends on the machine, and trained again it may be
    another model, so there is no such budget unless it is asked for."""
    max_rows: int | None = Field(None, ge=1000)
    """Learn from so many training rows at most, drawn by the seed; for kinds that take too long for all of them."""
    calibration: Literal["none", "sigmoid", "isotonic", "auto"] = "none"
    """What may bring the probabilities closer to the rates that were seen; ``auto`` tries both. It is used only where
    it lowers the Brier score on later days of the training rows."""

    @model_validator(mode="after")
    def _says_each_setting_once(self) -> Self:
        if both := sorted(set(self.params) & set(self.search)):
            raise ValueError(f"{', '.join(both)}: stands both in 'params' and in 'search'")
        for name, instead in FIXED.items():
            if name in self.params or name in self.search:
                raise ValueError(f"{name}: {instead}")
        return self


class Training(Frozen):
    split: Split = Split()
    seed: int = Field(0, ge=0)
    selection_metric: Literal["roc_auc", "average_precision", "log_loss", "brier"] = "roc_auc"
    candidates: dict[Name, Candidate] = Field(min_length=1)


class Decision(Frozen):
    """What a row is worth, in any one unit, by its label and by whether it was acted on."""

    true_positive: float = 1.0
    false_positive: float = -1.0
    false_negative: float = 0.0
    true_negative: float = 0.0

    @model_validator(mode="after")
    def _acting_pays_for_the_right_rows(self) -> Self:
        if self.true_positive <= self.false_negative or self.true_negative <= self.false_positive:
            raise ValueError(
                "to act has to be worth more than not to act for a positive row (true_positive, false_negative), and "
                "less for a negative one (false_positive, true_negative)"
            )
        return self

    @property
    def threshold(self) -> float:
        """The probability from which on acting is worth more than not acting; 0.5 for the default values.

        C. Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001, equation 2.
        """
        right, wrong = self.true_positive - self.false_negative, self.true_negative - self.false_positive
        return wrong / (wrong + right)


class SliceRule(Frozen):
    """What a rule asks of parts of the rows: of each slice ``by`` these columns, or of the one ``where`` they have
    these values. A slice that is named both ways is held to what stands at its own values.
    """

    by: Columns | None = None
    where: Annotated[dict[str, str], Field(min_length=1)] | None = None
    floor: float | None = None
    max_regression: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _says_what_of_which(self) -> Self:
        if (self.by is None) == (self.where is None):
            raise ValueError("needs 'by' (columns, for each of their slices) or 'where' (values, for one slice)")
        if self.floor is None and self.max_regression is None:
            raise ValueError("needs 'floor' or 'max_regression', or both")
        return self

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(self.by or self.where or ())

    def names(self, values: Mapping[str, str]) -> bool:
        """Whether the slice with these values, by column, is meant."""
        return self.columns == values.keys() and self.where in (None, values)


class Rule(Frozen):
    """One line of the gate: what the challenger has to reach in one metric.

    ``floor`` is absolute (a ceiling where lower is better). The others hold it against the champion on the same rows:
    ``min_absolute_change`` and ``min_relative_change`` (a share of the champion's value) ask for a gain of that size
    that is no chance; ``max_regression`` asks that a loss of that size can be ruled out. All of that is said of all
    rows together; ``slices`` says what is asked of parts of them.
    """

    metric: Metric
    greater_is_better: bool = True
    floor: float | None = None
    min_absolute_change: float | None = Field(None, ge=0)
    min_relative_change: float | None = Field(None, ge=0)
    max_regression: float | None = Field(None, ge=0)
    slices: Many[SliceRule] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.floor is None and self.max_regression is None and not self.asks_for_a_gain and not self.slices:
            raise ValueError(
                "a rule needs 'floor', 'min_absolute_change', 'min_relative_change' or 'max_regression', or several"
            )
        if self.greater_is_better == (self.metric in LOWER_IS_BETTER):
            raise ValueError(
                f"a rule for {self.metric} needs greater_is_better: {str(not self.greater_is_better).lower()}"
            )
        return self

    @property
    def asks_for_a_gain(self) -> bool:
        return self.min_absolute_change is not None or self.min_relative_change is not None

    def of_slice(self, values: Mapping[str, str]) -> SliceRule | None:
        """What is asked of the slice with these values, if anything is."""
        fitting = [one for one in self.slices if one.names(values)]
        return max(fitting, key=lambda one: one.where is not None, default=None)


class Slices(Frozen):
    """Which parts of the hold-out are measured by themselves: each sensitive column, each two of them together, and
    what ``by`` adds, of which each entry is a list of columns that are taken together.

    A number is grouped by its ``bins``, the edges between them, each of which begins a bin. A part with fewer rows than
    ``minimum_support``, or fewer than ``minimum_class_support`` of those that a figure divides by, is INSUFFICIENT: it
    is reported and fails nothing, unless ``on_insufficient`` says that the verdict waits for more rows.
    """

    by: Many[Columns] = ()
    bins: dict[str, Annotated[Many[float], Field(min_length=1)]] = {}
    minimum_support: Count = 100
    minimum_class_support: Count = 30
    on_insufficient: Literal["report", "block"] = "report"


class FairnessLimit(Frozen):
    """How far groups may differ in one metric: ``maximum`` of a difference, ``minimum`` of the selection-rate ratio.

    It holds for the groups ``by`` these sensitive columns; without them, for all that no other limit names.
    """

    metric: FairnessMetric
    maximum: Fraction | None = None
    minimum: Fraction | None = None
    by: Columns | None = None

    @model_validator(mode="after")
    def _has_the_limit_of_its_metric(self) -> Self:
        needed, other = ("minimum", "maximum") if self.greater_is_better else ("maximum", "minimum")
        if getattr(self, needed) is None or getattr(self, other) is not None:
            raise ValueError(f"a limit of {self.metric} needs '{needed}', and no '{other}'")
        return self

    @property
    def greater_is_better(self) -> bool:
        return self.metric == "selection_rate_ratio"

    @property
    def value(self) -> float:
        return (self.minimum if self.greater_is_better else self.maximum) or 0.0

    def names(self, metric: str, by: Iterable[str]) -> bool:
        """Whether the groups by these columns may be meant, unless another limit of the metric names them."""
        return metric == self.metric and (self.by is None or set(self.by) == set(by))


class Mitigation(Frozen):
    """A threshold for each group ``by`` these sensitive columns, so that the ``constraint`` holds; it goes with the
    model. Whoever is served by it has to know these columns of each row.
    """

    constraint: Constraint
    by: Columns


class Fairness(Frozen):
    """How far the groups of the sensitive columns may differ when the rows that score the threshold are acted on.

    ``confidence`` is how sure the gate has to be, over all limits together, that groups differ at all before a value
    beyond a limit fails. 0 lets every such value fail, also one that chance gives to groups that do not differ.
    """

    limits: Many[FairnessLimit] = ()
    confidence: float = Field(0.95, ge=0, lt=1)
    mitigation: Mitigation | None = None

    def limit(self, metric: str, by: Iterable[str]) -> FairnessLimit | None:
        """What is asked of the groups by these columns, if anything is."""
        fitting = [one for one in self.limits if one.names(metric, by)]
        return max(fitting, key=lambda one: one.by is not None, default=None)


class Freshness(Frozen):
    """When no gain is asked for, and a challenger that is no worse than ``max_regression`` allows may replace the
    champion: where newer data is worth something by itself.
    """

    champion_older_than_days: Count | None = None  # its training rows end this long before the run's as_of
    on_drift: bool = False  # when the monitor asked for the retrain


class Budget(Frozen):
    """What the packaged model may take in a process of its own that answers 100 rows at once."""

    load_seconds: float = Field(10, gt=0)
    predict_milliseconds: float = Field(500, gt=0)
    memory_megabytes: float = Field(2000, gt=0)  # with the libraries


class Gate(Frozen):
    """``confidence`` is one-sided, of every comparison with the champion.

    The default is more than the usual 95 %: two models of different halves of the same rows differ by more than the
    hold-out shows, and of such challengers, none of which is better, 95 % lets up to one in ten pass (`make bench`
    shows how many the default does).
    """

    minimum_rows: Count = 300
    minimum_class_rows: Count = 30
    confidence: float = Field(0.985, ge=0.8, lt=1)
    beats_dummy_by: float = Field(0.05, ge=0)
    maximum_roc_auc: Fraction = 0.999  # above it the label is taken to have leaked into the features
    maximum_column_roc_auc: Fraction = 0.99  # the same of one feature alone
    freshness: Freshness = Freshness()
    budget: Budget = Budget()
    rules: Many[Rule] = ()
    slices: Slices = Slices()
    fairness: Fairness = Fairness()

    @model_validator(mode="after")
    def _a_tie_does_not_promote(self) -> Self:
        if self.rules and not any(rule.asks_for_a_gain for rule in self.rules):
            raise ValueError(
                "one of the rules has to ask for a gain over the champion: min_absolute_change: 0.0 for any gain that "
                "is no chance; 'freshness' says when none is needed"
            )
        return self


class Distance(Frozen):
    """A pinned drift method and the distance from which on it counts."""

    method: Literal["wasserstein", "jensenshannon", "psi"]
    threshold: float = Field(gt=0)


class Monitoring(Frozen):
    """When data counts as drifted, and what else alarms."""

    window_days: Count = 3
    minimum_rows: Count = 200
    number: Distance = Distance(method="wasserstein", threshold=0.15)
    category: Distance = Distance(method="jensenshannon", threshold=0.15)
    score: Distance = Distance(method="wasserstein", threshold=0.15)
    columns: dict[str, Distance] = {}
    false_alarm_rate: float = Field(0.01, gt=0, lt=1)
    minimum_drifted_columns: Count = 1
    maximum_null_rate_change: Fraction = 0.2
    champion_stale_after_days: Count = 90


class Capturing(Frozen):
    """How what the scoring API answers is kept until the monitor collects it.

    ``sync``: whether an answer waits until it is on the disk, or is there at the latest a second after it was given.
    """

    sampling: Fraction = 1.0  # the share of the predictions that is kept; the others are counted
    sync: Literal["every_second", "every_commit"] = "every_second"
    maximum_bytes: Count = 2_000_000_000  # of what is not collected yet; at it, requests are refused
    segment_bytes: Count = 32_000_000
    segment_seconds: float = Field(3600, gt=0)


class RetrainPolicy(Frozen):
    """When drift becomes a retrain: M of the last N windows with the latest among them, and the brakes."""

    num_evaluation_windows: Count = 3
    num_violation_windows: Count = 2
    cooldown_hours: int = Field(72, ge=0)
    max_retrains_per_30d: Count = 5
    min_new_labels: int = Field(100, ge=0)

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.num_violation_windows > self.num_evaluation_windows:
            raise ValueError("num_violation_windows is greater than num_evaluation_windows: it could never fire")
        return self


def _cron(expression: str) -> str:
    """``expression``, if Airflow can run by it: five fields that name a moment to come, or a preset such as @daily."""
    try:
        schedule = croniter(expression)
        schedule.get_next()
    except CroniterError as error:
        raise ValueError(f"{expression!r} is no cron expression: {error}") from error
    fields = len(schedule.expanded)
    if fields != CRON_FIELDS:
        raise ValueError(f"{expression!r} has {fields} fields, expected {CRON_FIELDS}")
    return expression


Cron = Annotated[str, AfterValidator(_cron)]


class Schedules(Frozen):
    """Cron expressions in UTC."""

    ingest: Cron = "0 1 * * *"
    retrain: Cron = "0 2 * * *"
    monitor: Cron = "0 3 * * *"


class Card(Frozen):
    """What only people know of the model, in their words; the model card shows what is missing as not stated."""

    intended_use: str | None = Field(None, min_length=3)
    intended_users: str | None = Field(None, min_length=3)
    out_of_scope_use: str | None = Field(None, min_length=3)
    ethical_considerations: str | None = Field(None, min_length=3)
    caveats: str | None = Field(None, min_length=3)


class UseCase(Frozen):
    """A use case as its ``spec.yaml`` states it. ``folder`` is where it was read from."""

    name: Name
    title: str
    description: str
    owner: str
    id: str
    observed_at: str | None = None
    target: Target
    source: Source = Source()
    columns: dict[str, Column] = Field(min_length=1)
    features: Features
    limits: Limits = Limits()
    training: Training
    decision: Decision = Decision()
    gate: Gate
    monitoring: Monitoring = Monitoring()
    retrain_policy: RetrainPolicy = RetrainPolicy()
    capture: Capturing = Field(default=Capturing(), exclude=True)  # how answers are kept makes no other model either
    schedules: Schedules = Schedules()
    card: Card = Field(default=Card(), exclude=True)  # words make no other model, and so no other fingerprint
    folder: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if faults := [*_column_faults(self), *_feature_faults(self), *_source_faults(self), *_group_faults(self)]:
            raise ValueError("\n".join(faults))
        return self

    @cached_property
    def feature_types(self) -> dict[str, Literal["number", "category"]]:
        """Model inputs in order, each with its kind."""
        types: dict[str, Literal["number", "category"]] = {}
        for name in self.features.columns:
            types[name] = "number" if self.columns[name].is_numeric else "category"
        return types | {name: derived.type for name, derived in self.features.derived.items()}

    @property
    def source_uri(self) -> str:
        """Where the data comes from; a relative path begins at the folder of the spec."""
        return _located(self.source.uri, self.folder)

    @property
    def labels_uri(self) -> str | None:
        """Where labels that come apart from the rows come from."""
        return _located(self.source.labels_uri, self.folder) if self.source.labels_uri else None

    @property
    def sensitive_columns(self) -> tuple[str, ...]:
        return tuple(name for name, column in self.columns.items() if column.sensitive)

    @property
    def groupings(self) -> tuple[tuple[str, ...], ...]:
        """The columns, alone or taken together, whose groups of rows are measured by themselves; see ``Slices``."""
        sensitive = self.sensitive_columns
        found: dict[frozenset[str], tuple[str, ...]] = {}
        for by in (*combinations(sensitive, 1), *combinations(sensitive, 2), *self.gate.slices.by):
            found.setdefault(frozenset(by), by)
        return tuple(found.values())

    def groups_of(self, name: str) -> tuple[str, ...]:
        """The groups of rows by one column: the values of a category, the bins of a number, and those without one."""
        column = self.columns[name]
        found = bin_names(self.gate.slices.bins.get(name, ())) if column.is_numeric else column.values or ()
        nameless = column.nullable and bool(found) and MISSING not in found
        return (*found, MISSING) if nameless else found

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(name for name, column in self.columns.items() if column.type == "category")


def _column_faults(spec: UseCase) -> Iterator[str]:
    known = set(spec.columns)
    yield from _not_among("id", [spec.id], known)
    yield from _not_among("observed_at", [spec.observed_at] if spec.observed_at else [], known)
    yield from _not_among("monitoring.columns", spec.monitoring.columns, known)
    for name in sorted(known & RESERVED_COLUMNS):
        yield f"columns.{name}: the name is used by the project itself"
    if spec.target.column in known:
        yield f"columns.{spec.target.column}: the target is described under 'target', not here"
    if spec.target.positive == spec.target.negative:
        yield f"target: positive and negative are both {spec.target.positive!r}"
    if spec.id == spec.observed_at:
        yield f"observed_at: '{spec.id}' is the id; a row is known by its id and its time"
    for where, key in (("id", spec.id), ("observed_at", spec.observed_at)):
        column = spec.columns.get(key or "")
        if column and (column.type != "text" or column.nullable):
            yield f"columns.{key}: {where} needs type text, not nullable; digits of an id are kept as they are"


def _feature_faults(spec: UseCase) -> Iterator[str]:
    known, derived = spec.columns, spec.features.derived
    yield from _not_among("features.columns", spec.features.columns, set(known))
    if not spec.features.columns and not derived:
        yield "features: at least one column or derived feature is needed"
    for name, count in Counter(spec.features.columns).items():
        if count > 1:
            yield f"features.columns: '{name}' is listed twice"
        if name in (spec.id, spec.observed_at):
            yield f"features.columns: '{name}' identifies or dates a row; a model must not learn it"
        elif name in known and known[name].after_event:
            yield f"features.columns: '{name}' is written after the event (after_event); a model must not learn it"
        elif name in known and known[name].type == "text":
            yield f"features.columns: '{name}' is of type text; make it a category with its values, or derive a feature"
    for name in derived:
        if name in known or name in RESERVED_COLUMNS or name == spec.target.column:
            yield f"features.derived.{name}: the name is taken by a column; choose another one"


def _source_faults(spec: UseCase) -> Iterator[str]:
    source = spec.source
    for where, uri in (("uri", source.uri), ("labels_uri", source.labels_uri)):
        if unknown := [name for name in re.findall(r"\{[^{}]*\}", uri or "") if name != "{day}"]:
            yield f"source.{where}: unknown placeholder {', '.join(unknown)}; only {{day}} is replaced"
        if holds_password(uri or ""):
            yield f"source.{where}: {URI_ADVICE}"
    if source.labels_uri and "{day}" not in source.labels_uri:
        yield "source.labels_uri: needs {day}, one file a day"
    if source.labels_uri and "{day}" not in source.uri:
        yield "source.labels_uri: is read beside daily files; source.uri needs {day}"
    if source.table and source.query:
        yield "source: table and query are both given; one of them says what to read"
    if is_database(source.uri):
        if not source.table and not source.query:
            yield "source: a database needs a table or a query"
        if spec.observed_at is None:
            yield "observed_at: a database is read by time; name the column that says when a row was observed"
    elif source.table or source.query or source.labels_query:
        yield "source: table, query and labels_query are for databases; source.uri names none"


def _group_faults(spec: UseCase) -> Iterator[str]:
    slices, known = spec.gate.slices, set(spec.columns)
    yield from _not_among("gate.slices.bins", slices.bins, known)
    for name, edges in slices.bins.items():
        if name in known and not spec.columns[name].is_numeric:
            yield f"gate.slices.bins.{name}: only numbers have bins, '{name}' is of type {spec.columns[name].type}"
        if any(high <= low for low, high in pairwise(edges)):
            yield f"gate.slices.bins.{name}: each edge has to be above the one before it"
    for number, by in enumerate(slices.by):
        yield from _not_among(f"gate.slices.by.{number}", by, known)
        if len(set(by)) < len(by):
            yield f"gate.slices.by.{number}: a column is listed twice"
    grouped = [by for by in spec.groupings if known.issuperset(by)]
    for name in dict.fromkeys(name for by in grouped for name in by):
        if not spec.groups_of(name):
            yield f"columns.{name}: {_no_groups(spec.columns[name])}"
    for by in grouped:
        if (count := prod(len(spec.groups_of(name)) for name in by)) > MOST_GROUPS:
            yield f"gate.slices: {' and '.join(by)} make {count} groups; at most {MOST_GROUPS} can be judged"
    yield from _slice_rule_faults(spec)
    yield from _fairness_faults(spec)
    yield from _mitigation_faults(spec)


def _no_groups(column: Column) -> str:
    why = "it is sensitive" if column.sensitive else "it stands in gate.slices.by"
    if column.is_numeric:
        return f"{why}, so it needs groups; give the edges of its bins in gate.slices.bins, such as [30, 50]"
    how = "list its 'values'" if column.type == "category" else "make it a category with its 'values'"
    return f"{why}, so it needs groups; {how}"


def _slice_rule_faults(spec: UseCase) -> Iterator[str]:
    for number, rule in enumerate(spec.gate.rules):
        seen = set()
        for place, asked in enumerate(rule.slices):
            path, where = f"gate.rules.{number}.slices.{place}", asked.where or {}
            yield from _not_among(path, sorted(asked.columns), set(spec.columns))
            yield from _no_grouping(path, asked.columns, spec)
            for name in spec.columns.keys() & where.keys():
                if where[name] not in (groups := spec.groups_of(name)):
                    yield f"{path}.where.{name}: no group {where[name]!r}; there are: {', '.join(groups) or 'none'}"
            key = (asked.columns, tuple(sorted(where.items())))
            if key in seen:
                yield f"{path}: the same slices are named a second time"
            seen.add(key)


def _fairness_faults(spec: UseCase) -> Iterator[str]:
    sensitive, seen = set(spec.sensitive_columns), set()
    for number, limit in enumerate(spec.gate.fairness.limits):
        path, by = f"gate.fairness.limits.{number}", frozenset(limit.by or ())
        if not sensitive:
            yield f"{path}: no column is marked sensitive, so there are no groups to compare"
        elif strangers := sorted(by - sensitive):
            yield f"{path}.by: not marked sensitive under 'columns': {', '.join(strangers)}"
        elif by:
            yield from _no_grouping(f"{path}.by", by, spec)
        if (limit.metric, by) in seen:
            yield f"{path}: a second limit of {limit.metric} for the same groups"
        seen.add((limit.metric, by))


def _mitigation_faults(spec: UseCase) -> Iterator[str]:
    mitigation, path = spec.gate.fairness.mitigation, "gate.fairness.mitigation"
    if mitigation is None:
        return
    if strangers := sorted(set(mitigation.by) - set(spec.sensitive_columns)):
        yield f"{path}.by: not marked sensitive under 'columns': {', '.join(strangers)}"
    else:
        yield from _no_grouping(f"{path}.by", frozenset(mitigation.by), spec)
    for number, rule in enumerate(spec.gate.rules):
        if rule.metric in AT_THE_THRESHOLD:
            yield f"gate.rules.{number}: {rule.metric} is measured at one threshold for all, and {path} has several"


def _no_grouping(path: str, columns: frozenset[str], spec: UseCase) -> Iterator[str]:
    if columns <= set(spec.columns) and columns not in map(frozenset, spec.groupings):
        yield f"{path}: {' and '.join(sorted(columns))} make no slices; add them to gate.slices.by"


def bin_names(edges: tuple[float, ...]) -> tuple[str, ...]:
    """What the bins of a number are called, from the lowest on; none without edges."""
    between = [f"{low:g} to below {high:g}" for low, high in pairwise(edges)]
    return (f"below {edges[0]:g}", *between, f"{edges[-1]:g} or more") if edges else ()


def is_database(uri: str) -> bool:
    """Whether ``uri`` is a SQLAlchemy URL of a database that can be a source."""
    return uri.partition("://")[0].partition("+")[0] in DATABASES


def holds_password(uri: str) -> bool:
    """Whether a password stands in ``uri`` itself, where logs and the ledger would show it."""
    # SQLAlchemy takes all up to the @ for the password, other readers of URIs end it at a slash.
    written = r"://[^:/@]*:[^@]*@" if is_database(uri) else r"://[^:/@]*:[^/@]*@"
    return bool(re.search(rf"{written}|[?&]\w*password=", uri))


def _located(uri: str, folder: Path) -> str:
    return uri if ":" in uri.split("/")[0] else str(folder / uri)


def _not_among(where: str, names: Iterable[str], known: set[str]) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{where}: '{name}' is not described under 'columns'"


class _UniqueKeyLoader(yaml.CSafeLoader):
    """YAML takes the last of two equal keys without a word; a spec must not. Every task reads a spec: in C, in 1 ms."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(self.construct_object(key_node, deep=True))
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def load(path: Path) -> UseCase:
    """Read ``spec.yaml`` at ``path``; raise ``SpecError`` listing every fault with its path in the file."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise SpecError(f"{path}: there is no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(content, Mapping):
        raise SpecError(f"{path}: expected a mapping of keys, found {type(content).__name__}")
    try:
        spec = UseCase.model_validate({**content, "folder": path.parent})
    except ValidationError as error:
        faults = [fault for found in error.errors() for fault in _faults(found)]
        raise SpecError(f"{path}: {len(faults)} fault(s)\n" + "\n".join(f"  {fault}" for fault in faults)) from error
    if spec.name != path.parent.name:
        raise SpecError(f"{path}: name: '{spec.name}' is not the name of its folder, '{path.parent.name}'")
    return spec


def _faults(error: Mapping[str, Any]) -> list[str]:
    """What one of pydantic's errors says, each with its path in the file."""
    path = ".".join(map(str, error["loc"]))
    message = str(error["msg"]).removeprefix("Value error, ")
    match error["type"]:
        case "value_error":  # ours; those of the whole spec name their paths themselves
            return [f"{path}: {message}"] if path else message.split("\n")
        case "extra_forbidden":
            return [f"{path}: unknown key"]
        case "missing":
            return [f"{path}: {message}"]
        case "string_type":
            return [f"{path}: {message}, found {error['input']!r}; put it in quotes"]
        case _:
            return [f"{path}: {message}, found {error['input']!r}"]


def discover(folders: Iterable[Path]) -> dict[str, UseCase]:
    """Every use case below ``folders``, by name; a name in two folders is an error."""
    found: dict[str, UseCase] = {}
    for folder in folders:
        for path in sorted(folder.glob("*/spec.yaml")):
            spec = load(path)
            if spec.name in found:
                raise SpecError(f"{path}: '{spec.name}' is already defined in {found[spec.name].folder}")
            found[spec.name] = spec
    return found


def find(name: str, folders: Iterable[Path]) -> UseCase:
    """The use case called ``name``; without it, the error says which ones there are."""
    folders = tuple(folders)
    found = {path.parent.name: path for folder in reversed(folders) for path in folder.glob("*/spec.yaml")}
    if name in found:
        return load(found[name])
    there = ", ".join(sorted(found)) or "none"
    raise SpecError(f"no use case '{name}' in {', '.join(map(str, folders))}; there are: {there}")
