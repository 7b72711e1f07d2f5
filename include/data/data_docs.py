"""Great Expectations' own pages of a batch. They load styles and scripts from the network, so they are a setting."""

from __future__ import annotations

from pathlib import Path

import great_expectations as gx
import pandas as pd

from include.data.expectations import compile_suite
from include.spec import UseCase


def build(frame: pd.DataFrame, spec: UseCase, folder: Path) -> Path:
    """Validate ``frame`` (typed rows) once more, write the site to ``folder`` and return its first page."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    site = {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
    context.add_data_docs_site("run", site)  # type: ignore[arg-type]
    rows = context.data_sources.add_pandas("batch").add_dataframe_asset("rows")
    suite = context.suites.add(compile_suite(spec))
    definition = gx.ValidationDefinition(
        name=spec.name, data=rows.add_batch_definition_whole_dataframe("whole"), suite=suite
    )
    context.validation_definitions.add(definition)
    definition.run(batch_parameters={"dataframe": frame}, result_format="SUMMARY")
    context.build_data_docs(site_names=["run"])
    return folder / "index.html"
