"""Airflow's notifiers of this project: each tells by one channel how the runs of a use case have ended."""

from __future__ import annotations

from typing import ClassVar

from airflow.sdk import BaseNotifier, Context


class Notifier(BaseNotifier):
    """What there is to say is read from the ledger, so that it matters little which task or run it is called for.

    It tells what was not told yet: by all notifiers together, and whichever of them is called again, once.
    """

    channel: ClassVar[str]

    def __init__(self, use_case: str) -> None:
        super().__init__()
        self.use_case = use_case

    def notify(self, context: Context) -> None:
        """Called by Airflow, which writes down what goes wrong and leaves the state of task and run as it is."""
        from include.steps.notify import tell  # when it tells, not when it is made

        tell(self.use_case, self.channel)


class LogNotifier(Notifier):
    channel = "log"


class EmailNotifier(Notifier):
    channel = "email"


class WebhookNotifier(Notifier):
    """Slack, and whatever takes what Slack takes."""

    channel = "webhook"


def notifiers(use_case: str) -> list[Notifier]:
    """One for each channel; a channel that is not set up says nothing."""
    return [LogNotifier(use_case), EmailNotifier(use_case), WebhookNotifier(use_case)]
