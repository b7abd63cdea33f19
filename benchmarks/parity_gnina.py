"""Compares what GNINA's networks say of poses with what the published packages say, and rewrites the golden numbers.

    pip install --target FOLDER "numpy<2" openbabel-wheel molgrid pyquaternion
    pip install --target FOLDER --no-deps gninatorch==0.0.2
    structdiff weights fetch gnina
    rm -r FOLDER/tests
    PYTHONPATH=FOLDER python benchmarks/parity_gnina.py [--write]

The poses are those of tests/docking/gnina_cases.py. There libmolgrid lays atoms on the grid, and gninatorch's networks
with the package's own weights read it: once atoms of our types, by which the golden numbers are, and once those that
Open Babel reads from files of receptor and ligand, adds hydrogens to and types. Prints atoms whose channels or radii
differ, and by how much grids, probabilities and pK do at most.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import molgrid  # before RDKit, which it can only be loaded ahead of
import numpy as np
import torch

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from structdiff.docking.gnina_atoms import NUM_CHANNELS, GninaAtoms  # noqa: E402
from structdiff.docking.pose_scorer import GNINA, PoseScores, _grid, scored_poses  # noqa: E402
from structdiff.published_weights import full_names  # noqa: E402
from structdiff.structure.files import write_atomically, write_structure  # noqa: E402
from structdiff.structure.ligand_molecules import ligand_molecule  # noqa: E402
from tests.docking.gnina_cases import CASES, GOLDEN, Case  # noqa: E402

#: Positions (Å), channels and radii.
Atoms = tuple[np.ndarray, np.ndarray, np.ndarray]
_SAME = 0.01  # Å: atoms of files, which have three digits


def coordinates(atoms: Atoms) -> molgrid.CoordinateSet:
    positions, channel, radius = atoms
    return molgrid.CoordinateSet(
        np.ascontiguousarray(positions, np.float32), channel.astype(np.float32), radius.astype(np.float32), NUM_CHANNELS
    )


def typed(case: Case) -> tuple[Atoms, Atoms]:
    """The receptor's atoms and the ligand's, as Open Babel reads files of them and libmolgrid types them."""
    from openbabel import pybel
    from rdkit import Chem

    receptor = case.structure.select(case.receptor)
    with tempfile.TemporaryDirectory() as folder:
        pdb, sdf = Path(folder) / "receptor.pdb", Path(folder) / "ligand.sdf"
        write_structure(receptor, pdb)
        with Chem.SDWriter(str(sdf)) as writer:
            writer.write(ligand_molecule(case.structure, case.ligand))
        molecules = [next(pybel.readfile("pdb", str(pdb))), next(pybel.readfile("sdf", str(sdf)))]
    for molecule in molecules:
        molecule.addh()
    typers = (molgrid.defaultGninaReceptorTyper, molgrid.defaultGninaLigandTyper)
    first, second = (arrays(each.OBMol, typer) for each, typer in zip(molecules, typers, strict=True))
    return first, second


def arrays(molecule: object, typer: object) -> Atoms:
    atoms = molgrid.CoordinateSet(molecule, typer)
    kept = [getattr(atoms, name).tonumpy().copy() for name in ("coords", "type_index", "radii")]
    return kept[0], kept[1].astype(np.int64), kept[2]


def print_atoms(case: Case, receptor: Atoms, ligand: Atoms) -> None:
    """The atoms that are another channel's or another radius' there."""
    ours, structure = GninaAtoms.of(case.structure), case.structure
    places = structure.atoms.positions
    for name, rows, channels, there in (
        ("receptor", np.flatnonzero(case.receptor), ours.receptor, receptor),
        ("ligand", case.ligand, ours.ligand, ligand),
    ):  # fmt: skip
        positions, channel, radius = there
        near = np.linalg.norm(places[rows][:, None] - positions[None], axis=-1)
        other, found = near.argmin(1), near.min(1) < _SAME
        wrong = ~found | (channel[other] != channels[rows]) | (np.abs(radius[other] - ours.radius[rows]) > 1e-3)
        print(f"  {name}: {int(wrong.sum())} of {len(rows)} atoms differ")
        for row, its in zip(rows[wrong], channel[other][wrong], strict=True):
            residue = structure.residues.name[structure.atoms.residue[row]]
            print(f"    {residue} {structure.atoms.name[row]}: channel {channels[row]} here, {its} there")


def published(case: Case, receptor: Atoms, ligand: Atoms) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """[network, pose, probability and pK] by gninatorch, and the grids of the poses by libmolgrid."""
    from gninatorch.gnina import load_gnina_model

    maker, grids = molgrid.GridMaker(resolution=0.5, dimension=23.5), []
    own = case.structure.atoms.positions[case.ligand]
    order = np.linalg.norm(ligand[0][:, None] - own[None], axis=-1).argmin(1)
    for pose in case.poses:
        moved = coordinates((pose[order].numpy(), *ligand[1:]))
        grids.append(torch.zeros(28, 48, 48, 48))
        maker.forward(moved.center(), molgrid.CoordinateSet(coordinates(receptor), moved), grids[-1])
    answers = []
    for name in full_names(GNINA):
        network = load_gnina_model(name.removeprefix("gnina_")).eval()
        with torch.inference_mode():
            pose, affinity = network(torch.stack(grids))
        answers.append(torch.stack([pose[:, 1].exp(), affinity], -1))
    return torch.stack(answers), grids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    arguments, golden = parser.parse_args(), {}
    for name, make in CASES.items():
        case = make()
        atoms, places = GninaAtoms.of(case.structure), case.structure.atoms.positions
        own = tuple(
            (places[rows], channels[rows], atoms.radius[rows])
            for rows, channels in ((np.flatnonzero(case.receptor), atoms.receptor), (case.ligand, atoms.ligand))
        )
        ours = scored_poses(atoms, places, case.receptor, case.ligand, case.poses)
        answers, grids = published(case, *own)
        off = max(
            float((_grid(atoms, places, case.receptor, case.ligand, pose.float()) - grid).abs().max())
            for pose, grid in zip(case.poses, grids, strict=True)
        )
        print(f"{name}: grids off by {off:.1g}")
        print_answers("atoms typed here", answers, ours)
        babel = typed(case)
        print_atoms(case, *babel)
        print_answers("atoms typed by Open Babel", published(case, *babel)[0], ours)
        probability, affinity = answers.mean(0).T
        spread = answers[..., 1].std(0, correction=0)
        golden[name] = {
            key: [round(each, 6) for each in values.tolist()]
            for key, values in (("probability", probability), ("affinity", affinity), ("spread", spread))
        }
    if arguments.write:
        GOLDEN.parent.mkdir(exist_ok=True)
        write_atomically(GOLDEN, json.dumps(golden, indent=1) + "\n")


def print_answers(label: str, answers: torch.Tensor, ours: PoseScores) -> None:
    """What the packages say, and by how much ours is off."""
    probability, affinity = answers.mean(0).T
    print(f"  {label}: probabilities {probability.min():.3f} to {probability.max():.3f}, off by "
          f"{float((probability - ours.probability).abs().max()):.1g}; pK {affinity.min():.2f} to "
          f"{affinity.max():.2f}, off by {float((affinity - ours.affinity).abs().max()):.1g}")  # fmt: skip


if __name__ == "__main__":
    main()
