"""Labels that callers send back: what is taken, and its durable record.

A label belongs to one event. It names the event by the prediction id, or by the id of the row and the UTC day of its
observation, and then it is the label of all that was predicted for this row on that day. Of two labels of one event the
one that was known later counts: it corrects the other. Two labels of one event in the same request that differ
contradict each other, and the request is refused whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from include.serving.capture import as_json
from include.serving.segments import SegmentWriter
from include.settings import Settings
from include.spec import Capturing, UseCase

FIELDS = frozenset({"prediction_id", "entity", "observed_at", "label", "known_at"})
LONGEST_ID = 500
CLOCKS_DIFFER = timedelta(minutes=5)
"""How far in the future a time may be that another machine's clock gave."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """The label of one event: 1.0 for the positive class, else 0.0.

    Either ``prediction_id`` names the event, or ``entity`` with ``observed_at``. Times are in UTC; ``known_at`` is when
    the label was known, ``received_at`` when it came here.
    """

    label: float
    known_at: datetime
    received_at: datetime
    prediction_id: str | None = None
    entity: str | None = None
    observed_at: datetime | None = None

    @property
    def event(self) -> tuple[str | None, str | None, date | None]:
        """What names the event: a prediction id does so alone."""
        day = self.observed_at.date() if self.observed_at and self.prediction_id is None else None
        return self.prediction_id, self.entity, day


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the label at ``place`` (from 0 on) of a request; ``code`` is stable and short."""

    place: int
    code: str
    message: str


class FeedbackRefused(ValueError):
    """A request of which nothing is taken; the message names every fault."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"label {fault.place}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


class FeedbackLog:
    """Writes labels to segments in ``folder``; one of it in each process that takes them."""

    def __init__(self, folder: Path, rules: Capturing | None = None) -> None:
        self._writer = SegmentWriter(folder, rules or Capturing())

    async def write(self, labels: Sequence[Feedback]) -> None:
        """Keep ``labels``; return when they may be acknowledged. Raises what ``Capture.write`` raises."""
        await self._writer.write([_encode(label) for label in labels])

    def close(self) -> None:
        self._writer.close()


def folder_of(settings: Settings, use_case: str) -> Path:
    """Where the segments of a use case's labels lie."""
    return settings.home / "feedback" / use_case


def check(items: Sequence[Mapping[str, Any]], spec: UseCase, now: datetime) -> list[Feedback]:
    """The labels of a request, one an event, as ``FIELDS`` name their parts; ``now`` is when it came (UTC).

    ``label`` is one of the target's two values. ``known_at`` is ``now`` where it is not given. Times are ISO 8601 with
    an offset, ``observed_at`` may be a day. Raises ``FeedbackRefused``.
    """
    faults: list[Fault] = []
    labels: dict[tuple[Any, ...], Feedback] = {}
    for place, item in enumerate(items):
        broken = [Fault(place, code, message) for code, message in _faults(item, spec, now)]
        faults += broken
        if broken:
            continue
        label = _label(item, spec, now)
        if labels.setdefault(label.event, label).label != label.label:
            message = "contradicts an earlier one of the same request for the same event; send the one that is right"
            faults.append(Fault(place, "CONFLICTING_LABELS", message))
    if faults:
        raise FeedbackRefused(faults)
    return list(labels.values())


def decode(entry: Mapping[str, Any]) -> Feedback:
    times = {
        name: datetime.fromisoformat(entry[name]) for name in ("known_at", "received_at", "observed_at") if entry[name]
    }
    return Feedback(**{**entry, **times})


def _encode(label: Feedback) -> bytes:
    return as_json({name: getattr(label, name) for name in Feedback.__dataclass_fields__})


def _label(item: Mapping[str, Any], spec: UseCase, now: datetime) -> Feedback:
    observed, known = _time(item.get("observed_at")), _time(item.get("known_at"))
    label = float(item["label"].strip() == spec.target.positive)
    return Feedback(label, known or now, now, _id(item.get("prediction_id")), _id(item.get("entity")), observed)


def _id(value: str | None) -> str | None:
    """Without blanks around it, as the ids of rows."""
    return None if value is None else value.strip()


def _faults(item: Mapping[str, Any], spec: UseCase, now: datetime) -> Iterator[tuple[str, str]]:
    if unknown := sorted(item.keys() - FIELDS):
        yield "UNKNOWN_FIELD", f"unknown field {', '.join(map(repr, unknown))}; there are: {', '.join(sorted(FIELDS))}"
    yield from _class_faults(item.get("label"), spec)
    yield from _key_faults(item)
    for name in ("observed_at", "known_at"):
        yield from _time_faults(name, item.get(name), now)


def _class_faults(label: Any, spec: UseCase) -> Iterator[tuple[str, str]]:
    target = spec.target
    if not isinstance(label, str) or label.strip() not in (target.positive, target.negative):
        expected = f"{target.positive!r} or {target.negative!r}"
        yield "UNKNOWN_CLASS", f"{target.column} is {str(label)[:80]!r}; expected {expected}"


def _key_faults(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    given = {name: item.get(name) for name in ("prediction_id", "entity") if item.get(name) is not None}
    if len(given) != 1:
        found = "both are given" if given else "neither is given"
        yield "NO_KEY", f"{found}; an event is named by prediction_id, or by entity and observed_at"
    for name, value in given.items():
        if not isinstance(value, str) or not 0 < len(value.strip()) <= LONGEST_ID:
            yield "BAD_KEY", f"{name} is {str(value)[:80]!r}; expected a text of 1 to {LONGEST_ID} characters"
    if "entity" in given and item.get("observed_at") is None:
        yield "NO_KEY", "entity needs observed_at, the day of the observation that was predicted for"


def _time_faults(name: str, value: Any, now: datetime) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    try:
        found = _time(value)
    except (TypeError, ValueError, OverflowError):
        example = "2026-01-31T12:00:00Z"
        yield "BAD_TIME", f"{name} is {str(value)[:80]!r}; expected a time with its offset, such as {example}"
        return
    if found and found > now + CLOCKS_DIFFER:
        yield (
            "FUTURE_TIME",
            f"{name} is {value}, and it is {now.isoformat(timespec='seconds')}; mend the sender's clock",
        )


def _time(value: str | None) -> datetime | None:
    """The UTC time that a text names; a day is its midnight. Raises ``ValueError`` for one without an offset."""
    if value is None:
        return None
    found = datetime.fromisoformat(value)
    if found.tzinfo is None and len(value) > len("2026-01-31"):
        raise ValueError("no offset")
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
