"""Which files of a folder are judged."""

from pathlib import Path

import pytest

from structdiff.errors import InputError
from structdiff.evaluation.structure_files import structure_files, unsearched_folders
from structdiff.evaluation.subject import subject_names


@pytest.fixture
def folder(tmp_path):
    for name in (
        "run/a_1.cif",
        "run/a_1.pdb",
        "run/a_2.pdb.gz",
        "run/refolded/a_1.cif",
        "run/notes.txt",
        "more/b/a_1.ent",
        "more/b/._a_1.ent",
        "__MACOSX/run/._a_1.cif",
        "more/b/.ipynb_checkpoints/a_1-checkpoint.cif",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return tmp_path


def test_one_file_a_structure_and_no_earlier_stages(folder):
    assert [path.name for path in structure_files([folder / "run"])] == ["a_1.cif", "a_2.pdb.gz"]


def test_folders_without_structures_are_searched(folder):
    found = structure_files([folder])
    assert [str(path.relative_to(folder)) for path in found] == ["more/b/a_1.ent", "run/a_1.cif", "run/a_2.pdb.gz"]
    assert subject_names(found) == ["more/b/a_1", "run/a_1", "run/a_2"]


def test_folders_that_are_passed_over_are_known(folder):
    assert unsearched_folders([folder / "run"]) == unsearched_folders([folder]) == [folder / "run" / "refolded"]
    assert unsearched_folders([folder / "more", folder / "run" / "a_1.cif"]) == []


def test_files_named_twice_are_judged_once(folder):
    file = folder / "run" / "a_1.pdb"
    assert structure_files([file, file]) == [file]
    assert subject_names([file, Path("other/b.pdb")]) == ["a_1", "b"]


def test_nothing_found_is_refused(folder):
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="no structures found"):
        structure_files([folder / "empty"])


def test_one_structure_in_two_formats_has_two_names(folder):
    files = [folder / "run" / "a_1.cif", folder / "run" / "a_1.pdb"]
    assert subject_names(files) == ["a_1.cif", "a_1.pdb"]
    assert subject_names([*files, folder / "more" / "b" / "a_1.ent"]) == [
        "run/a_1.cif", "run/a_1.pdb", "more/b/a_1.ent",
    ]  # fmt: skip
