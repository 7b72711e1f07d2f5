"""A version of a table read piece by piece: what is held at a time is a batch of rows, however many there are.

A version is made of files that do not change, and a file of row groups, so a row has a place: it is known by how many
come before it, whoever reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable

from include.spec import Frozen

BATCH_ROWS = 65_536


class RowGroup(Frozen):
    """A part of a file that is read by itself; ``path`` begins at the table, ``number`` counts from 0 in the file."""

    path: str
    number: int
    rows: int


@dataclass(frozen=True)
class TableVersion:
    """The version ``number`` of the table at ``uri``."""

    uri: str
    number: int

    def row_groups(self, filters: Sequence[tuple[str, str, Any]] = ()) -> list[RowGroup]:
        """All row groups in their order, without those of files in which no row passes every filter.

        A row that passes is in one of them, but not all of their rows pass: files are told by their statistics.
        """
        found = self._dataset((), filters).get_fragments()
        return [
            RowGroup(path=fragment.path, number=group.id, rows=group.num_rows)
            for fragment in sorted(found, key=lambda one: one.path)
            for group in fragment.row_groups
        ]

    def batches(
        self, groups: Sequence[RowGroup], columns: Sequence[str], texts: Collection[str] = ()
    ) -> Iterator[pa.RecordBatch]:
        """The rows of ``groups`` in their order, at most ``BATCH_ROWS`` at a time.

        Of ``columns`` those that the table has, null where a file lacks one; of them ``texts`` as dictionaries, which
        pandas takes for categories.
        """
        dataset = self._dataset(texts)
        files = {fragment.path: fragment for fragment in dataset.get_fragments()}
        for group in groups:
            yield from (
                files[group.path]
                .subset(row_group_ids=[group.number])
                .to_batches(
                    schema=dataset.schema,
                    columns=[name for name in columns if name in dataset.schema.names],
                    batch_size=BATCH_ROWS,
                    # What is read ahead would be held as well.
                    batch_readahead=0,
                    fragment_readahead=0,
                    use_threads=False,
                )
            )

    def _dataset(self, texts: Collection[str], filters: Sequence[tuple[str, str, Any]] = ()) -> ds.FileSystemDataset:
        return DeltaTable(self.uri, version=self.number).to_pyarrow_dataset(
            parquet_read_options=ds.ParquetReadOptions(dictionary_columns=set(texts)),
            file_pruning_predicate=list(filters) or None,
        )
