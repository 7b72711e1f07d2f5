"""What the notifiers of every DAG call when a run has ended."""

from __future__ import annotations

from include import spec as specs
from include.notifications import channels, outbox
from include.settings import Settings
from include.state.database import connect


def tell(use_case: str, channel: str) -> None:
    """Tell by ``channel`` (one of ``channels.NAMES``) what has not been told yet; nothing if it is not set up."""
    settings = Settings.from_environment()
    spec = specs.find(use_case, settings.use_case_folders)
    engine, found = connect(settings.state_url), channels.of(settings, spec)
    outbox.fill(engine, settings, spec, found)
    if channel in found:
        outbox.send(engine, use_case, found[channel])
