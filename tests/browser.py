"""A page in a real browser that has no network."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

needs_browser = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")


def in_browser(page: Path, folder: Path) -> tuple[str, set[str]]:
    """What a browser without a network makes of the page, and what the page asks of a network."""
    net_log = folder / "net.json"
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
    alone = ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}/profile", f"--log-net-log={net_log}"]
    command = ["chromium", *switches, *alone, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    asked = [event["params"] for event in json.loads(net_log.read_text())["events"] if "url" in event.get("params", {})]
    own = (None, "not an origin")  # of the browser's own requests, such as for its updates
    return done.stdout, {request["url"] for request in asked if request.get("initiator") not in own}
