"""Which use cases there are: those below the folders, by name, and one that cannot be used hides no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.settings import PROJECT
from include.spec import SpecError, find, sound
from tests.conftest import copy_of_churn


def test_every_use_case_of_the_project_loads() -> None:
    found, faults = sound([PROJECT / "include" / "use_cases"])
    assert "churn" in found
    assert faults == []


def test_of_one_name_in_two_folders_the_first_counts_and_the_other_is_told(tmp_path: Path) -> None:
    folders = tmp_path / "some", tmp_path / "more"
    for folder in folders:
        copy_of_churn(folder)
    found, (fault,) = sound(folders)
    assert [one.folder for one in found.values()] == [folders[0] / "churn"]
    assert str(fault) == (f"{folders[1] / 'churn' / 'spec.yaml'}: 'churn' is already defined in {folders[0] / 'churn'}")


@pytest.mark.parametrize("name", ["leases", "../churn", "/churn", ""])
def test_an_unknown_use_case_lists_those_that_are_there(tmp_path: Path, name: str) -> None:
    copy_of_churn(tmp_path)
    assert find("churn", [tmp_path]).folder == tmp_path / "churn"
    with pytest.raises(SpecError, match=rf"no use case '{name}' in .*; there are: churn"):
        find(name, [tmp_path])
