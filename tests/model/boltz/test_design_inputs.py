"""What BoltzGen's network is told of a design (numbers from benchmarks/parity_boltzgen_inputs.py)."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from structdiff.design_jobs import job_of
from structdiff.errors import InputError
from structdiff.features.collate import collate
from structdiff.model.abilities import PLAIN
from structdiff.model.boltz.design_inputs import NUM_OPEN_ATOMS, open_residues, with_open_atoms
from structdiff.model.boltz.inputs import boltz_inputs
from structdiff.model.boltz.network import OF_DESIGNS
from structdiff.spec.design import DesignSpec
from tests.parity.boltzgen_input_cases import CASES, DATA, MEANT, inputs_of, own_tensors, write_files

GOLDEN = Path(__file__).parents[2] / "golden" / "boltz" / "design_inputs.npz"


@pytest.mark.parametrize("case", CASES)
def test_inputs_are_those_of_boltzgen(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    found = own_tensors(inputs_of(case))
    with np.load(GOLDEN, allow_pickle=False) as golden:
        wanted = {key.partition(".")[2]: golden[key] for key in golden.files if key.startswith(f"{case}.")}
    assert len(wanted) > 20
    for name, value in wanted.items():
        if (case, name) in MEANT:
            continue
        mine = found[name].double().numpy()
        if name.endswith("distances"):
            np.testing.assert_allclose(mine, value / 100, atol=6e-3, err_msg=name)
        else:
            np.testing.assert_allclose(mine, value, atol=1e-5, err_msg=name)


@pytest.fixture
def design(tmp_path):
    """New residues beside a kept chain with a residue that gets another amino acid."""
    file = tmp_path / "trpcage.cif"
    file.write_bytes(gzip.decompress((DATA / "1l2y_3_models.cif.gz").read_bytes()))
    spec = DesignSpec(motif=str(file), contigs="A1-10/4/0 A11-20", redesign="A3")
    return job_of(spec, 0, abilities=OF_DESIGNS)


def test_open_residues_have_fourteen_atoms_and_others_their_own(design):
    plain, wide = design.features, with_open_atoms(design.features)
    open_ = open_residues(plain)
    assert open_.tolist() == [place in (2, 10, 11, 12, 13) for place in range(24)]
    before, after = (each.atom.mask.unflatten(0, (24, -1)) for each in (plain, wide))
    assert torch.equal(after.sum(1), torch.where(open_, NUM_OPEN_ATOMS, before.sum(1)))
    slots = plain.num_slots
    assert torch.equal(after[:, :slots] & ~open_[:, None], before & ~open_[:, None])
    held = wide.condition.motif_mask.unflatten(0, (24, -1))
    assert torch.equal(held[:, :slots], plain.condition.motif_mask.unflatten(0, (24, -1)))
    assert not held[:, slots:].any()


def test_nothing_tells_what_an_open_residue_was(design):
    """The residue that gets another amino acid looks as the new ones do, but for its place."""
    inputs = boltz_inputs(collate([with_open_atoms(design.features)]), designs=True)
    was, new = ((inputs.atom_token[0] == token) & inputs.atom_mask[0] for token in (2, 10))
    for name in ("reference_name", "reference_element", "reference_charge", "reference_positions"):
        values = getattr(inputs, name)[0]
        assert torch.equal(values[was], values[new]), name
    for name in ("residue_type", "profile", "modified", "molecule_type"):
        values = getattr(inputs, name)[0]
        assert torch.equal(values[2], values[10]), name
    assert inputs.design is not None
    assert inputs.design.group[0, [2, 10]].tolist() == [0, 0]


def test_atoms_that_were_not_seen_stand_at_their_centre(tmp_path):
    file = tmp_path / "dna.pdb"
    file.write_bytes(gzip.decompress((DATA / "1bna.pdb.gz").read_bytes()))
    job = job_of(DesignSpec(motif=str(file), contigs="A1-12/0 5", target_crop="none"), 0, abilities=OF_DESIGNS)
    design = boltz_inputs(collate([with_open_atoms(job.features)]), designs=True).design
    assert design is not None
    assert torch.equal(design.frame_atoms[0, 0, 3], design.centre[0, 0])  # the first has no phosphate
    assert not torch.equal(design.frame_atoms[0, 1, 3], design.centre[0, 1])


def test_a_network_that_predicts_draws_no_design(design):
    with pytest.raises(InputError, match="5 residues of unknown sequence"):
        boltz_inputs(collate([design.features]))


def test_designs_of_the_own_network_have_no_conformers(design):
    own = job_of(design.user, 0, abilities=PLAIN)
    assert not own.features.atom.ref_positions.any()
    assert design.features.atom.ref_positions.any()
