"""Reference lengths, handedness and planes of components."""

import math

import numpy as np
import pytest

from structdiff.chemistry.components import component, component_from_smiles
from structdiff.chemistry.ideal_geometry import chiral_centres, planar_groups, reference_geometry
from structdiff.chemistry.linkage import PEPTIDE_LINK, PHOSPHODIESTER_LINK, polymer_linkage
from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE


def _length(code, first, second):
    whole = component(code)
    geometry = reference_geometry(whole)
    row = sorted((whole.atom_index[first], whole.atom_index[second]))
    return float(geometry.bond_lengths[(geometry.bonds == row).all(axis=1)][0])


def _signed(code, centre, *others):
    """The volume of a centre by the names of its neighbours, whatever their order in the table."""
    whole = component(code)
    geometry = reference_geometry(whole)
    names = whole.atom_names
    for row, volume in zip(geometry.chiral, geometry.chiral_volumes, strict=True):
        if names[row[0]] == centre and set(names[row[1:]]) == set(others):
            order = [others.index(name) for name in names[row[1:]]]
            parity = np.linalg.det(np.eye(3)[order])
            return float(volume) * parity
    raise AssertionError(f"no centre {centre}")


@pytest.mark.parametrize("code", sorted(set(PROTEIN_THREE_TO_ONE) - {"GLY"}))
def test_amino_acids_are_left_handed(code):
    assert 2.3 < _signed(code, "CA", "N", "C", "CB") < 2.9


def test_d_amino_acid_is_the_mirror_image():
    assert _signed("DLE", "CA", "N", "C", "CB") == pytest.approx(-_signed("LEU", "CA", "N", "C", "CB"), abs=0.01)


def test_glycine_has_no_centre():
    assert len(chiral_centres(component("GLY"))[0]) == 0


def test_second_centres():
    isoleucine, threonine = component("ILE"), component("THR")
    for whole in (isoleucine, threonine):
        geometry = reference_geometry(whole)
        assert whole.atom_names[geometry.chiral[geometry.chiral_stereo, 0]].tolist() == ["CA", "CB"]


def test_sign_agrees_with_volume():
    for code in ("ILE", "DA", "CLR", "NAG"):
        rows, signs = chiral_centres(component(code))
        volumes = reference_geometry(component(code)).chiral_volumes
        assert len(rows) == len(signs) > 0
        assert (np.sign(volumes) == signs).all()


def test_nitrogen_of_a_ring_of_three_keeps_a_hand_that_is_stated():
    wholes = [component_from_smiles(smiles, "LIG") for smiles in ("C[N@]1C[C@H]1C", "C[N@@]1C[C@H]1C")]
    signs = [dict(zip(whole.atom_names[rows[:, 0]].tolist(), found.tolist(), strict=True))
             for whole in wholes for rows, found in [chiral_centres(whole)]]  # fmt: skip
    assert signs[0]["N1"] == -signs[1]["N1"]
    assert signs[0]["C3"] == signs[1]["C3"]
    for open_ in ("CN1CC1", "CN(CC)CCC"):
        assert not len(chiral_centres(component_from_smiles(open_, "LIG"))[0])


def test_phosphates():
    """In a chain OP1 and OP2 have their places; in a ligand the names of such oxygens are arbitrary."""
    for code in ("DA", "DC", "DG", "DT", "A", "C", "G", "U"):
        assert _signed(code, "P", "OP1", "OP2", "O5'") < -2
        assert _length(code, "P", "OP1") == pytest.approx(1.485)
        assert _length(code, "P", "OP2") == pytest.approx(1.485)
    atp = component("ATP")
    assert not np.isin(atp.elements[chiral_centres(atp)[0][:, 0]], [15]).any()


def test_backbone_follows_engh_and_huber():
    assert _length("LEU", "N", "CA") == pytest.approx(1.458)
    assert _length("LEU", "C", "O") == pytest.approx(1.231)
    assert _length("GLY", "N", "CA") == pytest.approx(1.451)
    assert _length("VAL", "CA", "CB") == pytest.approx(1.540)
    assert _length("MSE", "CA", "C") == pytest.approx(1.525)


def test_carboxylates_are_ionised():
    assert _length("ASP", "CG", "OD1") == _length("ASP", "CG", "OD2") == pytest.approx(1.249)


def test_angle_distances_obey_the_law_of_cosines():
    whole = component("ALA")
    geometry, index = reference_geometry(whole), whole.atom_index
    row = (geometry.angles == [index["N"], index["CA"], index["C"]]).all(axis=1)
    expected = math.sqrt(1.458**2 + 1.525**2 - 2 * 1.458 * 1.525 * math.cos(math.radians(111.2)))
    assert geometry.angle_distances[row][0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("PHE", "CB CG CD1 CD2 CE1 CE2 CZ"),
        ("TRP", "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2"),
        ("ARG", "CD NE CZ NH1 NH2"),
        ("ASN", "CB CG OD1 ND2"),
        ("DA", "C1' N9 C8 N7 C5 C6 N6 N1 C2 N3 C4"),
    ],
)
def test_planes(code, expected):
    whole = component(code)
    assert set(expected.split()) in [set(whole.atom_names[group]) for group in planar_groups(whole)]


def test_saturated_ring_is_not_planar():
    names = component("PRO").atom_names
    assert not any({"CB", "CG"} <= set(names[group]) for group in planar_groups(component("PRO")))


def test_planes_are_flat_in_the_conformer():
    for code in ("TRP", "HEM", "FAD", "DG", "CRO"):
        whole = component(code)
        for group in planar_groups(whole):
            points = whole.ideal_positions[group] - whole.ideal_positions[group].mean(axis=0)
            assert np.abs(points @ np.linalg.svd(points)[2][2]).max() < 0.06


def test_peptide_link_angles_close_the_plane():
    """The three angles around the carbonyl carbon add up to a full turn."""
    link = {tuple(name for _, name in atoms): angle for *atoms, angle in PEPTIDE_LINK.angles}
    total = link["CA", "C", "N"] + link["O", "C", "N"] + math.radians(120.8)
    assert total == pytest.approx(2 * math.pi)
    assert PEPTIDE_LINK.length == 1.329
    assert PHOSPHODIESTER_LINK.length == 1.607


def test_links_into_proline_and_ligands():
    proline = polymer_linkage("peptide", "PRO")
    assert proline is not None
    assert proline.length == 1.341
    assert (1, "CD") in proline.planar
    assert polymer_linkage("other", "ATP") is None
