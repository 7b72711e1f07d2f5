"""Versioned tables in Delta Lake: append after a published version, read at a version.

Every row carries the ``as_of`` that published it. A version counts once a publication names it; one that none names was
written by a run that died before it could publish, and the next append takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema, write_deltalake
from deltalake.exceptions import DeltaError
from pyarrow.parquet import filters_to_expression

from include.errors import DataRejected
from include.failpoints import reach
from include.files import sync

LOG, HINT = "_delta_log", "_last_checkpoint"
KEEPING_ALL = PostCommitHookProperties(cleanup_expired_logs=False)
"""Delta forgets versions that are a month old unless it is told not to, and publications go on naming them."""


def table_uri(lake_uri: str, use_case: str, table: str) -> str:
    return f"{lake_uri.rstrip('/')}/{use_case}/{table}"


def append(uri: str, rows: pd.DataFrame | pa.RecordBatchReader, run_id: str, after: int | None) -> int:
    """Append ``rows`` to version ``after``, the published one (None: there is none), and return the new version.

    Those of a reader are taken batch by batch. Later versions are undone first; the caller holds the lock of the
    publication, so nobody is at work on them.
    A column that the table lacks is added to it, null in the rows before. Raises ``DataRejected`` (``TYPE_CHANGED``)
    for a column that the table holds as another type.
    """
    _undo(uri, after)
    if isinstance(rows, pd.DataFrame):
        rows = pa.Table.from_pandas(rows, preserve_index=False)
    if after is not None:
        _refuse_other_types(uri, DeltaTable(uri).schema(), Schema.from_arrow(rows.schema))
    elif "://" not in uri:
        Path(uri).mkdir(parents=True, exist_ok=True)
    made_by = CommitProperties({"run_id": run_id})
    try:
        write_deltalake(
            uri,
            rows,
            mode="append",
            schema_mode="merge",
            commit_properties=made_by,
            post_commithook_properties=KEEPING_ALL,
        )
    except (OSError, DeltaError) as error:
        raise type(error)(f"{uri}: {error}") from error
    reach("tables.appended")
    version = int(DeltaTable(uri).version())
    if "://" not in uri:
        _sync(Path(uri), version)
    return version


def _refuse_other_types(uri: str, present: Schema, coming: Schema) -> None:
    """Delta would cast the text "1" to the number 1 without a word."""
    types = {field.name: field.type for field in present.fields}
    changed = [field for field in coming.fields if types.get(field.name, field.type) != field.type]
    if changed:
        named = ", ".join(f"'{f.name}' as {_named(types[f.name])}, now {_named(f.type)}" for f in changed)
        raise DataRejected(
            "TYPE_CHANGED",
            f"the table {uri} holds {named}; give the column its old type in the spec, or another name, or start with "
            "a new MODELOPS_HOME",
        )


def _named(delta_type: Any) -> str:
    return str(getattr(delta_type, "type", delta_type))


def _undo(uri: str, after: int | None) -> None:
    """Take back every commit after version ``after``, also one that a crash has torn: its entry in the log goes."""
    filesystem, path = fsspec.core.url_to_fs(uri)
    last = -1 if after is None else after
    if not filesystem.exists(f"{path}/{LOG}"):
        return
    entries = [str(entry).rsplit("/", 1)[-1] for entry in filesystem.ls(f"{path}/{LOG}", detail=False)]
    late = [name for name in entries if name.partition(".")[0].isdigit() and int(name.partition(".")[0]) > last]
    # The hint at the newest checkpoint first, which may be one of them; it only saves Delta a listing. Then the last
    # entry first: what is left after a kill is a shorter history, never one with a gap.
    hint = [HINT] if late and HINT in entries else []
    for name in [*hint, *sorted(late, reverse=True)]:
        filesystem.rm(f"{path}/{LOG}/{name}")


def _sync(folder: Path, version: int) -> None:
    """Bring the files of a commit to the disk before anything names it; Delta's writer leaves that to the system."""
    entry = folder / LOG / f"{version:020}.json"
    # An entry has one action a line, with values of the rows in it, where U+2028 and its like end no line.
    actions = [json.loads(line) for line in entry.read_text(encoding="utf-8").split("\n") if line]
    written = [folder / action["add"]["path"] for action in actions if "add" in action]
    for path in [*written, entry, folder / LOG, folder]:
        sync(path)


def read(
    uri: str, version: int, *, filters: list[tuple[str, str, Any]] | None = None, columns: list[str] | None = None
) -> pd.DataFrame:
    """The rows of ``version`` that pass every filter (column, operator, value)."""
    frame: pd.DataFrame = DeltaTable(uri, version=version).to_pandas(filters=filters, columns=columns)
    return frame


def batches(
    uri: str, version: int, *, columns: list[str], filters: list[tuple[str, str, Any]] | None = None, rows: int
) -> Iterator[pa.RecordBatch]:
    """The same rows in pieces of at most so many, so that memory does not grow with the table."""
    dataset = DeltaTable(uri, version=version).to_pyarrow_dataset(file_pruning_predicate=filters)
    expression = filters_to_expression(filters) if filters else None
    yield from dataset.to_batches(
        columns=columns, filter=expression, batch_size=rows, batch_readahead=1, fragment_readahead=1
    )
