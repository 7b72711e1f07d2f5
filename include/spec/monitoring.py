"""What is watched in production, and when it asks for a retrain."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from include.spec.base import Count, Fraction, Frozen


class Distance(Frozen):
    """A pinned drift method and the distance from which on it counts."""

    method: Literal["wasserstein", "jensenshannon", "psi"]
    threshold: float = Field(gt=0)


class Monitoring(Frozen):
    """When data counts as drifted, and what else alarms."""

    window_days: Count = 3
    minimum_rows: Count = 200
    number: Distance = Distance(method="wasserstein", threshold=0.1)
    category: Distance = Distance(method="jensenshannon", threshold=0.05)
    score: Distance = Distance(method="wasserstein", threshold=0.1)
    columns: dict[str, Distance] = {}
    false_alarm_rate: float = Field(0.02, gt=0, lt=1)
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
