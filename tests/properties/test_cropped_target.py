"""A target that was cropped for the network is whole in the files, and everything is judged with all of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from structdiff.campaign.refolding import complex_of
from structdiff.design_jobs import job_of
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.options import RunOptions
from structdiff.output.files import write_design
from structdiff.output.trajectory import write_trajectory
from structdiff.output.whole_target import WholeTarget, drawn_part
from structdiff.pipeline import design, layouts
from structdiff.spec.design import design_from_dict
from structdiff.structure.files import read_structure
from structdiff.structure.motif_residues import left_out_atoms
from structdiff.verdicts import crop_verdict, design_verdicts

ZIPPER = Path(__file__).parents[2] / "examples" / "problems" / "zipper.pdb"
QUICK = RunOptions(sampling=SamplingConfig(steps=6, solver="euler", sigma_max=300.0))
ASKED = {"motif": str(ZIPPER), "contigs": "12 A B", "hotspots": "A5", "seed": 1}


def atoms(structure, chains=("A", "B")) -> dict[tuple, np.ndarray]:
    """Positions of resolved atoms by chain, number and name."""
    residues = structure.residues
    return {
        (chain, int(residues.author_seq_id[residue]), str(structure.atoms.name[row])): structure.atoms.positions[row]
        for row in np.flatnonzero(structure.atoms.resolved)
        if (chain := str(structure.chains.name[residues.chain[residue := structure.atoms.residue[row]]])) in chains
    }


def test_the_whole_target_is_in_the_files_under_its_own_names(tmp_path):
    spec = design_from_dict({**ASKED, "target_crop": "24"})
    (one,) = design(spec, options=dataclasses.replace(QUICK, trajectory=3))
    given = {key: value for key, value in atoms(read_structure(ZIPPER)).items() if key[2] != "OXT"}
    write_design(one, tmp_path, "x")
    for suffix in ("cif", "pdb"):
        found = atoms(read_structure(tmp_path / f"x.{suffix}"))
        assert set(given) <= set(found)
        assert max(np.abs(found[key] - given[key]).max() for key in given) < 0.02
    residue_map = json.loads((tmp_path / "x.residue_map.json").read_text())
    rows = {(row["motif"]["chain"], row["motif"]["number"]): row for row in residue_map["residues"]}
    assert set(rows) == {key[:2] for key in given}
    assert all(row["design"] == row["motif"] for row in rows.values())
    (drawn,) = layouts(spec)
    missing = [key for key, row in rows.items() if not row.get("drawn", True)]
    assert len(missing) == len(rows) - (len(drawn) - 12) > 30
    left = [key for key in given if key[:2] in missing]
    assert max(np.abs(atoms(one.structure)[key] - given[key]).max() for key in left) < 1e-3  # they never moved
    assert {each["chain"]: each["length"] for each in residue_map["chains"]}["C"] == 12
    # What the network saw is what it judges, and what it is asked to predict anew.
    assert len(one.confidence.plddt) == len(drawn)
    part = drawn_part(read_structure(tmp_path / "x.cif"), residue_map)
    assert len(part.residues) == len(drawn)
    assert sum(len(chain.sequence) for chain in complex_of(part, "x").chains) == len(drawn)
    write_trajectory(one, tmp_path, "x")
    assert (tmp_path / "x.trajectory.cif").stat().st_size > 1000


def test_a_chain_that_is_left_out_altogether_keeps_its_name():
    spec = design_from_dict({**ASKED, "hotspots": "B29", "target_crop": "10"})
    job = job_of(spec, 0)
    assert job.whole is not None
    assert "A" not in job.layout.chains
    assert set(job.layout.chains) == {"B", "C"}
    assert list(job.whole.layout.chains) == ["C", "A", "B"]
    assert set(layouts(spec)[0].chains) == {"B", "C"}


def test_everything_is_judged_with_all_of_the_target():
    """A binder that lies in the part which was left out clashes with it, and touches it."""
    job = job_of(design_from_dict({**ASKED, "target_crop": "24"}), 0)
    assert isinstance(job.whole, WholeTarget)
    structure = job.structure
    new = np.array([residue.origin is None for residue in job.layout.residues])[structure.atoms.residue]
    left = job.whole.left_out[job.whole.structure.atoms.residue] & job.whole.structure.atoms.resolved
    there = job.whole.structure.atoms.positions[left]
    positions = structure.atoms.positions.copy()
    positions[new] = there[np.arange(int(new.sum())) % len(there)]
    moved = structure.with_positions(positions, resolved=structure.atoms.resolved | new)
    whole = job.whole.completed(moved)
    assert len(whole.residues) == len(job.whole.layout)
    placed = torch.from_numpy(moved.atoms.positions[moved.atoms.resolved].astype(np.float64))
    found = {
        each.name: each
        for each in design_verdicts(
            job.spec, job.whole.layout, whole, user=job.spec, terms=(), placed=placed, motif=job.motif
        )
    }
    assert not found["target crop"].met
    assert found["target touched"].met


@pytest.mark.parametrize(
    ("name", "away", "met"), [("OD1", 2.6, True), ("OD1", 2.2, False), ("O", 2.6, False), ("O", 3.0, True)]
)
def test_side_chains_may_bond_to_what_was_not_drawn(name, away, met):
    job = job_of(design_from_dict({**ASKED, "target_crop": "24"}), 0)
    structure, left = job.structure, left_out_atoms(job.spec, job.motif).astype(np.float64)
    new = np.array([residue.origin is None for residue in job.layout.residues])[structure.atoms.residue]
    row = int(np.flatnonzero(new & (structure.atoms.name == "O"))[0])
    # From the outermost atom of what was left out straight away from all of it.
    outward = left - left.mean(0)
    outermost = int(np.argmax(np.linalg.norm(outward, axis=1)))
    positions = structure.atoms.positions.copy()
    positions[row] = left[outermost] + away * outward[outermost] / np.linalg.norm(outward[outermost])
    names = structure.atoms.name.astype("U4")
    names[row] = name
    alone = dataclasses.replace(structure, atoms=dataclasses.replace(structure.atoms, name=names)).with_positions(
        positions, resolved=np.arange(len(new)) == row
    )
    verdict = crop_verdict(job.spec, job.layout, alone, job.motif)
    assert verdict.met == met
    assert f"{away:.1f} Å" in verdict.reached


def test_copies_have_their_whole_targets(tmp_path):
    (one,) = design(design_from_dict({**ASKED, "target_crop": "24", "symmetry": "C2"}), options=QUICK)
    write_design(one, tmp_path, "x")
    found = read_structure(tmp_path / "x.cif")
    assert len(found.chains) == 6
    assert len(found.residues) == 2 * (12 + len({key[:2] for key in atoms(read_structure(ZIPPER))}))
    assert {each.name: each.met for each in one.verdicts}["symmetry"]
    assert len(one.judged.residues) < len(found.residues)
