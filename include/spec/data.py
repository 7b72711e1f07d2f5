"""What the data is: columns, target, features, source and limits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from include.spec.base import Count, Fraction, Frozen, Many, Name

DATABASES = frozenset({"postgresql", "sqlite"})
URI_ADVICE = "holds a password, which logs would show; take it out, PostgreSQL finds it in PGPASSWORD or ~/.pgpass"


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
    """How long after the observation a label is due. One that comes earlier counts from then on, too: it is of a
    customer who left early, and who stays is not known yet."""
    wait_seconds: float = Field(60, ge=0, le=3600)
    """How long a file may be missing, or change while it is read, before the run fails."""
    replay: Replay = Replay()
    table: str | None = None
    """The table of a database, as ``name`` or ``schema.name``; or ``query``, a SELECT."""
    query: str | None = None
    labels_query: str | None = None
    """Labels that come later: a SELECT of the id, ``observed_at``, the target and ``known_at``."""
    late_days: int = Field(7, ge=0)
    """How many of the published days are read again for rows and labels that came to the database late."""


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


def is_database(uri: str) -> bool:
    """Whether ``uri`` is a SQLAlchemy URL of a database that can be a source."""
    return uri.partition("://")[0].partition("+")[0] in DATABASES


def holds_password(uri: str) -> bool:
    """Whether a password stands in ``uri`` itself, where logs and the ledger would show it."""
    # SQLAlchemy takes all up to the @ for the password, other readers of URIs end it at a slash.
    written = r"://[^:/@]*:[^@]*@" if is_database(uri) else r"://[^:/@]*:[^/@]*@"
    return bool(re.search(rf"{written}|[?&]\w*password=", uri))


def located(uri: str, folder: Path) -> str:
    return uri if ":" in uri.split("/")[0] else str(folder / uri)
