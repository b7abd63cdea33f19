"""Which true structure a file is held against."""

from pathlib import Path

import pytest

from structdiff.errors import InputError
from structdiff.evaluation.reference_files import references_of


@pytest.mark.parametrize(
    "predicted",
    [
        "1ABC_model.cif",  # AlphaFold 3
        "1abc/seed-1_sample-0/1abc_seed-1_sample-0_model.cif",
        "1abc/seed-1_sample-0/model.cif",
        "fold_1abc_model_4.cif",  # AlphaFold Server
        "boltz_results_x/predictions/1ABC/1ABC_model_0.cif",
        "1ABC/pred.model_idx_3.cif",  # Chai-1
        "1ABC/trunk_1/pred.model_idx_3.cif",
        "1ABC/seed_101/predictions/1ABC_seed_101_sample_0.cif",  # Protenix
        "1ABC/seed_101/predictions/1ABC_sample_0.cif",
        "1ABC/seed_1/1ABC_seed_1_sample_1_model.cif",  # OpenFold 3
        "1ABC_unrelaxed_rank_001_alphafold2_ptm_model_4_seed_000.pdb",  # ColabFold
        "1ABC/ranked_0.pdb",  # AlphaFold 2
        "1ABC/relaxed_model_1_pred_0.pdb",
        "1ABC_2.cif",
        "1ABC.pdb.gz",
    ],
)
def test_predictions_of_other_programs_have_the_reference_of_their_input(tmp_path, predicted):
    references = tmp_path / "references"
    references.mkdir()
    for name in ("1ABC.cif", "1AB.cif", "abc.cif"):
        (references / name).touch()
    file = tmp_path / "out" / predicted
    assert list(references_of(references, [file]).values()) == [references / "1ABC.cif"]


def test_the_longest_name_counts_and_folders_do_not_where_the_file_is_named(tmp_path):
    for name in ("my.cif", "my_model_test.cif", "folder.cif"):
        (tmp_path / name).touch()
    file = tmp_path / "folder" / "my_model_test_model_0.cif"
    assert references_of(tmp_path, [file]) == {"my_model_test_model_0": tmp_path / "my_model_test.cif"}
    with pytest.raises(InputError, match="no reference has the name"):
        references_of(tmp_path, [tmp_path / "folder" / "other_model_0.cif"])


def test_names_that_differ_by_case_alone_are_told_apart(tmp_path):
    for name in ("Abc.cif", "aBC.cif"):
        (tmp_path / name).touch()
    assert references_of(tmp_path, [Path("aBC_model.cif")]) == {"aBC_model": tmp_path / "aBC.cif"}
    with pytest.raises(InputError, match="no reference has the name"):
        references_of(tmp_path, [Path("abc_model.cif")])
