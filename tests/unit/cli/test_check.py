"""What ``check`` says of good and of broken use cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from include.__main__ import main
from include.cli.check import check
from include.cli.console import console
from include.cli.draft import Wishes
from include.cli.init import init
from include.settings import Settings
from include.spec import SpecError

HEAD = "import numpy as np\nrng = np.random.default_rng()\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(Settings.from_environment({}), home=tmp_path, use_case_folders=(tmp_path / "use_cases",))


@pytest.fixture
def folder(settings: Settings) -> Path:
    """A drafted use case with the numbers ``size`` and ``age``, and its file ``deals.csv``."""
    rows = range(100)
    frame = pd.DataFrame(
        {"id": [f"r{n}" for n in rows], "size": [n % 9 for n in rows], "age": [n / 7 for n in rows],
         "kind": ["ab"[n % 2] for n in rows], "won": ["ny"[n % 3 == 0] for n in rows]}
    )  # fmt: skip
    frame.to_csv(settings.home / "deals.csv", index=False)
    init(settings, "deals", str(settings.home / "deals.csv"), Wishes(target="won"))
    return settings.use_case_folders[0] / "deals"


def derive(folder: Path, body: str, kind: str = "number") -> None:
    """Give the use case one derived feature, ``made``, with this body."""
    (folder / "features.py").write_text(f"{HEAD}def made(columns):\n    {body}\n")
    spec = folder / "spec.yaml"
    said = f"derived: {{made: {{type: {kind}, description: made up}}}}"
    spec.write_text(spec.read_text().replace("derived: {}", said))


def test_churn_fits_its_simulator(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(Settings.from_environment({}), "churn") == 0
    shown = capsys.readouterr().out
    assert "spec, data and features fit" in shown
    assert "charge_change" in shown


def test_churn_fits_telco(telco_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(Settings.from_environment({}), "churn", str(telco_csv)) == 0
    assert "7043 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param("return columns['size'] * columns['age']", "number", id="number"),
        pytest.param("return columns['size'] > 3", "number", id="truth value"),
        pytest.param("return np.where(columns['size'] > 3, 'big', 'small')", "category", id="category"),
        pytest.param("return np.where(columns['size'] > 3, np.nan, 1.0)", "number", id="with nulls"),
    ],
)
def test_a_pure_feature_passes(
    settings: Settings, folder: Path, capsys: pytest.CaptureFixture[str], body: str, kind: str
) -> None:
    derive(folder, body, kind)
    assert check(settings, "deals") == 0
    shown = capsys.readouterr().out
    assert any(line.split()[:2] == ["made", kind] for line in shown.splitlines())
    assert "still say DESCRIBE" in shown


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param("return columns['size'] - columns['size'].mean()", "a row alone", id="mean over rows"),
        pytest.param("return np.argsort(columns['age'])", "a row alone", id="rank"),
        pytest.param("return rng.random(len(columns['age']))", "a second time", id="random"),
        pytest.param("x = columns['age']; x += 1; return x", "work on a copy", id="writes into its input"),
        pytest.param("return columns['aeg']", "made: KeyError", id="no such column"),
        pytest.param("return columns['age'][:5]", "expected an array of shape (100,)", id="too short"),
        pytest.param("return columns['kind']", "expected numbers", id="text for a number"),
        pytest.param("return np.diff(columns['age'], append=[0])", "a row alone", id="order"),
    ],
)
def test_an_impure_or_broken_feature_fails(
    settings: Settings, folder: Path, capsys: pytest.CaptureFixture[str], body: str, says: str
) -> None:
    derive(folder, body)
    assert check(settings, "deals") == 1
    shown = capsys.readouterr()
    assert says in shown.err
    assert "1 fault(s)" in shown.out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param("max_iter: 100", "max_iter: 100}\n      foo: {", "boosting.foo: unknown key", id="key"),
        pytest.param("quarantine_rate: 0.01", "quarantine_rate: 7", "limits.quarantine_rate", id="out of range"),
        pytest.param("derived: {}", "derived: {gone: {description: gone}}", "no function for", id="no function"),
    ],
)
def test_a_broken_spec_is_told_with_its_path(settings: Settings, folder: Path, old: str, new: str, says: str) -> None:
    spec = folder / "spec.yaml"
    spec.write_text(spec.read_text().replace(old, new))
    with pytest.raises(SpecError, match=says):
        check(settings, "deals")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param("C: [0.03", "C: [-1.0", "search.C: The 'C' parameter of LogisticRegression must be", id="range"),
        pytest.param("max_depth: [3", "max_depth: [three", "inf) or None. Got 'three' instead", id="type"),
        pytest.param("{max_iter: 100}", "{bogus: 1}", "params.bogus: HistGradientBoosting", id="unknown"),
    ],
)
def test_a_setting_that_the_estimator_refuses_is_named(
    settings: Settings, folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, says: str
) -> None:
    spec = folder / "spec.yaml"
    text = spec.read_text()
    assert old in text
    spec.write_text(text.replace(old, new))
    assert check(settings, "deals") == 1
    shown = capsys.readouterr()
    assert says in shown.err
    assert "1 fault(s)" in shown.out


@pytest.mark.parametrize("name", ["weight [kg]", "price [/h]"])
def test_the_table_on_a_terminal_shows_names_as_they_are(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    frame = pd.DataFrame({"id": range(100), name: [n % 9 for n in range(100)], "won": [n % 2 for n in range(100)]})
    frame.to_csv(settings.home / "odd.csv", index=False)
    init(settings, "odd", str(settings.home / "odd.csv"), Wishes(target="won"))
    monkeypatch.setattr(console, "_force_terminal", True)
    capsys.readouterr()
    assert check(settings, "odd") == 0
    assert name in capsys.readouterr().out


def test_a_value_that_does_not_fit_is_named(
    settings: Settings, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = settings.home / "bad.csv"
    bad.write_text((settings.home / "deals.csv").read_text().replace("r5,5,", "r5,five,"))
    assert check(settings, "deals", str(bad)) == 1
    assert "size: not a number in 1 row(s), such as 'five'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param("r5,5,", "r5,999,", "size: must be between 0 and", id="range"),
        pytest.param("r5,5,", "r5,,", "size: must not be blank: 1 row(s)", id="blank"),
        pytest.param(
            ",b,n\n", ",zzz,n\n", "kind: must be one of a, b: 1 row(s) go to quarantine, such as 'zzz'", id="set"
        ),
    ],
)
def test_rows_for_quarantine_are_counted_and_are_no_fault(
    settings: Settings, folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, says: str
) -> None:
    some = settings.home / "some.csv"
    some.write_text((settings.home / "deals.csv").read_text().replace(old, new, 1))
    assert check(settings, "deals", str(some)) == 0
    assert says in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(",b,", ",zzz,", "QUARANTINE_RATE: 50 of 100 rows", id="values"),
        pytest.param("r5,", "r6,", "id+observed_at: must be unique (2 rows, such as 'r6'", id="repeated key"),
    ],
)
def test_rows_that_an_ingest_refuses_whole_are_a_fault(
    settings: Settings, folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, says: str
) -> None:
    bad = settings.home / "bad.csv"
    bad.write_text((settings.home / "deals.csv").read_text().replace(old, new))
    assert check(settings, "deals", str(bad)) == 1
    assert says in capsys.readouterr().err


def test_too_few_rows_are_a_fault(settings: Settings, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = folder / "spec.yaml"
    spec.write_text(spec.read_text().replace("minimum_batch_rows: 1\n", "minimum_batch_rows: 101\n"))
    assert check(settings, "deals") == 1
    assert "TOO_FEW_ROWS: 100 rows, at least 101" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        pytest.param("s3://bucket/rows.csv", "s3://bucket/rows.csv: Install s3fs", id="remote"),
        pytest.param("nowhere.csv", "no such file", id="gone"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], uri: str, says: str
) -> None:
    spec = folder / "spec.yaml"
    spec.write_text(spec.read_text().replace(str(folder.parents[1] / "deals.csv"), uri))
    monkeypatch.setenv("MODELOPS_USE_CASES", str(folder.parent))
    assert main(["check", "deals"]) == 1
    assert says in capsys.readouterr().err
