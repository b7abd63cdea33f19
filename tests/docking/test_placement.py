"""Which ligands of a complex are docked, into what, and what else stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from structdiff.complex_jobs import complex_job
from structdiff.docking import placement, search
from structdiff.docking.placement import LigandDocking
from structdiff.features.requests import Proximity
from structdiff.geometry.rotations import random_rotation
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind
from tests.docking.examples import streptavidin

PEPTIDE = ("ALA", "SER", "TRP", "LYS", "ASN", "GLU", "GLY", "HIS", "LEU", "VAL")


def complex_of(*ligands, bonds=(), polymer=ChainKind.PROTEIN, residues=PEPTIDE):
    """A polymer with chains of ligands L, M, ... of these components."""
    names = "LMNOPQ"
    chains = [ChainSequence(name="A", kind=polymer, residues=residues)]
    chains += [
        ChainSequence(name=name, kind=ChainKind.LIGAND, residues=tuple(own.split()))
        for name, own in zip(names, ligands, strict=False)
    ]
    return build_structure(chains, bonds=bonds)


def docking_of(structure, known=None, asked=()):
    return LigandDocking.of(structure, np.zeros(len(structure.atoms), bool) if known is None else known, asked)


def docked_chains(docking):
    structure = docking.structure
    return [sorted(set(structure.chains.name[structure.atom_chain[rows]].tolist())) for rows in docking.ligands]


@pytest.mark.parametrize(
    "structure",
    [
        complex_of(),
        complex_of("EDO"),  # one atom less than the smallest
        complex_of("CL"),
        complex_of("GOL", residues=("GLY", "GLY")),  # nothing to dock it to
        complex_of("NAG", bonds=[(("A", 5, "ND2"), ("L", 1, "C1"))]),
    ],
)
def test_nothing_to_dock(structure):
    assert docking_of(structure) is None


def test_the_largest_come_first_and_several_of_a_chain_by_themselves():
    docking = docking_of(complex_of("GOL", "BTN", "GOL GOL", "ZN"))
    assert [len(rows) for rows in docking.ligands] == [16, 6, 6, 6]
    assert docked_chains(docking) == [["M"], ["L"], ["N"], ["N"]]
    assert len(docking.ions) == 1


def test_components_that_are_bonded_are_one_ligand():
    docking = docking_of(complex_of("NAG", "NAG", bonds=[(("L", 1, "O4"), ("M", 1, "C1"))]))
    assert docked_chains(docking) == [["L", "M"]]


def test_all_that_is_not_docked_is_in_the_way():
    """A sugar on the polymer, small molecules and ions that are no metals are; what is docked later is not yet."""
    structure = complex_of("BTN", "NAG", "EDO", "CL", "ZN", bonds=[(("A", 5, "ND2"), ("M", 1, "C1"))])
    docking = docking_of(structure)
    there = set(structure.chains.name[structure.atom_chain[docking.receptor]].tolist())
    assert there == {"A", "M", "N", "O"}
    assert docked_chains(docking) == [["L"]]


def test_water_is_not_in_the_way():
    chains = [
        ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=PEPTIDE),
        ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("BTN",)),
        ChainSequence(name="W", kind=ChainKind.WATER, residues=("HOH",)),
    ]
    docking = docking_of(build_structure(chains))
    assert docking.receptor.sum() == len(docking.structure.atoms) - 16 - 1


def test_what_a_template_tells_of_is_not_docked_but_docked_to():
    structure = complex_of("BTN", "GOL")
    of_biotin = structure.chains.name[structure.atom_chain] == "L"
    docking = docking_of(structure, known=of_biotin)
    assert docked_chains(docking) == [["M"]]
    assert docking.receptor[of_biotin].all()
    assert docking_of(complex_of("BTN"), known=np.ones(len(complex_of("BTN").atoms), bool)) is None


def test_a_receptor_of_nucleic_acid_alone():
    docking = docking_of(complex_of("GOL", polymer=ChainKind.RNA, residues=("A", "C", "G", "U")))
    assert docked_chains(docking) == [["L"]]


def test_a_job_knows_what_is_bonded_and_asked():
    chains = (
        ChainSpec(ids=("A",), kind="protein", sequence="ASWKNEGHLV"),
        ChainSpec(ids=("L",), kind="ligand", ccd=("NAG",)),
        ChainSpec(ids=("M",), kind="ligand", ccd=("GOL",)),
    )
    bond = {"atom1": ("A", 5, "ND2"), "atom2": ("L", 1, "C1")}
    pocket = {"binder": "M", "contacts": (("A", 3),), "max_distance": 5.0}
    from structdiff.spec.complex import BondSpec, PocketSpec

    job = complex_job(ComplexSpec(chains=chains, bonds=(BondSpec(**bond),), constraints=(PocketSpec(**pocket),)))
    assert docked_chains(job.docking.ligands) == [["M"]]
    assert [each.name for each in job.docking.ligands.asked] == ["pocket M - A/3"]


@pytest.fixture(scope="module")
def biotin():
    """Streptavidin with biotin in the middle of everything, turned at random."""
    structure, rows = streptavidin()
    positions = torch.from_numpy(structure.atoms.positions.copy())
    turn = random_rotation(generator=torch.Generator().manual_seed(0))
    positions[rows] = (positions[rows] - positions[rows].mean(0)) @ turn.mT + positions.mean(0)
    return structure, rows, positions


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def quick(monkeypatch):
    """A search that is too short to find the best."""
    monkeypatch.setattr(search, "_ROUNDS", 3)
    monkeypatch.setattr(placement, "_POSES", 16)
    monkeypatch.setattr(placement, "_SITES", 2)


def test_biotin_finds_its_pocket_with_nothing_told(biotin):
    structure, rows, positions = biotin
    before = positions.clone()
    placed, (docked,) = docking_of(structure).placed(positions, generator())
    assert torch.equal(positions, before)
    true = torch.from_numpy(structure.atoms.positions)
    assert (placed[rows] - true[rows]).square().sum(-1).mean().sqrt() < 1.5
    others = np.setdiff1d(np.arange(len(positions)), rows)
    assert torch.equal(placed[others], positions[others])
    assert docked.rows.tolist() == rows.tolist()
    assert not docked.told
    assert docked.chance > 0.7


def nearest(placed, rows, others):
    return torch.cdist(placed[rows], placed[others]).min().item()


@pytest.mark.parametrize("flipped", [False, True])
def test_a_residue_that_is_asked_for_is_met(biotin, quick, flipped):
    structure, rows, positions = biotin
    # On the other side of the protein than its pocket.
    near = np.flatnonzero(structure.residues.author_seq_id[structure.atoms.residue] == 84)
    first, second = (rows, near) if flipped else (near, rows)
    asked = Proximity(name="pocket", first=first, second=second, bound=5.0)
    placed, (docked,) = docking_of(structure, asked=(asked,)).placed(positions, generator())
    assert nearest(placed, rows, near) <= 5.0
    assert docked.told


def test_what_is_to_be_avoided_is(biotin):
    structure, rows, positions = biotin
    pocket = np.flatnonzero(structure.residues.author_seq_id[structure.atoms.residue] == 128)
    asked = Proximity(name="away", first=pocket, second=rows, bound=15.0, avoid=True)
    placed, (docked,) = docking_of(structure, asked=(asked,)).placed(positions, generator())
    assert nearest(placed, rows, pocket) > 12.0
    assert not docked.told


def test_same_random_numbers_same_bits_whatever_the_threads(biotin, quick):
    structure, rows, positions = biotin
    docking = docking_of(structure)
    one, other = (docking.placed(positions, generator(seed))[0] for seed in (1, 2))
    torch.set_num_threads(2)
    try:
        again = docking.placed(positions, generator(1))[0]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert torch.equal(one, again)
    assert not torch.equal(one[rows], other[rows])


def test_a_ligand_without_a_site_stays_where_it_was_drawn(biotin, monkeypatch):
    structure, _, positions = biotin
    monkeypatch.setattr(placement, "binding_sites", lambda *_: [])
    placed, docked = docking_of(structure).placed(positions, generator())
    assert torch.equal(placed, positions)
    assert docked == ()


def test_a_ligand_stays_where_no_pose_meets_as_much_of_what_is_asked(biotin, quick, monkeypatch):
    structure, rows, positions = biotin
    near = np.flatnonzero(structure.residues.author_seq_id[structure.atoms.residue] == 84)
    positions = positions.clone()
    positions[rows] += positions[near].mean(0) - positions[rows].mean(0)  # right on what is asked for
    asked = Proximity(name="pocket", first=near, second=rows, bound=5.0)
    far = positions[rows][None] + torch.tensor([30.0, 0.0, 0.0])
    docking = docking_of(structure, asked=(asked,))
    assert docking.placed(positions, generator())[1]
    monkeypatch.setattr(placement, "found_poses", lambda *_: (far, torch.tensor([-50.0])))
    placed, docked = docking.placed(positions, generator())
    assert torch.equal(placed, positions)
    assert docked == ()


def as_a_helix(structure):
    """Positions (Å) that are a helix about as much as a network draws one."""
    steps = np.arange(len(structure.residues))[structure.atoms.residue]
    helix = 3.8 * np.stack([np.cos(1.7 * steps), np.sin(1.7 * steps), 0.4 * steps], -1)
    noise = np.random.default_rng(0).normal(size=(len(structure.atoms), 3))
    return torch.from_numpy((helix + noise).astype(np.float32))


def test_of_three_equal_ligands_of_a_chain_one_is_where_the_chain_is_to_be(quick):
    structure = complex_of("GOL GOL GOL")
    chain = np.flatnonzero(structure.chains.name[structure.atom_chain] == "L")
    tip = np.arange(len(structure.atoms))[structure.residue_atoms(9)]
    asked = Proximity(name="pocket", first=tip, second=chain, bound=4.5)
    placed, docked = docking_of(structure, asked=(asked,)).placed(as_a_helix(structure), generator())
    assert [each.told for each in docked] == [True, False, False]
    assert nearest(placed, docked[0].rows, tip) <= 4.5


def test_ligands_keep_out_of_each_other(quick):
    structure = complex_of("BTN", "GOL", "GOL GOL")
    docking = docking_of(structure)
    placed, docked = docking.placed(as_a_helix(structure), generator())
    assert placed.isfinite().all()
    assert len(docked) == len(docking.ligands)
    for number, one in enumerate(docking.ligands):
        for other in docking.ligands[:number]:
            assert nearest(placed, one, other) > 2.0


def test_an_extended_ligand_that_was_drawn_in_one_point_is_docked_too(biotin, quick):
    structure, rows, positions = biotin
    heap = positions.clone()
    heap[rows] = heap[rows].mean(0) + 0.01 * torch.randn(len(rows), 3, generator=generator())
    placed, _ = docking_of(structure).placed(heap, generator())
    one, other = structure.bonds.atom_1, structure.bonds.atom_2
    own = np.isin(one, rows)
    lengths = (placed[one[own]] - placed[other[own]]).norm(dim=-1)
    assert lengths.min() > 1.1
    assert lengths.max() < 2.1
