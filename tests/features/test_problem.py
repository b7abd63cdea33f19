"""What only the structures tell of a design's request, and the molecules that come of it."""

import dataclasses
import gzip
from pathlib import Path

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.features.problem import completed
from structdiff.spec.contigs import is_fixed
from structdiff.spec.design import design_from_dict
from structdiff.spec.segments import ResidueId
from structdiff.structure.files import read_structure
from structdiff.structure.held_parts import partly_held, retyped
from structdiff.structure.motif_residues import motif_residues
from structdiff.structure.residue_bonds import bonds_between_residues
from structdiff.structure.scaffold import build_scaffold

DATA = Path(__file__).parents[1]
ZIPPER = read_structure(DATA / "evaluation/data/2zta.pdb")
YELLOW = read_structure(DATA / "data/4i39.cif.gz")
GLYCAN = read_structure(DATA / "data/1gya_1_model.cif.gz")
RINGS = read_structure(DATA / "data/1dix.cif.gz")
SELENIUM = read_structure(DATA / "data/5i55.cif.gz")
POLYMERASE = read_structure(DATA / "data/5ugo.pdb.gz")


def asked(structure, **keys):
    return completed(design_from_dict({"motif": "m.pdb", **keys}), structure)


def scaffold(structure, **keys):
    spec = asked(structure, **keys)
    layout = spec.sample_layout(np.random.default_rng(0))
    built = build_scaffold(layout, structure, cyclic=spec.cyclic, disulfides=spec.disulfides, held=partly_held(spec),
                           retyped=retyped(spec, layout))  # fmt: skip
    return spec, layout, built.structure


def atoms(structure, residue):
    rows = structure.residue_atoms(residue)
    return set(structure.atoms.name[rows][structure.atoms.resolved[rows]].tolist())


def test_ligands_by_component_or_residue():
    assert asked(POLYMERASE, contigs="20", ligands="CA").ligands == ("A402", "A403")
    assert asked(POLYMERASE, contigs="20", ligands="A403,2PN").ligands == ("A403", "A401")
    with pytest.raises(InputError, match=r"no such ligand.*'HEM'.*HC4"):
        asked(YELLOW, contigs="20", ligands="HEM")
    _, layout, built = scaffold(YELLOW, contigs="20/A46-50", ligands="HC4")
    assert list(layout.chains) == ["A", "B"]
    assert built.residues.name[-1] == "HC4"
    # All but the oxygen that its bond to the protein took away.
    assert built.atoms.resolved[built.residue_atoms(len(layout) - 1)].sum() == 11


def test_an_epitope_is_what_the_bound_chain_touches_most():
    spec = asked(ZIPPER, contigs="40 A1-30", epitope="B", hotspots="A2", keep_away="A12")
    numbers = [residue.number for residue in spec.hotspots]
    assert numbers[0] == 2
    assert len(numbers) in (6, 7)
    assert 12 not in numbers
    with pytest.raises(InputError, match=r"epitope: .*no such chain.*'Z'"):
        asked(ZIPPER, contigs="40 A1-30", epitope="Z")
    with pytest.raises(InputError, match="belongs to the contigs"):
        asked(ZIPPER, contigs="40 A1-30 B", epitope="B")


def test_targets_are_cropped_around_hotspots():
    whole = asked(POLYMERASE, contigs="30 A", hotspots="A100", target_crop="none")
    assert not whole.left_out
    spec = asked(POLYMERASE, contigs="30 A", hotspots="A100", target_crop="60")
    kept = {residue for segment in spec.contigs.fixed for residue in segment.residues}
    assert 40 <= len(kept) <= 80
    assert spec.hotspots[0] in kept
    away = asked(POLYMERASE, contigs="30 A", hotspots="A100", keep_away="A300", target_crop="60")
    assert away.keep_away[0] in {residue for segment in away.contigs.fixed for residue in segment.residues}
    every = {residue for segment in whole.contigs.fixed for residue in segment.residues}
    assert kept | set(spec.left_out) == every
    assert not kept & set(spec.left_out)
    assert asked(POLYMERASE, contigs="30 A").left_out == ()
    with pytest.raises(InputError, match=r"target_crop: .*none are given"):
        asked(POLYMERASE, contigs="30 A", target_crop="60")


def test_a_ligand_that_is_a_hotspot_is_what_a_target_is_cropped_around():
    cropped = asked(YELLOW, contigs="20 A", ligands="HC4", hotspots="A201", target_crop="30")
    (target,) = (chain for chain in cropped.contigs.chains if is_fixed(chain))
    kept = {residue.number for segment in target for residue in segment.residues}
    assert 69 in kept  # it is bonded to this cysteine
    assert len(kept) < 45
    assert cropped.left_out


def test_stretches_of_a_cropped_chain_are_not_joined():
    spec, layout, built = scaffold(POLYMERASE, contigs="30 A", hotspots="A100", target_crop="60")
    assert len(spec.contigs.fixed) > 1
    assert layout.residues[-1].chain == "A"
    names, residue = built.atoms.name, built.atoms.residue
    peptide = (names[built.bonds.atom_1] == "C") & (names[built.bonds.atom_2] == "N")
    peptide |= (names[built.bonds.atom_1] == "N") & (names[built.bonds.atom_2] == "C")
    peptide &= residue[built.bonds.atom_1] != residue[built.bonds.atom_2]
    assert int(peptide.sum()) == len(layout) - 2 - (len(spec.contigs.fixed) - 1)


def test_where_a_chain_goes_on_its_bonds_tell_and_not_its_numbers():
    """Numbers from 20 on are 10 higher; then the residues 25 to 29 are away."""
    residues = ZIPPER.residues
    shifted = residues.author_seq_id + 10 * (residues.author_seq_id >= 20)
    jumping = dataclasses.replace(ZIPPER, residues=dataclasses.replace(residues, author_seq_id=shifted))
    spec = asked(jumping, contigs="5/A18-36")
    assert [each.number for each in spec.contigs.fixed[0].residues] == [18, 19, *range(30, 37)]
    away = np.isin(ZIPPER.residues.author_seq_id[ZIPPER.atoms.residue], range(25, 30))
    gapped = jumping.select(~away)
    with pytest.raises(InputError, match=r"missing.*'no A35-39'"):
        asked(gapped, contigs="5/A18-41")
    unseen = jumping.with_positions(
        jumping.atoms.positions, resolved=jumping.atoms.resolved & (jumping.atoms.name == "CA")
    )
    with pytest.raises(InputError, match=r"missing.*'no A20-29'"):
        asked(unseen, contigs="5/A18-36")


def test_how_much_of_a_residue_is_held():
    _, layout, built = scaffold(YELLOW, contigs="5/A46-50/5", tip="A46", backbone_only="A47")
    first, second, third = (atoms(built, place) for place in (5, 6, 7))
    assert str(built.residues.name[5]) == "GLU"
    assert first == {"CG", "CD", "OE1", "OE2"}
    assert second == {"N", "CA", "C", "O"}
    assert third > {"N", "CA", "C", "O"}
    assert len(layout) == 15


def test_single_atoms_are_held():
    _, _, built = scaffold(YELLOW, contigs="12/A46-50", held_atoms={"A46": ["CD", "OE1"], "A48": "N"})
    assert atoms(built, 12) == {"CD", "OE1"}
    assert atoms(built, 14) == {"N"}
    with pytest.raises(InputError, match=r"held_atoms: .*GLU A46 has no such atom.*'OE9'.*did you mean 'OE"):
        scaffold(YELLOW, contigs="12/A46-50", held_atoms="A46=OE9")


def test_residues_without_a_type_get_one_where_the_chain_is_designed():
    """As MotifBench's files have them: UNK, of which the backbone alone is there."""
    names = YELLOW.residues.name.copy()
    names[motif_residues(YELLOW)[ResidueId(chain="A", number=47)]] = "UNK"
    nameless = dataclasses.replace(YELLOW, residues=dataclasses.replace(YELLOW.residues, name=names))
    for more in ({"contigs": "12/A46-50"}, {"contigs": "20", "unindexed": "A46-50"}):
        assert [str(each) for each in asked(nameless, **more).redesign] == ["A47"]
        assert [str(each) for each in asked(nameless, **more, redesign="A48").redesign] == ["A48", "A47"]
        assert not asked(YELLOW, **more).redesign
    assert not asked(nameless, contigs="12 A46-50").redesign
    assert not asked(nameless, contigs="12/A46-50", fixed_sequence=False).redesign


def test_modified_residues_get_new_types():
    """Selenomethionine stays where it is to keep its type, and begins as a new residue where not."""
    asked_of = {"contigs": "4/A1-4/4"}
    assert scaffold(SELENIUM, **asked_of)[2].residues.name[4] == "MSE"
    for more in ({"redesign": "A1"}, {"fixed_sequence": False}):
        _, _, built = scaffold(SELENIUM, **asked_of, **more)
        assert built.residues.name[4] == "UNK"
        assert atoms(built, 4) >= {"N", "CA", "C", "O"}
    with pytest.raises(InputError, match=r"tip: what the functional group of MSE .*'A1'.*held_atoms"):
        scaffold(SELENIUM, **asked_of, tip="A1")


def joined(structure):
    """Bonds that no sequence implies, by residue and atom."""
    names = [f"{structure.residues.author_seq_id[row]}:{name}" for row, name in
             zip(structure.atoms.residue, structure.atoms.name, strict=True)]  # fmt: skip
    rows = bonds_between_residues(structure)
    ends = zip(structure.bonds.atom_1[rows], structure.bonds.atom_2[rows], strict=True)
    return {tuple(sorted((names[one], names[other]))) for one, other in ends}


def test_bonds_of_the_motif_stay_with_it():
    _, _, built = scaffold(GLYCAN, contigs="9 A60-75", ligands="NAG")
    assert joined(built) == {("1:C1", "65:ND2"), ("1:O4", "2:C1")}
    sugar = built.chain_residues(len(built.chains) - 1).start
    assert "O1" not in built.atoms.name[built.residue_atoms(sugar)]
    assert joined(scaffold(GLYCAN, contigs="9 A60-64", ligands="NAG")[2]) == {("1:O4", "2:C1")}
    assert joined(scaffold(RINGS, contigs="9 A")[2]) == joined(RINGS)
    redesigned = joined(scaffold(RINGS, contigs="9 A", redesign="A25")[2])
    assert redesigned == {bond for bond in joined(RINGS) if "25:SG" not in bond}
    assert joined(scaffold(RINGS, contigs="9 A", backbone_only="A25")[2]) == redesigned


def test_disulfides_of_what_partial_diffusion_moves_stay_where_both_cysteines_keep_their_types():
    """Whether both are held, or one, or none; a cysteine that is asked to be bonded to another leaves its own."""
    both = {("18:SG", "24:SG")}
    for asked_ in ({"keep_sequence": "all"}, {"hold": "A18", "keep_sequence": "A24"}, {"hold": "A18,A24"}):
        assert joined(scaffold(RINGS, contigs="A14-30", noise=4, **asked_)[2]) == both
    for asked_ in ({}, {"keep_sequence": "A24"}, {"hold": "A18"}):
        assert joined(scaffold(RINGS, contigs="A14-30", noise=4, **asked_)[2]) == set()
    other = scaffold(RINGS, contigs="A14-30", noise=4, keep_sequence="all", disulfides="A5-A1")[2]
    assert joined(other) == {("14:SG", "18:SG")}


def test_rings_have_three_residues():
    with pytest.raises(InputError, match="cyclic: too few residues"):
        scaffold(ZIPPER, contigs="2 A1-30", cyclic="B")


def test_disulfides_make_cysteines():
    _, _, built = scaffold(YELLOW, contigs="12/A46-50", disulfides="A2-A10")
    assert built.residues.name[[1, 9]].tolist() == ["CYS", "CYS"]
    joined = built.atoms.name[built.bonds.atom_1] == "SG"
    assert built.atoms.name[built.bonds.atom_2[joined]].tolist() == ["SG"]
    with pytest.raises(InputError, match=r"disulfides: .*one of the motif's.*A14"):
        scaffold(YELLOW, contigs="12/A46-50", disulfides="A2-A14")
    with pytest.raises(InputError, match=r"residues 1 to 17.*A40"):
        scaffold(YELLOW, contigs="12/A46-50", disulfides="A2-A40")
    with pytest.raises(InputError, match=r"one disulfide.*A10"):
        scaffold(YELLOW, contigs="12/A46-50", disulfides="A2-A10,A-8-A5")


def test_gaps_between_unindexed_stretches_can_be_bridged():
    spec = asked(ZIPPER, contigs="60", unindexed="A2/A28/B3@2")
    one, other, free = (stretch.residues[0] for stretch in spec.unindexed)
    assert spec.unindexed_gaps[one, other] == spec.unindexed_gaps[other, one] >= 10
    assert spec.unindexed_gaps[one, free] == 1


def test_the_fold_of_a_structure(tmp_path):
    spec = completed(design_from_dict({"contigs": "46", "fold_of": str(DATA / "evaluation/data/1crn.pdb")}), None)
    assert spec.secondary_structure is not None
    assert spec.secondary_structure.count("H") > 15
    assert (1, 2) in spec.adjacent or (1, 4) in spec.adjacent
    with pytest.raises(InputError, match=r"^fold_of: .*1crn.pdb does not fit chain A \(found 46; allowed: 40\)"):
        completed(design_from_dict({"contigs": "40", "fold_of": str(DATA / "evaluation/data/1crn.pdb")}), None)
    with pytest.raises(InputError, match=r"^fold_of: .*number of chains \(found '1 chains'; allowed: 2 chains\)"):
        completed(design_from_dict({"contigs": "40 6", "fold_of": str(DATA / "evaluation/data/1crn.pdb")}), None)


def test_the_fold_of_a_structure_is_what_was_seen_of_it(tmp_path):
    """1ORC has coordinates for 64 of its 71 residues, the others are at its ends."""
    text = gzip.decompress((DATA / "data/1orc.pdb.gz").read_bytes()).decode()
    path = tmp_path / "1orc.pdb"
    path.write_text(text)
    whole = completed(design_from_dict({"contigs": "64", "fold_of": str(path)}), None).secondary_structure or ""
    assert len(whole) == 64
    assert "?" not in whole
    gap = [f"A {number:3d}" for number in (20, 21, 22)]
    path.write_text("".join(line for line in text.splitlines(True) if line[21:26] not in gap or line[:4] != "ATOM"))
    torn = completed(design_from_dict({"contigs": "64", "fold_of": str(path)}), None).secondary_structure or ""
    assert [place for place, letter in enumerate(torn) if letter == "?"] == [17, 18, 19]
    with pytest.raises(InputError, match=r"fold_of: .*\(found '64, of which 3 without coordinates'; allowed: 61\)"):
        completed(design_from_dict({"contigs": "61", "fold_of": str(path)}), None)
