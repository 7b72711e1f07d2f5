"""The durable record of what was served: every request and answer, written before it is acknowledged."""

from __future__ import annotations

import json
import logging
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from include.serving.segments import CaptureFull, SegmentWriter, read_segment, segments
from include.settings import Settings
from include.spec import Capturing

__all__ = ["Capture", "CaptureFull", "Captured", "folder_of", "read"]

log = logging.getLogger(__name__)

Role = Literal["champion", "challenger", "shadow"]
NOT_CAPTURED = "not_captured"
COUNT_SECONDS = 1.0
"""How often the count of what was not captured is written."""


@dataclass(frozen=True, slots=True)
class Captured:
    """One row that was scored.

    ``prediction_id`` and ``role`` together are unique: the answer of the shadow to a row has id and times of the answer
    that the caller got. ``at`` (UTC) is when that was given. ``entity`` is the spec's id of the row. ``inputs`` is the
    row in the spec's columns, or the model's inputs where the caller sent those. ``score`` is the probability of the
    positive class, ``decision`` whether it reached the threshold. ``observed_at`` (UTC) is when a row was observed that
    was looked up, and None where the row says so itself, or was observed when it was sent.
    """

    prediction_id: str
    at: datetime
    version: str
    role: Role
    entity: str | None
    inputs: Mapping[str, Any]
    score: float
    decision: bool
    latency_ms: float
    observed_at: datetime | None = None


class Capture:
    """Writes what was served to segments in ``folder``; one of it in each process that serves.

    ``not_captured`` counts the predictions that the sampling left out. The count goes to the segments as well, at most
    a second late.
    """

    def __init__(self, folder: Path, rules: Capturing | None = None) -> None:
        self._rules = rules or Capturing()
        self._writer = SegmentWriter(folder, self._rules)
        self._uncounted, self._counted_at = 0, 0.0
        self.not_captured = 0

    @property
    def sync_failures(self) -> int:
        return self._writer.sync_failures

    async def write(self, records: Sequence[Captured]) -> int:
        """Keep ``records``, but for those that the sampling leaves out; return when they may be acknowledged.

        Returns how many are kept. Raises ``CaptureFull`` when the bound on disk is reached, and ``OSError`` when the
        disk refuses.
        """
        kept = [record for record in records if self._is_sampled(record.prediction_id)]
        self.not_captured += len(records) - len(kept)
        self._uncounted += len(records) - len(kept)
        entries = [encode(record) for record in kept]
        counted = self._uncounted if time.monotonic() - self._counted_at >= COUNT_SECONDS else 0
        if counted:
            entries.append(as_json({NOT_CAPTURED: counted}))
            self._counted_at = time.monotonic()
        if entries:
            self._uncounted -= counted
            await self._writer.write(entries)
        return len(kept)

    def close(self) -> None:
        """Sync and close the segment."""
        self._writer.close()

    def _is_sampled(self, prediction_id: str) -> bool:
        """By a hash of the id, so that the shadow's answer is kept with the one it belongs to."""
        share = self._rules.sampling
        return share >= 1 or zlib.crc32(prediction_id.encode()) < share * 2**32


def folder_of(settings: Settings, use_case: str) -> Path:
    """Where the segments of a use case lie."""
    return settings.home / "capture" / use_case


def read(folder: Path) -> Iterator[Captured]:
    """Every record of the closed and the open segments, in the order of the segments; warns of what cannot be read."""
    for path in segments(folder):
        content = read_segment(path)
        if content.left or content.damaged:
            log.warning(
                "%s: %d line(s) are damaged; %d byte(s) at its end are no whole line",
                path,
                content.damaged,
                content.left,
            )
        yield from (decode(entry) for entry in content.entries if NOT_CAPTURED not in entry)


def encode(record: Captured) -> bytes:
    observed = {} if record.observed_at is None else {"observed_at": record.observed_at.isoformat()}
    return as_json(
        {
            "prediction_id": record.prediction_id,
            "at": record.at.isoformat(timespec="microseconds"),
            "version": record.version,
            "role": record.role,
            "entity": record.entity,
            "inputs": record.inputs,
            "score": record.score,
            "decision": record.decision,
            "latency_ms": record.latency_ms,
            **observed,
        }
    )


def decode(entry: Mapping[str, Any]) -> Captured:
    times = {name: datetime.fromisoformat(entry[name]) for name in ("at", "observed_at") if name in entry}
    return Captured(**{**entry, **times})


def as_json(content: Mapping[str, Any]) -> bytes:
    """One entry of a segment."""
    return _encoder.encode(content).encode()


def _plain(value: Any) -> Any:
    """Numbers of NumPy and times as JSON has them."""
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} ({type(value).__name__}) cannot be captured")


_encoder = json.JSONEncoder(separators=(",", ":"), default=_plain)
