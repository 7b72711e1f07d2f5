"""What a use case is: the schema of ``spec.yaml``, its loader and nothing else.

Everything is frozen, an unknown key is refused, and an error names the file and the path inside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]

RESERVED_COLUMNS = frozenset({"observed_at", "known_at", "as_of", "label", "rule", "feature_version"})


class SpecError(ValueError):
    """A spec that cannot be used; the message lists every fault with its path in the file."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Column(Frozen):
    """One input column: what may stand in it and what it means."""

    type: Literal["number", "integer", "category", "text"]
    description: str = Field(min_length=3)
    values: tuple[str, ...] | None = None
    min: float | None = None
    max: float | None = None
    nullable: bool = False
    sensitive: bool = False

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

    columns: tuple[str, ...] = ()
    derived: dict[Name, Derived] = {}


class Replay(Frozen):
    """How a file without dates becomes a history: spread over days by a hash of the id."""

    days: Count = 60
    label_delay_days: int = Field(0, ge=0)


class Source(Frozen):
    """Where data comes from: ``simulator:``, a file to replay, or a URI with ``{day}`` for daily files."""

    uri: str = "simulator:"
    labels_uri: str | None = None
    label_delay_days: int = Field(0, ge=0)
    replay: Replay = Replay()


class Limits(Frozen):
    """When a batch or a training window is refused as a whole."""

    minimum_batch_rows: Count = 1
    quarantine_rate: Fraction = 0.01
    maximum_bytes: Count = 2_000_000_000
    minimum_training_rows: Count = 500
    minimum_class_rows: Count = 50
    minimum_label_coverage: Fraction = 0.9
    maximum_data_age_days: Count = 3
    shift_median_ratio: float = Field(3.0, gt=1)
    shift_unseen_share: Fraction = 0.5


class Split(Frozen):
    """Time-ordered split: the newest days with mature labels are the hold-out."""

    window_days: Count = 365
    holdout_fraction: float = Field(0.25, gt=0, lt=1)
    folds: int = Field(3, ge=2)


class Candidate(Frozen):
    """One kind of model and the grid from which ``trials`` settings are drawn, seeded."""

    kind: Literal["logistic_regression", "decision_tree", "hist_gradient_boosting"]
    params: dict[str, float | int | str | bool | None] = {}
    search: dict[str, tuple[float | int | str | bool | None, ...]] = {}
    trials: Count = 1


class Training(Frozen):
    split: Split = Split()
    seed: int = Field(0, ge=0)
    selection_metric: Literal["roc_auc", "average_precision", "log_loss", "brier"] = "roc_auc"
    candidates: dict[Name, Candidate] = Field(min_length=1)


class Rule(Frozen):
    """One line of the gate. ``threshold`` is absolute; ``max_regression`` is against the champion."""

    metric: Literal["roc_auc", "average_precision", "log_loss", "brier", "f1", "precision", "recall", "lift_at_10"]
    greater_is_better: bool = True
    threshold: float | None = None
    max_regression: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.threshold is None and self.max_regression is None:
            raise ValueError("a rule needs 'threshold', 'max_regression' or both")
        return self


class Gate(Frozen):
    minimum_rows: Count = 300
    minimum_class_rows: Count = 30
    beats_dummy_by: float = Field(0.05, ge=0)
    rules: tuple[Rule, ...] = ()


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


class Schedules(Frozen):
    """Cron expressions in UTC."""

    ingest: str = "0 1 * * *"
    retrain: str = "0 2 * * *"
    monitor: str = "0 3 * * *"


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
    gate: Gate
    monitoring: Monitoring = Monitoring()
    retrain_policy: RetrainPolicy = RetrainPolicy()
    schedules: Schedules = Schedules()
    folder: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        known = set(self.columns)
        faults = [
            *_not_among("id", [self.id], known),
            *_not_among("observed_at", [self.observed_at] if self.observed_at else [], known),
            *_not_among("features.columns", self.features.columns, known),
            *_not_among("monitoring.columns", self.monitoring.columns, known),
            *(f"columns.{c}: the name is used by the project itself" for c in known & RESERVED_COLUMNS),
        ]
        if self.target.column in known:
            faults.append(f"columns.{self.target.column}: the target is described under 'target', not here")
        if self.target.positive == self.target.negative:
            faults.append("target: positive and negative are the same value")
        model_inputs = list(self.features.columns) + list(self.features.derived)
        faults += [f"features: '{n}' is listed twice" for n, k in Counter(model_inputs).items() if k > 1]
        faults += [
            f"features.columns: '{c}' identifies or dates a row; a model must not learn it"
            for c in self.features.columns
            if c in (self.id, self.observed_at)
        ]
        faults += [
            f"features.columns: '{c}' is of type text; give it type category with its values, or derive a feature"
            for c in self.features.columns
            if c in known and self.columns[c].type == "text"
        ]
        if not model_inputs:
            faults.append("features: at least one column or derived feature is needed")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @cached_property
    def feature_types(self) -> dict[str, Literal["number", "category"]]:
        """Model inputs in order, each with its kind."""
        types: dict[str, Literal["number", "category"]] = {}
        for name in self.features.columns:
            types[name] = "number" if self.columns[name].is_numeric else "category"
        return types | {name: derived.type for name, derived in self.features.derived.items()}

    @property
    def sensitive_columns(self) -> tuple[str, ...]:
        return tuple(name for name, column in self.columns.items() if column.sensitive)

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(name for name, column in self.columns.items() if column.type == "category")


def _not_among(where: str, names: Iterable[str], known: set[str]) -> list[str]:
    return [f"{where}: '{name}' is not described under 'columns'" for name in names if name not in known]


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML takes the last of two equal keys without a word; a spec must not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key, count in Counter(map(str, keys)).items():
            if count > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' stands twice", node.start_mark)
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
        faults = [f"  {'.'.join(map(str, e['loc'])) or '(top)'}: {_plain(e)}" for e in error.errors()]
        raise SpecError(f"{path}: {len(faults)} fault(s)\n" + "\n".join(faults)) from error
    if spec.name != path.parent.name:
        raise SpecError(f"{path}: name: '{spec.name}' is not the name of its folder, '{path.parent.name}'")
    return spec


def _plain(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key"
    message = str(error["msg"]).removeprefix("Value error, ")
    found = error["input"]
    return message if error["type"] in ("missing", "value_error") else f"{message}, found {found!r}"


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
    for folder in folders:
        if (folder / name / "spec.yaml").is_file():
            return load(folder / name / "spec.yaml")
    names = sorted(path.parent.name for folder in folders for path in folder.glob("*/spec.yaml"))
    raise SpecError(f"no use case '{name}' in {', '.join(map(str, folders))}; there are: {', '.join(names) or 'none'}")
