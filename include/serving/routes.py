"""The routes of one use case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

from include.serving import answers, document, feedback, invocations, schema
from include.serving.document import answer, body
from include.serving.feedback import FeedbackRefused
from include.serving.limits import Limits
from include.serving.problems import Fault, Problem, invalid, pointer
from include.serving.rows import alone, require_few, shown, within
from include.serving.scorer import Scorer
from include.serving.service import Service

JSON = "application/json"
PREDICT = TypeAdapter(schema.predict_type(Any))
EXPLAIN = TypeAdapter(schema.explain_type(Any))
LOOK_UP = TypeAdapter(schema.look_up_type())
FEEDBACK = TypeAdapter(schema.feedback_type(Any))


def use_case_app(service: Service, mlflow_version: str) -> FastAPI:
    """The API of one use case, to be served at the root or below its name."""
    spec = service.spec
    # The pages that would show the document load scripts from the network.
    app = FastAPI(
        title=spec.title,
        description=spec.description,
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(Limits, service=service)
    app.add_exception_handler(HTTPException, _no_route)
    app.openapi = document.Documents(app, lambda: service.spec).current  # type: ignore[method-assign]
    _add_probes(app, service, mlflow_version)
    _add_scoring(app, service)
    _add_explanations(app, service)
    _add_feedback(app, service)
    return app


def _add_probes(app: FastAPI, service: Service, mlflow_version: str) -> None:
    @app.get("/health", responses=answer(answers.Alive, "it does"))
    async def health() -> Response:
        """Whether the process lives."""
        return _json(answers.Alive())

    @app.get("/ready", responses=answer(answers.Ready, "there is"))
    async def ready() -> Response:
        """Whether there is a model that answers, and what is not as it should be."""
        version, follower = service.scorer().version, service.follower
        return _json(answers.Ready(version, follower.is_current, follower.troubles))

    @app.get("/ping", responses=answer(str, "there is: a line without a word"), response_class=PlainTextResponse)
    async def ping() -> Response:
        """Whether there is a model that answers, as MLflow's clients ask it."""
        service.scorer()
        return PlainTextResponse("\n")

    @app.get("/version", responses=answer(str, "such as 3.17.2"), response_class=PlainTextResponse)
    async def version() -> Response:
        """The version of MLflow whose protocol this is."""
        return PlainTextResponse(mlflow_version)

    @app.get("/metrics", responses=answer(str, "in Prometheus' text format"), response_class=PlainTextResponse)
    async def metrics() -> Response:
        """What was counted and measured since the start."""
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/v1/model", responses=answer(answers.Model, "the version"))
    async def model() -> Response:
        """Which version answers, what it was made of and how good it was."""
        return _json(_about(service.scorer(), service))


def _add_scoring(app: FastAPI, service: Service) -> None:
    @app.post("/v1/predict", responses=answer(answers.Predictions, "kept"), openapi_extra=body("PredictRequest"))
    async def predict(request: Request) -> Response:
        """Score one row or many; each answer is kept before it is given."""
        scorer = service.scorer()
        asked = await _read(request, PREDICT)
        with_reasons, rules = asked.get("reasons", False), scorer.spec.serving
        require_few(asked["rows"], rules.maximum_rows)
        if with_reasons:
            require_few(asked["rows"], rules.maximum_explained_rows, "with reasons ")
        rows = scorer.contract.rows(asked["rows"], within("rows"), datetime.now(UTC))
        found = await service.predict(scorer, rows, _began(request), with_reasons=with_reasons)
        return _json(answers.Predictions(found))

    @app.post(
        "/v1/customers/{id:path}/predict",
        responses=answer(answers.LookedUp, "kept"),
        openapi_extra=body("LookUpRequest", required=False),
    )
    async def look_up(id: str, request: Request) -> Response:
        """Score the newest published row of an id."""
        scorer = service.scorer()
        asked = await _read(request, LOOK_UP) if await request.body() else {}
        row, observed = service.customers.newest(id)
        rows = scorer.contract.rows([row], alone("row"), datetime.now(UTC))
        (found,) = await service.predict(
            scorer, rows, _began(request), with_reasons=asked.get("reasons", False), observed=observed
        )
        return _json(answers.LookedUp(found, observed.isoformat()))

    @app.post("/invocations", responses=answer(answers.Invocations, "kept"), openapi_extra=body("InvocationsRequest"))
    async def invoke(request: Request) -> Response:
        """Score rows as MLflow's clients send them: in the spec's columns, or as the registered model's inputs."""
        scorer = service.scorer()
        given = invocations.rows_of(await _parsed(request), scorer.spec.serving.maximum_rows)
        if are_inputs := scorer.contract.are_inputs(given.names):
            rows = scorer.contract.inputs(given.rows, given.where)
        else:
            rows = scorer.contract.rows(given.rows, given.where, datetime.now(UTC))
        found = await service.predict(scorer, rows, _began(request), are_inputs=are_inputs)
        return _json(answers.Invocations([one.score for one in found], [one.prediction_id for one in found]))


def _add_explanations(app: FastAPI, service: Service) -> None:
    @app.post("/v1/explain", responses=answer(answers.Explanation, "not kept"), openapi_extra=body("ExplainRequest"))
    async def explain(request: Request) -> Response:
        """Why a row would get the score that it would get; nothing is decided, and nothing kept."""
        scorer = service.scorer()
        asked = await _read(request, EXPLAIN)
        (row,) = scorer.contract.rows([asked["row"]], alone("row"), datetime.now(UTC))
        return _json(await service.explain(scorer, row))


def _add_feedback(app: FastAPI, service: Service) -> None:
    @app.post("/v1/feedback", responses=answer(answers.Taken, "kept"), openapi_extra=body("FeedbackRequest"))
    async def take(request: Request) -> Response:
        """Take labels that have become known: all of a request, or none."""
        asked = await _read(request, FEEDBACK)
        require_few(asked["labels"], service.spec.serving.maximum_rows)
        try:
            labels = feedback.check(_objects(asked["labels"]), service.spec, datetime.now(UTC))
        except FeedbackRefused as refusal:
            faults = [Fault(pointer("labels", one.place), one.code, one.message) for one in refusal.faults]
            raise invalid(faults) from refusal
        await service.take(labels)
        return _json(answers.Taken(len(labels)))


async def _parsed(request: Request) -> Any:
    """The body, which has to be JSON. Raises ``Problem``."""
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != JSON or rest.strip().lower() not in ("", "charset=utf-8"):
        raise Problem("WRONG_TYPE", f"expected Content-Type: {JSON}; found {kind[:80]!r}")
    try:
        return from_json(await request.body(), allow_inf_nan=False)
    except ValueError as error:
        raise Problem("NOT_JSON", f"{error}; NaN and Infinity are not JSON, a missing value is null") from error


async def _read(request: Request, envelope: TypeAdapter[Any]) -> Any:
    """The body, as far as ``envelope`` knows it. Raises ``Problem``."""
    content = await _parsed(request)
    try:
        return envelope.validate_python(content)
    except ValidationError as error:
        faults = [_fault(found) for found in error.errors(include_url=False, include_context=False)]
        raise invalid(faults) from error


def _objects(labels: Sequence[Any]) -> Sequence[dict[str, Any]]:
    odd = [(place, one) for place, one in enumerate(labels) if not isinstance(one, dict)]
    if odd:
        expected = "expected an object; found"
        raise invalid([Fault(pointer("labels", place), "NO_LABEL", f"{expected} {shown(one)}") for place, one in odd])
    return labels


def _fault(found: Mapping[str, Any]) -> Fault:
    where = pointer(*found["loc"])
    match found["type"]:
        case "missing":
            return Fault(where, "MISSING_FIELD", "is missing")
        case "extra_forbidden":
            return Fault(where, "UNKNOWN_FIELD", "there is no such field; take it out")
        case _:
            return Fault(where, "BAD_VALUE", f"{found['msg']}; found {shown(found['input'])}")


def _about(scorer: Scorer, service: Service) -> answers.Model:
    manifest = scorer.model.manifest
    return answers.Model(
        use_case=service.name,
        version=scorer.version,
        is_current=service.follower.is_current,
        candidate=manifest.candidate,
        kind=manifest.kind,
        model_sha256=manifest.model_sha256,
        fingerprint=manifest.fingerprint,
        feature_version=manifest.feature_version,
        trained_from=manifest.trained_from,
        trained_until=manifest.trained_until,
        scoring="compiled" if scorer.model.compiled else "scikit-learn",
        threshold=scorer.spec.decision.threshold,
        thresholds=scorer.thresholds.groups if scorer.thresholds else None,
        inputs=manifest.feature_types,
        metrics=dict(scorer.metrics),
        troubles=service.follower.troubles,
    )


async def _no_route(request: Request, error: Exception) -> Response:
    """What the router says, as a problem."""
    where = f"{request.method} {request.url.path[:200]}"
    if isinstance(error, HTTPException) and error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        raise Problem("WRONG_METHOD", f"{where}: expected {allowed}", headers={"Allow": allowed})
    raise Problem("NO_SUCH_PLACE", f"{where}: /openapi.json says what there is")


def _json(content: Any) -> Response:
    return Response(to_json(content), media_type=JSON)


def _began(request: Request) -> float:
    began: float = request.scope["modelops.began"]
    return began
