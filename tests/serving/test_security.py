"""S18, S21, S22: who may call, how much, how long; and names that want to be paths."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from include.serving import limits, server
from include.serving.limits import OPEN
from include.state import api_keys
from include.state.database import connect
from tests.serving_api import Api, Served, api, api_process, home_with, until

JSON = {"Content-Type": "application/json"}


def test_s22_every_route_but_those_that_say_nothing_of_the_rows_needs_a_key(churn_api: Api) -> None:
    with httpx.Client(base_url=churn_api.url, trust_env=False) as anonymous:
        document = anonymous.get("/openapi.json").json()
        walked = set()
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                answer = anonymous.request(method, path.replace("{id}", "7590-VHVEG"), json={})
                walked.add(path)
                if path in OPEN:
                    assert answer.status_code == 200
                    assert "security" not in operation
                else:
                    assert (answer.status_code, answer.json()["code"]) == (401, "NO_KEY")
                    assert answer.headers["WWW-Authenticate"] == "Bearer"
                    assert operation["security"]
        assert {"/v1/predict", "/invocations", "/v1/feedback", "/v1/explain", "/v1/model", "/metrics"} <= walked
        assert anonymous.get("/nothing/here").status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer mo_{}", "bearer {}", "Basic {}", "{}", "Bearer"])
def test_s22_a_wrong_key_is_refused_before_the_body_is_read(scheme: str, churn_api: Api) -> None:
    wrong = {"Authorization": scheme.format(churn_api.key[:-1] + "_")}
    with httpx.Client(trust_env=False) as client:
        answer = client.post(f"{churn_api.url}/v1/predict", content="{", headers=JSON | wrong)
    assert answer.status_code == 401
    assert churn_api.key not in answer.text


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("predict", {"/v1/predict", "/invocations", "/v1/explain", "/v1/model"}),
        ("feedback", {"/v1/feedback"}),
        ("admin", {"/metrics"}),
    ],
)
def test_s22_a_key_is_for_its_scopes_alone(
    scope: str, allowed: set[str], churn_api: Api, telco_champion: Served
) -> None:
    key = telco_champion.key(scope)
    gets = ("/v1/model", "/metrics")
    with httpx.Client(base_url=churn_api.url, headers={"X-API-Key": key}, trust_env=False) as client:
        until(lambda: client.get("/v1/model").status_code != 401)
        for path in ("/v1/predict", "/invocations", "/v1/explain", "/v1/feedback", *gets):
            answer = client.request("GET" if path in gets else "POST", path, json=None if path in gets else {})
            if path in allowed:
                assert answer.status_code in (200, 422)
            else:
                assert (answer.status_code, answer.json()["code"]) == (403, "MISSING_SCOPE")


def test_s22_a_key_that_is_revoked_is_refused_within_seconds(churn_api: Api, telco_champion: Served) -> None:
    key, engine = telco_champion.key("predict"), connect(telco_champion.settings.state_url)
    with httpx.Client(base_url=churn_api.url, headers={"X-API-Key": key}, trust_env=False) as client:
        until(lambda: client.get("/v1/model").status_code == 200)
        assert api_keys.revoke(engine, api_keys.digest(key.encode())[: api_keys.ID_DIGITS])
        until(lambda: client.get("/v1/model").status_code == 401, 5)


def test_s22_the_database_holds_no_key(telco_champion: Served) -> None:
    key = telco_champion.key("predict")
    files = sorted(telco_champion.settings.home.glob("state.db*"))
    assert files
    assert all(key.encode() not in path.read_bytes() for path in files if path.is_file())


@pytest.fixture(scope="module")
def strict(telco_champion: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API that allows little."""
    rules = {"requests_per_second": 5, "maximum_bytes": 50_000, "maximum_rows": 20}
    home = home_with(telco_champion, tmp_path_factory.mktemp("strict"), lambda content: content.update(serving=rules))
    with api(home) as started:
        yield started


def test_s22_a_key_that_is_used_too_often_waits_and_the_others_do_not(
    strict: Api, tmp_path: Path, rows, telco_champion: Served
) -> None:
    time.sleep(1)
    answers = [strict.http.post("/v1/predict", json={"rows": rows[:1]}) for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 4 <= len(refused) <= 7
    assert refused[0].json()["code"] == "TOO_OFTEN"
    assert refused[0].headers["Retry-After"] == "1"
    time.sleep(1)
    assert strict.http.post("/v1/predict", json={"rows": rows[:1]}).status_code == 200


def raw(api: Api, content: bytes, seconds: float = 10) -> bytes:
    """Send bytes as they are and read until the other side closes, or a whole answer is there."""
    with closing(socket.create_connection(("127.0.0.1", api.port), timeout=seconds)) as connection:
        connection.sendall(content)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
            head, found, body = received.partition(b"\r\n\r\n")
            if found and len(body) >= int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0):
                break
        return received


def cut_off(api: Api, sent: bytes) -> bool:
    """Whether the server ends the connection without an answer."""
    try:
        return raw(api, sent) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True


def head(api: Api, *lines: str, path: str = "/v1/predict", method: str = "POST") -> bytes:
    own = [f"Authorization: Bearer {api.key}", "Content-Type: application/json", "Host: localhost", *lines]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *own, "", ""]).encode()


def test_s21_a_body_that_says_it_is_too_long_is_refused_unread(strict: Api) -> None:
    time.sleep(1)
    answer = raw(strict, head(strict, "Content-Length: 50001"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"TOO_MANY_BYTES" in answer
    assert b"connection: close" in answer.lower()


def test_s21_a_body_that_does_not_say_its_length_is_read_no_further_than_the_limit(strict: Api) -> None:
    time.sleep(1)
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    answer = raw(strict, head(strict, "Transfer-Encoding: chunked") + chunk * 14)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"at most 50,000 are read" in answer


def test_s21_more_rows_than_allowed_are_refused(strict: Api, rows) -> None:
    time.sleep(1)
    answer = strict.http.post("/v1/predict", json={"rows": rows[:21]})
    assert (answer.status_code, answer.json()["code"]) == (413, "TOO_MANY_ROWS")
    assert strict.http.post("/v1/predict", json={"rows": rows[:20]}).status_code == 200


def test_s21_a_body_that_trickles_in_is_cut_off_with_a_reason(churn_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.5)
    began = time.monotonic()
    answer = raw(churn_api, head(churn_api, "Content-Length: 1000") + b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"TOO_SLOW" in answer
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("sent", [b"", b"POST /v1/predict HT", b"POST /v1/predict HTTP/1.1\r\nX-A: 1\r\n"])
def test_s21_a_request_whose_headers_do_not_end_is_cut_off(
    sent: bytes, churn_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "RECEIVE_SECONDS", 0.5)
    began = time.monotonic()
    assert cut_off(churn_api, sent)
    assert time.monotonic() - began < 5


def test_s21_endless_headers_end_the_connection(churn_api: Api) -> None:
    lines = [f"X-{number}: {'x' * 1000}" for number in range(100)]
    assert cut_off(churn_api, head(churn_api, *lines, method="GET", path="/ready"))


def test_s21_a_caller_who_does_not_read_is_cut_off(churn_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are asked for, one behind the other, and left in the socket until no more fit."""
    monkeypatch.setattr(server, "RECEIVE_SECONDS", 0.5)
    asked = head(churn_api, path="/openapi.json", method="GET")
    with closing(socket.create_connection(("127.0.0.1", churn_api.port), timeout=10)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):  # noqa: PT012 - whichever of them meets the end
            for _ in range(1000):
                connection.sendall(asked)
                time.sleep(0.01)


def test_s21_slow_callers_keep_nobody_waiting(churn_api: Api, rows) -> None:
    """A hundred connections that have sent half a request, and the next caller is answered at once."""
    half = head(churn_api, "Content-Length: 100000")
    slow = [socket.create_connection(("127.0.0.1", churn_api.port)) for _ in range(100)]
    try:
        for connection in slow:
            connection.sendall(half + b'{"rows": [')
        began = time.monotonic()
        assert churn_api.predict(rows[0])
        assert time.monotonic() - began < 2
    finally:
        for connection in slow:
            connection.close()


def test_s21_memory_does_not_grow_with_what_is_sent(telco_champion: Served, rows) -> None:
    """Bodies of a hundred times the limit and as many as there is room for, at once: what is refused is not held."""
    with api_process(telco_champion) as running:
        running.predict(rows[0])
        process = psutil.Process(running.process.pid)
        before, peak, sent = process.memory_info().rss, 0, b"x" * 1_000_000

        def flood() -> None:
            stated = "Content-Length: 100000000"
            for way in (head(running, stated), head(running, "Transfer-Encoding: chunked")):
                with closing(socket.create_connection(("127.0.0.1", running.port))) as connection:
                    try:
                        connection.sendall(way)
                        for _ in range(100):
                            connection.sendall(
                                b"f4240\r\n" + sent + b"\r\n" if way.endswith(b"chunked\r\n\r\n") else sent
                            )
                    except (ConnectionResetError, BrokenPipeError):
                        continue

        threads = [threading.Thread(target=flood) for _ in range(16)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            peak = max(peak, process.memory_info().rss)
            time.sleep(0.02)
        assert peak - before < 100_000_000
        assert running.predict(rows[0])


NAMES = [
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cboot.ini",
    "%2fetc%2fpasswd",
    "%00",
    "a%00b",
    "%2e%2e",
    "..",
    "%252e%252e%252f",
    "%c0%ae%c0%ae%c0%af",
    "~root",
    "a%0d%0aX-Evil:%201",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", ["/v1/customers/{}/predict", "/{}/v1/predict", "/{}"])
def test_s18_a_name_that_wants_to_be_a_path_is_refused_with_a_reason(name: str, path: str, churn_api: Api) -> None:
    content = b"{}"
    answer = raw(churn_api, head(churn_api, f"Content-Length: {len(content)}", path=path.format(name)) + content)
    start, _, body = answer.partition(b"\r\n\r\n")
    assert start.split(b" ")[1] in (b"404", b"422"), answer
    document = json.loads(body)
    assert document["code"] in ("NO_SUCH_PLACE", "NO_SUCH_ROW", "INVALID")
    assert "root:x:" not in body.decode()
    assert b"x-evil" not in start.lower()


def test_s18_a_link_in_a_package_is_not_followed(telco_champion: Served, tmp_path: Path, rows: Any) -> None:
    home = home_with(telco_champion, tmp_path)
    with api(home) as running:
        running.wait("1")
    card = home.settings.home / "models" / home.use_case / "1" / "model_card.md"
    card.unlink()
    card.symlink_to("/etc/passwd")
    with api(home) as running:  # the copy is refused, and fetched again
        running.wait("1")
        assert running.predict(rows[0])
    assert not card.is_symlink()
