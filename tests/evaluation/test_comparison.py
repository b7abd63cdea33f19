import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.evaluation.comparison import compare, pair_atoms
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind


def test_a_structure_is_like_itself(coiled_coil):
    same = compare(coiled_coil, coiled_coil)
    assert (same.lddt, same.lddt_ca, same.lddt_interface, same.gdt_ts, same.coverage) == (1, 1, 1, 1, 1)
    assert same.tm == pytest.approx(1)
    assert same.rmsd_ca < 1e-5


def test_moved_partner_spoils_the_interface_and_not_the_chains(coiled_coil):
    positions = coiled_coil.atoms.positions.copy()
    positions[coiled_coil.atom_chain == 1] += 8.0
    moved = compare(coiled_coil.with_positions(positions), coiled_coil)
    assert moved.lddt_interface < 0.3
    assert moved.lddt > moved.lddt_interface + 0.3
    assert moved.tm < 0.8


def test_names_that_chance_gave_do_not_count(ubiquitin):
    positions = ubiquitin.atoms.positions.copy()
    name, residue = ubiquitin.atoms.name, ubiquitin.residues.name[ubiquitin.atoms.residue]
    for restype, (a, b) in {"ASP": ("OD1", "OD2"), "ARG": ("NH1", "NH2")}.items():
        first, second = (np.flatnonzero((residue == restype) & (name == n)) for n in (a, b))
        positions[first], positions[second] = positions[second], positions[first].copy()
    assert compare(ubiquitin.with_positions(positions), ubiquitin).lddt == 1
    leucine = np.flatnonzero((residue == "LEU") & (name == "CD1"))
    positions = ubiquitin.atoms.positions.copy()
    positions[leucine], positions[leucine + 1] = positions[leucine + 1], positions[leucine].copy()
    assert compare(ubiquitin.with_positions(positions), ubiquitin).lddt < 1  # these two do differ


def test_selenium_stands_for_the_sulphur_of_methionine(generator):
    sequences = [("GLY", "ALA", code, "SER", "LEU") for code in ("MSE", "MET")]
    crystal, model = (
        build_structure([ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=each)]) for each in sequences
    )
    positions = generator.normal(size=(len(model.atoms), 3)) * 4
    crystal, model = crystal.with_positions(positions), model.with_positions(positions)
    assert compare(model, crystal).lddt == compare(crystal, model).lddt == 1


def test_part_of_a_model_is_paired_by_number(ubiquitin):
    part = ubiquitin.select(ubiquitin.atoms.residue < 38)
    scores = compare(part, ubiquitin)
    assert scores.coverage == pytest.approx(0.5)
    assert scores.tm == pytest.approx(0.5)
    assert scores.gdt_ts == 1
    assert np.isfinite(scores.lddt_residue).all()
    assert scores.lddt_residue[60:].max() == 0
    tail = ubiquitin.select(ubiquitin.atoms.residue >= 38)
    assert compare(tail, ubiquitin, numbering="author").rmsd_ca < 1e-5


def test_nothing_in_common_is_an_error(ubiquitin, coiled_coil):
    second = coiled_coil.select(coiled_coil.atom_chain == 1)
    with pytest.raises(InputError, match="no atom in common"):
        pair_atoms(second, ubiquitin)
