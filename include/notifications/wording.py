"""How a notice is worded: as plain text, as an e-mail, as the JSON that Slack and those like it take.

Reasons quote data and error messages, which may hold anything. In all forms what is invisible or breaks a line is
written out; HTML is escaped, and for Slack they stand where nothing is read as markup.
"""

from __future__ import annotations

import json
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from hashlib import sha256
from pathlib import Path
from typing import Any

from include.notifications.notice import Notice
from include.pages import environment, shown

TEMPLATES = Path(__file__).with_name("templates")
MOST_REASONS, LONGEST_REASON = 10, 300
HEADER_LIMIT, SECTION_LIMIT = 150, 3000
"""Of Slack's blocks, which refuses a message with a longer one: docs.slack.dev/reference/block-kit/blocks."""


def headline(notice: Notice) -> str:
    """One line: what happened to which use case, and in which run."""
    return f"{shown(notice.use_case)}: {notice.event}, {notice.kind} as of {shown(notice.as_of or 'no day')}"


def facts(notice: Notice) -> dict[str, str]:
    """What is known of the run, by name."""
    found = {
        "outcome": notice.outcome,
        "run": notice.run_id,
        "why it ran": notice.why,
        "ended": notice.ended_at,
        "use case": f"{notice.title}, of {notice.owner}",
        "data": "simulated" if notice.simulated else "",
    }
    return {name: shown(value, LONGEST_REASON) for name, value in found.items() if value}


def reasons(notice: Notice) -> list[str]:
    """The reasons, each on a line of its own; of many the first ones, and how many are left out."""
    found = [shown(reason, LONGEST_REASON) for reason in notice.reasons[:MOST_REASONS]]
    left_out = len(notice.reasons) - MOST_REASONS
    return [*found, f"and {left_out} more, which the run's page leads to"] if left_out > 0 else found


def links(notice: Notice) -> dict[str, str]:
    """Where to read on, by what is there."""
    found = {"The run": notice.link, "The verdict": notice.verdict_link}
    return {name: url for name, url in found.items() if url}


def held_back(notice: Notice) -> str:
    """That there was more to say; empty if there was not."""
    return f"{notice.more} more like it were not sent." if notice.more else ""


def line(notice: Notice) -> str:
    """The message on one line, for a log."""
    said = [headline(notice), *reasons(notice), held_back(notice), *links(notice).values()]
    return " | ".join(part for part in said if part)


def text(notice: Notice) -> str:
    """The whole message as plain text."""
    parts = [
        [headline(notice), notice.meaning],
        [f"- {reason}" for reason in reasons(notice)],
        [f"{name}: {value}" for name, value in facts(notice).items()],
        [f"{name}: {url}" for name, url in links(notice).items()],
        [held_back(notice)],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if any(lines)) + "\n"


def html(notice: Notice) -> str:
    """The whole message as a page without a style sheet, as mail programs want it."""
    template = environment(TEMPLATES).get_template("notice.html.j2")
    return template.render(
        notice=notice,
        headline=headline(notice),
        reasons=reasons(notice),
        facts=facts(notice),
        links=links(notice),
        held_back=held_back(notice),
    )


def email(notice: Notice, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """The message with both forms. A second copy of it has the same ID, by which mail programs know it."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = f"[ModelOps] {headline(notice)}"
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Date"] = formatdate(usegmt=True)
    content = json.dumps([notice.use_case, *notice.key, notice.ended_at])
    message["Message-ID"] = f"<{sha256(content.encode()).hexdigest()[:32]}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office note comes back
    message.set_content(text(notice), cte="quoted-printable")
    message.add_alternative(html(notice), subtype="html", cte="quoted-printable")
    return message


def slack(notice: Notice) -> dict[str, Any]:
    """The body for an incoming webhook. ``text`` is for notifications, and for receivers that know no blocks."""
    facts_of_it = "\n".join(f"{name}: {value}" for name, value in facts(notice).items())
    sections = ["\n".join(f"• {reason}" for reason in reasons(notice)), facts_of_it, held_back(notice)]
    lead_on = " · ".join(f"<{_escaped(url)}|{name}>" for name, url in links(notice).items())
    return {
        "text": _escaped(text(notice)),
        "blocks": [
            {"type": "header", "text": _plain(headline(notice), HEADER_LIMIT)},
            *({"type": "section", "text": _plain(part)} for part in (notice.meaning, *sections) if part),
            {"type": "section", "text": {"type": "mrkdwn", "text": lead_on}},
        ],
    }


def _plain(content: str, limit: int = SECTION_LIMIT) -> dict[str, Any]:
    """Text in which Slack sees no markup, no mention and no link."""
    # Counted in UTF-16, in which an emoji is two: whichever way Slack counts, it is short enough.
    cut = content.encode("utf-16-le")[: 2 * limit].decode("utf-16-le", "ignore")
    return {"type": "plain_text", "text": cut, "emoji": False}


def _escaped(content: str) -> str:
    """As docs.slack.dev/messaging/formatting-message-text asks for."""
    return content.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
