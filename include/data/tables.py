"""Versioned tables in Delta Lake: append once per run, read at a version.

Every row carries the ``as_of`` that published it. Delta records an application transaction id but does not refuse a
repeat, so under the table's lock an append looks it up first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from sqlalchemy import Engine

from include.state.lock import hold


def table_uri(lake_uri: str, use_case: str, table: str) -> str:
    return f"{lake_uri.rstrip('/')}/{use_case}/{table}"


def append(engine: Engine, uri: str, frame: pd.DataFrame, run_id: str) -> int:
    """Append ``frame`` under ``run_id`` and return the version that holds it; the same run again writes nothing."""
    with hold(engine, f"table {uri}"):
        if DeltaTable.is_deltatable(uri):
            table = DeltaTable(uri)
            if table.transaction_version(run_id) is not None:
                return int(table.version())
        elif "://" not in uri:
            Path(uri).mkdir(parents=True, exist_ok=True)
        write_deltalake(
            uri,
            pa.Table.from_pandas(frame, preserve_index=False),
            mode="append",
            commit_properties=CommitProperties(app_transactions=[Transaction(run_id, 1)]),
        )
        return int(DeltaTable(uri).version())


def current_version(uri: str) -> int | None:
    """The newest version of the table, None when it does not exist."""
    return int(DeltaTable(uri).version()) if DeltaTable.is_deltatable(uri) else None


def read(
    uri: str, version: int, *, filters: list[tuple[str, str, Any]] | None = None, columns: list[str] | None = None
) -> pd.DataFrame:
    """The rows of ``version`` that pass every filter (column, operator, value)."""
    frame: pd.DataFrame = DeltaTable(uri, version=version).to_pandas(filters=filters, columns=columns)
    return frame
