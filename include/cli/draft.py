"""Guesses about a file that nobody has described yet: which column is the id, the target, the time, a feature.

A guess that could as well be another one is an error that lists the choices and names the option that settles it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from include.cli.columns import column, unusable, why_no_feature
from include.cli.profile import Profile, profile
from include.spec import SpecError

ID_WORDS = frozenset({"id", "key", "uuid", "guid", "identifier"})
TARGET_WORDS = frozenset(
    [
        "churn",
        "churned",
        "target",
        "label",
        "diagnosis",
        "outcome",
        "class",
        "y",
        "default",
        "defaulted",
        "fraud",
        "response",
        "converted",
        "conversion",
        "survived",
        "attrition",
        "exited",
        "cancelled",
        "canceled",
        "left",
        "died",
        "readmitted",
    ]
)
POSITIVE_WORDS = frozenset({"1", "yes", "y", "true", "t", "positive"})


@dataclass(frozen=True)
class Wishes:
    """What the user said on the command line; None is left to a guess."""

    target: str | None = None
    id: str | None = None
    positive: str | None = None


@dataclass(frozen=True)
class Draft:
    """The parts of a spec that depend on the file. ``left_out`` names the columns that are no features, and why."""

    id: str
    ids_return: bool
    observed_at: str | None
    target: str
    positive: str
    negative: str
    rows: int
    class_rows: int
    positive_rate: float
    label_coverage: float
    columns: dict[str, dict[str, Any]]
    features: tuple[str, ...]
    left_out: dict[str, str]


def draft(text: pd.DataFrame, wishes: Wishes) -> Draft:
    """Guess what ``wishes`` leaves open. Raises ``SpecError`` when a guess is not safe or a wish cannot be met."""
    profiles = {str(name): profile(text[name]) for name in text.columns}
    target = _target(profiles, wishes.target)
    nameless = unusable([name for name in profiles if name != target])
    inputs = {name: found for name, found in profiles.items() if name != target and name not in nameless}
    time = next((p.name for p in inputs.values() if p.kind == "time" and not p.nullable), None)
    key = _id(text, inputs, time, wishes.id)
    positive, negative = _labels(profiles[target], wishes.positive)
    why_not = {name: why for name, found in inputs.items() if (why := why_no_feature(found, key, time))}
    features = tuple(name for name in inputs if name not in why_not)
    if not features:
        raise SpecError(f"no column is left to learn from: {'; '.join(f'{n}: {w}' for n, w in why_not.items())}")
    counts = dict(zip(profiles[target].values, profiles[target].counts, strict=True))
    return Draft(
        id=key,
        ids_return=bool(text[key].duplicated().any()),
        observed_at=time,
        target=target,
        positive=positive,
        negative=negative,
        rows=len(text),
        class_rows=min(counts.values()),
        positive_rate=counts[positive] / sum(counts.values()),
        label_coverage=sum(counts.values()) / len(text),
        columns={name: column(found, key) for name, found in inputs.items()},
        features=features,
        left_out=nameless | why_not,
    )


def _target(profiles: dict[str, Profile], wished: str | None) -> str:
    two_valued = [name for name, found in profiles.items() if len(found.values) == 2]
    listed = ", ".join(two_valued) or "none"
    if wished is not None:
        found = profiles.get(wished)
        if found is None:
            raise SpecError(f"--target {wished}: no such column; found {', '.join(profiles)}")
        if wished not in two_valued:
            raise SpecError(
                f"--target {wished}: expected two values, found {len(found.values)} ({_shown(found.values)}); "
                f"columns with two values: {listed}"
            )
        return wished
    named = [name for name in profiles if _words(name) & TARGET_WORDS]
    candidates = [name for name in named if name in two_valued] or ([] if named else two_valued)
    if len(candidates) == 1:
        return candidates[0]
    if not named and candidates and candidates[-1] == list(profiles)[-1]:
        return candidates[-1]
    if candidates:
        raise SpecError(f"which column is to be predicted? Name it with --target; candidates: {', '.join(candidates)}")
    about = f"'{named[0]}' is named like a target and has {len(profiles[named[0]].values)} values; " if named else ""
    raise SpecError(
        f"no target found: {about}expected a column with two values. Name one with --target; found: {listed}"
    )


def _labels(target: Profile, wished: str | None) -> tuple[str, str]:
    """The positive and the negative value; the rarer class is what one usually wants to find."""
    frequent, rare = target.values
    if wished is not None:
        if wished not in target.values:
            raise SpecError(f"--positive {wished}: column '{target.name}' holds {_shown(target.values)}")
        rare, frequent = wished, next(value for value in target.values if value != wished)
    elif target.counts[0] == target.counts[1] and frequent.lower() in POSITIVE_WORDS:
        rare, frequent = frequent, rare
    return rare, frequent


def _id(text: pd.DataFrame, inputs: dict[str, Profile], time: str | None, wished: str | None) -> str:
    def is_key(name: str) -> bool:
        together = [name, time] if time else [name]
        return not inputs[name].nullable and not text.duplicated(together).any()

    if wished is not None:
        if wished not in inputs:
            raise SpecError(f"--id {wished}: expected one of {', '.join(inputs)}")
        if not is_key(wished):
            raise SpecError(
                f"--id {wished}: expected a value in every row and none twice, found {_repeats(text[wished])}"
            )
        return wished
    whole = {name: found for name, found in inputs.items() if found.kind in ("integer", "text")}
    for choice in (
        [name for name in whole if _words(name) & ID_WORDS and is_key(name)],
        [name for name, found in whole.items() if found.kind == "text" and found.is_unique],
        [name for name, found in whole.items() if found.is_unique],
    ):
        if choice:
            return choice[0]
    raise SpecError(
        "no id found: expected a column of text or whole numbers with a value in every row and none twice. "
        "Name one with --id, or add one to the file; at worst the row's number"
    )


def _shown(values: Sequence[str]) -> str:
    return "such as " + ", ".join(value[:20] for value in values[:3]) if len(values) > 2 else " and ".join(values)


def _repeats(text: pd.Series) -> str:
    return f"{int(text.isna().sum())} blank and {int(text.dropna().duplicated().sum())} repeated"


def _words(name: str) -> set[str]:
    """``customerID``, ``customer_id`` and ``Customer Id`` all hold the word ``id``."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
