"""Each check sees its own fault, and no other check takes fright at it."""

import dataclasses

import numpy as np
import pytest

from structdiff.chemistry.components import component
from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.descriptors import radius_of_gyration_score
from structdiff.evaluation.stereocentres import stereocentres
from structdiff.evaluation.validity import backbone_validity, validity
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind

HIGHER_IS_WORSE = (
    "bond_over_4_sigma", "angle_over_4_sigma", "twisted_peptides", "cis_other", "chain_breaks", "clashes_per_100",
    "backbone_clashes_per_100", "rama_outlier", "component_bonds_over_4_sigma", "component_angles_over_4_sigma",
)  # fmt: skip
LOWER_IS_WORSE = (
    "ca_neighbours", "share_l", "helices_right_handed", "rama_favoured", "mirror_log_odds", "stereocentres_right"
)  # fmt: skip
SLACK = {"mirror_log_odds": 0.5}


def objections(after, before) -> set[str]:
    """The checks that are worse than before."""
    worse = {key for key in HIGHER_IS_WORSE if getattr(after, key) > getattr(before, key) + 1e-9}
    return worse | {key for key in LOWER_IS_WORSE if getattr(after, key) < getattr(before, key) - SLACK.get(key, 1e-9)}


def moved(structure, atoms, by):
    positions = structure.atoms.positions.copy()
    positions[atoms] += np.asarray(by, np.float32)
    return structure.with_positions(positions, resolved=structure.atoms.resolved)


def atom(structure, number, name):
    rows = structure.residue_atoms(number)
    return rows.start + structure.atoms.name[rows].tolist().index(name)


def residue_of(structure):
    return structure.atoms.residue


@pytest.fixture(scope="module")
def sound(ubiquitin):
    return validity(ubiquitin)


@pytest.mark.parametrize("entry", ["ubiquitin", "protein_g", "coiled_coil", "crambin"])
def test_sound_entries_pass(entry, request):
    checks = validity(request.getfixturevalue(entry))
    assert checks.bond_rms < 0.03
    assert checks.angle_rms < 3
    assert max(checks.bond_over_4_sigma, checks.angle_over_4_sigma) < 0.01
    assert checks.ca_neighbours > 0.9
    assert checks.share_l == checks.helices_right_handed == checks.stereocentres_right == 1
    assert checks.component_bonds_over_4_sigma < 0.02
    assert checks.rama_favoured > 0.96
    assert checks.mirror_log_odds > 3
    assert checks.rama_outlier == checks.twisted_peptides == checks.cis_other == 0
    assert checks.chain_breaks == checks.gaps == checks.backbone_clashes_per_100 == 0
    assert checks.clashes_per_100 < 4


def test_crambin_is_judged_with_its_disulfides(crambin):
    assert validity(crambin).clashes_per_100 == 0


def test_mirror_image_is_seen_by_handedness_alone(ubiquitin, sound):
    mirror = ubiquitin.with_positions(ubiquitin.atoms.positions * [1, 1, -1], resolved=ubiquitin.atoms.resolved)
    checks = validity(mirror)
    assert objections(checks, sound) == {
        "share_l", "helices_right_handed", "rama_favoured", "rama_outlier", "mirror_log_odds", "stereocentres_right",
    }  # fmt: skip
    assert checks.share_l == checks.stereocentres_right == 0
    assert checks.helices_right_handed == 0
    assert (checks.helix, checks.strand) == (sound.helix, sound.strand)  # hydrogen bonds have no hand


def test_mirrored_backbone_without_side_chains_is_seen(ubiquitin_backbone):
    mirror = Backbone.from_arrays(ubiquitin_backbone.positions * [1, 1, -1])
    checks = backbone_validity(mirror)
    assert np.isnan(checks.share_l)
    assert checks.mirror_log_odds < -3
    assert checks.helices_right_handed == 0


def test_one_d_residue_is_seen_by_chirality(ubiquitin, sound):
    rows = ubiquitin.residue_atoms(30)
    names = ubiquitin.atoms.name[rows]
    p = ubiquitin.atoms.positions.copy()
    n, ca, c = (p[rows][names == name][0] for name in ("N", "CA", "C"))
    normal = np.cross(n - ca, c - ca)
    normal /= np.linalg.norm(normal)
    side = rows.start + np.flatnonzero(~np.isin(names, ("N", "CA", "C", "O")))
    p[side] -= 2 * ((p[side] - ca) @ normal)[:, None] * normal  # mirrors the side chain in the plane of N, CA and C
    checks = validity(ubiquitin.with_positions(p, resolved=ubiquitin.atoms.resolved))
    assert checks.share_l == pytest.approx(1 - 1 / 70)  # 6 of the 76 residues are glycines
    allowed = {"share_l", "stereocentres_right", "clashes_per_100", "backbone_clashes_per_100"}
    assert objections(checks, sound) <= allowed


def test_stretched_bond_is_seen_by_bond_lengths(ubiquitin, sound):
    target, source = atom(ubiquitin, 10, "O"), atom(ubiquitin, 10, "C")
    direction = ubiquitin.atoms.positions[target] - ubiquitin.atoms.positions[source]
    checks = validity(moved(ubiquitin, [target], 0.15 * direction))
    assert checks.bond_over_4_sigma == pytest.approx(1 / _bonds(ubiquitin))
    assert objections(checks, sound) == {"bond_over_4_sigma"}


def _bonds(structure):
    glycines = int(np.sum(structure.residues.name == "GLY"))
    return 5 * len(structure.residues) - 1 - glycines


def test_stretched_side_chain_is_seen_by_components(ubiquitin, sound):
    target, source = atom(ubiquitin, 3, "CZ"), atom(ubiquitin, 3, "CE1")  # phenylalanine
    direction = ubiquitin.atoms.positions[target] - ubiquitin.atoms.positions[source]
    checks = validity(moved(ubiquitin, [target], 0.15 * direction))
    assert "component_bonds_over_4_sigma" in objections(checks, sound)
    assert objections(checks, sound) <= {
        "component_bonds_over_4_sigma", "component_angles_over_4_sigma", "clashes_per_100"
    }  # fmt: skip


def test_wrong_threonine_is_seen_by_its_stereocentre(ubiquitin, sound):
    og, cg = atom(ubiquitin, 6, "OG1"), atom(ubiquitin, 6, "CG2")
    positions = ubiquitin.atoms.positions.copy()
    positions[[og, cg]] = positions[[cg, og]]
    checks = validity(ubiquitin.with_positions(positions, resolved=ubiquitin.atoms.resolved))
    assert checks.share_l == 1
    assert checks.stereocentres_right == pytest.approx(1 - 1 / (70 + 7 + 7))  # CA, and CB of 7 ILE and 7 THR
    assert objections(checks, sound) <= {"stereocentres_right", "component_bonds_over_4_sigma", "clashes_per_100"}


def test_bent_angle_is_seen_by_angles(ubiquitin, sound):
    rows = [atom(ubiquitin, 10, name) for name in ("CA", "C", "O")]
    ca, c, o = ubiquitin.atoms.positions[rows]
    axis = np.cross(ca - c, o - c)
    axis /= np.linalg.norm(axis)
    bond, turn = o - c, np.radians(15)
    bent = bond * np.cos(turn) + np.cross(axis, bond) * np.sin(turn)
    checks = validity(moved(ubiquitin, [rows[2]], bent - bond))
    assert checks.angle_over_4_sigma - sound.angle_over_4_sigma > 1.9 / (7 * 76)  # CA-C-O and O-C-N
    assert objections(checks, sound) == {"angle_over_4_sigma"}


def test_cut_chain_is_a_break_and_not_a_bad_bond(ubiquitin, sound):
    away = ubiquitin.atoms.positions[residue_of(ubiquitin) >= 60].mean(0) - ubiquitin.atoms.positions.mean(0)
    checks = validity(moved(ubiquitin, residue_of(ubiquitin) >= 60, 40 * away / np.linalg.norm(away)))
    assert checks.chain_breaks == 1
    assert checks.ca_neighbours == pytest.approx(sound.ca_neighbours - 1 / 75)
    assert objections(checks, sound) == {"chain_breaks", "ca_neighbours"}


def test_missing_residues_are_a_gap_and_not_a_break(ubiquitin, sound):
    checks = validity(ubiquitin.select(~np.isin(residue_of(ubiquitin), range(20, 26))))
    assert checks.gaps == 1
    shares = {"clashes_per_100", "ca_neighbours", "component_bonds_over_4_sigma", "component_angles_over_4_sigma"}
    assert objections(checks, sound) <= shares  # of fewer residues
    assert checks.chain_breaks == 0


def test_shifted_residue_breaks_its_surroundings_only(ubiquitin, sound):
    checks = validity(moved(ubiquitin, residue_of(ubiquitin) == 40, [0.5, 0.5, 0.5]))
    worse = objections(checks, sound)
    assert {"bond_over_4_sigma", "angle_over_4_sigma", "ca_neighbours"} <= worse
    assert not worse & {
        "share_l", "stereocentres_right", "component_bonds_over_4_sigma", "helices_right_handed", "chain_breaks",
        "cis_other", "mirror_log_odds",
    }  # fmt: skip


def test_second_chain_pushed_into_the_first_clashes(coiled_coil):
    second = coiled_coil.atom_chain == 1
    towards = coiled_coil.atoms.positions[~second].mean(0) - coiled_coil.atoms.positions[second].mean(0)
    pushed = validity(moved(coiled_coil, second, 0.5 * towards))
    assert pushed.clashes_per_100 > 50
    assert objections(pushed, validity(coiled_coil)) == {"clashes_per_100", "backbone_clashes_per_100"}


def test_turned_peptide_is_seen_by_omega_and_ramachandran(ubiquitin_backbone):
    p = ubiquitin_backbone.positions.copy()
    axis = p[51, 0] - p[50, 2]  # all after residue 50 turned by 60 degrees about its peptide bond
    axis /= np.linalg.norm(axis)
    turn = np.radians(60)
    after = p[51:].reshape(-1, 3) - p[51, 0]
    along = np.outer(after @ axis, axis)
    turned = along + (after - along) * np.cos(turn) + np.cross(axis, after) * np.sin(turn)
    p[51:] = turned.reshape(-1, 4, 3) + p[51, 0]
    checks = backbone_validity(Backbone.from_arrays(p, restype=ubiquitin_backbone.restype))
    assert checks.twisted_peptides == pytest.approx(1 / 75)
    assert checks.bond_over_4_sigma == 0


def test_extended_chain_is_too_large(ubiquitin_backbone):
    spread = ubiquitin_backbone.positions * 1.0
    spread += 3.0 * np.arange(len(spread))[:, None, None] * [1.0, 0, 0]
    assert backbone_validity(Backbone.from_arrays(spread)).rg_score > 10


def test_nothing_to_judge_is_an_error(ubiquitin_backbone):
    with pytest.raises(InputError, match="no protein residue"):
        backbone_validity(Backbone.from_arrays(ubiquitin_backbone.positions * np.nan))


def test_clashes_need_bonds(ubiquitin):
    none = {name: column[:0] for name, column in vars(ubiquitin.bonds).items()}
    with pytest.raises(InputError, match="without bonds"):
        validity(dataclasses.replace(ubiquitin, bonds=dataclasses.replace(ubiquitin.bonds, **none)))


def test_residues_in_one_place_have_no_size():
    assert np.isnan(radius_of_gyration_score(Backbone.from_arrays(np.zeros((9, 4, 3)))))


def test_oxygens_that_only_a_proton_tells_apart_have_no_hand():
    """The dictionary calls PB of ATP a stereocentre; its two oxygens may have either name."""
    atp = build_structure([ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("ATP",))])
    positions = component("ATP").ideal_positions.copy()
    rows = [component("ATP").atom_index[name] for name in ("O1B", "O2B")]
    positions[rows] = positions[rows[::-1]]
    found = stereocentres(atp.with_positions(positions))
    assert found.share_right == 1
    assert len(found.atoms) == 4
    assert stereocentres(atp.with_positions(-positions)).share_right == 0
