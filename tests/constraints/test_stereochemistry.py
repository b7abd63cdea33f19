import numpy as np
import pytest
import torch

from structdiff.constraints.descent import Descent
from structdiff.constraints.repulsion import NeighbourList
from structdiff.constraints.stereochemistry import Spreads, Stereochemistry
from structdiff.diffusion.constraint_protocol import SamplingConstraint
from structdiff.geometry.rotations import random_rotation
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind
from tests.constraints.real_structures import resolved


@pytest.fixture(scope="module")
def unknown():
    """Twelve residues of unknown type on the backbone of crambin."""
    source = resolved("evaluation/data/1crn.pdb")
    backbone = np.isin(source.atoms.name, ("N", "CA", "C", "O"))
    chain = ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("UNK",) * 12)
    return build_structure([chain]).with_positions(source.atoms.positions[backbone][:48])


def test_amino_acids_without_side_chains_have_a_virtual_cb_but_glycine(crambin, duplex, unknown):
    backbone = crambin.select(np.isin(crambin.atoms.name, ("N", "CA", "C", "O")))
    virtual = Stereochemistry.from_structure(backbone).repulsion.virtual
    assert set(backbone.residues.name[backbone.atoms.residue[virtual[:, 1]]]) == set(crambin.residues.name) - {"GLY"}
    assert len(virtual) == (crambin.residues.name != "GLY").sum()
    counts = [len(Stereochemistry.from_structure(each).repulsion.virtual) for each in (crambin, duplex, unknown)]
    assert counts == [0, 0, 12]


def placed(structure):
    return torch.tensor(structure.atoms.positions, dtype=torch.float64)[None]


def jolted(structure, sigma=0.3, samples=1):
    noise = torch.randn(samples, len(structure.atoms), 3, generator=torch.Generator().manual_seed(4))
    return placed(structure) + sigma * noise.double()


def test_natural_structures_are_nearly_ideal(crambin, duplex):
    for structure in (crambin, duplex):
        model = Stereochemistry.from_structure(structure)
        errors = model.pair_errors(placed(structure))[0]
        assert errors[: model.num_bonds].square().mean().sqrt() < 0.03
        assert errors[model.num_bonds : model.num_bonds + model.num_angles].square().mean().sqrt() < 0.06
        assert model.volume_errors(placed(structure)).square().mean().sqrt() < 0.2


@pytest.mark.parametrize("name", ["crambin", "duplex", "unknown"])
def test_gradients_agree_with_finite_differences_and_with_each_other(name, request):
    structure = request.getfixturevalue(name)
    model = Stereochemistry.from_structure(structure)
    positions = jolted(structure).requires_grad_(True)
    energy = model.energy(positions)
    (gradient,) = torch.autograd.grad(energy.sum(), positions)
    positions = positions.detach()
    cis = model.cis_prolines(positions)[0]
    by_hand = Descent(model, positions[0].numpy(), np.ones(len(structure.atoms), bool), cis.numpy())
    value, slope = by_hand(positions[0].numpy())
    assert value == pytest.approx(energy.item(), rel=1e-10)
    np.testing.assert_allclose(slope, gradient[0].numpy(), atol=1e-7)
    direction = torch.randn(positions.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    step = 1e-6
    difference = (model.energy(positions + step * direction) - model.energy(positions - step * direction)) / (2 * step)
    assert float(difference) == pytest.approx(float((gradient * direction).sum()), rel=1e-5)


def test_restraint_pulls_back_to_the_anchor(unknown):
    model = Stereochemistry.from_structure(unknown)
    anchor, start = placed(unknown)[0].numpy(), jolted(unknown)[0].numpy()
    descent = Descent(model, anchor, np.ones(len(anchor), bool), np.zeros(0, bool))
    descent.restraint = 0.0
    free, slope = descent(start)
    descent.restraint = 7.0
    held, pulled = descent(start)
    assert held - free == pytest.approx(3.5 * float(np.square(start - anchor).sum()))
    np.testing.assert_allclose(pulled - slope, 7.0 * (start - anchor), atol=1e-9)


def test_energy_does_not_change_when_turned_and_shifted_and_batched(crambin):
    model = Stereochemistry.from_structure(crambin)
    positions = jolted(crambin, samples=3)
    energy = model.energy(positions)
    rotation = random_rotation(generator=torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(model.energy(positions @ rotation.T + 20.0), energy, rtol=1e-6, atol=0)
    alone = torch.cat([model.energy(positions[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(alone, energy, rtol=1e-10, atol=0)
    terms = model.terms(positions)
    torch.testing.assert_close(torch.stack(list(terms.values())).sum(0), energy)


def test_mirror_image_costs_handedness_and_torsions_only(crambin):
    model = Stereochemistry.from_structure(crambin)
    right, mirrored = model.terms(placed(crambin)), model.terms(-placed(crambin))
    assert float(mirrored["handedness"]) > 100 * float(right["handedness"])
    assert float(mirrored["torsions"]) > float(right["torsions"]) + 50
    for same in ("bonds", "angles", "planes", "contacts"):
        torch.testing.assert_close(right[same], mirrored[same])


def test_every_alpha_carbon_has_its_hand(crambin):
    model = Stereochemistry.from_structure(crambin)
    centres = set(model.quadruples[: model.num_handed, 0].tolist())
    alpha = np.flatnonzero((crambin.atoms.name == "CA") & (crambin.residues.name != "GLY")[crambin.atoms.residue])
    assert set(alpha.tolist()) <= centres


def test_atom_lifted_out_of_a_ring_costs_planarity(crambin):
    model = Stereochemistry.from_structure(crambin)
    ring = np.flatnonzero((crambin.residues.name == "TYR")[crambin.atoms.residue])
    rows = {crambin.atoms.name[row]: row for row in ring[: len(ring) // 2]}
    positions = placed(crambin)
    axis = positions[0, rows["CD1"]] - positions[0, rows["CG"]], positions[0, rows["CD2"]] - positions[0, rows["CG"]]
    normal = torch.nn.functional.normalize(torch.linalg.cross(*axis), dim=0)
    lifted = positions.clone()
    lifted[0, rows["CE1"]] += 0.4 * normal
    assert float(model.terms(lifted)["planes"] - model.terms(positions)["planes"]) > 50


def test_twisted_peptide_costs_planarity(unknown):
    model = Stereochemistry.from_structure(unknown)
    names = unknown.atoms.name
    oxygen = np.flatnonzero(names == "O")[5]
    c, ca = np.flatnonzero(names == "C")[5], np.flatnonzero(names == "CA")[5]
    n = np.flatnonzero(names == "N")[6]
    positions = placed(unknown)
    normal = torch.linalg.cross(positions[0, ca] - positions[0, c], positions[0, n] - positions[0, c])
    moved = positions.clone()
    moved[0, oxygen] += 0.5 * normal / normal.norm()
    assert float(model.terms(moved)["planes"] - model.terms(positions)["planes"]) > 20


def test_cis_is_kept_before_proline_alone(crambin):
    # The first proline of 1pfe's kin is rare: turn one bond of crambin by hand instead.
    model = Stereochemistry.from_structure(crambin)
    assert len(model.proline_omega) == int((crambin.residues.name == "PRO").sum())
    assert not model.cis_prolines(placed(crambin)).any()
    positions = placed(crambin)
    hanging = model.proline_bond >= 0
    cis = torch.ones(1, len(model.proline_omega), dtype=torch.bool)
    as_trans, as_cis = model.pair_errors(positions)[0], model.pair_errors(positions, cis=cis)[0]
    assert float(as_trans[hanging].abs().max()) < 0.2
    assert float(as_cis[hanging].abs().min()) > 0.5
    torch.testing.assert_close(as_trans[~hanging], as_cis[~hanging])


def test_contacts_spare_bonded_atoms_and_hydrogen_bonds_but_not_clashes(crambin):
    model = Stereochemistry.from_structure(crambin)
    positions = placed(crambin)
    assert float(model.terms(positions)["contacts"]) < 30
    near = positions.clone()
    near[0, 0] = positions[0, -1] + torch.tensor([0.9, 0.0, 0.0])
    assert float(model.terms(near)["contacts"]) > 100
    names = crambin.atoms.name.tolist()
    nitrogen, oxygen, carbon = names.index("N"), len(names) - 1 - names[::-1].index("O"), names.index("CB")
    polar, apolar = (float(model.repulsion.contact(np.array([nitrogen]), np.array([k]))[0]) for k in (oxygen, carbon))
    assert polar < 2.75 < apolar


def test_neighbour_lists_find_what_all_pairs_find(duplex):
    model = Stereochemistry.from_structure(duplex)
    positions = jolted(duplex, 0.8, samples=2)
    found = NeighbourList.build(model.repulsion, positions)
    overlaps = found.sum_by_sample(found.overlap(positions), 2)
    distance = torch.cdist(positions, positions).numpy()
    i, j = np.triu_indices(len(duplex.atoms), 1)
    open_ = ~np.isin(i * len(duplex.atoms) + j, model.repulsion.excluded)
    i, j = i[open_], j[open_]
    expected = np.maximum(model.repulsion.contact(i, j) - distance[:, i, j], 0).sum(1)
    np.testing.assert_allclose(overlaps.numpy(), expected, rtol=1e-6)
    assert expected.min() > 1.0


def test_unknown_residues_leave_room_for_a_side_chain(unknown, crambin):
    model = Stereochemistry.from_structure(unknown)
    virtual = model.repulsion.with_virtual(placed(unknown))[0, len(unknown.atoms) :]
    assert len(virtual) == 12
    real = {
        int(residue): position
        for residue, position, name in zip(
            crambin.atoms.residue, crambin.atoms.positions, crambin.atoms.name, strict=True
        )
        if name == "CB" and residue < 12
    }
    for residue, position in real.items():
        assert np.linalg.norm(virtual[residue].numpy() - position) < 0.3


def test_terms_among_held_atoms_are_left_out(crambin):
    held = crambin.atoms.residue < 20
    model, whole = Stereochemistry.from_structure(crambin, held=held), Stereochemistry.from_structure(crambin)
    assert 0 < len(model.pairs) < len(whole.pairs)
    assert not held[model.pairs.numpy()].all(1).any()
    assert not held[model.quadruples.numpy()].all(1).any()
    positions = jolted(crambin)
    inside = torch.from_numpy(held)
    positions = torch.where(inside[:, None], positions, placed(crambin))
    variable = positions.requires_grad_(True)
    (gradient,) = torch.autograd.grad(model.energy(variable).sum(), variable)
    deep = crambin.atoms.residue < 18
    near = {int(k) for pair in NeighbourList.build(model.repulsion, positions).first[None].tolist() for k in pair}
    untouched = [row for row in np.flatnonzero(deep).tolist() if row not in near]
    touching = set(model.pairs.flatten().tolist()) | set(model.quadruples.flatten().tolist())
    touching |= set(model.torsion_preference.atoms.flatten().tolist()) | set(
        NeighbourList.build(model.repulsion, positions).second.tolist()
    )
    quiet = [row for row in untouched if row not in touching]
    assert len(quiet) > 10
    assert float(gradient[0, quiet].abs().max()) == 0


def test_torsion_preference_is_smooth_periodic_and_can_be_switched_off(unknown):
    model = Stereochemistry.from_structure(unknown)
    off = Stereochemistry.from_structure(unknown, spreads=Spreads(torsion_preference=0.0))
    assert "torsions" in model.terms(placed(unknown))
    assert "torsions" not in off.terms(placed(unknown))
    # Turn everything after a CA-C bond once round: the energy comes back, and never jumps.
    names, positions = unknown.atoms.name, placed(unknown)[0]
    ca, c = np.flatnonzero(names == "CA")[5], np.flatnonzero(names == "C")[5]
    axis = torch.nn.functional.normalize(positions[c] - positions[ca], dim=0)
    after = torch.arange(len(positions)) > int(c)
    energies = []
    for angle in torch.linspace(0, 2 * torch.pi, 721):
        arrow = positions - positions[c]
        along = (arrow @ axis)[:, None] * axis
        turned = along + angle.cos() * (arrow - along) + angle.sin() * torch.linalg.cross(axis.expand_as(arrow), arrow)
        moved = torch.where(after[:, None], positions[c] + turned, positions)
        energies.append(float(model.terms(moved[None])["torsions"]))
    steps = np.diff(energies)
    assert energies[-1] == pytest.approx(energies[0], abs=1e-4)
    assert max(energies) - min(energies) > 2
    assert np.abs(np.diff(steps)).max() < 0.02


def test_it_is_a_sampling_constraint(unknown):
    model = Stereochemistry.from_structure(unknown)
    assert isinstance(model, SamplingConstraint)
    positions = jolted(unknown).float()
    assert torch.equal(model.project(positions, 1.0), positions)
    assert model.energy(positions).dtype == torch.float32
