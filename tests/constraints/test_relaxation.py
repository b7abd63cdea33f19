import numpy as np
import pytest
import torch

from structdiff.chemistry.components import component, component_from_smiles
from structdiff.constraints.minimiser import minimise
from structdiff.constraints.relaxation import PREDICTION_RELAXATION, PREDICTION_SPREADS, Relaxation, relax
from structdiff.constraints.stereochemistry import Spreads, Stereochemistry, signed_volumes
from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.chirality import hands
from structdiff.evaluation.clashes import clashes
from structdiff.evaluation.covalent import (
    angle_deviation,
    bond_deviation,
    ca_neighbour_share,
    chain_breaks,
    peptide_planes,
)
from structdiff.evaluation.stereocentres import stereocentres
from structdiff.geometry.rotations import random_rotation
from structdiff.geometry.superposition import superposed_rmsd
from structdiff.soundness import double_bond_verdicts
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind
from tests.constraints.real_structures import resolved


@pytest.fixture(scope="module")
def backbone():
    """Thirty residues of unknown type on the backbone of ubiquitin."""
    source = resolved("evaluation/data/1ubi.pdb")
    rows = np.isin(source.atoms.name, ("N", "CA", "C", "O"))
    chain = ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("UNK",) * 30)
    return build_structure([chain]).with_positions(source.atoms.positions[rows][:120])


def placed(structure):
    return torch.tensor(structure.atoms.positions)[None]


def jolted(structure, sigma, samples=1):
    generator = torch.Generator().manual_seed(8)
    return placed(structure) + sigma * torch.randn(samples, len(structure.atoms), 3, generator=generator)


def assert_right(structure, positions):
    relaxed = Backbone.from_structure(structure.with_positions(positions.numpy()))
    assert bond_deviation(relaxed).rms < 0.02
    assert np.degrees(angle_deviation(relaxed).rms) < 3
    assert ca_neighbour_share(relaxed) > 0.97
    assert chain_breaks(relaxed) == 0
    planes = peptide_planes(relaxed)
    assert planes.share_twisted == 0
    assert np.degrees(planes.omega_rms) < 8
    assert planes.share_cis_other == 0


@pytest.mark.parametrize("sigma", [0.3, 0.6])
@pytest.mark.parametrize("name", ["crambin", "backbone"])
def test_noisy_proteins_become_right_near_where_they_were(name, sigma, request):
    structure = request.getfixturevalue(name)
    noisy = jolted(structure, sigma, samples=2)
    result = relax(structure, noisy)
    for positions, moved in zip(result.positions, result.moved, strict=True):
        assert_right(structure, positions)
        assert 0.7 * sigma * 3**0.5 < float(moved) < 1.15 * sigma * 3**0.5
        finished = structure.with_positions(positions.numpy())
        before = structure.with_positions(noisy[0].numpy())
        assert clashes(finished).per_100_residues < max(7.0, 0.1 * clashes(before).per_100_residues)
        if name == "crambin":
            assert hands(Backbone.from_structure(finished)).share_l == 1.0
    assert (result.energy_after < 0.01 * result.energy_before).all()
    assert not result.worst.wrong_hands.any()
    assert (result.worst.bond < 0.1).all()


def test_predictions_have_no_clashes(crambin):
    noisy = jolted(crambin, 0.6, samples=3)
    result = relax(crambin, noisy, spreads=PREDICTION_SPREADS, settings=PREDICTION_RELAXATION)
    found = [crambin.with_positions(positions.numpy()) for positions in result.positions]
    assert np.mean([clashes(each).per_100_residues for each in found]) < 2.5
    assert all(chain_breaks(Backbone.from_structure(each)) == 0 for each in found)
    assert not result.worst.wrong_hands.any()


@pytest.mark.parametrize("sigma", [0.3, 0.6, 1.0])
def test_noisy_duplex_becomes_right(duplex, sigma):
    result = relax(duplex, jolted(duplex, sigma))
    assert float(result.worst.bond) < 0.05
    assert np.degrees(float(result.worst.angle)) < 8
    assert float(result.worst.overlap) < 0.3
    assert not result.worst.wrong_hands.any()


def test_a_good_structure_stays(crambin):
    result = relax(crambin, placed(crambin))
    assert float(result.moved) < 0.3


def test_a_d_residue_is_turned_to_l(crambin):
    """The side chain of one residue is mirrored through N, CA, C: the rest of the chain hardly feels its return."""
    atoms, residue = crambin.atoms, 24
    assert crambin.residues.name[residue] == "ILE"
    rows = {atoms.name[row]: row for row in np.flatnonzero(atoms.residue == residue)}
    points = placed(crambin).clone()
    n, ca, c = (points[0, rows[name]] for name in ("N", "CA", "C"))
    normal = torch.nn.functional.normalize(torch.linalg.cross(n - ca, c - ca), dim=0)
    for name in set(rows) - {"N", "CA", "C", "O"}:
        points[0, rows[name]] -= 2 * ((points[0, rows[name]] - ca) @ normal) * normal
    mirrored = Backbone.from_structure(crambin.with_positions(points[0].numpy()))
    assert hands(mirrored).num_d == 1
    result = relax(crambin, points)
    assert hands(Backbone.from_structure(crambin.with_positions(result.positions[0].numpy()))).num_d == 0
    assert not result.worst.wrong_hands.any()
    assert float(result.worst.bond) < 0.08
    elsewhere = torch.from_numpy(np.abs(atoms.residue - residue) > 1)
    assert float((result.positions - points)[0, elsewhere].norm(dim=-1).max()) < 2.0


@pytest.mark.parametrize("code", ["NAG", "ATP", "CLR"])
def test_a_mirrored_ligand_gets_its_own_hand_back(code):
    ideal = torch.tensor(component(code).ideal_positions)
    ligand = build_structure([ChainSequence(name="L", kind=ChainKind.LIGAND, residues=(code,))])
    model = Stereochemistry.from_structure(ligand)
    stereo = np.isin(model.quadruples[: model.num_handed, 0].numpy(), np.flatnonzero(component(code).stereo))
    wanted = signed_volumes(ideal[None].double(), model.quadruples[: model.num_handed])[0].sign()
    result = relax(ligand, -ideal[None])
    found = signed_volumes(result.positions.double(), model.quadruples[: model.num_handed])[0].sign()
    assert stereo.sum() >= 4
    assert torch.equal(found[stereo], wanted[stereo])
    assert float(result.worst.bond) < 0.05


@pytest.mark.parametrize(("code", "sigma", "bond"), [("TA1", 0.6, 0.15), ("MOI", 0.6, 0.1), ("MOI", 1.5, 0.1)])
@pytest.mark.parametrize("hand", [1, -1])
def test_fused_rings_get_their_own_hand_back(code, sigma, bond, hand):
    """Centres that rings hold cannot be turned over one at a time: the whole is mirrored, or laid anew."""
    ligand = build_structure([ChainSequence(name="L", kind=ChainKind.LIGAND, residues=(code,))])
    ideal = torch.tensor(component(code).ideal_positions)
    result = relax(ligand, hand * ideal + jolted(ligand, sigma, samples=4))
    assert not result.worst.wrong_hands.any()
    assert float(result.worst.bond.max()) < bond


@pytest.mark.parametrize("smiles", ["C12C3C4C1C5C2C3C45", "C1C[C@H]2CC[C@@H]1C2"])
def test_cages_that_were_drawn_inside_out_are_laid_anew(smiles):
    """Cubane and norbornane: every centre may be right, and the lengths of bonds tell that rings lie wrong."""
    ligand = build_structure(
        [ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("LIG",))],
        components={"LIG": component_from_smiles(smiles, "LIG")},
    )
    ideal = torch.tensor(ligand.components["LIG"].ideal_positions)
    result = relax(ligand, ideal + jolted(ligand, 2.5, samples=12))
    assert float(result.worst.bond.max()) < 0.05


def test_glycosidic_bonds_keep_their_anomer():
    chains = [
        ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("ASN",)),
        ChainSequence(name="G", kind=ChainKind.LIGAND, residues=("NAG", "NAG")),
    ]
    bonds = [(("A", 1, "ND2"), ("G", 1, "C1")), (("G", 1, "O4"), ("G", 2, "C1"))]
    glycan = build_structure(chains, bonds=bonds)
    relaxed = relax(glycan, jolted(glycan, 3.0, samples=4))
    for positions in relaxed.positions:
        found = stereocentres(glycan.with_positions(positions.numpy()))
        assert len(found.atoms) == 11
        assert found.right.all()


@pytest.mark.parametrize(
    ("asked", "drawn"),
    [
        ("O=C(O)/C=C/C(=O)O", r"O=C(O)/C=C\C(=O)O"),
        (r"CCC/C=C\C/C=C\CCO", r"CCC/C=C/C/C=C\CCO"),
        ("O=C1/C=C/CCCCCCCCCO1", r"O=C1/C=C\CCCCCCCCCO1"),
    ],
)
def test_a_double_bond_gets_its_own_form_back(asked, drawn):
    """About a chain's bond the smaller side is turned; in a ring, the whole is laid anew."""
    ligand = build_structure(
        [ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("LIG",))],
        components={"LIG": component_from_smiles(asked, "LIG")},
    )
    other = component_from_smiles(drawn, "LIG")
    assert other.atom_names.tolist() == ligand.atoms.name.tolist()
    (wrong,) = double_bond_verdicts(ligand.with_positions(other.ideal_positions))
    assert not wrong.met
    result = relax(ligand, torch.tensor(other.ideal_positions)[None])
    (verdict,) = double_bond_verdicts(ligand.with_positions(result.positions[0].numpy()))
    assert verdict.met
    assert float(result.worst.bond) < 0.05


def test_a_double_bond_of_a_modified_residue_gets_its_own_form_back():
    """Dehydrobutyrine is Z; only its methyl turns, the chain stays."""
    chain = build_structure([ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("ALA", "DBU", "ALA"))])
    start = relax(chain, jolted(chain, 1.0)).positions
    assert double_bond_verdicts(chain.with_positions(start[0].numpy()))[0].met
    mirrored = start.clone()
    rows = {name: row for row, name in enumerate(chain.atoms.name.tolist()) if chain.atoms.residue[row] == 1}
    cb, ca, cg = (start[0, rows[name]] for name in ("CB", "CA", "CG"))
    axis = (cb - ca) / (cb - ca).norm()
    mirrored[0, rows["CG"]] = 2 * (cb + axis * ((cg - cb) @ axis)) - cg
    (wrong,) = double_bond_verdicts(chain.with_positions(mirrored[0].numpy()))
    assert wrong.reached == "0 of 1 bonds, wrong: A/2/CA=CB"
    result = relax(chain, mirrored)
    assert double_bond_verdicts(chain.with_positions(result.positions[0].numpy()))[0].met


def test_a_double_bond_that_its_surroundings_turn_over_gets_its_form_back():
    """Lysine's imine with pyridoxal is E; where all is drawn in a heap the ring may find no room on that side."""
    chain = build_structure([ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("TYR", "LLP", "TYR", "LLP"))])
    result = relax(chain, jolted(chain, 3.0, samples=4))
    for positions in result.positions:
        (verdict,) = double_bond_verdicts(chain.with_positions(positions.numpy()))
        assert verdict.reached == "2 of 2 bonds"


def test_one_inverted_stereocentre_is_restored():
    ligand = build_structure(
        [ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("LAC",))],
        components={"LAC": component_from_smiles("C[C@H](O)C(=O)N", "LAC")},
    )
    right = torch.tensor(ligand.components["LAC"].ideal_positions)
    wrong = component_from_smiles("C[C@@H](O)C(=O)N", "LAC")
    assert wrong.atom_names.tolist() == ligand.atoms.name.tolist()
    result = relax(ligand, torch.tensor(wrong.ideal_positions)[None])
    model = Stereochemistry.from_structure(ligand)
    handed = model.quadruples[: model.num_handed]
    before = signed_volumes(torch.tensor(wrong.ideal_positions)[None].double(), handed)
    after = signed_volumes(result.positions.double(), handed)
    ideal = signed_volumes(right[None].double(), handed)
    assert (before * ideal < 0).any()
    assert (after * ideal > 0).all()
    torch.testing.assert_close(after, ideal, atol=0.3, rtol=0)


def test_held_atoms_do_not_move_by_a_bit(crambin):
    noisy = jolted(crambin, 0.4)
    held = torch.from_numpy((crambin.atoms.residue >= 10) & (crambin.atoms.residue < 20))
    noisy = torch.where(held[:, None], placed(crambin), noisy)
    result = relax(crambin, noisy, held=held)
    assert torch.equal(result.positions[:, held], noisy[:, held])
    assert bool((result.positions != noisy)[:, ~held].any(-1).all())
    assert float(result.worst.bond) < 0.1
    nothing = relax(crambin, noisy, held=torch.ones_like(held))
    assert torch.equal(nothing.positions, noisy)
    assert float(nothing.moved) == 0


@pytest.mark.parametrize(("name", "tolerance"), [("backbone", 1e-3), ("duplex", 1e-3), ("crambin", 1e-2)])
def test_turned_input_gives_turned_output(name, tolerance, request):
    """The turned input is rounded to float32: what is asked is that rounding does not grow along the way."""
    structure = request.getfixturevalue(name)
    rotation = random_rotation(generator=torch.Generator().manual_seed(2))
    noisy = jolted(structure, 0.3)
    turned = relax(structure, noisy @ rotation.T + 10.0).positions
    there = relax(structure, noisy).positions @ rotation.T + 10.0
    torch.testing.assert_close(turned, there, atol=tolerance, rtol=0)


def test_batch_mates_change_nothing(backbone):
    noisy = jolted(backbone, 0.5, samples=4)
    together = relax(backbone, noisy)
    for sample in range(4):
        alone = relax(backbone, noisy[sample : sample + 1])
        assert torch.equal(alone.positions[0], together.positions[sample])
        assert float(alone.energy_after) == pytest.approx(float(together.energy_after[sample]))
    backwards = relax(backbone, noisy.flip(0))
    assert torch.equal(backwards.positions.flip(0), together.positions)


def test_a_gap_of_three_angstrom_is_closed(backbone):
    positions = placed(backbone).clone()
    positions[:, 60:] += torch.tensor([1.6, -0.8, 0.9])
    assert chain_breaks(Backbone.from_structure(backbone.with_positions(positions[0].numpy()))) == 1
    assert_right(backbone, relax(backbone, positions).positions[0])


def test_residues_on_top_of_each_other_are_parted(backbone):
    positions = placed(backbone).clone()
    positions[:, 44:48] = positions[:, 40:44]
    result = relax(backbone, positions)
    assert_right(backbone, result.positions[0])
    assert float(result.worst.overlap) < 0.2


def test_a_cyclic_chain_is_closed():
    chain = ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("UNK",) * 12, cyclic=True)
    ring = build_structure([chain])
    angle = torch.arange(48) / 48 * 2 * torch.pi
    positions = 7 * torch.stack([angle.cos(), angle.sin(), torch.zeros(48)], -1)
    result = relax(ring, jolted(ring.with_positions(positions.numpy()), 0.3))
    last_c, first_n = result.positions[0, 46], result.positions[0, 0]
    assert ring.atoms.name[46] == "C"
    assert float((last_c - first_n).norm()) == pytest.approx(1.329, abs=0.02)
    assert float(result.worst.bond) < 0.05


@pytest.mark.parametrize(("name", "expected"), [("PRO", 2.95), ("GLY", 3.80)])
def test_cis_before_proline_is_kept_and_elsewhere_undone(name, expected):
    chain = ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("GLY", "ALA", name, "ALA"))
    peptide = build_structure([chain])
    start = torch.randn(1, len(peptide.atoms), 3, generator=torch.Generator().manual_seed(0))
    start[..., 0] += 3.6 * torch.from_numpy(peptide.atoms.residue)
    points = relax(peptide, start, settings=Relaxation(iterations=800)).positions[0]
    rows = {key: row for row, key in enumerate(zip(peptide.atoms.residue, peptide.atoms.name, strict=True))}
    before, c, n, after = (rows[1, "CA"], rows[1, "C"], rows[2, "N"], rows[2, "CA"])
    if float((points[before] - points[after]).norm()) > 3.4:  # trans: turn the second half by half a turn about C-N
        axis = torch.nn.functional.normalize(points[n] - points[c], dim=0)
        arrow = points - points[n]
        turned = points[n] + 2 * (arrow @ axis)[:, None] * axis - arrow
        points = torch.where(torch.from_numpy(peptide.atoms.residue >= 2)[:, None], turned, points)
    assert float((points[before] - points[after]).norm()) < 3.2
    result = relax(peptide, points[None], settings=Relaxation(iterations=800))
    found = result.positions[0, before] - result.positions[0, after]
    assert float(found.norm()) == pytest.approx(expected, abs=0.1)
    assert float(result.worst.bond) < 0.05


def test_torsion_preference_moves_residues_to_favoured_regions(backbone):
    noisy = jolted(backbone, 0.8)
    energies = []
    for weight in (1e-6, 2.0):
        done = relax(backbone, noisy, spreads=Spreads(torsion_preference=weight)).positions
        energies.append(float(Stereochemistry.from_structure(backbone).terms(done.double())["torsions"]))
    assert energies[1] < 0.7 * energies[0]


def test_the_shape_and_not_only_the_bonds_survives(backbone):
    noisy = jolted(backbone, 0.3)
    result = relax(backbone, noisy)
    before = superposed_rmsd(noisy[0], placed(backbone)[0])
    after = superposed_rmsd(result.positions[0], placed(backbone)[0])
    assert float(after) < float(before)


def test_faulty_requests_are_refused(backbone):
    with pytest.raises(InputError, match="do not fit the structure"):
        relax(backbone, torch.zeros(1, 7, 3))
    with pytest.raises(InputError, match="finite"):
        relax(backbone, torch.full((1, 120, 3), float("nan")))
    with pytest.raises(InputError, match="held"):
        relax(backbone, placed(backbone), held=torch.zeros(3, dtype=torch.bool))


def test_atoms_thrown_far_apart_do_not_stop_the_relaxation(backbone):
    thrown = jolted(backbone, 1e6)
    assert torch.isfinite(relax(backbone, thrown).positions).all()


def test_minimiser_finds_the_bottom_of_a_narrow_valley():
    """Rosenbrock's function in each pair of coordinates, whose minimum is at 1."""

    def valley(point):
        x, y = point[:, 0], point[:, 1]
        value = 100 * (y - x**2) ** 2 + (1 - x) ** 2 + point[:, 2] ** 2
        slope = np.stack([-400 * x * (y - x**2) - 2 * (1 - x), 200 * (y - x**2), 2 * point[:, 2]], 1)
        return float(value.sum()), slope

    start = np.array([[-1.2, 1.0, 3.0], [0.0, 0.0, -1.0]])
    found = minimise(valley, start, evaluations=400, tolerance=1e-8)
    np.testing.assert_allclose(found.positions, [[1, 1, 0], [1, 1, 0]], atol=1e-6)
    assert found.evaluations < 200
    assert minimise(valley, start, evaluations=5, tolerance=1e-8).evaluations <= 5 + 12
