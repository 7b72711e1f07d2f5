"""The routes of one use case."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic_core import from_json, to_json
from starlette.exceptions import HTTPException

from include.serving import invocations
from include.serving.limits import Limits
from include.serving.problems import Fault, Problem, invalid
from include.serving.rows import shown
from include.serving.service import Service, as_json

JSON = "application/json"


def use_case_app(service: Service, mlflow_version: str) -> FastAPI:
    """The API of one use case, to be served at the root or below its name."""
    spec = service.spec
    app = FastAPI(title=spec.title, description=spec.description, docs_url=None, redoc_url=None)
    app.add_middleware(Limits, service=service)
    app.add_exception_handler(HTTPException, _no_route)
    _add_probes(app, service, mlflow_version)
    _add_scoring(app, service)
    return app


def _add_probes(app: FastAPI, service: Service, mlflow_version: str) -> None:
    @app.get("/health")
    async def health() -> Response:
        """Whether the process lives."""
        return _json({"status": "alive"})

    @app.get("/ready")
    async def ready() -> Response:
        """Whether there is a model that answers, and what is not as it should be."""
        scorer = service.scorer()
        troubles = [{"code": one.code, "detail": one.detail} for one in service.follower.troubles]
        found = {"status": "ready", "model_version": scorer.version, "is_current": service.follower.is_current}
        return _json(found | {"troubles": troubles})

    @app.get("/ping")
    async def ping() -> Response:
        """MLflow's way to ask whether there is a model that answers."""
        service.scorer()
        return Response("\n", media_type=JSON)

    @app.get("/version")
    async def version() -> Response:
        """The version of MLflow whose protocol this is."""
        return Response(mlflow_version, media_type=JSON)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _add_scoring(app: FastAPI, service: Service) -> None:
    @app.post("/v1/predict")
    async def predict(request: Request) -> Response:
        """Score one row or many; each answer is kept before it is given."""
        scorer = service.scorer()
        body = await _body(request)
        if not isinstance(body, dict) or not isinstance(body.get("rows"), list):
            raise invalid([Fault("", "BAD_VALUE", f"expected an object with 'rows', an array; found {shown(body)}")])
        given = _few(service, body["rows"])
        rows = scorer.contract.rows(given, datetime.now(UTC), "rows")
        predictions = await service.predict(scorer, rows, request.scope["modelops.began"])
        return _json({"predictions": as_json(predictions)})

    @app.post("/invocations")
    async def invoke(request: Request) -> Response:
        """Score rows as MLflow's clients send them: in the spec's columns, or as the registered model's inputs."""
        scorer = service.scorer()
        key, given = invocations.rows_of(await _body(request))
        given, at = _few(service, given), datetime.now(UTC)
        inputs = scorer.contract.are_inputs(invocations.names_of(given))
        rows = scorer.contract.inputs(given, key) if inputs else scorer.contract.rows(given, at, key)
        found = await service.predict(scorer, rows, request.scope["modelops.began"], inputs=inputs)
        ids = [one.prediction_id for one in found]
        return _json({"predictions": [one.score for one in found], "prediction_ids": ids})


async def _body(request: Request) -> Any:
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != JSON or rest.strip().lower() not in ("", "charset=utf-8"):
        raise Problem("WRONG_TYPE", f"expected Content-Type: {JSON}; found {kind[:80]!r}")
    try:
        return from_json(await request.body(), allow_inf_nan=False)
    except ValueError as error:
        raise Problem("NOT_JSON", f"{error}; NaN and Infinity are not JSON, a missing value is null") from error


def _few(service: Service, rows: list[Any]) -> list[Any]:
    most = service.spec.serving.maximum_rows
    if len(rows) > most:
        raise Problem("TOO_MANY_ROWS", f"{len(rows):,} rows, at most {most:,} at a time; send several requests")
    if not rows:
        raise invalid([Fault("/rows", "NO_ROWS", "expected at least one row")])
    return rows


async def _no_route(request: Request, error: Exception) -> Response:
    """What the router says, as a problem."""
    where = f"{request.method} {request.url.path[:200]}"
    if isinstance(error, HTTPException) and error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        raise Problem("WRONG_METHOD", f"{where}: expected {allowed}", headers={"Allow": allowed})
    raise Problem("NO_SUCH_PLACE", f"{where}: /openapi.json says what there is")


def _json(content: Any) -> Response:
    return Response(to_json(content), media_type=JSON)
