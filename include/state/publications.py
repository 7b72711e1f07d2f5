"""What is published: one row names the table versions that belong together; readers take versions only from here."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Engine, select

from include.failpoints import reach
from include.state import database as db


@dataclass(frozen=True)
class Publication:
    """One atomic publication of a data set (``data`` or ``features``); days are ISO dates, both inclusive."""

    use_case: str
    dataset: str
    run_id: str
    as_of: str
    first_day: str
    last_day: str
    versions: dict[str, int]
    rows_in: int
    rows_published: int
    rows_quarantined: int
    simulated: bool
    files: dict[str, str] = field(default_factory=dict)

    @property
    def data_version(self) -> str:
        """The versions as one short text, such as ``customers@3 labels@3``."""
        return " ".join(f"{table}@{version}" for table, version in sorted(self.versions.items()))


def publish(engine: Engine, publication: Publication) -> None:
    """Make ``publication`` visible; the same run again changes nothing."""
    with engine.begin() as connection:
        db.insert_once(connection, db.publications, **asdict(publication), published_at=db.now())
    reach("publications.published")


def of_run(engine: Engine, use_case: str, dataset: str, run_id: str) -> Publication | None:
    query = select(db.publications).where(
        db.publications.c.use_case == use_case,
        db.publications.c.dataset == dataset,
        db.publications.c.run_id == run_id,
    )
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    return _publication(row) if row else None


def latest(engine: Engine, use_case: str, dataset: str, as_of: str | None = None) -> Publication | None:
    """The newest publication that was known at ``as_of`` (any, without one)."""
    query = select(db.publications).where(db.publications.c.use_case == use_case, db.publications.c.dataset == dataset)
    if as_of is not None:
        query = query.where(db.publications.c.as_of <= as_of)
    with engine.connect() as connection:
        row = connection.execute(query.order_by(db.publications.c.id.desc()).limit(1)).one_or_none()
    return _publication(row) if row else None


def history(engine: Engine, use_case: str, dataset: str, as_of: str) -> list[Publication]:
    """Every publication known at ``as_of``, oldest first."""
    query = (
        select(db.publications)
        .where(
            db.publications.c.use_case == use_case,
            db.publications.c.dataset == dataset,
            db.publications.c.as_of <= as_of,
        )
        .order_by(db.publications.c.id)
    )
    with engine.connect() as connection:
        return [_publication(row) for row in connection.execute(query)]


def _publication(row: Any) -> Publication:
    return Publication(**{name: getattr(row, name) for name in Publication.__dataclass_fields__})
