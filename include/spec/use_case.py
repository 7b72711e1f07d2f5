"""The spec of a use case as a whole."""

from __future__ import annotations

from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, Self

from croniter import CroniterError, croniter
from pydantic import AfterValidator, Field, model_validator

from include.spec.base import Frozen, Name
from include.spec.data import Column, Features, Limits, Source, Target, located
from include.spec.faults import faults_of
from include.spec.gate import Gate, bin_names
from include.spec.monitoring import Monitoring, RetrainPolicy
from include.spec.notifications import Notifications
from include.spec.scoring import Scoring
from include.spec.serving import Capturing, Serving
from include.spec.training import Decision, Training

MISSING = "missing"
"""The group of the rows without a value."""
CRON_FIELDS = 5


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
    serving: Serving = Field(default=Serving(), exclude=True)  # how a model is asked makes no other one
    capture: Capturing = Field(default=Capturing(), exclude=True)  # nor does how its answers are kept
    notifications: Notifications = Field(default=Notifications(), exclude=True)  # nor does what is said of it
    scoring: Scoring = Field(default=Scoring(), exclude=True)  # nor does which rows it is asked about
    schedules: Schedules = Schedules()
    card: Card = Field(default=Card(), exclude=True)  # words make no other model, and so no other fingerprint
    folder: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if faults := faults_of(self):
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
        return located(self.source.uri, self.folder)

    @property
    def labels_uri(self) -> str | None:
        """Where labels that come apart from the rows come from."""
        return located(self.source.labels_uri, self.folder) if self.source.labels_uri else None

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
