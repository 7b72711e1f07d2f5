"""What a run is going to score, and by which model; written down once, so that all of its tasks mean the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from include.data.calendar import midnight
from include.data.newest import Window, newest
from include.data.stream import RowGroup, TableVersion
from include.data.window import AS_OF, OBSERVED
from include.files import FileDamaged, write_text
from include.spec import Frozen, Many, UseCase

RUN = "run_id"


class Plan(Frozen):
    """``publication`` is the run that published the rows, ``table_version`` that of the table which they are in.

    ``partitions`` are the row groups of each, and ``rows`` how many of their rows are chosen. The days are ISO dates,
    both inclusive. ``fingerprint`` is of rows, model and settings: plans that are equal in it have equal results.
    """

    champion: str
    publication: str
    data_version: str
    simulated: bool
    table_version: int
    as_of: str
    first_day: str
    last_day: str
    rows: int
    partitions: Many[Many[RowGroup]]
    fingerprint: str

    @property
    def what(self) -> str:
        """In a line for people."""
        return f"{self.rows} rows of {self.data_version} by version {self.champion}"

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Raises ``FileDamaged``."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (ValidationError, OSError) as error:
            raise FileDamaged(f"{path}: damaged or gone ({error}); clear the task that writes it") from error

    def write(self, path: Path) -> None:
        """Whole or not at all."""
        write_text(path, self.model_dump_json(indent=2))


@dataclass(frozen=True)
class Chosen:
    """Rows of a table: ``picked``, of shape (rows,) and type bool, says which of those in ``groups``, one by one."""

    groups: tuple[RowGroup, ...]
    picked: np.ndarray

    @property
    def count(self) -> int:
        return int(self.picked.sum())

    def fingerprint(self, *settings: str) -> str:
        """SHA-256 of which rows of which files these are, and of the ``settings``."""
        digest = hashlib.sha256("\n".join([*map(str, self.groups), *settings]).encode())
        digest.update(np.packbits(self.picked).tobytes())
        return digest.hexdigest()

    def cut(self, count: int) -> list[Chosen]:
        """``count`` parts with about as many rows each. A row group is not divided, so a part may have none."""
        of_groups = self._of_groups()
        before = np.cumsum([0, *(rows.sum() for rows in of_groups)])
        # By the middle of its rows: a group goes where most of them belong.
        part = ((before[:-1] + before[1:]) * count // max(2 * int(before[-1]), 1)).clip(max=count - 1)
        members = (np.flatnonzero(part == number) for number in range(count))
        return [_joined((self.groups[place], of_groups[place]) for place in places) for places in members]

    def without_empty_groups(self) -> Chosen:
        """The same rows: what they are does not depend on what else was looked at."""
        return _joined((group, rows) for group, rows in zip(self.groups, self._of_groups(), strict=True) if rows.any())

    def _of_groups(self) -> list[np.ndarray]:
        return np.split(self.picked, np.cumsum([group.rows for group in self.groups]))[:-1]


def _joined(parts: Iterable[tuple[RowGroup, np.ndarray]]) -> Chosen:
    parts = list(parts)
    return Chosen(tuple(group for group, _ in parts), np.concatenate([np.empty(0, bool), *(rows for _, rows in parts)]))


def window(as_of: str, spec: UseCase) -> Window:
    """The days whose observations are scored: the last ones before ``as_of``, as known then."""
    end = date.fromisoformat(as_of)
    return Window(end - timedelta(days=spec.scoring.window_days), end, as_of)


def choose(table: TableVersion, days: Window, spec: UseCase, folder: Path) -> Chosen:
    """The newest observation of each id in ``days``; ``folder`` is for working files, see ``newest``."""
    within = [(OBSERVED, ">=", midnight(days.first)), (OBSERVED, "<", midnight(days.end))]
    groups = table.row_groups([*within, (AS_OF, "<=", days.known_at)])
    keys = table.batches(groups, [spec.id, OBSERVED, AS_OF, RUN], texts=(AS_OF, RUN))
    picked = newest(keys, sum(group.rows for group in groups), days, folder)
    return Chosen(tuple(groups), picked).without_empty_groups()


def only(batches: Iterable[pa.RecordBatch], picked: np.ndarray) -> Iterator[pa.RecordBatch]:
    """The rows of ``batches`` that are ``picked``, of shape (rows of all batches,); batches without one are left out.

    Raises ``FileDamaged`` when there are not as many rows as there were when they were picked.
    """
    start = 0
    for batch in batches:
        places = np.flatnonzero(picked[start : start + len(batch)])
        start += len(batch)
        if len(places):
            yield batch.take(pa.array(places))
    if start != len(picked):
        raise FileDamaged(f"the table has {start} rows where {len(picked)} were planned; start a new run")
