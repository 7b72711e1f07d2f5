"""The ASGI application: every use case below its name, and the default one at the root as well."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from include.serving.background import Repeated
from include.serving.keys import REFRESH_SECONDS, Keys
from include.serving.metrics import Metrics
from include.serving.routes import use_case_app
from include.serving.service import Service
from include.settings import Settings, SettingsError
from include.spec import sound

log = logging.getLogger(__name__)

RESERVED = frozenset({"v1", "invocations", "health", "ready", "ping", "version", "metrics"})
"""Routes of the use case at the root, which one below these names would hide."""


def make_app(settings: Settings) -> ASGIApp:
    """Serve the use cases of ``settings``; one with a spec that cannot be used keeps none of the others from it.

    Raises ``SettingsError`` where there is none.
    """
    specs, faults = sound(settings.use_case_folders)
    for fault in faults:
        log.error("a use case is not served: %s", fault)
    if not specs:
        raise SettingsError(f"MODELOPS_USE_CASES: no use case in {', '.join(map(str, settings.use_case_folders))}")
    if taken := sorted(specs.keys() & RESERVED):
        raise SettingsError(f"MODELOPS_USE_CASES: {', '.join(taken)} is the name of a route; give the use case another")
    keys, metrics = Keys(settings), Metrics()
    services = {name: Service(settings, spec, keys, metrics) for name, spec in specs.items()}
    apps: dict[str, ASGIApp] = {n: use_case_app(service, version("mlflow")) for n, service in services.items()}
    default = apps[settings.api_use_case if settings.api_use_case in apps else next(iter(apps))]
    reading = Repeated(keys.refresh, REFRESH_SECONDS, "read the keys")

    @contextlib.asynccontextmanager
    async def running(_: Any) -> AsyncIterator[None]:
        reading.start()
        await asyncio.gather(*(service.start() for service in services.values()))
        # What the imports made is never garbage, and to look through it would stop the answers for a sixth of a second.
        gc.collect()
        gc.freeze()
        yield
        gc.unfreeze()
        await asyncio.gather(*(service.stop() for service in services.values()))
        await asyncio.to_thread(reading.stop)

    lifespan = Router(lifespan=running)

    # Starlette's own mounts are patterns, and no pattern fits all that a path may hold.
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(scope, receive, send)
            return
        first = scope["path"].split("/", 2)[1] if scope["path"].startswith("/") else ""
        below = {"root_path": f"{scope.get('root_path', '')}/{first}"} if first in apps else {}
        await apps.get(first, default)({**scope, **below}, receive, send)

    return app
