"""How the champion is served, and how what it answers is kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from include.spec.base import Count, Fraction, Frozen


class Capturing(Frozen):
    """How what the scoring API answers is kept until the monitor collects it.

    ``sync``: whether an answer waits until it is on the disk, or is there at the latest a second after it was given.
    """

    sampling: Fraction = 1.0  # the share of the predictions that is kept; the others are counted
    sync: Literal["every_second", "every_commit"] = "every_second"
    maximum_bytes: Count = 2_000_000_000  # of what is not collected yet; at it, requests are refused
    segment_bytes: Count = 32_000_000
    segment_seconds: float = Field(3600, gt=0)


class Serving(Frozen):
    """What a caller of the scoring API may ask for, and what becomes of a challenger.

    ``challenger``: whether the version with the alias ``challenger`` is left alone, scores every row in the *shadow* of
    the champion, or answers in its place for a ``share`` of the rows (*canary*), always the same ones by their id.
    """

    requests_per_second: float = Field(5000, gt=0)  # of one key; as many may come at once
    maximum_bytes: Count = 1_000_000  # of a request
    maximum_rows: Count = 1000
    maximum_explained_rows: Count = 10  # an explanation takes a hundred times as long as a score
    answer_seconds: float = Field(10, gt=0)
    challenger: Literal["off", "shadow", "canary"] = "off"
    share: Fraction = 0.1
