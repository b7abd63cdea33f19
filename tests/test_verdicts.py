"""Verdicts on structures that are known to be sound, or not."""

import dataclasses
from pathlib import Path

import numpy as np

from structdiff.chemistry.components import component, component_from_smiles
from structdiff.features.problem import completed
from structdiff.features.requests import complex_bonds
from structdiff.geometry.point_groups import point_group
from structdiff.likeness import start_verdict
from structdiff.output.symmetric import symmetry_verdicts
from structdiff.soundness import backbone_verdicts, bond_verdicts, handedness_verdicts
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import BondSpec, ComplexSpec, Site
from structdiff.spec.design import design_from_dict
from structdiff.structure.assembly import symmetric_assembly
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.complex import build_complex
from structdiff.structure.files import read_structure
from structdiff.structure.scaffold import build_scaffold
from structdiff.structure.tables import ChainKind

ZIPPER = read_structure(Path(__file__).parent / "evaluation/data/2zta.pdb")


def helix(contigs: str = "A1-8/3/A12-30 B1-30"):
    """A layout, and its molecules where the crystal has them, new residues included."""
    spec = completed(design_from_dict({"motif": "m.pdb", "contigs": contigs}), ZIPPER)
    layout = spec.sample_layout(np.random.default_rng(0))
    structure = build_scaffold(layout, ZIPPER).structure
    positions, resolved = structure.atoms.positions.copy(), structure.atoms.resolved.copy()
    for row in np.flatnonzero(~resolved):
        number = int(structure.residues.author_seq_id[structure.atoms.residue[row]])
        there = (ZIPPER.residues.author_seq_id[ZIPPER.atoms.residue] == number) & (
            ZIPPER.atoms.name == structure.atoms.name[row]
        )
        if there.any():
            positions[row], resolved[row] = ZIPPER.atoms.positions[there][0], True
    return layout, structure.with_positions(positions, resolved=resolved)


def row_of(structure, number: int, name: str) -> int:
    rows = (structure.residues.author_seq_id[structure.atoms.residue] == number) & (structure.atoms.name == name)
    return int(np.flatnonzero(rows)[0])


def test_a_natural_helix_is_whole() -> None:
    (verdict,) = backbone_verdicts(*reversed(helix()))
    assert verdict.met
    assert verdict.reached.startswith("whole, without clashes")


def test_a_mirrored_motif_is_told() -> None:
    _, structure = helix()
    (verdict,) = handedness_verdicts(structure)
    assert verdict.met
    (verdict,) = handedness_verdicts(
        structure.with_positions(structure.atoms.positions * np.array([-1, 1, 1], np.float32))
    )
    assert not verdict.met
    assert verdict.reached.startswith("0 of ")


def test_breaks_and_atoms_inside_each_other_are_told() -> None:
    layout, structure = helix()
    positions = structure.atoms.positions.copy()
    positions[row_of(structure, 10, "C")] += 2.5
    (verdict,) = backbone_verdicts(structure.with_positions(positions), layout)
    assert not verdict.met
    assert verdict.reached.startswith("1 breaks")
    positions = structure.atoms.positions.copy()
    positions[row_of(structure, 10, "O")] = positions[row_of(structure, 20, "CB")] + 1
    (verdict,) = backbone_verdicts(structure.with_positions(positions), layout)
    assert not verdict.met
    assert "too near" in verdict.reached


def test_a_chain_that_is_kept_whole_is_not_judged() -> None:
    spec = completed(design_from_dict({"motif": "m.pdb", "contigs": "A1-30 B1-30", "redesign": "A5"}), ZIPPER)
    layout = spec.sample_layout(np.random.default_rng(0))
    assert backbone_verdicts(build_scaffold(layout, ZIPPER).structure, layout) == []


def test_atoms_of_copies_that_share_an_axis_are_told() -> None:
    unit = ZIPPER.select(ZIPPER.chains.name[ZIPPER.atom_chain] == "A")
    unit = unit.select(unit.atoms.resolved)
    backbone = np.isin(unit.atoms.name, ("N", "CA", "C", "O"))
    positions = unit.atoms.positions - unit.atoms.positions[backbone].mean(0)
    positions = np.linalg.svd(positions[backbone], full_matrices=False)[2] @ positions.T  # along x
    positions = positions.T[:, [1, 2, 0]].astype(np.float32)  # along z, the axis
    unit = unit.with_positions(positions + [9.0, 0, 0], resolved=unit.atoms.resolved)
    group = point_group("C2")
    _, apart = symmetry_verdicts(symmetric_assembly(unit, group), group)
    assert "other atoms" not in apart.reached
    positions = unit.atoms.positions.copy()
    positions[np.flatnonzero(unit.atoms.name == "CG")[3]] = [0.2, 0, 0]
    _, shared = symmetry_verdicts(symmetric_assembly(unit.with_positions(positions), group), group)
    assert shared.reached.endswith("other atoms 0.4 Å")
    assert not shared.met


def test_calcium_joins_no_copies() -> None:
    residues = [ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("ALA",) * 3),
                ChainSequence(name="B", kind=ChainKind.LIGAND, residues=("CA",))]  # fmt: skip
    unit = build_structure(residues)
    ion = unit.residues.name[unit.atoms.residue] == "CA"
    apart = np.arange(len(unit.atoms))[:, None] * np.array([1.5, 0, 0]) + [15.0, 0, 0]
    unit = unit.with_positions(np.where(ion[:, None], [2.0, 0, 0], apart).astype(np.float32))
    group = point_group("C2")
    _, copies = symmetry_verdicts(symmetric_assembly(unit, group), group)
    assert copies.reached.startswith("not joined by 0 contacts")


def test_few_residues_that_are_near_are_where_they_began() -> None:
    given = ZIPPER.atoms.positions.astype(np.float64)
    noise = np.random.default_rng(0).normal(0.0, 0.8, given.shape)

    def verdict(residues: int, scale: float):
        begun = ZIPPER.atoms.resolved & (ZIPPER.atoms.residue < residues)
        return start_verdict(ZIPPER.with_positions(given + scale * noise), given, begun)

    near, far, many = verdict(8, 1.0), verdict(8, 3.0), verdict(31, 3.0)
    assert near.met
    assert "or 2 Å RMSD" in near.asked
    assert float(near.reached.split()[1].rstrip(",")) < 0.5
    assert not far.met
    assert "RMSD" not in many.asked


def test_of_a_prediction_every_protein_chain_is_judged() -> None:
    (verdict,) = backbone_verdicts(ZIPPER)
    assert verdict.met
    positions = ZIPPER.atoms.positions.copy()
    positions[ZIPPER.atoms.residue >= 10] += 3.0
    (verdict,) = backbone_verdicts(ZIPPER.with_positions(positions))
    assert not verdict.met
    assert verdict.reached.startswith("1 breaks")


def ligand(code: str, **components):
    """A ligand at the ideal positions of its component."""
    structure = build_structure(
        [ChainSequence(name="L", kind=ChainKind.LIGAND, residues=(code,))], components=components
    )
    return structure.with_positions(component(code, components).ideal_positions)


def test_every_stereocentre_is_judged() -> None:
    right = ligand("TA1")
    (verdict,) = handedness_verdicts(right)
    assert verdict.met
    assert verdict.reached == "11 of 11 centres"
    (verdict,) = handedness_verdicts(right.with_positions(-right.atoms.positions))
    assert not verdict.met
    assert verdict.reached.startswith("0 of 11 centres, wrong: L/1/C")
    assert verdict.reached.endswith(", ...")
    (verdict,) = handedness_verdicts(ZIPPER)
    assert verdict.met
    assert handedness_verdicts(ligand("BNZ")) == []


def test_a_ligand_without_conformer_is_not_met() -> None:
    drawn = component_from_smiles("C[C@H](O)C(=O)N", "LAC")
    flat = dataclasses.replace(drawn, ideal_positions=drawn.ideal_positions * np.float32([1, 1, 0]))
    (verdict,) = handedness_verdicts(ligand("LAC", LAC=flat))
    assert not verdict.met
    assert verdict.reached.endswith("no sound conformer to judge chain L by")


def test_every_bond_of_a_complex_is_judged() -> None:
    one, other, zinc = Site(chain="A", residue=1, atom="SG"), Site(chain="A", residue=4, atom="SG"), "Z"
    spec = ComplexSpec(
        chains=(
            ChainSpec(ids=("A",), kind="protein", sequence="CGGCGH", cyclic=True),
            ChainSpec(ids=(zinc,), kind="ligand", ccd=("ZN",)),
        ),
        bonds=(
            BondSpec(atom1=one, atom2=other),
            BondSpec(atom1=other, atom2=one),
            BondSpec(atom1=Site(chain="A", residue=6, atom="NE2"), atom2=Site(chain=zinc, residue=1, atom="ZN")),
        ),
    )
    structure = build_complex(spec)
    asked = complex_bonds(spec, structure)
    assert [name for name, _ in asked] == ["bond A/1/SG - A/4/SG", "bond A/6/NE2 - Z/1/ZN", "cyclic A"]
    lengths = {"bond A/1/SG - A/4/SG": 2.05, "bond A/6/NE2 - Z/1/ZN": 2.3, "cyclic A": 1.6}
    positions = 50.0 * np.arange(len(structure.atoms))[:, None] * np.float32([0, 1, 0])
    for name, (first, last) in asked:
        positions[last] = positions[first] + np.float32([lengths[name], 0, 0])
    found = bond_verdicts(asked, structure.with_positions(positions))
    assert [verdict.met for verdict in found] == [True, True, False]
    assert found[0].asked == "bond of 2.03 ± 0.1 Å"
    assert found[2].reached == "1.60 Å"


def test_bonds_to_metals_are_as_long_as_the_metal_makes_them() -> None:
    asked = {"ZN": "2.1", "K": "2.81", "CA": "2.38"}
    for code, length in asked.items():
        ends = Site(chain="A", residue=2, atom="OD1"), Site(chain="M", residue=1, atom=code)
        chains = (
            ChainSpec(ids=("A",), kind="protein", sequence="GDG"),
            ChainSpec(ids=("M",), kind="ligand", ccd=(code,)),
        )
        spec = ComplexSpec(chains=chains, bonds=(BondSpec(atom1=ends[0], atom2=ends[1]),))
        structure = build_complex(spec)
        (verdict,) = bond_verdicts(complex_bonds(spec, structure), structure)
        assert verdict.asked == f"bond of {length} ± 0.4 Å"
