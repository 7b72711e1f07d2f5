"""What every part of a spec is made of: frozen, strict models, and the kinds of values in them."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")
Many = Annotated[tuple[T, ...], Field(strict=False)]  # YAML has lists, a frozen spec holds tuples
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Scalar = float | int | str | bool | None
Columns = Annotated[Many[str], Field(min_length=1)]


class SpecError(ValueError):
    """A spec that cannot be used; the message lists every fault with its path in the file."""


class Frozen(BaseModel):
    # Strict: a number written as text, or a yes where a number belongs, is a mistake and no other way to write it.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)
