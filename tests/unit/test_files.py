"""A file is there whole or not at all, and its error names it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from include import failpoints
from include.files import whole, write_text


def test_what_is_written_is_there_and_nothing_else(tmp_path: Path):
    write_text(tmp_path / "verdict.json", "{}")
    with whole(tmp_path / "rows.parquet") as path:
        pd.DataFrame({"a": [1]}).to_parquet(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.parquet", "verdict.json"]
    assert len(pd.read_parquet(tmp_path / "rows.parquet")) == 1


def write_half(target: Path) -> None:
    with whole(target) as path:
        path.write_text("half")
        raise ZeroDivisionError


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path):
    write_text(tmp_path / "verdict.json", "old")
    with pytest.raises(ZeroDivisionError):
        write_half(tmp_path / "verdict.json")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("verdict.json", "old")]


def test_a_failing_disk_is_named_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(failpoints.VARIABLE, "write.verdict.json=EIO")
    with pytest.raises(OSError, match=r"Input/output error: '.*/verdict\.json'"):
        write_text(tmp_path / "verdict.json", "new")
    assert list(tmp_path.iterdir()) == []


def test_a_library_that_names_no_path_is_given_one(tmp_path: Path):
    with pytest.raises(OSError, match=r"rows\.parquet"), whole(tmp_path / "rows.parquet"):
        raise OSError("write failed")
