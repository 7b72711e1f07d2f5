"""What callers send, as types that are derived from the spec, so that the OpenAPI document shows every field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from include.data.contract import EXACT
from include.spec import Column, UseCase

LONGEST_TEXT = 10_000
"""Characters of a value."""
LONGEST_ID = 500
NO_BLANK = r"^[^\x00]*[^\s\x00\x1c-\x1f\x85\ufeff][^\x00]*$"
"""What one dialect of regular expressions takes for a blank, and another does not, is named."""
SHOWN_VALUES = 20
STRICT = ConfigDict(extra="forbid", strict=True)


def _whole(value: Any) -> Any:
    """A number without a fraction as the integer that it is: in JSON 5.0 is 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _without_fraction(value: float) -> float:
    if not value.is_integer():
        raise ValueError("has a fraction")
    return value


Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63), BeforeValidator(_whole)]
"""A text that came as a number; a longer one has to come as text."""


def row_type(spec: UseCase) -> Any:
    """A row as the spec describes it: the columns that a model may see have to be there, the others may be."""
    optional = {spec.id, spec.observed_at}
    fields: dict[str, Any] = {}
    for name, column in spec.columns.items():
        longest = LONGEST_ID if name == spec.id else LONGEST_TEXT
        field: Any = Annotated[_value(column, longest), _about(column)]
        if name in optional or column.after_event:
            field = NotRequired[field | None if column.after_event else field]
        fields[name] = field
    return _typed_dict("Row", fields)


def inputs_type(spec: UseCase) -> Any:
    """A row of model inputs, as the signature of the registered model names them; the id may stand beside them."""
    kinds = {"number": Column(type="number", description="a number", nullable=True)}
    kinds["category"] = Column(type="category", description="a category", nullable=True)
    id_ = _text(LONGEST_ID) | Whole
    fields: dict[str, Any] = {spec.id: NotRequired[Annotated[id_, _about(spec.columns[spec.id])]]}
    for name, kind in spec.feature_types.items():
        derived = spec.features.derived.get(name)
        column = spec.columns[name] if derived is None else kinds[kind]
        about = _about(column) if derived is None else Field(description=derived.description)
        fields[name] = Annotated[_value(column, LONGEST_TEXT), about]
    return _typed_dict("Inputs", fields)


def predict_type(row: Any, most: int | None = None) -> Any:
    """The body of ``/v1/predict``; of ``Any`` as a row the envelope alone."""
    rows = Annotated[list[row], Field(min_length=1, max_length=most, description="one or many")]
    reasons = Annotated[bool, Field(description="whether to say why each score is what it is")]
    return _typed_dict("PredictRequest", {"rows": rows, "reasons": NotRequired[reasons]})


def explain_type(row: Any) -> Any:
    """The body of ``/v1/explain``."""
    return _typed_dict("ExplainRequest", {"row": row})


def look_up_type() -> Any:
    """The body of ``/v1/customers/{id}/predict``."""
    reasons = Annotated[bool, Field(description="whether to say why the score is what it is")]
    return _typed_dict("LookUpRequest", {"reasons": NotRequired[reasons]})


def feedback_type(label: Any, most: int | None = None) -> Any:
    """The body of ``/v1/feedback``."""
    labels = Annotated[list[label], Field(min_length=1, max_length=most, description="one or many")]
    return _typed_dict("FeedbackRequest", {"labels": labels})


def label_type(spec: UseCase) -> Any:
    """A label of one event, which is named in one of two ways; ``feedback.check`` says what is wrong with another."""
    target = spec.target
    label: Any = Annotated[Literal[target.positive, target.negative], Field(description=target.description)]
    moment: Any = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="with its offset")] | None
    id_ = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=r"\S")]
    by_id = {
        "prediction_id": Annotated[id_, Field(description="as a prediction was answered with")],
        "entity": NotRequired[None],
        "observed_at": NotRequired[moment],
    }
    by_day = {
        "entity": Annotated[id_, Field(description=f"{spec.id} of the row")],
        "observed_at": Annotated[str, Field(description="a moment with its offset, or the day of the observation")],
        "prediction_id": NotRequired[None],
    }
    about = {"label": label, "known_at": NotRequired[moment]}
    return _typed_dict("LabelOfPrediction", by_id | about) | _typed_dict("LabelOfDay", by_day | about)


def invocations_type(row: Any, inputs: Any, most: int) -> Any:
    """The body of ``/invocations``: MLflow's four ways to write rows, in columns of the spec or as model inputs."""
    several = Field(min_length=1, max_length=most)
    rows = Annotated[list[row], several] | Annotated[list[inputs], several]
    data = Annotated[list[list[Any]], several]
    split = _typed_dict("Split", {"columns": list[str], "data": data, "index": NotRequired[list[Any]]})
    none = Annotated[dict[str, Any], Field(max_length=0)] | None
    params = {"params": NotRequired[Annotated[none, Field(description="the model takes none")]]}
    columns = dict[str, Annotated[list[Any], several]]
    return (
        _typed_dict("DataframeRecords", {"dataframe_records": rows} | params)
        | _typed_dict("DataframeSplit", {"dataframe_split": split} | params)
        | _typed_dict("Instances", {"instances": rows} | params)
        | _typed_dict("InputColumns", {"inputs": Annotated[columns, Field(min_length=1)] | rows} | params)
    )


def expected(column: Column) -> str:
    """What a value of the column has to be, in words."""
    words = {"number": "a number", "integer": "a whole number"}.get(column.type, "a text")
    if column.min is not None and column.max is not None:
        words += f" from {column.min:.15g} to {column.max:.15g}"
    elif column.min is not None:
        words += f" of at least {column.min:.15g}"
    elif column.max is not None:
        words += f" of at most {column.max:.15g}"
    elif not column.is_numeric:
        words += f" of 1 to {LONGEST_TEXT} characters, or a whole number of 64 bits"
    return f"{words}, or null" if column.nullable else words


def _typed_dict(name: str, fields: Mapping[str, Any]) -> Any:
    make: Any = TypedDict  # the functional way, since columns have any name
    made = make(name, dict(fields))
    made.__pydantic_config__ = STRICT
    return made


def _value(column: Column, longest: int) -> Any:
    value = _number(column) if column.is_numeric else _text(longest) | Whole
    return value | None if column.nullable else value


def _number(column: Column) -> Any:
    low, high = column.min, column.max
    if column.type == "integer":
        low = max(-EXACT + 1, -EXACT + 1 if low is None else low)
        high = min(EXACT - 1, EXACT - 1 if high is None else high)
        limits = Field(strict=True, ge=low, le=high, json_schema_extra={"type": "integer"})
        return Annotated[float, limits, AfterValidator(_without_fraction)]
    return Annotated[float, Field(strict=True, ge=low, le=high, allow_inf_nan=False)]


def _text(longest: int) -> Any:
    return Annotated[str, StringConstraints(strict=True, strip_whitespace=True, max_length=longest, pattern=NO_BLANK)]


def _about(column: Column) -> Any:
    about = column.description
    if column.type == "category" and column.values:
        shown = column.values[:SHOWN_VALUES]
        about = (
            f"{about}; one of {', '.join(shown)}{', …' if len(column.values) > len(shown) else ''}; any other value "
        )
        about += "is scored as unknown"
        return Field(description=about, examples=list(shown))
    return Field(description=about)
