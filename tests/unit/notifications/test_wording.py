"""A notice is whole in each of its forms, and harmless whatever stands in it."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from include.notifications import wording
from tests.unit.notifications.conftest import HOSTILE, notice

FORMS = {
    "line": wording.line,
    "text": wording.text,
    "html": wording.html,
    "email": lambda one: str(wording.email(one, "modelops@example.com", ("ada@example.com",)).get_body()),
    "slack": lambda one: wording.slack(one)["text"],
}


class Page(HTMLParser):
    """The elements of a page, its links and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attributes if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile() -> dict[str, object]:
    names = ("use_case", "title", "owner", "run_id", "as_of", "why", "outcome")
    return dict.fromkeys(names, HOSTILE) | {"reasons": (HOSTILE, HOSTILE)}


@pytest.mark.parametrize("form", ["text", "html"])
def test_a_message_says_what_why_and_where_to_look(form: str) -> None:
    said = FORMS[form](notice(simulated=True, more=12))
    for part in (
        "churn: REFUSED, retrain as of 2026-11-24",
        "A check of the gate failed; the champion serves on.",
        "NOT_BETTER: the gain may be chance",
        "FLOOR: roc_auc 0.7 is below 0.78",
        "drift of Contract as of 2026-11-24",
        "Customer churn, of customer-analytics",
        "simulated",
        "http://127.0.0.1:8080/dags/churn_retrain/runs/scheduled__2026-11-24T02%3A00%3A00%2B00%3A00",
        "/artifacts/evaluation/verdict.html",
        "12 more like it were not sent.",
    ):
        assert part in said
    plain = FORMS[form](notice(verdict_link=None))
    assert not any(part in plain for part in ("simulated", "more like it", "verdict"))


def test_a_log_line_is_one_line() -> None:
    assert wording.line(notice(more=3)) == (
        "churn: REFUSED, retrain as of 2026-11-24 | NOT_BETTER: the gain may be chance | FLOOR: roc_auc 0.7 is below "
        "0.78 | 3 more like it were not sent. | http://127.0.0.1:8080/dags/churn_retrain/runs/"
        "scheduled__2026-11-24T02%3A00%3A00%2B00%3A00 | "
        "http://127.0.0.1:5000/#/experiments/1/runs/abc/artifacts/evaluation/verdict.html"
    )
    assert wording.line(notice(**hostile())).isprintable()


def test_a_page_has_no_element_and_no_link_of_the_data() -> None:
    page = Page(wording.html(notice(**hostile())))
    assert page.tags == {"html", "head", "meta", "title", "body", "h1", "p", "ul", "li", "table", "tr", "th", "td", "a"}
    assert page.links == [notice().link, notice().verdict_link]
    assert "<script>alert(1)</script>" in page.text


def test_no_text_of_the_data_becomes_a_header_or_a_line() -> None:
    message = wording.email(notice(**hostile()), "modelops@example.com", ("ada@example.com", "bob@example.com"))
    assert sorted(message.keys()) == [
        "Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"
    ]  # fmt: skip
    assert (message["To"], message["From"]) == ("ada@example.com, bob@example.com", "modelops@example.com")
    raw = message.as_bytes()
    assert not any(line.startswith(b"Bcc") for line in raw.splitlines())
    text, html = message.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert not any(line.startswith("Bcc") for line in text.get_content().splitlines())
    assert "\x00" not in text.get_content()


def test_a_copy_of_a_message_is_known_by_its_id() -> None:
    ids = [
        wording.email(one, "modelops@example.com", ("ada@example.com",))["Message-ID"]
        for one in (notice(), notice(more=2), notice(event="FAILED"), notice(ended_at="2026-11-24T03:00:00.000+00:00"))
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(one.endswith("@example.com>") for one in ids)


def test_slack_sees_no_markup_of_the_data() -> None:
    body = wording.slack(notice(**hostile()))
    assert "&lt;!channel&gt;" in body["text"]
    assert not any(sign in body["text"] for sign in ("<!", "<@", "<script"))
    *said, links = body["blocks"]
    assert {block["text"]["type"] for block in said} == {"plain_text"}
    assert links["text"]["text"] == f"<{notice().link}|The run> · <{notice().verdict_link}|The verdict>"


@pytest.mark.parametrize("character", ["x", "\U0001f600", "\x01", "<"])
def test_slack_takes_the_longest_message(character: str) -> None:
    """By its rules: 150 characters in a header, 3,000 in a section, 50 blocks, 40,000 in a text; none may be empty."""
    long = character * 100_000
    changes = dict.fromkeys(("use_case", "title", "owner", "run_id", "as_of", "why", "outcome"), long)
    body = wording.slack(notice(reasons=(long,) * 1000, **changes))
    assert len(body["blocks"]) <= 50
    for block in body["blocks"]:
        length = len(block["text"]["text"].encode("utf-16-le")) // 2
        assert 0 < length <= (150 if block["type"] == "header" else 3000)
    assert len(body["text"]) <= 40_000
    json.dumps(body).encode()


def test_of_many_reasons_the_first_ones_are_said() -> None:
    said = wording.reasons(notice(reasons=tuple(f"reason {n}" for n in range(13))))
    assert said[:10] == [f"reason {n}" for n in range(10)]
    assert said[10:] == ["and 3 more, which the run's page leads to"]
    body = wording.slack(notice(reasons=(), why="", verdict_link=None))
    assert all(block["text"]["text"] for block in body["blocks"])
