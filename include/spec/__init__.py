"""What a use case is: the schema of ``spec.yaml`` and its loader, a module for each part of the file.

Everything is frozen, an unknown key is refused, and an error names the file and the path inside it.
"""

from include.spec.base import Frozen, Many, Scalar, SpecError
from include.spec.data import URI_ADVICE, Column, Limits, holds_password, is_database
from include.spec.faults import RESERVED_COLUMNS, alike
from include.spec.gate import (
    LOWER_IS_BETTER,
    Budget,
    Constraint,
    Fairness,
    FairnessLimit,
    FairnessMetric,
    Freshness,
    Gate,
    Metric,
    Rule,
    SliceRule,
    Slices,
)
from include.spec.loading import find, load, sound
from include.spec.monitoring import Monitoring, Performance, RetrainPolicy
from include.spec.notifications import Event, Notifications
from include.spec.scoring import Scoring
from include.spec.serving import Capturing, Serving
from include.spec.training import Candidate, Decision, Split
from include.spec.use_case import MISSING, Card, UseCase

__all__ = [
    "LOWER_IS_BETTER",
    "MISSING",
    "RESERVED_COLUMNS",
    "URI_ADVICE",
    "Budget",
    "Candidate",
    "Capturing",
    "Card",
    "Column",
    "Constraint",
    "Decision",
    "Event",
    "Fairness",
    "FairnessLimit",
    "FairnessMetric",
    "Freshness",
    "Frozen",
    "Gate",
    "Limits",
    "Many",
    "Metric",
    "Monitoring",
    "Notifications",
    "Performance",
    "RetrainPolicy",
    "Rule",
    "Scalar",
    "Scoring",
    "Serving",
    "SliceRule",
    "Slices",
    "SpecError",
    "Split",
    "UseCase",
    "alike",
    "find",
    "holds_password",
    "is_database",
    "load",
    "sound",
]
