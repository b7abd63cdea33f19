"""Every design problem of examples/problems runs with the default weights, and is met to its tolerance."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import structdiff
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.clashes import backbone_clashes
from structdiff.evaluation.covalent import angle_deviation
from structdiff.evaluation.descriptors import radius_of_gyration
from structdiff.evaluation.ramachandran import ramachandran
from structdiff.model.library import load_named_weights
from structdiff.options import RunOptions, recommended_sampling
from structdiff.pipeline import load_engine
from structdiff.spec.design import read_design
from structdiff.structure.files import read_structure

FOLDER = Path(__file__).parent.parent / "examples/problems"
PROBLEMS = [
    FOLDER / f"{name}.yaml"
    for name in (
        "unconditional", "motif_groups", "motif_tip", "motif_unindexed", "motif_ligand", "ligand_target", "binder",
        "binder_epitope", "macrocycle", "disulfide", "fold", "fold_of", "burial", "energies", "two_chains_in_contact",
        "symmetry_around_motif", "symmetry_dihedral", "symmetry_fibre", "partial_diffusion", "inpaint_loop", "fusion",
    )
]  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def options():
    return RunOptions(sampling=recommended_sampling(load_named_weights("mini")))


@pytest.fixture(scope="module")
def engine(options):
    return load_engine(options)


def design(options, engine, problem, **more):
    return next(iter(structdiff.design(problem, options=options, engine=engine, **more)))


@pytest.mark.parametrize("path", PROBLEMS, ids=lambda path: path.stem)
def test_every_example_is_met(path, options, engine):
    made = design(options, engine, read_design(path))
    missed = [
        f"{each.name}: asked {each.asked}, reached {each.reached}"
        for each in made.verdicts
        if each.requested and not each.met
    ]
    assert not missed
    assert made.all_met
    assert np.isfinite(made.structure.atoms.positions).all()


def test_designs_are_without_strain_and_clashes(options, engine):
    """Relaxed once more when their residues have letters, without what pulled them to their folds."""
    problem = structdiff.Problem(contigs="60", seed=0)
    made = structdiff.design(problem, options=options, engine=engine, num_designs=4)
    backbones = [Backbone.from_structure(each.structure) for each in made]
    assert np.mean([angle_deviation(each).share_over_4_sigma for each in backbones]) < 0.002
    assert np.mean([ramachandran(each).favoured for each in backbones]) > 0.96
    assert sum(len(backbone_clashes(each).pairs) for each in backbones) <= 1


@pytest.mark.parametrize("seed", range(4))
def test_an_asked_distance_outlasts_the_relaxation(seed, options, engine):
    distance = structdiff.Distance(between=("A1", "A-1"), at_most=12.0)
    problem = structdiff.RadiusOfGyration(target=13.0) + structdiff.Problem(contigs="50") + distance
    made = design(options, engine, problem, seed=seed)
    assert all(each.met for each in made.verdicts if each.name.startswith("distance"))


@pytest.mark.parametrize("seed", [2, 4, 9])
def test_hotspots_outlast_the_relaxation(seed, options, engine):
    """What a draw touches the finished design touches too: of the seeds 0 to 15 all but one, 5 with these weights."""
    problem = dataclasses.replace(read_design(FOLDER / "binder.yaml"), seed=seed)
    drawn = design(dataclasses.replace(options, relax=False), engine, problem)
    finished = design(options, engine, problem)
    touched = {each.name for each in drawn.verdicts if each.met and each.name.startswith("hotspot")}
    assert touched
    assert touched <= {each.name for each in finished.verdicts if each.met}


def test_the_radius_of_gyration_falls(options, engine):
    """The same seed with and without the energy, and towards a target on either side."""

    def reached(*energies):
        made = design(options, engine, structdiff.Problem(contigs="50", fold_plan="none", seed=1, energies=energies))
        return radius_of_gyration(Backbone.from_structure(made.structure))

    plain = reached()
    assert reached(structdiff.RadiusOfGyration(weight=5)) < plain - 0.3
    assert reached(structdiff.RadiusOfGyration(target=12.0)) == pytest.approx(12.0, abs=0.5)


def test_a_cyclic_peptide_is_closed(options, engine):
    made = design(options, engine, structdiff.Ring("A"), length="10-12", seed=2).structure
    first, last = (made.residue_atoms(row) for row in (0, len(made.residues) - 1))
    n = made.atoms.positions[first][made.atoms.name[first] == "N"]
    c = made.atoms.positions[last][made.atoms.name[last] == "C"]
    assert float(np.linalg.norm(n - c)) == pytest.approx(1.33, abs=0.1)


def test_a_function_of_ones_own_is_followed(options, engine):
    def flat(positions: torch.Tensor, structure: structdiff.Structure) -> torch.Tensor:
        centred = positions - positions.mean(0)
        return torch.linalg.svdvals(centred)[-1] ** 2 / len(positions)

    def thickness(*energies):
        made = design(options, engine, structdiff.Problem(contigs="40", fold_plan="none", seed=2, energies=energies))
        return float(np.linalg.svd(made.structure.atoms.positions - made.structure.atoms.positions.mean(0))[1][-1])

    assert thickness(structdiff.Function(function=flat, weight=20.0)) < 0.9 * thickness()


def test_a_shape_is_filled(options, engine, tmp_path):
    rod = tmp_path / "rod.csv"
    rod.write_text("\n".join(f"{x}, {y}, {z}" for x in range(-22, 23, 4) for y in (-4, 4) for z in (-4, 4)))
    made = design(options, engine, structdiff.Shape(file=str(rod), within=4.0), contigs="50", fold_plan="none", seed=4)
    assert [each.met for each in made.verdicts if each.name.startswith("shape")] == [True]


def test_parts_compose_and_tip_atoms_stay(options, engine):
    folder = FOLDER.parent
    motif = structdiff.Motif(folder / "5tpn_site_v.pdb", "12/A163-181/12", tip="A165,A169,A172", redesign="A164")
    made = design(options, engine, motif + structdiff.RadiusOfGyration(target=11.5), seed=3)
    given = read_structure(folder / "5tpn_site_v.pdb")

    def tip(structure, number):
        row = int(np.flatnonzero(structure.residues.author_seq_id == number)[0])
        atoms = structure.residue_atoms(row)
        keep = ~np.isin(structure.atoms.name[atoms], ("N", "C", "O", "CA", "CB"))
        return structure.atoms.positions[atoms][keep]

    for number in (165, 169, 172):
        np.testing.assert_allclose(tip(made.structure, number - 163 + 13), tip(given, number), atol=5e-3)
    assert all(each.met for each in made.verdicts)


def test_a_binder_without_hotspots_is_said_to_be_one(options, engine):
    made = design(options, engine, structdiff.Motif(FOLDER / "zipper.pdb", "40 A1-30"), seed=1)
    (verdict,) = [each for each in made.verdicts if each.name == "target touched"]
    assert "no hotspots given" in verdict.asked
    assert re.match(r"\d+ pairs|did not reach the target", verdict.reached)
