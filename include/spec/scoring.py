"""Which rows are scored in batches, in how many parts, and what people are shown of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from include.spec.base import Count, Frozen


class Scoring(Frozen):
    """``partitions`` are scored side by side, each by a task with memory of its own: as many as there are cores."""

    window_days: Count = 90  # what was observed longer ago says little of how somebody is now
    partitions: Annotated[int, Field(ge=1, le=16)] = 2
    top: Annotated[int, Field(ge=1, le=1000)] = 100  # rows of the spreadsheet, each with its reasons
