"""The OpenAPI document of a use case, of the spec that the version that answers was loaded with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter

from include.serving import schema
from include.serving.limits import OPEN, SCOPES
from include.serving.problems import MEDIA_TYPE, PROBLEMS, ProblemDocument
from include.spec import UseCase

COMPONENTS = "#/components/schemas/{model}"
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a key of `python -m include keys add`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def body(name: str, *, required: bool = True) -> dict[str, Any]:
    """What a route says of its body; the schema ``name`` is among the components."""
    content = {"application/json": {"schema": {"$ref": COMPONENTS.format(model=name)}}}
    return {"requestBody": {"required": required, "content": content}}


def answer(type_: Any, description: str) -> dict[int | str, dict[str, Any]]:
    """What a route says of its answers: of the good one, and that all others are problems."""
    codes = ", ".join(sorted(PROBLEMS))
    problem = {MEDIA_TYPE: {"schema": {"$ref": COMPONENTS.format(model="ProblemDocument")}}}
    return {
        200: {"description": description} | ({"model": type_} if type_ else {}),
        "default": {"description": f"a problem, by its code: {codes}", "content": problem},
    }


class Documents:
    """The document for the spec of the moment: composed once for each, which takes a tenth of a second."""

    def __init__(self, app: FastAPI, spec: Callable[[], UseCase]) -> None:
        self._app, self._spec = app, spec
        self._last: tuple[UseCase, dict[str, Any]] | None = None

    def current(self) -> dict[str, Any]:
        spec = self._spec()
        if self._last is None or self._last[0] is not spec:
            self._last = spec, compose(self._app, spec)
        return self._last[1]


def compose(app: FastAPI, spec: UseCase) -> dict[str, Any]:
    """The whole document."""
    app.openapi_schema = None  # FastAPI's own copy, without the bodies
    made = FastAPI.openapi(app)
    components = made.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **_schemas(spec)}
    components["securitySchemes"] = SECURITY
    for path, methods in made["paths"].items():
        for operation in methods.values():
            if path not in OPEN:
                scope = SCOPES.get(path, "predict")
                operation["security"] = [{"bearer": []}, {"header": []}]
                operation["description"] = f"{operation.get('description', '')} Needs a key with the scope `{scope}`."
    return made


def _schemas(spec: UseCase) -> dict[str, Any]:
    """Every type of a body, and what it is made of, by name."""
    row, inputs, most = schema.row_type(spec), schema.inputs_type(spec), spec.serving.maximum_rows
    named = {
        "PredictRequest": schema.predict_type(row, most),
        "ExplainRequest": schema.explain_type(row),
        "LookUpRequest": schema.look_up_type(),
        "FeedbackRequest": schema.feedback_type(schema.label_type(spec), most),
        "InvocationsRequest": schema.invocations_type(row, inputs, most),
        "ProblemDocument": ProblemDocument,
    }
    made, parts = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter(type_)) for name, type_ in named.items()], ref_template=COMPONENTS
    )
    return {name: schema for (name, _), schema in made.items() if "$ref" not in schema} | parts["$defs"]
