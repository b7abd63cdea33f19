"""Axes found from the copies that a motif's file holds, for every kind of group, however the file stands."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from structdiff.design_jobs import resolve_design
from structdiff.errors import InputError
from structdiff.features.symmetric_motif import frame_of
from structdiff.geometry.point_groups import point_group
from structdiff.spec.design import design_from_dict
from structdiff.structure.assembly import symmetric_assembly
from structdiff.structure.files import read_structure, write_structure
from structdiff.structure.tables import Structure

MOTIF = Path(__file__).parents[2] / "examples" / "5tpn_site_v.pdb"


def assembly(group: str, *, noise: float = 0.0, seed: int = 0) -> Structure:
    """Copies of the motif around axes that stand anyhow; chains in another order than that of the operators."""
    rng = np.random.default_rng(seed)
    unit = read_structure(MOTIF)
    unit = unit.with_positions(unit.atoms.positions - unit.atoms.positions.mean(0) + [14.0, 5.0, 9.0])
    whole = symmetric_assembly(unit, point_group(group))
    turn = Rotation.random(random_state=seed).as_matrix()
    positions = whole.atoms.positions @ turn.T + rng.uniform(-40, 40, 3)
    count = len(whole.chains)
    shift = rng.normal(scale=noise / 3**0.5, size=(count, 3))[whole.atom_chain]
    names = whole.chains.name.copy()
    names[1:] = rng.permutation(names[1:])
    named = dataclasses.replace(whole, chains=dataclasses.replace(whole.chains, name=names))
    return named.with_positions(positions + shift)


@pytest.mark.parametrize("group", ["C2", "C3", "C5", "D2", "D3", "D5", "T", "O", "I"])
def test_the_axes_are_found_and_the_copies_lie_on_the_operators(group):
    whole, operators = assembly(group, seed=len(group)), point_group(group)
    found = frame_of(whole, "A", operators)
    assert found.rmsd < 0.01
    assert sorted(found.copies) == sorted(whole.chains.name.tolist())
    own = [whole.atoms.positions[whole.chains.name[whole.atom_chain] == name] for name in found.copies]
    moved = [(np.asarray(each, np.float64) - found.centre) @ found.rotation.T for each in own]
    for rotation, each in zip(operators.rotations, moved, strict=True):
        assert np.abs(each - moved[0] @ rotation.T).max() < 0.02


def test_a_part_of_the_symmetry_may_be_asked_for():
    assert frame_of(assembly("D3"), "A", point_group("C3")).rmsd < 0.01
    assert frame_of(assembly("T"), "A", point_group("D2")).rmsd < 0.01


def test_copies_that_are_nearly_symmetric_are_and_others_are_told_with_numbers():
    assert 0.1 < frame_of(assembly("C4", noise=0.5), "A", point_group("C4")).rmsd < 1.0
    with pytest.raises(InputError, match=r"symmetry C4: \d\.\d\d Å RMSD from it, where 1 Å are allowed"):
        frame_of(assembly("C4", noise=6.0), "A", point_group("C4"))
    with pytest.raises(InputError, match=r"D2: they are turned by .*90° .* those of D2 by 180°"):
        frame_of(assembly("C4"), "A", point_group("D2"))
    with pytest.raises(InputError, match=r"C4 has 4 copies, and the motif's file holds 3 of chain A .*A, "):
        frame_of(assembly("C3"), "A", point_group("C4"))


def test_a_design_stands_in_the_frame_that_was_found(tmp_path):
    path = tmp_path / "trimer.cif"
    write_structure(assembly("C3", seed=4), path)
    asked = {"contigs": "5/A165-175/5", "motif": str(path), "symmetry": "C3:motif=copies"}
    spec, motif = resolve_design(design_from_dict(asked))
    assert motif is not None
    assert spec.symmetry is not None
    assert spec.symmetry.motif_placed
    alpha = (motif.atoms.name == "CA") & motif.atoms.resolved
    one, two = (motif.atoms.positions[alpha & (motif.chains.name[motif.atom_chain] == name)] for name in "AB")
    images = [one @ rotation.T for rotation in point_group("C3").rotations[1:]]
    assert min(np.abs(two - image).max() for image in images) < 0.02
    with pytest.raises(InputError, match=r"trimer.cif.*symmetry C2: they are turned by 120°"):
        resolve_design(design_from_dict({**asked, "symmetry": "C2:motif=copies"}))


def test_a_component_means_the_ligands_of_one_copy(tmp_path):
    """That of the motif's copy, and not its images; one that is named by its residue is taken as asked for."""
    path = tmp_path / "zinc.pdb"
    write_structure(assembly("C3", seed=4), path)
    motif = read_structure(path)
    ends = [line for line in path.read_text().splitlines() if line.startswith("END")]
    alpha = (motif.atoms.name == "CA") & motif.atoms.resolved
    lines = path.read_text().removesuffix("".join(f"{end}\n" for end in ends))
    ending = "  1.00  0.00          ZN"
    for number, chain in enumerate("BAC"):  # the first of the file is not that of the motif's chain
        x, y, z = motif.atoms.positions[alpha & (motif.chains.name[motif.atom_chain] == chain)][0] + 0.3
        lines += f"HETATM{9000 + number:5} ZN    ZN {chain} {900 + number}    {x:8.3f}{y:8.3f}{z:8.3f}{ending}\n"
    path.write_text(lines + "END\n")
    asked = {"contigs": "5/A165-175/5", "motif": str(path), "symmetry": "C3:motif=copies"}
    assert resolve_design(design_from_dict({**asked, "ligands": "ZN"}))[0].ligands == ("A901",)
    assert resolve_design(design_from_dict({**asked, "ligands": "ZN,B900"}))[0].ligands == ("B900",)
    both = resolve_design(design_from_dict({**asked, "ligands": "A901,B900"}))[0]
    assert both.ligands == ("A901", "B900")
    free = resolve_design(design_from_dict({**asked, "ligands": "ZN", "symmetry": "C3"}))[0]
    assert len(free.ligands) == 3
