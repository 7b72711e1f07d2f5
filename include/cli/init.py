"""``python -m include init``: drafts the folder of a use case from a file, for its owner to complete."""

from __future__ import annotations

import math
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from include import spec as specs
from include.cli.console import heading, line
from include.cli.draft import Draft, Wishes, draft
from include.cli.profile import read_columns
from include.pages import environment
from include.settings import Settings
from include.spec import SpecError

NAME = r"[a-z][a-z0-9_]{0,39}"


@dataclass(frozen=True)
class Scale:
    """Counts and thresholds that follow from the number of rows and of rows of the rarer class."""

    days: int
    training_rows: int
    class_rows: int
    gate_rows: int
    gate_class_rows: int
    monitoring_rows: int
    new_labels: int
    label_coverage: float
    average_precision: float
    brier: float

    @classmethod
    def of(cls, found: Draft) -> Scale:
        """Half of what the file gives when split as the spec says, and never more than a large file needs."""
        rows, rare, rate = found.rows, found.class_rows, found.positive_rate
        days = _between(8, rows // 10, 60)
        return cls(
            days=days,
            training_rows=_between(20, rows * 3 // 8, 1000),
            class_rows=_between(5, rare * 3 // 8, 100),
            gate_rows=_between(10, rows // 8, 300),
            gate_class_rows=_between(2, rare // 8, 50),
            monitoring_rows=_between(10, rows * 3 // days // 2, 200),
            new_labels=_between(10, rows // 20, 100),
            # Four fifths of what the file has, where the usual limit is close to that or above it.
            label_coverage=0.9 if found.label_coverage > 0.95 else math.floor(80 * found.label_coverage) / 100,
            # A model that guesses scores the rate itself, a perfect one 1.
            average_precision=round(rate + 0.1 * (1 - rate), 2),
            brier=round(rate * (1 - rate), 3),
        )


def init(settings: Settings, name: str, file: str, wishes: Wishes, into: str | None = None) -> int:
    """Draft ``NAME/spec.yaml`` and ``NAME/features.py`` from ``file``. Raises ``SpecError`` or ``DataRejected``."""
    path = Path(file).expanduser().resolve()
    folder = Path(into).expanduser().resolve() if into else settings.use_case_folders[0]
    if not re.fullmatch(NAME, name):
        raise SpecError(f"name '{name}': expected lower-case letters, digits and _, a letter first, at most 40")
    if (folder / name).exists():
        raise SpecError(f"{folder / name} exists already and is left as it is; choose another name or move it away")
    try:
        found = draft(read_columns(path), wishes)
    except SpecError as problem:
        raise SpecError(f"{path.name}: {problem}") from problem
    _publish(
        folder, name, {"spec.yaml": spec_text(name, path, found), "features.py": _render("features.py", name=name)}
    )
    _report(settings, folder / name, found)
    return 0


def spec_text(name: str, path: Path, found: Draft) -> str:
    """The commented ``spec.yaml`` of a draft made from the file at ``path``."""
    return _render("spec.yaml", name=name, file=path.name, uri=str(path), draft=found, scale=Scale.of(found))


def _publish(folder: Path, name: str, files: dict[str, str]) -> None:
    """Write the files, load the spec they make, and only then give them their name: no half draft is left behind."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".init-", dir=folder) as temporary:
        made = Path(temporary) / name
        made.mkdir()
        for file, text in files.items():
            (made / file).write_text(text, encoding="utf-8")
        specs.load(made / "spec.yaml")
        made.rename(folder / name)


def _report(settings: Settings, folder: Path, found: Draft) -> None:
    heading(f"Drafted {folder}")
    line(f"id             {found.id}")
    line(f"target         {found.target}: {found.positive} ({found.positive_rate:.1%}) against {found.negative}")
    if found.label_coverage < 1:
        line(f"  no label     {1 - found.label_coverage:.1%} of the rows")
    if found.ids_return:
        line("  returns      one id may stand in many rows, at other times")
    line(f"observed at    {found.observed_at or 'no such column; the file is spread over days'}")
    line(f"features       {len(found.features)} of {len(found.columns)} columns")
    for name, why in found.left_out.items():
        line(f"  left out     {name or '(no name)'}: {why}")
    heading("Next")
    line(f"1. Fill in what says DESCRIBE in {folder / 'spec.yaml'}, and take out what is known only after the outcome.")
    line(f"2. python -m include check {folder.name}")
    line(f"3. python -m include run --use-case {folder.name}")
    if folder.parent not in settings.use_case_folders:
        line(f"{folder.parent} is not among the use case folders: set MODELOPS_USE_CASES to it first.")


def _render(template: str, **values: Any) -> str:
    folder = Path(__file__).with_name("templates")
    made = environment(folder, yaml=_yaml, comment=lambda text: " ".join(text.split()))
    return made.get_template(f"{template}.j2").render(values)


def _yaml(value: Any) -> str:
    """``value`` on one line of YAML, quoted where YAML would take it for something else."""
    style: dict[str, Any] = {
        "default_flow_style": True,
        "allow_unicode": True,
        "sort_keys": False,
        "width": float("inf"),
    }
    text = yaml.safe_dump(value, **style).removesuffix("...\n").strip("\n")
    # Only between double quotes does a line break in a name or a value, U+2028 and its like too, stay on the line.
    return yaml.safe_dump(value, **style, default_style='"').strip() if len(text.splitlines()) > 1 else text


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))
