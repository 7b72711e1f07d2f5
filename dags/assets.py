"""The assets that connect the DAGs, each with who emits it and who consumes it."""

from airflow.sdk import Asset


def published_data(use_case: str) -> Asset:
    """Emitted by ``<use case>_ingest``, consumed by ``<use case>_score``: the tables have rows that are new."""
    return Asset(name=f"{use_case}_published_data", uri=f"modelops://{use_case}/published-data")


def champion(use_case: str) -> Asset:
    """Emitted by ``<use case>_retrain``, consumed by ``<use case>_score``: another version is champion."""
    return Asset(name=f"{use_case}_champion", uri=f"modelops://{use_case}/champion")


def retrain_request(use_case: str) -> Asset:
    """Emitted by ``<use case>_monitor``, consumed by ``<use case>_retrain``: a request waits in the request table."""
    return Asset(name=f"{use_case}_retrain_request", uri=f"modelops://{use_case}/retrain-request")
