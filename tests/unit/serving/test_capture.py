"""The record of what was served: what is acknowledged is kept, whatever happens to the process or to the disk."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from include.serving.capture import NOT_CAPTURED, Capture, Captured, CaptureFull, read
from include.serving.segments import read_segment, remove_if_ended, segments
from include.settings import PROJECT
from include.spec import Capturing
from tests.bench.capture import killed_under_load, prediction


def capture(folder: Path, *ids: str, **rules: object) -> None:
    """Capture one prediction after the other, each in a write of its own."""

    async def write() -> None:
        keeper = Capture(folder, Capturing.model_validate(rules))
        for name in ids:
            await keeper.write([prediction(name)])
        keeper.close()

    asyncio.run(write())


def ids(folder: Path) -> list[str]:
    return [record.prediction_id for record in read(folder)]


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    inputs = {"id": "0042", "text": 'line\nbreak \ud800 "quoted" 😀', "number": np.float64(0.1), "none": None}
    at = datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC)
    record = Captured("a", at, "3", "shadow", "0042", inputs, 1 / 3, True, 0.75)
    looked_up = replace(record, prediction_id="b", observed_at=datetime(2026, 1, 30, tzinfo=UTC))

    async def write() -> None:
        keeper = Capture(tmp_path)
        await keeper.write([record, looked_up])
        keeper.close()

    asyncio.run(write())
    assert list(read(tmp_path)) == [record, looked_up]


@pytest.mark.parametrize("sync", ["every_second", "every_commit"])
def test_a_kill_under_load_loses_no_acknowledged_prediction(tmp_path: Path, sync: str) -> None:
    acknowledged, lost = killed_under_load(tmp_path / sync, 7, sync)
    assert acknowledged > 0
    assert lost == 0


def test_every_commit_waits_for_one_sync_that_serves_all_who_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = os.fdatasync

    def slow(handle: int) -> None:
        sizes.append(os.fstat(handle).st_size)
        time.sleep(0.05)
        real(handle)

    monkeypatch.setattr(os, "fdatasync", slow)

    async def write() -> int:
        keeper = Capture(tmp_path, Capturing(sync="every_commit"))
        await asyncio.gather(*(keeper.write([prediction(str(number))]) for number in range(50)))
        found = len(sizes)
        keeper.close()
        return found

    # The first write starts a sync at once; all others come while it is under way and share the next one.
    assert asyncio.run(write()) <= 2
    assert max(sizes) == sum(path.stat().st_size for path in segments(tmp_path))


def test_what_is_not_synced_with_its_commit_is_synced_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[float] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda handle: (real(handle), synced.append(time.monotonic())))

    async def write() -> float:
        keeper = Capture(tmp_path)
        await keeper.write([prediction("a")])
        written = time.monotonic()
        assert not synced
        while not synced and time.monotonic() < written + 5:
            await asyncio.sleep(0.01)
        return synced[0] - written

    assert asyncio.run(write()) <= 1


def test_a_sync_that_fails_is_told_to_all_who_wait_and_ends_the_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fdatasync
    fails = iter([True])

    def broken_once(handle: int) -> None:
        if next(fails, False):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(handle)

    monkeypatch.setattr(os, "fdatasync", broken_once)

    async def write() -> tuple[list[object], int]:
        keeper = Capture(tmp_path, Capturing(sync="every_commit"))
        both = await asyncio.gather(*(keeper.write([prediction(name)]) for name in "ab"), return_exceptions=True)
        await keeper.write([prediction("c")])
        keeper.close()
        return list(both), keeper.sync_failures

    answers, failures = asyncio.run(write())
    assert [type(answer) for answer in answers] == [OSError, OSError]
    assert str(tmp_path) in str(answers[0])
    assert failures == 1
    assert len(segments(tmp_path)) == 2
    assert "c" in ids(tmp_path)


@pytest.mark.parametrize("rules", [{"segment_bytes": 1}, {"segment_seconds": 1e-9}], ids=["size", "age"])
def test_a_large_or_old_segment_is_followed_by_another(tmp_path: Path, rules: dict[str, float]) -> None:
    capture(tmp_path, "a", "b", "c", **rules)
    assert len(segments(tmp_path)) == 3
    assert ids(tmp_path) == ["a", "b", "c"]


def test_the_bound_on_disk_refuses_and_a_collection_ends_the_refusal(tmp_path: Path) -> None:
    capture(tmp_path, "a", "b")
    full = sum(path.stat().st_size for path in segments(tmp_path))
    limit = full + full // 4
    with pytest.raises(CaptureFull) as refusal:
        capture(tmp_path, "c", maximum_bytes=limit)
    for named in (str(tmp_path), f"{full:,}", f"{limit:,}", "run the monitor", "capture.maximum_bytes"):
        assert named in str(refusal.value)
    assert ids(tmp_path) == ["a", "b"]
    for path in segments(tmp_path):
        assert remove_if_ended(path, path.stat().st_size)
    capture(tmp_path, "c", maximum_bytes=limit)
    assert ids(tmp_path) == ["c"]


FILLED = """
import asyncio, resource, signal, sys
from pathlib import Path
from include.serving.capture import Capture, CaptureFull
from tests.bench.capture import prediction
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    keeper = Capture(Path(sys.argv[1]))
    await keeper.write([prediction("a")])
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    try:
        await keeper.write([prediction("b")])
    except OSError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await keeper.write([prediction("c")])
    keeper.close()
asyncio.run(main())
"""


def test_f23_a_disk_that_takes_half_of_a_write_keeps_none_of_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", FILLED, str(tmp_path)]
    ended = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    (path,) = segments(tmp_path)
    assert str(path) in ended.stdout
    assert ids(tmp_path) == ["a", "c"]


def test_a_full_disk_is_a_refusal_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(CaptureFull, match=r"\.segment: No space left on device; make room on this disk"):
        capture(tmp_path, "a")


def test_a_torn_end_is_left_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    capture(tmp_path, "a", "b")
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    os.truncate(path, len(whole) - 30)
    with caplog.at_level(logging.WARNING):
        assert ids(tmp_path) == ["a"]
    (message,) = caplog.messages
    assert str(path) in message
    end = whole.index(b"\n") + 1
    content = read_segment(path)
    assert (content.end, content.left, content.damaged) == (end, len(whole) - 30 - end, 0)


def test_a_line_that_the_disk_has_changed_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    capture(tmp_path, "a", "b", "c")
    (path,) = segments(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"prediction_id":"b"', b'"prediction_id":"x"'))
    with caplog.at_level(logging.WARNING):
        assert ids(tmp_path) == ["a", "c"]
    assert "1 line(s) are damaged" in caplog.text


def test_a_segment_is_read_while_it_grows_and_removed_when_its_writer_has_ended(tmp_path: Path) -> None:
    async def write() -> None:
        keeper = Capture(tmp_path)
        await keeper.write([prediction("a")])
        (path,) = segments(tmp_path)
        first = read_segment(path)
        assert [entry["prediction_id"] for entry in first.entries] == ["a"]
        assert not remove_if_ended(path, first.end)
        await keeper.write([prediction("b")])
        second = read_segment(path, first.end)
        assert [entry["prediction_id"] for entry in second.entries] == ["b"]
        keeper.close()
        assert not remove_if_ended(path, first.end)  # the second one was not read
        assert remove_if_ended(path, second.end)

    asyncio.run(write())
    assert segments(tmp_path) == []


def test_sampling_keeps_its_share_and_counts_the_rest(tmp_path: Path) -> None:
    async def write() -> int:
        keeper = Capture(tmp_path, Capturing(sampling=0.25))
        await keeper.write([prediction(str(number)) for number in range(4000)])
        keeper.close()
        return keeper.not_captured

    left_out = asyncio.run(write())
    assert len(ids(tmp_path)) == 4000 - left_out
    assert 0.22 < 1 - left_out / 4000 < 0.28
    (path,) = segments(tmp_path)
    assert [entry[NOT_CAPTURED] for entry in read_segment(path).entries if NOT_CAPTURED in entry] == [left_out]


def test_a_capture_takes_less_than_a_tenth_of_a_millisecond_of_the_event_loop(tmp_path: Path) -> None:
    async def write() -> float:
        keeper = Capture(tmp_path)
        records = [prediction(str(number)) for number in range(2000)]
        began = time.process_time()
        for record in records:
            await keeper.write([record])
        spent = time.process_time() - began
        keeper.close()
        return spent / len(records)

    assert min(asyncio.run(write()) for _ in range(3)) < 1e-4
