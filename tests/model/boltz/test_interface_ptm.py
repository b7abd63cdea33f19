"""Boltz-2's ipTM: from which tokens it is seen, and what it is where it can be reckoned by hand."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from structdiff.features.collate import collate
from structdiff.model.boltz.inputs import boltz_inputs
from structdiff.model.boltz.interface_ptm import has_frame, interface_ptm
from tests.parity.boltz2_affinity_cases import WHOLE, affinity_job


@pytest.fixture(scope="module")
def complex_(tmp_path_factory):
    """A peptide with selenomethionine, RNA and a ligand of 13 atoms: inputs, and made-up positions of packed atoms."""
    path = tmp_path_factory.mktemp("complex") / "whole.yaml"
    path.write_text(WHOLE)
    job = affinity_job(path)
    inputs = boltz_inputs(collate([job.features]))
    atoms = job.tokens.atoms.reshape(-1)[inputs.atom_slot[0].numpy()]
    return inputs, torch.from_numpy(job.structure.atoms.positions[atoms])[None]


def test_residues_nucleotides_and_atoms_of_ligands_have_frames(complex_):
    inputs, packed = complex_
    assert inputs.token_mask.sum() == 20 + 6 + 13
    found = has_frame(inputs, packed)
    assert found.sum() > 30  # of made-up positions some lie nearly on a line
    straight = packed.clone()
    straight[..., 1:] = 0
    assert not has_frame(inputs, straight).any()
    unnamed = dataclasses.replace(inputs, reference_name=torch.zeros_like(inputs.reference_name))
    assert torch.equal(has_frame(unnamed, packed), found & (inputs.molecule_type == 3))


def test_it_is_the_likeness_of_the_error_that_all_are_sure_of(complex_):
    inputs, packed = complex_
    pae = torch.zeros(1, *inputs.bond_type.shape[1:], 64)
    pae[..., 10] = 100.0
    scale = 1.24 * (39 - 15) ** (1 / 3) - 1.8
    assert float(interface_ptm(inputs, packed, pae)) == pytest.approx(1 / (1 + (5.25 / scale) ** 2), rel=1e-4)
    one_chain = dataclasses.replace(inputs, asym_id=torch.zeros_like(inputs.asym_id))
    assert float(interface_ptm(one_chain, packed, pae)) == 0
