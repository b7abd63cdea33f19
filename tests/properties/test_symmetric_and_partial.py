"""What must hold of symmetric designs, of partial diffusion and of inpainting, whatever the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from structdiff.design_jobs import job_of
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import StructdiffError
from structdiff.evaluation.motif import motif_deviation, residues_of_map
from structdiff.evaluation.superposition import rmsd, superpose
from structdiff.geometry.point_groups import point_group
from structdiff.judgement import finished_verdicts
from structdiff.options import RunOptions
from structdiff.output.files import write_design
from structdiff.pipeline import design
from structdiff.spec.design import design_from_dict
from structdiff.structure.assembly import symmetric_assembly
from structdiff.structure.files import read_structure, write_structure

MOTIF = Path(__file__).parents[2] / "examples" / "5tpn_site_v.pdb"
ZIPPER = MOTIF.parent / "problems" / "zipper.pdb"
LIGAND = Path(__file__).parents[1] / "data" / "4i39.cif.gz"
RINGS = Path(__file__).parents[1] / "data" / "1dix.cif.gz"
C3 = point_group("C3")
QUICK = RunOptions(sampling=SamplingConfig(steps=8, solver="euler", sigma_max=300.0))


def designed(**asked):
    return list(design(design_from_dict(asked), options=QUICK))


def verdicts(one) -> dict[str, bool]:
    return {verdict.name: verdict.met for verdict in one.verdicts}


@pytest.mark.parametrize(
    "asked",
    [
        {"contigs": "8/A163-170/8", "symmetry": "C3"},
        {"contigs": "8 A163-181", "hotspots": "A165", "target_crop": "12", "keep_away": "A179"},
        {"noise": 3, "hold": "A163-170"},
    ],
)
def test_a_finished_design_is_judged_as_it_was_when_it_was_made(asked):
    """What is judged again, once a sequence has moved some atoms, is judged by the same rules."""
    (one,) = designed(motif=str(MOTIF), **asked)
    job = job_of(design_from_dict({"motif": str(MOTIF), **asked}), 0)
    assert finished_verdicts(job, one.structure) == one.verdicts
    part = one.structure.select(one.structure.atoms.name != "CA")
    with pytest.raises(StructdiffError, match="lacks atoms"):
        finished_verdicts(job, part)


@pytest.mark.parametrize(
    ("symmetry", "copies", "contigs"),
    [("C3", 3, "14"), ("D2", 4, "10"), ("T", 12, "8"), ("helical:copies=5,rise=9,twist=70", 5, "8")],
)
def test_copies_in_files_are_equal_to_a_thousandth(symmetry, copies, contigs, tmp_path):
    (one,) = designed(contigs=contigs, symmetry=symmetry, seed=2)
    assert verdicts(one)["symmetry"]
    write_design(one, tmp_path, "x")
    found = read_structure(tmp_path / "x.cif")
    names = found.chains.name.tolist()
    assert len(set(names)) == len(names) == copies
    assert len(set(one.sequences.values())) == 1
    assert np.unique(found.chains.entity_id).size == 1
    operators = one.residue_map["symmetry"]["copies"]
    assert [each["chains"] for each in operators] == [[name] for name in names]
    seen = found.atoms.resolved
    first = found.atoms.positions[(found.atom_chain == 0) & seen].astype(np.float64)
    numbers = found.residues.author_seq_id[found.chain_residues(0)]
    for row, each in enumerate(operators):
        own = found.atoms.positions[(found.atom_chain == row) & seen]
        moved = first @ np.array(each["rotation"]).T + each["translation_angstrom"]
        assert np.linalg.norm(own - moved, axis=1).max() <= 1e-3
        assert np.array_equal(found.residues.author_seq_id[found.chain_residues(row)], numbers)
    # The confidence is that of the copies which the network saw.
    assert len(one.confidence.plddt) == sum(len(one.sequences[name]) for name in one.confidence.chains)
    assert set(one.confidence.chains) <= set(names)


def test_the_same_seed_gives_the_same_assembly_whatever_else_is_drawn():
    asked = {"contigs": "9-12", "symmetry": "C5", "num_designs": 2, "seed": 7}
    both, again = designed(**asked), designed(**asked)
    options = RunOptions(sampling=QUICK.sampling, batch_size=1)
    alone = list(design(design_from_dict(asked), options=options))
    for one, same, single in zip(both, again, alone, strict=True):
        assert np.array_equal(one.structure.atoms.positions, same.structure.atoms.positions)
        assert one.sequences == same.sequences == single.sequences
        assert np.abs(one.structure.atoms.positions - single.structure.atoms.positions).max() < 0.5


def test_a_motif_is_kept_in_every_copy():
    (one,) = designed(contigs="5/A163-170/5", motif=str(MOTIF), symmetry="C3")
    assert verdicts(one)["motif"]
    rows = one.residue_map["residues"]
    assert [row["design"]["chain"] for row in rows] == ["A"] * 8 + ["B"] * 8 + ["C"] * 8
    assert [row["motif"]["number"] for row in rows] == 3 * list(range(163, 171))
    assert [row["group"] for row in rows] == [1] * 8 + [2] * 8 + [3] * 8
    # So each copy's motif is compared with the file by itself, when the design is evaluated too.
    assert motif_deviation(one.structure, read_structure(MOTIF), residues_of_map(one.residue_map)).backbone < 0.5


def test_a_motif_at_the_axis_stays_there(tmp_path):
    given = read_structure(MOTIF)
    lines = []
    shift = given.atoms.positions.mean(0) - [9.0, 0, 0]
    for line in MOTIF.read_text().splitlines(True):
        if line.startswith("ATOM"):
            at = np.array([float(line[30 + 8 * axis : 38 + 8 * axis]) for axis in range(3)]) - shift
            line = f"{line[:30]}{at[0]:8.3f}{at[1]:8.3f}{at[2]:8.3f}{line[54:]}"
        lines.append(line)
    (tmp_path / "placed.pdb").write_text("".join(lines))
    (one,) = designed(contigs="4/A163-170/4", motif=str(tmp_path / "placed.pdb"), symmetry="C3:motif=placed")
    assert verdicts(one)["motif's place"]
    placed = read_structure(tmp_path / "placed.pdb")
    alpha = placed.atoms.positions[(placed.atoms.name == "CA")][13:21]
    chain = one.structure.atom_chain == 0
    own = one.structure.atoms.positions[chain & (one.structure.atoms.name == "CA")][4:12]
    assert np.abs(own - alpha).max() < 0.01
    turned = own @ point_group("C3").rotations[1].T
    second = one.structure.atoms.positions[(one.structure.atom_chain == 1) & (one.structure.atoms.name == "CA")][4:12]
    assert np.abs(second - turned).max() <= 2e-3


def test_copies_in_the_motifs_file_are_the_copies_of_the_design(tmp_path):
    """A trimer that stands anyhow: in the design each copy's motif lies where the file's copies lie to each other."""
    unit = read_structure(MOTIF)
    whole = symmetric_assembly(unit.with_positions(unit.atoms.positions - unit.atoms.positions.mean(0) + 9), C3)
    turn = Rotation.random(random_state=3).as_matrix()
    whole = whole.with_positions(whole.atoms.positions @ turn.T + [30.0, -12.0, 7.0])
    write_structure(whole, tmp_path / "trimer.pdb")
    given = read_structure(tmp_path / "trimer.pdb")
    asked = {"contigs": "4/A163-170/4", "motif": str(tmp_path / "trimer.pdb"), "symmetry": "C3:motif=copies"}
    (one,) = designed(**asked)
    assert verdicts(one)["motif's place"]

    def motifs(structure, first):
        alpha = (structure.atoms.name == "CA") & structure.atoms.resolved
        number = structure.residues.author_seq_id[structure.atoms.residue]
        return structure.atoms.positions[alpha & (number >= first) & (number < first + 8)].astype(np.float64)

    ours, theirs = motifs(one.structure, 5).reshape(3, 8, 3), motifs(given, 163).reshape(3, 8, 3)
    orders = ([0, 1, 2], [0, 2, 1])  # of the same three places, named in one order or the other
    assert min(rmsd(ours[order].reshape(-1, 3), theirs.reshape(-1, 3)) for order in orders) < 0.1


def test_more_noise_leads_further_from_the_start():
    given = read_structure(MOTIF)
    alpha = given.atoms.positions[given.atoms.name == "CA"].astype(np.float64)
    away = []
    for noise in ("0.5", "5", "60"):
        (one,) = designed(motif=str(MOTIF), noise=noise, seed=3)
        own = one.structure.atoms.positions[one.structure.atoms.name == "CA"].astype(np.float64)
        away.append(float(np.sqrt(np.square(superpose(own, alpha) - alpha).sum(-1).mean())))
        assert "start" in verdicts(one)
    assert away == sorted(away)
    assert away[0] < 1.0
    assert away[2] > 4.0


def test_partial_diffusion_holds_and_keeps_what_it_is_told():
    (one,) = designed(motif=str(MOTIF), noise="6", hold="A163-181", keep_sequence="A150-155", seed=3)
    given = read_structure(MOTIF)
    letters = dict(zip(given.residues.author_seq_id.tolist(), given.residues.name.tolist(), strict=True))
    names = dict(zip(one.structure.residues.author_seq_id.tolist(), one.structure.residues.name.tolist(), strict=True))
    kept = [*range(150, 156), *range(163, 182)]
    assert [names[number] for number in kept] == [letters[number] for number in kept]
    assert verdicts(one)["motif"]
    both = [np.isin(s.residues.author_seq_id[s.atoms.residue], range(163, 182)) & (s.atoms.name == "CA")
            for s in (one.structure, given)]  # fmt: skip
    held, known = one.structure.atoms.positions[both[0]], given.atoms.positions[both[1]]
    assert np.abs(held - known).max() < 0.05  # in the frame of the file


@pytest.mark.parametrize("asked", [{"keep_sequence": "A18,A24"}, {"hold": "A18", "keep_sequence": "A24"}])
def test_partial_diffusion_closes_the_disulfides_that_it_keeps(asked):
    (one,) = designed(motif=str(RINGS), contigs="A14-30", noise="3", seed=3, **asked)
    assert verdicts(one)["disulfide A18-A24"]
    names, bonds = one.structure.atoms.name, one.structure.bonds
    sulphurs = (names[bonds.atom_1] == "SG") & (names[bonds.atom_2] == "SG")
    ends = [one.structure.atoms.positions[rows[sulphurs]] for rows in (bonds.atom_1, bonds.atom_2)]
    assert np.linalg.norm(ends[0] - ends[1], axis=-1) == pytest.approx([2.03], abs=0.1)


def test_a_loop_is_new_and_the_rest_stays():
    (one,) = designed(motif=str(MOTIF), inpaint="A165-168:6", seed=3)
    assert verdicts(one)["motif"]
    assert len(one.sequences["A"]) == 45 + 2
    kept = [row["motif"]["number"] for row in one.residue_map["residues"]]
    assert kept == [number for number in range(150, 195) if not 165 <= number <= 168]


def test_a_linker_joins_two_stretches_in_their_pose_or_frees_it():
    (rigid,) = designed(motif=str(MOTIF), contigs="A150-160/12/A180-190", seed=1)
    (free,) = designed(motif=str(MOTIF), contigs="A150-160/12/A180-190@2", seed=1)
    given = read_structure(MOTIF)
    alpha = given.atoms.positions[given.atoms.name == "CA"]
    known = float(np.linalg.norm(alpha[0] - alpha[40]))
    for one, same in ((rigid, True), (free, False)):
        assert verdicts(one)["motif"]
        own = one.structure.atoms.positions[one.structure.atoms.name == "CA"]
        assert (abs(float(np.linalg.norm(own[0] - own[-1])) - known) < 0.3) == same


def test_hotspots_belong_to_the_unit_and_every_copy_has_its_target():
    (one,) = designed(
        contigs="10 A163-175", motif=str(MOTIF), hotspots="A168", symmetry="C2", target_crop="none", seed=1
    )
    assert "hotspot A168" in verdicts(one)
    assert verdicts(one)["symmetry"]
    assert one.structure.chains.name.tolist() == ["B", "A", "C", "D"]
    sequences = one.sequences
    assert sequences["B"] == sequences["C"] != sequences["A"] == sequences["D"]


def test_new_chains_lie_against_the_target_of_their_copy():
    asked = {"contigs": "50 A1-30", "motif": str(ZIPPER), "symmetry": "C3", "num_designs": 2}
    for one in designed(**asked):
        assert verdicts(one)["target touched"]
    (held,) = designed(**{**asked, "symmetry": "C3:motif=placed", "num_designs": 1})
    assert verdicts(held)["motif's place"]


def test_copies_are_joined_by_their_proteins_and_not_by_their_ligands():
    asked = {"contigs": "50", "motif": str(LIGAND), "ligands": "HC4", "symmetry": "C3", "num_designs": 2}
    assert all(verdicts(one)["copies"] for one in designed(**asked))
