"""From the ledger to people: what has happened and was not said yet is kept, then each channel sends what it has left.

The ledger is what there is to say, so that a run whose notifier was killed, or that had none, is told by the next one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Engine

from include.failpoints import reach
from include.notifications import notice as notices
from include.notifications.channels import Channel, Undelivered
from include.notifications.notice import Notice
from include.settings import Settings
from include.spec import UseCase
from include.state import notifications, promotions, runs, sources
from include.state.database import ago

log = logging.getLogger(__name__)

TOO_OLD = timedelta(days=1)
"""What could not be said for so long is not said any more."""
PATIENCE = 10.0
"""Seconds after which a channel begins no further message."""


def fill(engine: Engine, settings: Settings, spec: UseCase, channels: Collection[str]) -> None:
    """Keep a notice for ``channels`` of each run that has ended and that the spec wants told, once."""
    since = ago(TOO_OLD)
    known = notifications.known(engine, spec.name, since)
    simulated = sources.uri_of(engine, spec).startswith("simulator:")
    put_back = promotions.put_back(engine, spec.name)
    for row in runs.ended(engine, spec.name, since):
        row = replace(row, reasons=(*row.reasons, *put_back.get(row.run_id, ())))
        notice = notices.of_row(settings, spec, row, simulated=simulated)
        if notice is None or notice.key in known:
            continue
        limit = spec.notifications.per_hour
        if notifications.keep(engine, spec.name, notice.key, notice.to_json(), channels, limit) is False:
            log.warning("%s of %s %s is not sent: there were %d in the last hour", notice.event, *notice.key[:2], limit)


def send(engine: Engine, use_case: str, channel: Channel) -> None:
    """Send what waits for ``channel``: the new, then what it failed to deliver before, until it fails again."""
    began = time.monotonic()
    for one in notifications.waiting(engine, use_case, ago(TOO_OLD)):
        if one.channel != channel.name or not notifications.claim(engine, one):
            continue
        error = attempt(channel, Notice.from_json(one.notice, one.more))
        if error is not None:
            log.warning("%s of %s %s was not delivered: %s", one.event, one.kind, one.run_id, error)
            notifications.failed(engine, one, error)
            return
        reach("notifications.sent")
        notifications.delivered(engine, one)
        log.info("%s of %s %s is delivered: %s", one.event, one.kind, one.run_id, channel)
        if time.monotonic() - began > PATIENCE:
            return


def attempt(channel: Channel, notice: Notice) -> str | None:
    """Why the notice was not delivered; None if it was."""
    try:
        channel.send(notice)
    except Undelivered as error:
        return str(error)
    except Exception as error:  # a fault of ours, of which the notices to come and other channels know nothing
        log.exception("%s failed", channel)
        return f"{channel} failed: {type(error).__name__}"
    return None
