"""The ideal geometry against real structures, which had no part in it."""

import numpy as np
import pytest

from structdiff.constraints.covalent_tables import covalent_tables
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.files import read_structure
from structdiff.structure.local_geometry import structure_geometry
from structdiff.structure.tables import ChainKind
from tests.structure.comparison import DATA


def _deviations(structure):
    """Deviations of bonds and 1-3 distances (Å), and measured chiral volumes beside the ideal ones."""
    geometry, positions = structure_geometry(structure), structure.atoms.positions.astype(np.float64)
    resolved = structure.atoms.resolved

    def distances(first, second, ideal):
        seen = resolved[first] & resolved[second]
        return (np.linalg.norm(positions[first] - positions[second], axis=1) - ideal)[seen]

    bonds = distances(*geometry.bonds.T, geometry.bond_lengths)
    angles = distances(geometry.angles[:, 0], geometry.angles[:, 2], geometry.angle_distances)
    rows = geometry.chiral[resolved[geometry.chiral].all(axis=1)]
    ideal = geometry.chiral_volumes[resolved[geometry.chiral].all(axis=1)]
    arms = positions[rows[:, 1:]] - positions[rows[:, :1]]
    return bonds, angles, np.linalg.det(arms), ideal


@pytest.mark.parametrize(
    ("name", "bond", "angle"),
    [
        ("1dix.cif.gz", 0.03, 0.06),
        ("1o1z.cif.gz", 0.025, 0.05),
        ("4i39.cif.gz", 0.025, 0.05),
        ("5ugo.pdb.gz", 0.025, 0.05),
        ("1bna.pdb.gz", 0.03, 0.07),
        ("1pfe.cif.gz", 0.035, 0.06),
        ("1gya_1_model.cif.gz", 0.035, 0.07),
    ],
)
def test_real_structures_are_near(name, bond, angle):
    bonds, angles, volumes, ideal = _deviations(read_structure(DATA / name))
    assert np.sqrt(np.mean(bonds**2)) < bond
    assert np.sqrt(np.mean(angles**2)) < angle
    assert abs(bonds.mean()) < 0.012
    assert (np.sign(volumes) == np.sign(ideal)).all()


def test_a_mirror_image_has_every_volume_reversed():
    structure = read_structure(DATA / "4i39.cif.gz")
    mirrored = structure.with_positions(structure.atoms.positions * [1, 1, -1], resolved=structure.atoms.resolved)
    _, _, volumes, ideal = _deviations(mirrored)
    assert (np.sign(volumes) == -np.sign(ideal)).all()


def test_peptide_planes_of_a_real_structure():
    structure = read_structure(DATA / "1o1z.cif.gz")
    geometry = structure_geometry(structure)
    names, residue = structure.atoms.name, structure.atoms.residue
    peptides = [group for group in geometry.planar_groups if len(set(residue[group].tolist())) == 2]
    assert len(peptides) == 233
    assert {"CA", "C", "O", "N"} <= set(names[peptides[0]].tolist())


def test_every_bond_has_a_length():
    for name in ("1pfe.cif.gz", "4oz7.pdb.gz", "5i55.cif.gz"):
        structure = read_structure(DATA / name)
        wanted = {
            frozenset(pair)
            for pair in zip(structure.bonds.atom_1.tolist(), structure.bonds.atom_2.tolist(), strict=True)
        }
        geometry = structure_geometry(structure)
        assert {frozenset(pair) for pair in geometry.bonds.tolist()} == wanted
        assert len(geometry.bonds) == len(wanted)


def test_cyclic_peptide_closes_with_a_peptide_bond():
    structure = build_structure(
        [ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("ALA", "GLY", "PRO"), cyclic=True)]
    )
    geometry = structure_geometry(structure)
    index = {(r, n): i for i, (r, n) in enumerate(zip(structure.atoms.residue, structure.atoms.name, strict=True))}
    row = (np.sort(geometry.bonds, axis=1) == sorted((index[2, "C"], index[0, "N"]))).all(axis=1)
    assert geometry.bond_lengths[row].tolist() == [pytest.approx(1.329)]
    into_proline = (np.sort(geometry.bonds, axis=1) == sorted((index[1, "C"], index[2, "N"]))).all(axis=1)
    assert geometry.bond_lengths[into_proline].tolist() == [pytest.approx(1.341)]


def test_an_anomeric_carbon_keeps_its_hand_in_a_glycosidic_bond():
    """The partner stands where the oxygen was that has left; free, the same centre is judged by that oxygen."""
    chains = [
        ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("ALA", "ASN", "GLY")),
        ChainSequence(name="G", kind=ChainKind.LIGAND, residues=("NAG",)),
    ]
    free = build_structure(chains)
    bound = build_structure(chains, bonds=[(("A", 2, "ND2"), ("G", 1, "C1"))])
    hands = {}
    for structure, partner in ((free, "O1"), (bound, "ND2")):
        geometry, names = structure_geometry(structure), structure.atoms.name
        rows = [
            (names[row].tolist(), *rest)
            for row, *rest in zip(geometry.chiral, geometry.chiral_volumes, geometry.chiral_stereo, strict=True)
        ]
        hands[partner] = {tuple(names): rest for names, *rest in rows if names[0] == "C1"}
    ((before, (volume, stereo)),), ((after, (same, still)),) = (hands[name].items() for name in ("O1", "ND2"))
    assert stereo
    assert still
    assert [("O1" if name == "ND2" else name) for name in after] == list(before)
    assert same == pytest.approx(volume, rel=0.1)


@pytest.mark.parametrize(
    ("residue", "bonded", "partner", "trans"),
    [
        ("ASN", "ND2", ("NAG", ChainKind.LIGAND, "C1"), ("CB", "CG", "ND2", "C1")),
        ("LYS", "NZ", ("ALA", ChainKind.PROTEIN, "C"), ("CE", "NZ", "C", "CA")),
    ],
)
def test_amides_that_bonds_between_residues_make_or_bind_are_flat_and_trans(residue, bonded, partner, trans):
    """They were free to turn: N-glycans stood at right angles to the amide that holds them."""
    chains = [
        ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("GLY", residue, "GLY")),
        ChainSequence(name="B", kind=partner[1], residues=(partner[0],)),
    ]
    structure = build_structure(chains, bonds=[(("A", 2, bonded), ("B", 1, partner[2]))])
    names = structure.atoms.name
    own = np.isin(structure.atoms.residue, (1, 3))
    rows = [int(np.flatnonzero(own & (names == name))[-1 if name in ("C", "CA", "C1") else 0]) for name in trans]
    assert any(set(rows) <= set(group.tolist()) for group in structure_geometry(structure).planar_groups)
    tables = covalent_tables(structure)
    (length,) = tables.distance[(tables.pairs == sorted((rows[0], rows[3]))).all(axis=1)]
    assert length > 3.6  # Å; cis is 3.0 and less


@pytest.mark.parametrize(("ends", "length"), [((15, "SG"), 2.12), ((34, "SE"), 2.2)])
def test_bonds_between_residues_are_as_long_as_their_elements_make_them(ends, length):
    """All but the commonest pairs had 1.5 Å."""
    partner = {15: ("DT", ChainKind.DNA, "P"), 34: ("SEC", ChainKind.PROTEIN, "SE")}[ends[0]]
    chains = [
        ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("CYS",)),
        ChainSequence(name="B", kind=partner[1], residues=(partner[0],)),
    ]
    structure = build_structure(chains, bonds=[(("A", 1, "SG"), ("B", 1, partner[2]))])
    geometry = structure_geometry(structure)
    crossing = np.ptp(structure.atoms.residue[geometry.bonds], axis=1) > 0
    np.testing.assert_allclose(geometry.bond_lengths[crossing], [length], atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "residues", "around"),
    [
        (ChainKind.DNA, ("DA", "AS", "DT"), {("O3'", "P", "S2P"), ("O3'", "P", "OP1"), ("O3'", "P", "O5'")}),
        (ChainKind.RNA, ("A", "RIA", "U"), {("O3'", "P", "OP1"), ("O3'", "P", "OP2"), ("O3'", "P", "O5A")}),
        (ChainKind.PROTEIN, ("ALA", "MVA", "ALA"), {("C", "N", "CN"), ("C", "N", "CA")}),
    ],
)
def test_every_angle_at_a_link_is_known_whatever_a_modified_residue_has_there(kind, residues, around):
    """Those with other atoms than the standard ones had none, and predictions of a third of all nucleotides failed."""
    structure = build_structure([ChainSequence(name="A", kind=kind, residues=residues)])
    names, residue = structure.atoms.name, structure.atoms.residue
    found = {
        tuple(names[row].tolist() if residue[row[0]] == 0 else names[row[::-1]].tolist())
        for row in structure_geometry(structure).angles
        if residue[row[1]] == 1 and sorted(residue[row[[0, 2]]].tolist()) == [0, 1]
    }
    assert found == around
    covalent_tables(structure)
