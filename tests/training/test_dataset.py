from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from structdiff.chemistry.residues import RESIDUE_ATOMS
from structdiff.errors import InputError
from structdiff.features.tokens import tokenise
from structdiff.structure.tables import ChainKind
from structdiff.training.converter import convert_structures
from structdiff.training.dataset import StructureSet

COLLECTION = Path(__file__).parent / "data" / "collection"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    out = tmp_path_factory.mktemp("set") / "out"
    convert_structures(COLLECTION, out, progress=False)
    return out


@pytest.fixture(scope="module")
def train(path):
    return StructureSet(path, "train")


def test_counts_agree_with_the_structures_and_their_tokens(path):
    for split in ("train", "val", "test"):
        entries = StructureSet(path, split)
        for index in range(len(entries)):
            structure = entries.structure(index)
            assert structure.name == entries.names[index]
            assert len(structure.residues) == entries.num_residues[index]
            assert len(tokenise(structure)) == entries.num_tokens[index]
            assert structure.atoms.resolved.sum() == entries.num_atoms[index]


def test_standard_residues_list_their_atoms_in_order(train):
    for index in range(len(train)):
        s = train.structure(index)
        for residue, name in enumerate(s.residues.name.tolist()):
            if name in RESIDUE_ATOMS and s.chains.kind[s.residues.chain[residue]] != ChainKind.LIGAND:
                rows = s.residue_atoms(residue)
                assert tuple(s.atoms.name[rows].tolist()) == RESIDUE_ATOMS[name]
                first_letters = {6: "C", 7: "N", 8: "O", 15: "P", 16: "S"}
                assert [first_letters[z] for z in s.atoms.element[rows].tolist()] == [a[0] for a in RESIDUE_ATOMS[name]]


def test_tables_are_consistent(train):
    for index in range(len(train)):
        s = train.structure(index)
        assert (np.diff(s.residues.chain) >= 0).all()
        assert (np.diff(s.atoms.residue) >= 0).all()
        assert (s.residues.chain[s.chains.residue_start] == np.arange(len(s.chains))).all()
        assert (s.atoms.residue[s.residues.atom_start] == np.arange(len(s.residues))).all()
        assert len(set(s.chains.label_id.tolist())) == len(s.chains)
        same = np.diff(s.residues.chain) == 0
        assert (np.diff(s.residues.label_seq_id)[same] > 0).all()
        assert (s.atoms.residue[s.bonds.atom_1] == s.atoms.residue[s.bonds.atom_2]).all()
        everything = s.select(np.ones(len(s.atoms), bool))
        assert (everything.atoms.positions == s.atoms.positions).all()


def test_backbone_bonds_have_natural_lengths(train):
    lengths = []
    for index in range(len(train)):
        s = train.structure(index)
        nitrogen = np.flatnonzero((s.atoms.name == "N") & (s.chains.kind[s.atom_chain] == ChainKind.PROTEIN))
        nitrogen = nitrogen[s.residues.name[s.atoms.residue[nitrogen]] != "UNK"]
        both = nitrogen[s.atoms.resolved[nitrogen] & s.atoms.resolved[nitrogen + 1]]
        lengths.append(np.linalg.norm(s.atoms.positions[both] - s.atoms.positions[both + 1], axis=1))
    lengths = np.concatenate(lengths)
    assert len(lengths) > 500
    assert abs(np.median(lengths) - 1.46) < 0.01
    assert ((lengths > 1.35) & (lengths < 1.6)).mean() > 0.99


def test_weights_fall_with_cluster_size_length_and_antibodies(train):
    weight = dict(zip(train.names, train.weight.tolist(), strict=True))
    assert weight["3bhe"] == pytest.approx(199 / 256 / 2)  # two HIV proteases: 198 residues and a ligand
    assert weight["1orc"] == pytest.approx(64 / 256)
    assert weight["333d"] == pytest.approx(32 / 256)
    assert weight["8coh"] == pytest.approx(0.1 * 134 / 256)
    kinds = dict(zip(train.names, train.atoms_kind.tolist(), strict=True))
    assert kinds["3gp2_b"] == "backbone"
    assert kinds["1orc"] == "all"


def test_author_numbers_and_insertion_codes_are_kept(train):
    s = train.structure(train.names.index("1orc"))
    assert s.chains.name[0] == "A"
    assert s.residues.author_seq_id[0] == 3
    inserted = s.residues.insertion_code != ""
    assert s.residues.insertion_code[inserted].tolist() == ["A", "B", "C", "D", "E"]
    assert set(s.residues.author_seq_id[inserted].tolist()) == {56}
    assert (np.diff(s.residues.label_seq_id) == 1).all()


def test_entries_are_handed_out_fresh(train):
    first, second = train.structure(0), train.structure(0)
    first.atoms.positions[:] = 0
    first.chains.kind[:] = 0
    first.bonds.order[:] = 9
    assert second.atoms.positions.any()
    again = train.structure(0)
    assert (again.atoms.positions == second.atoms.positions).all()
    assert (again.bonds.order == second.bonds.order).all()


def test_negative_indices_count_from_the_end_and_others_end_iteration(train):
    assert train.structure(-1).name == train.names[-1]
    with pytest.raises(IndexError):
        train.structure(len(train))


def test_pickling_carries_the_path_not_the_data(train):
    packed = pickle.dumps(train)
    assert len(packed) < 1000
    copy = pickle.loads(packed)
    assert copy.names == train.names
    assert (copy.structure(3).atoms.positions == train.structure(3).atoms.positions).all()


def test_unusable_sets_are_refused_in_one_line(path, tmp_path):
    with pytest.raises(InputError, match=r"unknown split.*'valid'.*did you mean 'val'"):
        StructureSet(path, "valid")
    with pytest.raises(InputError, match=r"set\.json is missing"):
        StructureSet(tmp_path, "train")
    broken = tmp_path / "broken"
    shutil.copytree(path, broken)
    data = (broken / "atom_positions.npy").read_bytes()
    (broken / "atom_positions.npy").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"atom_positions\.npy.*damaged"):
        StructureSet(broken, "train")
    (broken / "atom_positions.npy").write_bytes(data)
    description = json.loads((broken / "set.json").read_text())
    (broken / "set.json").write_text(json.dumps(description | {"format": 99}))
    with pytest.raises(InputError, match=r"another version.*99"):
        StructureSet(broken, "train")
    (broken / "set.json").write_text("{")
    with pytest.raises(InputError, match=r"set\.json cannot be read"):
        StructureSet(broken, "train")
