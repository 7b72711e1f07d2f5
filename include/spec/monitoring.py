"""What is watched in production, and when it asks for a retrain."""

from __future__ import annotations

from math import log, sqrt
from typing import Literal, Self

from pydantic import Field, model_validator

from include.spec.base import Count, Fraction, Frozen

FARTHEST = {"jensenshannon": sqrt(log(2))}
"""How far apart two samples can be, by the methods that have such a limit."""


class Distance(Frozen):
    """A pinned drift method and the distance from which on it counts."""

    method: Literal["wasserstein", "jensenshannon", "psi"]
    threshold: float = Field(gt=0)

    @model_validator(mode="after")
    def _can_be_passed(self) -> Self:
        farthest = FARTHEST.get(self.method)
        if farthest and self.threshold >= farthest:
            raise ValueError(f"threshold {self.threshold:g}: {self.method} is at most {farthest:.4f}; ask for less")
        return self


class Performance(Frozen):
    """How the actual performance is followed once labels are known, and when a drop of it asks for a retrain.

    A drop is held against what the scores promise: it alarms when labels disagree with them by more than chance, and
    are likelier with a ROC AUC that is ``maximum_drop`` lower.
    """

    window_days: Count = 14  # of labels; few labels show no drop
    windows: Count = 6  # how many are shown, of those with labels that are due and of those without
    minimum_coverage: Fraction = 0.8  # of the predictions whose label is due, how many have one
    maximum_drop: float = Field(0.03, gt=0, lt=0.5)
    false_alarm_rate: float = Field(0.01, gt=0, lt=1)


class Monitoring(Frozen):
    """When data counts as drifted, and what else alarms.

    ``rows``: what is watched is what was *served*, or what was *published*; *auto* is what was served where the newest
    window has ``minimum_rows`` of it. What does not make another model is no part of the training fingerprint.
    """

    rows: Literal["auto", "served", "published"] = Field("auto", exclude=True)
    window_days: Count = 3
    minimum_rows: Count = 200  # of every figure: with fewer it is INSUFFICIENT
    number: Distance = Distance(method="wasserstein", threshold=0.1)
    category: Distance = Distance(method="jensenshannon", threshold=0.05)
    score: Distance = Distance(method="wasserstein", threshold=0.1)
    columns: dict[str, Distance] = {}
    false_alarm_rate: float = Field(0.02, gt=0, lt=1)
    minimum_drifted_columns: Count = 1
    maximum_null_rate_change: Fraction = 0.2
    champion_stale_after_days: Count = 90
    minimum_ndcg: Fraction = Field(0.9, exclude=True)  # of the inputs' SHAP ranks against the baseline's
    performance: Performance = Field(default=Performance(), exclude=True)


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
