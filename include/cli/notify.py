"""``python -m include notify``: sends what waits, or a test through every channel, and says what came of it."""

from __future__ import annotations

from include import spec as specs
from include.cli.console import line, say
from include.notifications import channels, outbox, wording
from include.notifications.notice import Notice, run_page
from include.settings import Settings
from include.spec import UseCase
from include.state import notifications
from include.state.database import ago, connect, now
from include.steps.notify import tell

SET_UP = {
    channels.EMAIL: "set MODELOPS_SMTP_HOST and MODELOPS_SMTP_FROM, and notifications.email in the spec",
    channels.WEBHOOK: "set MODELOPS_WEBHOOK_URL",
}


def notify(settings: Settings, name: str, *, test: bool) -> int:
    """Send, and name what was not delivered. Returns 0 if every channel that is set up has delivered, else 1."""
    spec = specs.find(name, settings.use_case_folders)
    return _test(settings, spec) if test else _send(settings, spec)


def _test(settings: Settings, spec: UseCase) -> int:
    found, example, failures = channels.of(settings, spec), _example(settings, spec), 0
    line(f"{channels.LOG:<8} {wording.line(example)}")
    for name, how in SET_UP.items():
        if name not in found:
            line(f"{name:<8} not set up: {how}")
            continue
        error = outbox.attempt(found[name], example)
        failures += error is not None
        line(f"{name:<8} {f'NOT delivered: {error}' if error else f'taken by {found[name]}'}")
    return 1 if failures else 0


def _send(settings: Settings, spec: UseCase) -> int:
    for name in channels.NAMES:
        tell(spec.name, name)
    left = notifications.waiting(connect(settings.state_url), spec.name, ago(outbox.TOO_OLD))
    for one in left:
        line(f"{one.channel:<8} NOT delivered: {one.event} of {one.kind} {one.run_id}: {one.error}")
    say(f"{spec.name}: {f'{len(left)} not delivered' if left else 'nothing waits to be sent'}")
    return 1 if left else 0


def _example(settings: Settings, spec: UseCase) -> Notice:
    moment = now()
    return Notice(
        event="TEST",
        severity="info",
        meaning="Messages of this use case arrive here. Nothing has happened.",
        use_case=spec.name,
        title=spec.title,
        owner=spec.owner,
        kind="monitor",
        run_id="none",
        as_of=moment[:10],
        outcome="none",
        why="python -m include notify --test",
        reasons=(),
        ended_at=moment,
        simulated=False,
        link=run_page(settings, f"{spec.name}_monitor", "").removesuffix("/runs/"),
    )
