from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structdiff.errors import InputError
from structdiff.features.crop import crop_contiguous, crop_spatial, residue_tokens
from structdiff.features.tokens import tokenise
from structdiff.structure.tables import ChainKind
from structdiff.training.converter import convert_structures
from structdiff.training.dataset import StructureSet

COLLECTION = Path(__file__).parents[1] / "training" / "data" / "collection"
NAMES = ("1orc", "3bhe", "1pfe", "1fix", "8coh", "1a30", "2q2k", "1vfy")


@pytest.fixture(scope="module")
def structures(tmp_path_factory):
    out = tmp_path_factory.mktemp("set") / "out"
    convert_structures(COLLECTION, out, progress=False)
    found = {}
    for split in ("train", "val", "test"):
        entries = StructureSet(out, split)
        found.update({name: entries.structure(i) for i, name in enumerate(entries.names) if name in NAMES})
    assert set(found) == set(NAMES)
    return found


def centres(structure):
    """Centre atom of each residue, the first observed atom of a ligand."""
    names = np.where(structure.chains.kind[structure.atom_chain] == ChainKind.PROTEIN, "CA", "C1'")
    place = np.full((len(structure.residues), 3), np.nan)
    for residue in range(len(structure.residues)):
        rows = np.arange(len(structure.atoms))[structure.residue_atoms(residue)]
        rows = rows[structure.atoms.resolved[rows]]
        chosen = rows[structure.atoms.name[rows] == names[rows]]
        if len(rows):
            place[residue] = structure.atoms.positions[chosen[0] if len(chosen) else rows[0]]
    return place


def identity(structure):
    """What tells residues apart: chain, label number, name, number of atoms."""
    sizes = np.diff(structure.residues.atom_start, append=len(structure.atoms))
    labels = structure.chains.label_id[structure.residues.chain]
    columns = (labels, structure.residues.label_seq_id, structure.residues.name, sizes)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_tokens_are_those_of_the_features(structures):
    for s in structures.values():
        assert residue_tokens(s).tolist() == np.bincount(tokenise(s).residue, minlength=len(s.residues)).tolist()


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(NAMES), max_tokens=st.integers(1, 260), seed=st.integers(0, 10_000), spatial=st.booleans())
def test_crops_fit_and_hold_whole_residues(structures, name, max_tokens, seed, spatial):
    s = structures[name]
    part = (crop_spatial if spatial else crop_contiguous)(s, max_tokens, np.random.default_rng(seed))
    assert 0 < len(tokenise(part)) <= max_tokens
    assert set(identity(part)) <= set(identity(s))


@pytest.mark.parametrize("seed", range(8))
def test_contiguous_crops_are_one_full_stretch_of_one_chain(structures, seed):
    s = structures["3bhe"]
    part = crop_contiguous(s, 40, np.random.default_rng(seed))
    assert len(part.chains) == 1
    assert (np.diff(part.residues.label_seq_id) == 1).all()
    assert len(part.residues) == 40


def test_every_residue_can_be_in_a_contiguous_crop_and_every_start_is_drawn(structures):
    s = structures["1orc"]
    rng = np.random.default_rng(0)
    firsts = [int(crop_contiguous(s, 60, rng).residues.label_seq_id[0]) for _ in range(200)]
    labels = s.residues.label_seq_id
    assert set(firsts) == set(labels[:5].tolist())


def test_contiguous_crops_pass_over_a_modified_residue_that_is_too_large(structures):
    s = structures["1pfe"]  # a cyclic peptide with modified residues of 6 and 7 atoms, and DNA
    for seed in range(40):
        part = crop_contiguous(s, 3, np.random.default_rng(seed))
        assert 0 < len(tokenise(part)) <= 3


@pytest.mark.parametrize("name", ["1orc", "8coh", "3bhe"])
def test_spatial_crops_hold_the_nearest_residues(structures, name):
    s = structures[name]
    place = centres(s)
    polymer = s.chains.kind[s.residues.chain] != ChainKind.LIGAND
    for centre in (0, 17, 50):
        part = crop_spatial(s, 30, np.random.default_rng(0), centre)
        kept = np.isin(np.array([str(i) for i in identity(s)]), [str(i) for i in identity(part)])
        assert kept[centre]
        distance = np.linalg.norm(place - place[centre], axis=1)
        assert distance[kept & polymer].max() <= distance[~kept & polymer].min() + 1e-4
        assert len(tokenise(part)) >= 30 - 20


def test_a_ligand_too_large_for_the_room_is_passed_over(structures):
    s = structures["1a30"]
    ligand = int(np.flatnonzero(s.residues.name == "UNL")[0])
    size = int(residue_tokens(s)[ligand])
    assert size > 20
    touching = int(np.argmin(np.linalg.norm(centres(s)[:198] - centres(s)[ligand], axis=1)))
    without = crop_spatial(s, 20, np.random.default_rng(0), touching)
    assert "UNL" not in without.residues.name
    assert len(tokenise(without)) == 20
    assert "UNL" in crop_spatial(s, 120, np.random.default_rng(0), touching).residues.name


def test_interfaces_are_sought_as_often_as_asked(structures):
    s = structures["3bhe"]
    place, chain = centres(s), s.residues.chain
    apart = np.linalg.norm(place[:, None] - place, axis=-1)
    touches = dict(zip(identity(s), ((apart < 15) & (chain[:, None] != chain)).any(1).tolist(), strict=True))
    found = {}
    for fraction in (0.0, 1.0):  # a crop of one token is the centre alone
        rng = np.random.default_rng(1)
        crops = [crop_spatial(s, 1, rng, interface_fraction=fraction) for _ in range(100)]
        found[fraction] = [touches[identity(crop)[0]] for crop in crops]
    assert all(found[1.0])
    assert not all(found[0.0])


def test_residues_never_observed_are_no_part_of_a_spatial_crop(structures):
    s = structures["1orc"]
    resolved = s.atoms.resolved & ~np.isin(s.atoms.residue, [10, 11, 12])
    hidden = s.with_positions(np.where(resolved[:, None], s.atoms.positions, 0), resolved=resolved)
    part = crop_spatial(hidden, 64, np.random.default_rng(0))
    gone = set(s.residues.label_seq_id.tolist()) - set(part.residues.label_seq_id.tolist())
    assert gone == set(s.residues.label_seq_id[10:13].tolist())


def test_a_rotated_structure_is_cropped_alike(structures):
    s = structures["8coh"]
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    moved = s.with_positions(s.atoms.positions @ turn + 7, resolved=s.atoms.resolved)
    ours, theirs = (crop_spatial(x, 50, np.random.default_rng(5)) for x in (s, moved))
    assert identity(ours) == identity(theirs)


def test_a_small_structure_comes_back_whole(structures):
    s = structures["1vfy"]
    assert identity(crop_spatial(s, 1000, np.random.default_rng(0))) == identity(s)


def test_no_room_is_an_error(structures):
    with pytest.raises(InputError, match=r"max_tokens.*found 0"):
        crop_contiguous(structures["1orc"], 0, np.random.default_rng(0))
    with pytest.raises(InputError, match=r"max_tokens.*found 0"):
        crop_spatial(structures["1orc"], 0, np.random.default_rng(0))
