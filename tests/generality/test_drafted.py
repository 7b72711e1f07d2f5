"""A use case that nobody has written: drafted from a file, checked and trained, whatever its columns are called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.__main__ import main
from include.cli.status import use_case_state
from include.settings import Settings
from include.state import publications
from include.state.database import connect
from tests.steps.loop import FIRST, ingest, monitor, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

ROWS = 900


def loans() -> pd.DataFrame:
    """Numbers and categories, umlauts and blanks, a target in another language, ids with leading zeros."""
    rng = np.random.default_rng(1)
    income, rate = rng.lognormal(8, 0.4, ROWS).round(2), rng.integers(50, 900, ROWS)
    job = rng.choice(["angestellt", "selbständig", "ohne"], ROWS, p=[0.6, 0.3, 0.1])
    odds = 4 * rate / income + (job == "ohne") - 1.2 + rng.normal(0, 0.7, ROWS)
    frame = pd.DataFrame(
        {
            "Vertrag Nr.": [f"{number:06}" for number in range(ROWS)],
            "Einkommen (€)": income,
            "Rate": rate,
            "Beschäftigung": job,
            "Kinder": rng.integers(0, 4, ROWS).astype("float"),
            "Ausfall": np.where(odds > 0.3, "ja", "nein"),
        }
    )
    frame.loc[rng.random(ROWS) < 0.05, "Kinder"] = np.nan
    return frame


def sensors() -> pd.DataFrame:
    """Numbers alone, with the time of each row and 0 and 1 as target."""
    rng = np.random.default_rng(2)
    heat, load = rng.normal(60, 10, ROWS), rng.normal(0, 1, ROWS)
    times = pd.date_range("2026-10-20", periods=ROWS, freq="51min", tz="UTC")
    frame = pd.DataFrame({"reading": [f"r{n}" for n in range(ROWS)], "at": times.strftime("%Y-%m-%dT%H:%M:%SZ")})
    fails = heat / 10 + load + rng.normal(0, 0.8, ROWS) > 7.2
    return frame.assign(heat=heat.round(3), load=load.round(5), breaks=fails.astype(int))


def mushrooms() -> pd.DataFrame:
    """Categories alone."""
    rng = np.random.default_rng(3)
    smell, cap, ring = (rng.choice(list(letters), ROWS) for letters in ("afns", "bcf", "et"))
    toxic = (smell == "f") | ((smell == "s") & (cap == "b")) ^ (rng.random(ROWS) < 0.1)
    found = pd.DataFrame({"key": [f"m-{n}" for n in range(ROWS)], "smell": smell, "cap": cap, "ring": ring})
    return found.assign(edible=np.where(toxic, "poisonous", "eatable"))


CASES: dict[str, tuple[Callable[[], pd.DataFrame], tuple[str, ...], set[str]]] = {
    "loans": (loans, ("--target", "Ausfall", "--positive", "ja"), {"number", "category"}),
    "sensors": (sensors, ("--target", "breaks"), {"number"}),
    "mushrooms": (mushrooms, ("--target", "edible", "--positive", "poisonous"), {"category"}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_drafted_use_case_is_checked_trained_and_watched(
    name: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, options, kinds = CASES[name]
    monkeypatch.setenv("MODELOPS_USE_CASES", str(tmp_path / "use_cases"))
    make().to_csv(tmp_path / f"{name}.csv", index=False)
    assert main(["init", name, "--from", str(tmp_path / f"{name}.csv"), *options]) == 0
    assert main(["check", name]) == 0
    assert f"{ROWS} rows" in capsys.readouterr().out

    assert ingest("i1", FIRST, name) == "PUBLISHED"
    settings = Settings.from_environment()
    published = publications.latest(connect(settings.state_url), name, "data")
    assert published is not None
    assert published.rows_published == ROWS
    assert retrain("r1", use_case=name) == "PROMOTED"
    champion = use_case_state(settings, name)["champion"]
    assert champion["roc_auc_holdout"] > 0.7
    assert monitor("m1", FIRST, name) in ("NO_DRIFT", "INSUFFICIENT")
    package = settings.home / "models" / name / "1"
    assert trained_on(package) == kinds


def trained_on(package: Path) -> set[str]:
    from include.training.package import load

    return set(load(package).manifest.feature_types.values())
