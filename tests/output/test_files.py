"""Files of a run: they come back as they went, are the same twice, and are never half there."""

from __future__ import annotations

import csv
import dataclasses
import json
import multiprocessing
import os
import warnings
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from structdiff.confidence import compute_confidence
from structdiff.errors import InputError
from structdiff.features.tokens import tokenise
from structdiff.model.heads import ConfidenceLogits
from structdiff.output.files import finished_names, write_design, write_prediction
from structdiff.output.prediction import Design, Prediction, Provenance, Verdict
from structdiff.output.tables import PREDICTIONS_TABLE, write_row
from structdiff.output.view import find_residue_map
from structdiff.structure.files import read_structure
from structdiff.structure.tables import ChainKind

DATA = Path(__file__).parents[1] / "data"
MAP = {
    "chains": [{"chain": "A", "length": 64, "new": 63, "kept": False}],
    "residues": [
        {
            "design": {"chain": "A", "number": 3, "insertion_code": ""},
            "motif": {"chain": "B", "number": 100, "insertion_code": "A"},
            "group": 1,
        }
    ],
}


def provenance(sample: int = 2) -> Provenance:
    return Provenance(
        version="0.1.0",
        weights="mini",
        weights_sha256="ab" * 32,
        seed=7,
        sample=sample,
        sampling={"steps": 50, "solver": "dpm-solver-2m", "churn": None},
        spec={"contigs": "10/A1-5/10", "motif": "a file with spaces.pdb"},
        device="cpu",
        torch="2.13.0",
        kernels="native (x86_64_v3)",
    )


def parts(file: str) -> dict:
    structure = read_structure(DATA / file)
    tokens = tokenise(structure)
    generator = torch.Generator().manual_seed(0)
    count = len(tokens)
    logits = ConfidenceLogits(
        plddt=3 * torch.randn(count, 50, generator=generator),
        pae=3 * torch.randn(count, count, 64, generator=generator),
        pde=3 * torch.randn(count, count, 64, generator=generator),
    )
    asym = np.unique(tokens.chain)
    confidence = compute_confidence(
        logits, asym_id=tokens.chain, mask=np.ones(count, bool), frames=tokens.standard,
        chain_names=[str(structure.chains.name[row]) for row in asym],
    )  # fmt: skip
    verdicts = (
        Verdict(name="motif", asked="RMSD at most 0.5 Å", reached="0.03 Å", met=True),
        Verdict(name="contact A12, B7", asked="at most 8 Å", reached="11.2 Å", met=False),
    )
    return {"structure": structure, "confidence": confidence, "provenance": provenance(), "verdicts": verdicts}


@pytest.fixture(scope="module")
def design() -> Design:
    return Design(**parts("1orc.pdb.gz"), residue_map=MAP)


@pytest.fixture(scope="module")
def complex_prediction() -> Prediction:
    return Prediction(**parts("5ugo.pdb.gz"))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_b_factors_are_the_plddt_of_each_atoms_token(complex_prediction):
    structure = complex_prediction.structure
    tokens = tokenise(structure)
    for token, atoms in enumerate(tokens.atoms):
        expected = complex_prediction.confidence.plddt[token]
        np.testing.assert_allclose(structure.atoms.b_factor[atoms[atoms >= 0]], expected, rtol=1e-6)
    water = structure.chains.kind[structure.atom_chain] == ChainKind.WATER
    assert not structure.atoms.b_factor[water].any()


def test_confidence_of_another_structure_is_refused(design):
    with pytest.raises(InputError, match="do not belong together"):
        dataclasses.replace(design, confidence=parts("1bna.pdb.gz")["confidence"])


def test_mmcif_holds_positions_plddt_and_what_made_it(complex_prediction, tmp_path):
    written = write_prediction(complex_prediction, tmp_path / "new" / "folder", "complex")
    back = read_structure(written.structure)
    before = complex_prediction.structure
    seen = before.atoms.resolved
    np.testing.assert_allclose(back.atoms.positions[back.atoms.resolved], before.atoms.positions[seen], atol=6e-4)
    np.testing.assert_allclose(back.atoms.b_factor[back.atoms.resolved], before.atoms.b_factor[seen], atol=6e-3)
    assert back.metadata["provenance"] == provenance().as_text()
    assert json.loads(back.metadata["provenance"]["spec"]) == provenance().spec
    block = gemmi.cif.read(str(written.structure)).sole_block()
    assert block.find_loop("_ma_qa_metric.name").str(0) == "pLDDT"
    assert float(block.find_loop("_ma_qa_metric_global.metric_value")[0]) == pytest.approx(
        complex_prediction.confidence.mean_plddt, abs=6e-3
    )
    assert len(block.find_loop("_ma_qa_metric_local.metric_value")) == len(np.unique(before.atoms.residue[seen]))
    assert written.pdb is not None
    assert read_structure(written.pdb).atoms.resolved.sum() == seen.sum()


def test_confidence_file_holds_every_number_with_its_unit(complex_prediction, tmp_path):
    written = write_prediction(complex_prediction, tmp_path, "complex")
    read = json.loads(written.confidence.read_text())
    confidence = complex_prediction.confidence
    np.testing.assert_allclose(np.array(read["pae_angstrom_row_aligned"]), confidence.pae, atol=0.0501)
    np.testing.assert_allclose(np.array(read["token_plddt_0_to_100"]), confidence.plddt, atol=0.00501)
    assert {key: read[key] for key in confidence.summary()} == confidence.summary()
    assert len(read["token_chain"]) == len(read["token_number"]) == len(confidence.plddt)
    assert read["provenance"] == provenance().as_data()
    assert [verdict["met"] for verdict in read["verdicts"]] == [True, False]


def test_the_same_design_gives_the_same_bytes(design, tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        write_design(design, folder, "design_0")
    assert content(first) == content(second)
    write_design(design, first, "design_0")
    assert content(first) == content(second)


def test_residue_map_lies_where_the_viewer_looks(design, tmp_path):
    written = write_design(design, tmp_path, "design_0")
    assert written.residue_map is not None
    assert find_residue_map(written.structure) == written.residue_map
    assert json.loads(written.residue_map.read_text()) == MAP


def test_tables_and_sequences_keep_the_others_and_replace_their_own(design, tmp_path):
    other = dataclasses.replace(design, provenance=provenance(sample=3), verdicts=())
    for name, each in (("design_0", design), ("design_1", other), ("design_0", other), ("design_10", design)):
        written = write_design(each, tmp_path, name)
    found = rows(written.table)
    assert [row["name"] for row in found] == ["design_0", "design_1", "design_10"]
    assert [row["sample"] for row in found] == ["3", "3", "2"]
    assert [row["all_met"] for row in found] == ["true", "true", "false"]
    assert [row["verdict: contact A12, B7"] for row in found] == ["", "", "11.2 Å (not met)"]
    assert written.sequences is not None
    text = written.sequences.read_text()
    headers = [line for line in text.splitlines() if line.startswith(">")]
    assert headers == [">design_1_A|protein", ">design_0_A|protein", ">design_10_A|protein"]
    letters = "".join(line for line in text.split(">")[1].splitlines()[1:])
    assert letters == design.sequences["A"]
    assert set(letters) <= set("ACDEFGHIKLMNPQRSTVWY")


def test_what_pdb_cannot_hold_is_a_note_and_leaves_no_old_file(design, tmp_path):
    assert write_design(design, tmp_path, "design_0").pdb is not None
    chains = dataclasses.replace(design.structure.chains, name=np.array(["AA"] * len(design.structure.chains)))
    long_named = dataclasses.replace(design, structure=dataclasses.replace(design.structure, chains=chains))
    written = write_design(long_named, tmp_path, "design_0")
    assert written.pdb is None
    assert "'AA'" in written.note
    assert not (tmp_path / "design_0.pdb").exists()
    assert read_structure(written.structure).chains.name[0] == "AA"


def test_names_and_folders_that_will_not_do(design, tmp_path):
    for name in ("", "a/b", "..", ".hidden", "line\nbreak"):
        with pytest.raises(InputError, match="cannot be the name of a file"):
            write_design(design, tmp_path, name)
    write_design(design, tmp_path / "made", "p53")
    with pytest.raises(InputError, match="p53 differs in upper and lower case only"):
        write_design(design, tmp_path / "made", "P53")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be made"):
        write_design(design, tmp_path / "file", "design_0")
    (tmp_path / "designs.csv").write_text("some,other,table\n1,2,3\n")
    with pytest.raises(InputError, match="did not write"):
        write_design(design, tmp_path, "design_0")
    assert (tmp_path / "designs.csv").read_text() == "some,other,table\n1,2,3\n"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_an_input_error(design, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="cannot be written"):
            write_design(design, tmp_path, "design_0")
    finally:
        tmp_path.chmod(0o700)


def test_an_interrupted_write_leaves_the_old_file_and_no_part(design, tmp_path, monkeypatch):
    write_design(design, tmp_path, "design_0")
    before = content(tmp_path)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_design(design, tmp_path, "design_0")
    assert content(tmp_path) == before


def test_every_file_has_the_same_mean_plddt(tmp_path):
    """Also where only a part of the structure was judged, and the rest has no pLDDT."""
    whole = read_structure(DATA / "4oz7.pdb.gz")
    of_part = parts("1orc.pdb.gz")
    prediction = Prediction(**of_part | {"part": of_part["structure"], "structure": whole})
    written = write_prediction(prediction, tmp_path, "x")
    (overall,) = gemmi.cif.read(str(written.structure))[0].find_values("_ma_qa_metric_global.metric_value")
    listed = json.loads(written.confidence.read_text())["mean_plddt_0_to_100"]
    (row,) = csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines())
    assert float(overall) == listed == float(row["plddt"])


def _rows(folder: Path, first: int) -> None:
    for number in range(first, first + 30):
        write_row(folder / PREDICTIONS_TABLE, {"name": f"x_{number}"})


def test_rows_of_processes_that_write_into_one_folder_are_all_there(tmp_path):
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forks of processes with threads
        writers = [context.Process(target=_rows, args=(tmp_path, first)) for first in (0, 100, 200)]
        for each in writers:
            each.start()
    for each in writers:
        each.join()
    assert [each.exitcode for each in writers] == [0, 0, 0]
    assert finished_names(tmp_path) == {f"x_{first + number}" for first in (0, 100, 200) for number in range(30)}
    assert [path.name for path in tmp_path.iterdir()] == [PREDICTIONS_TABLE]
