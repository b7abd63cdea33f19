"""Designs relaxed once each residue is of a kind, and what their torsions say of the kind before."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from structdiff.constraints.energy_terms import AskedDistance
from structdiff.constraints.of_design import FAR_RELAXATION, FAR_SPREADS, DesignConstraints
from structdiff.constraints.placed_atoms import PlacedAtoms
from structdiff.constraints.relaxation import Relaxation, relax
from structdiff.constraints.residue_torsions import glycine_and_proline
from structdiff.constraints.sequenced import relaxed_design, relaxed_unit
from structdiff.constraints.stereochemistry import Stereochemistry
from structdiff.constraints.torsion_preference import NATURAL_TABLES, TorsionPreference
from structdiff.design_jobs import job_of
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.clashes import backbone_clashes, clashes
from structdiff.evaluation.covalent import angle_deviation
from structdiff.evaluation.ramachandran import ramachandran
from structdiff.geometry.point_groups import point_group
from structdiff.output.symmetric import symmetry_verdicts
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.design import DesignSpec
from structdiff.spec.energy_text import energy_from_dict
from structdiff.structure.assembly import symmetric_assembly
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind


@pytest.fixture(scope="module")
def shaken(crambin):
    """Crambin whose atoms are all a little off, with a good many clashes."""
    noise = np.random.default_rng(5).normal(0.0, 0.45, crambin.atoms.positions.shape)
    return crambin.with_positions(crambin.atoms.positions + noise)


def asked_of(structure, held):
    backbone = np.isin(structure.atoms.name, ("N", "CA", "C", "O"))
    placed = structure.select(backbone)
    new = np.ones(len(structure.residues), bool)
    return DesignConstraints(placed=PlacedAtoms(structure=placed, new=new, held=held[backbone].astype(np.int32)))


def test_side_chains_part_and_what_is_held_stays(shaken):
    held = np.isin(shaken.atoms.residue, range(10, 15)) & np.isin(shaken.atoms.name, ("N", "CA", "C", "O"))
    relaxed = relaxed_design(shaken, asked_of(shaken, held))
    free = ~np.isin(shaken.atoms.residue, range(9, 16))
    between = [pair for pair in clashes(relaxed).pairs.tolist() if free[pair].all()]
    assert len(clashes(shaken).pairs) > 20
    assert len(between) <= 1
    np.testing.assert_array_equal(relaxed.atoms.positions[held], shaken.atoms.positions[held])


def test_held_residues_with_insertion_codes_stay(shaken):
    """Residues 10 to 14 as 10, 10A to 10D: each is held as itself."""
    count = len(shaken.residues)
    numbers, codes = np.arange(1, count + 1, dtype=np.int32), np.full(count, "", "U1")
    numbers[9:14], codes[10:14] = 10, list("ABCD")
    coded = dataclasses.replace(
        shaken, residues=dataclasses.replace(shaken.residues, author_seq_id=numbers, insertion_code=codes)
    )
    held = np.isin(coded.atoms.residue, range(9, 14))
    relaxed = relaxed_unit(coded, asked_of(coded, held))
    backbone = held & np.isin(coded.atoms.name, ("N", "CA", "C", "O"))
    np.testing.assert_array_equal(relaxed.atoms.positions[backbone], coded.atoms.positions[backbone])
    assert not np.array_equal(relaxed.atoms.positions[~held], coded.atoms.positions[~held])


@pytest.mark.parametrize("change", [-1.5, 1.5])
def test_distances_that_are_asked_for_are_kept_or_reached(shaken, change):
    """Between the ends of two loops: on one side of what is there, and as it is."""
    backbone = shaken.select(np.isin(shaken.atoms.name, ("N", "CA", "C", "O")))
    one, other = (int(np.flatnonzero(backbone.atoms.name == "CA")[row]) for row in (19, 41))
    plain = asked_of(backbone, np.zeros(len(backbone.atoms), bool))

    def reached(*limits):
        asked = [AskedDistance(atoms=(one, other), least=least, most=most) for least, most in limits]
        positions = relaxed_unit(backbone, dataclasses.replace(plain, distances=tuple(asked))).atoms.positions
        return float(np.linalg.norm(positions[one] - positions[other]))

    before = float(np.linalg.norm(backbone.atoms.positions[one] - backbone.atoms.positions[other]))
    free = reached()
    assert abs(reached((0.0, np.inf)) - before) < max(0.3, abs(free - before))
    target = free + change
    limits = (0.0, target) if change < 0 else (target, np.inf)
    assert abs(reached(limits) - target) < 0.6


def test_a_chain_of_which_something_is_asked_as_a_whole_keeps_its_size(shaken):
    backbone = shaken.select(np.isin(shaken.atoms.name, ("N", "CA", "C", "O")))
    alphas = np.flatnonzero(backbone.atoms.name == "CA")
    wide = backbone.with_positions(1.08 * backbone.atoms.positions)
    plain = asked_of(backbone, np.zeros(len(backbone.atoms), bool))

    def off(whole):
        """How much smaller the chain becomes (Å), and how far distances within it change."""
        done = relaxed_unit(wide, dataclasses.replace(plain, whole=whole)).atoms.positions[alphas]
        there = wide.atoms.positions[alphas]
        size = [float(np.sqrt(np.square(each - each.mean(0)).sum(-1).mean())) for each in (there, done)]
        return size[0] - size[1], float(np.sqrt(np.square(pdist(there[::4]) - pdist(done[::4])).mean()))

    free, kept = off(np.zeros(0, np.int64)), off(alphas[::4])
    assert free[0] > 0.3
    assert abs(kept[0]) < 0.5 * free[0]
    assert kept[1] < 0.7 * free[1]


def test_energies_say_what_relaxation_keeps():
    energies = [{"radius_of_gyration": {"target": 9}}, {"angle": {"atoms": ["A2", "A10", "A20"], "value": 90}}]
    asked = job_of(DesignSpec(contigs=parse_contigs("24"), energies=tuple(map(energy_from_dict, energies))), 0).asked
    names = asked.placed.structure.atoms.name
    residues = asked.placed.structure.atoms.residue[asked.whole]
    assert set(names[asked.whole]) == {"CA"}
    assert residues.tolist() == list(range(0, 24, 4))
    rows = [each.atoms for each in asked.distances]
    assert [asked.placed.structure.atoms.residue[list(pair)].tolist() for pair in rows] == [[1, 9], [1, 19], [9, 19]]
    buried = job_of(DesignSpec(contigs=parse_contigs("24"), burial="?10 B4 ?10"), 0).asked
    assert buried.whole.tolist() == asked.whole.tolist()
    plain = job_of(DesignSpec(contigs=parse_contigs("24")), 0).asked
    assert not len(plain.whole)
    assert not plain.distances


def test_atoms_that_are_not_there_take_no_part(shaken):
    seen = np.isin(shaken.atoms.name, ("N", "CA", "C", "O"))
    structure = shaken.with_positions(shaken.atoms.positions, resolved=seen)
    relaxed = relaxed_design(structure, asked_of(shaken, np.zeros(len(seen), bool)))
    np.testing.assert_array_equal(relaxed.atoms.resolved, seen)
    np.testing.assert_array_equal(relaxed.atoms.positions[~seen], structure.atoms.positions[~seen])
    assert not np.array_equal(relaxed.atoms.positions[seen], structure.atoms.positions[seen])


def test_a_backbone_without_side_chains_takes_the_torsions_of_its_letters_and_leaves_room_for_them(shaken):
    backbone = shaken.select(np.isin(shaken.atoms.name, ("N", "CA", "C", "O")))
    free = np.zeros(len(shaken.atoms), bool)
    lettered = relaxed_unit(backbone, asked_of(shaken, free))
    nameless = unknown(len(backbone.residues)).with_positions(backbone.atoms.positions)
    plain = relaxed_unit(nameless, asked_of(nameless, np.zeros(len(nameless.atoms), bool)))
    judged = Backbone.from_structure(lettered)
    assert angle_deviation(judged).share_over_4_sigma < 0.005
    assert ramachandran(judged).favoured > 0.95
    of_letters = TorsionPreference.from_structure(backbone)
    own, others = (torch.from_numpy(each.atoms.positions.astype(np.float64))[None] for each in (lettered, plain))
    assert of_letters.energy(own).sum() < of_letters.energy(others).sum() - 2
    assert len(backbone_clashes(Backbone.from_structure(backbone)).pairs) > 5
    assert len(backbone_clashes(judged).pairs) <= 1


def test_what_is_held_altogether_is_left_alone(crambin):
    backbone = crambin.select(np.isin(crambin.atoms.name, ("N", "CA", "C", "O")))
    assert relaxed_unit(backbone, asked_of(crambin, np.ones(len(crambin.atoms), bool))) is backbone


def test_copies_stay_copies(shaken):
    group = point_group("C3")
    unit = shaken.with_positions(shaken.atoms.positions + np.array([16.0, 0.0, 0.0]))
    whole = symmetric_assembly(unit, group)
    relaxed = relaxed_design(whole, asked_of(unit, np.zeros(len(unit.atoms), bool)), group)
    positions = relaxed.atoms.positions.reshape(3, -1, 3)
    np.testing.assert_allclose(group.apply(positions[0].astype(np.float64)), positions, atol=1e-4)
    assert not np.allclose(positions[0], unit.atoms.positions, atol=0.05)
    # As files hold them: a unit that is rounded after its copies were made is up to 0.0012 Å off.
    assert symmetry_verdicts(relaxed, group)[0].met


def unknown(residues):
    return build_structure([ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("UNK",) * residues)])


def test_blurred_torsions_lead_to_natural_ones(crambin):
    """A loop that was drawn badly: with the densities as they are it stays so."""
    rows = np.isin(crambin.atoms.name, ("N", "CA", "C", "O"))
    structure = unknown(len(crambin.residues)).with_positions(crambin.atoms.positions[rows])
    noise = torch.from_numpy(np.random.default_rng(3).normal(0.0, 0.9, (4, len(structure.atoms), 3)))
    drawn = torch.from_numpy(structure.atoms.positions.astype(np.float64)) + noise
    chemistry = Stereochemistry.from_structure(structure, spreads=FAR_SPREADS)
    plain = dataclasses.replace(FAR_RELAXATION, blurs=())
    favoured = {}
    for settings in (plain, FAR_RELAXATION):
        done = relax(structure, drawn, stereochemistry=chemistry, settings=settings).positions
        shares = [ramachandran(Backbone.from_structure(structure.with_positions(each.numpy()))) for each in done]
        favoured[settings] = np.mean([share.favoured for share in shares])
    assert favoured[FAR_RELAXATION] > favoured[plain] + 0.02
    assert favoured[FAR_RELAXATION] > 0.93


def test_blurring_keeps_the_commonest_torsions_and_wells(crambin):
    preference = TorsionPreference.from_structure(crambin)
    wells = torch.cat([preference.table, preference.table[:1] + 7])
    blurred = dataclasses.replace(preference, table=wells).smoothed(15.0)
    assert torch.equal(blurred.table[NATURAL_TABLES], wells[NATURAL_TABLES])
    far = (blurred.table[0] < preference.table[0]).double().mean()
    assert far > 0.5
    assert float(blurred.table[0].min()) == 0


def test_residues_in_loops_have_torsions_of_loops(crambin):
    preference = TorsionPreference.from_structure(crambin)
    alphas = preference.atoms[:, 2].tolist()
    in_loops = preference.with_loops(alphas[:5])
    assert (in_loops.kind[:5] == preference.kind[:5] + NATURAL_TABLES // 2).all()
    assert (in_loops.kind[5:] == preference.kind[5:]).all()
    assert (in_loops.with_loops(alphas).kind < NATURAL_TABLES).all()
    # In loops there is more of extended chain than of helix; of all residues helices are the most.
    bins = preference.table.shape[-1]
    psi = (np.arange(bins) + 0.5) * 360 / bins - 180
    everywhere, loops = (preference.table[table].amin(0).numpy() for table in (0, NATURAL_TABLES // 2))
    assert -55 < psi[everywhere.argmin()] < -30
    assert 120 < psi[loops.argmin()] < 160


def test_torsions_speak_for_glycine_and_against_proline(crambin):
    phi, _, _ = Backbone.from_structure(crambin).torsions.T
    odds = glycine_and_proline(crambin)
    assert odds.shape == (len(crambin.residues), 2)
    left = np.flatnonzero(np.nan_to_num(phi) > np.radians(60))
    assert len(left)
    assert (odds[left, 0] > 1).all()
    assert (odds[left, 1] < 0).all()
    prolines = crambin.residues.name == "PRO"
    assert odds[prolines, 1].mean() > odds[~prolines, 1].mean() + 1
    assert np.abs(odds[0, 0]) == 0


def test_settings_are_what_relaxation_was(crambin):
    positions = torch.from_numpy(crambin.atoms.positions.astype(np.float64))[None]
    assert torch.equal(relax(crambin, positions).positions, relax(crambin, positions, settings=Relaxation()).positions)
