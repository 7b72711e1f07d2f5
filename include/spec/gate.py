"""What a challenger has to reach before it may become champion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from include.spec.base import Columns, Count, Fraction, Frozen, Many

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


def bin_names(edges: tuple[float, ...]) -> tuple[str, ...]:
    """What the bins of a number are called, from the lowest on; none without edges."""
    between = [f"{low:g} to below {high:g}" for low, high in pairwise(edges)]
    return (f"below {edges[0]:g}", *between, f"{edges[-1]:g} or more") if edges else ()
