"""The converter against an independent reading of the collection it converts."""

from __future__ import annotations

import dataclasses
import gzip
import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from structdiff.chemistry.residues import RESIDUE_ATOMS
from structdiff.errors import InputError
from structdiff.structure.tables import ChainKind
from structdiff.training.collection import Collection, RawEntry, TemplateList
from structdiff.training.converter import EXCLUDED_SOURCES, choose, convert_structures, main
from structdiff.training.dataset import StructureSet
from structdiff.training.entry import has_sound_backbone, without_mirrored
from structdiff.training.set_files import SPLITS
from structdiff.training.set_writer import SetWriter, near_bonds

COLLECTION = Path(__file__).parent / "data" / "collection"
CA_ONLY = {"2pst"}


def read_entry(name: str) -> list[tuple[str, int, str, list[tuple[str, np.ndarray]]]]:
    """(residue name, number, insertion code, [(atom name, position)]) of each residue, as docs/data.md describes."""
    with gzip.open(COLLECTION / "index.jsonl.gz", "rt") as lines:
        record = next(r for r in map(json.loads, lines) if r["id"] == name)
    with np.load(COLLECTION / record["shard"]) as z:
        row = record["row"]
        first, last = z["entry_atom"][row : row + 2]
        low, high = (z[key][:, first:last].astype("u2") for key in ("xyz_lo", "xyz_hi"))
        positions = (np.cumsum(low | high << 8, 1, dtype="u2").view("i2").T + z["center"][row]) / 100
        templates = json.loads(z["templates"].tobytes())
        residues, atom = [], 0
        for residue in range(*z["entry_res"][row : row + 2]):
            code, atoms, _ = templates[z["res_tmpl"][residue]]
            names = atoms.split(" ")
            found = list(zip(names, positions[atom : atom + len(names)], strict=True))
            residues.append((code, int(z["res_num"][residue]), chr(z["res_icode"][residue]), found))
            atom += len(names)
    return residues


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    out = tmp_path_factory.mktemp("set") / "out"
    convert_structures(COLLECTION, out, progress=False)
    return out


def find(path: Path, name: str):
    for split in SPLITS:
        entries = StructureSet(path, split)
        if name in entries.names:
            return entries.structure(entries.names.index(name))
    raise AssertionError(f"{name} is in no split")


def test_splits_are_those_of_the_collection_without_traces(converted):
    wanted = json.loads((COLLECTION / "splits.json").read_text())
    for split in SPLITS:
        assert set(StructureSet(converted, split).names) == set(wanted[split]) - CA_ONLY


@pytest.mark.parametrize("name", ["1orc", "3bhe", "1pfe", "1fix", "2q2k", "2xpn_b", "8coh", "2apo"])
def test_every_atom_comes_back_where_it_was(converted, name):
    structure = find(converted, name)
    found = {}
    for row in np.flatnonzero(structure.atoms.resolved):
        residue = structure.atoms.residue[row]
        chain = structure.residues.chain[residue]
        key = (
            int(structure.residues.author_seq_id[residue]),
            str(structure.residues.insertion_code[residue]),
            str(structure.residues.name[residue]),
            str(structure.atoms.name[row]),
        )
        found.setdefault(key, []).append((chain, structure.atoms.positions[row]))
    wanted = {}
    for code, number, insertion, atoms in read_entry(name):
        for atom, position in atoms:
            if code not in RESIDUE_ATOMS or atom in RESIDUE_ATOMS[code]:
                wanted.setdefault((number, insertion.strip(), code, atom), []).append(position)
    assert found.keys() == wanted.keys()
    every_found = np.concatenate([np.stack([p for _, p in found[key]]) for key in wanted])
    every_wanted = np.concatenate([np.stack(wanted[key]) for key in wanted])
    shift = every_wanted.mean(0) - every_found.mean(0)
    distance = np.linalg.norm(every_found + shift - every_wanted, axis=1)
    arginine = np.array([key[2] == "ARG" and key[3].startswith("NH") for key in wanted for _ in wanted[key]])
    np.testing.assert_allclose(distance[~arginine], 0, atol=2e-3)


def test_selenomethionine_is_methionine_with_its_selenium_as_sulphur(converted):
    structure = find(converted, "1a8o")
    source = [atoms for code, _, _, atoms in read_entry("1a8o") if code == "MSE"]
    assert len(source) == 4
    assert "MSE" not in structure.residues.name
    sulphur = (structure.atoms.name == "SD") & structure.atoms.resolved
    assert (structure.atoms.element[sulphur] == 16).all()
    se = np.stack([dict(atoms)["SE"] for atoms in source])
    ours = structure.atoms.positions[sulphur]
    apart = np.linalg.norm(se[0] - se[1:], axis=1)
    assert all(np.abs(np.linalg.norm(ours[:, None] - ours, axis=-1) - d).min() < 0.02 for d in apart)


def test_arginine_nh1_is_on_the_side_of_cd(converted):
    seen = 0
    for split in SPLITS:
        entries = StructureSet(converted, split)
        for index in range(len(entries)):
            s = entries.structure(index)
            for residue in np.flatnonzero(s.residues.name == "ARG"):
                rows = s.residue_atoms(residue)
                place = dict(zip(s.atoms.name[rows].tolist(), s.atoms.positions[rows], strict=True))
                if s.atoms.resolved[rows].all():
                    nh1, nh2 = (np.linalg.norm(place["CD"] - place[atom]) for atom in ("NH1", "NH2"))
                    assert nh1 <= nh2 + 0.02
                    seen += 1
    assert seen > 20


def test_copies_share_an_entity(converted):
    structure = find(converted, "3bhe")
    polymers = structure.chains.kind == ChainKind.PROTEIN
    assert structure.chains.entity_id[polymers].tolist() == [0, 0]
    assert structure.chains.sym_id[polymers].tolist() == [0, 1]
    assert (structure.chains.entity_id[~polymers] > 0).all()


def test_each_ligand_is_a_chain_with_its_chemistry(converted):
    structure = find(converted, "1vfy")
    zinc = structure.residues.name == "ZN"
    assert zinc.sum() == 2
    assert len(set(structure.residues.chain[zinc].tolist())) == 2
    atoms = np.isin(structure.atoms.residue, np.flatnonzero(zinc))
    assert structure.atoms.element[atoms].tolist() == [30, 30]
    assert structure.atoms.charge[atoms].tolist() == [2, 2]


def test_bonds_of_a_known_ligand_are_those_of_the_dictionary(converted):
    structure = find(converted, "1bx8")
    one, two, order = structure.bonds.atom_1, structure.bonds.atom_2, structure.bonds.order
    names = structure.atoms.name
    pairs = {(*sorted((names[a], names[b])), int(o)) for a, b, o in zip(one, two, order, strict=True)}
    assert pairs == {("O1", "S", 2), ("O2", "S", 2), ("O3", "S", 1), ("O4", "S", 1)}
    assert set(structure.residues.name[structure.atoms.residue[one]].tolist()) == {"SO4"}


def test_a_ligand_of_unknown_chemistry_is_bonded_by_distance_and_in_one_piece(converted):
    structure = find(converted, "1a30")
    rows = np.flatnonzero(structure.residues.name[structure.atoms.residue] == "UNL")
    assert len(rows) > 10
    group = {int(row): int(row) for row in rows}
    for one, two in zip(structure.bonds.atom_1.tolist(), structure.bonds.atom_2.tolist(), strict=True):
        length = np.linalg.norm(structure.atoms.positions[one] - structure.atoms.positions[two])
        assert 1.1 < length < 2.0
        merged, gone = group[one], group[two]
        group = {row: merged if g == gone else g for row, g in group.items()}
    assert len(set(group.values())) == 1


def test_backbone_entries_list_side_chains_unseen(converted):
    structure = find(converted, "2xpn_b")
    names = structure.atoms.name[structure.atoms.resolved]
    assert set(names.tolist()) == {"N", "CA", "C"}
    assert len(structure.atoms) > 4 * len(structure.residues)
    assert not structure.atoms.positions[~structure.atoms.resolved].any()


def test_labels_are_the_sources_where_it_tells(converted):
    with np.load(COLLECTION / "shard-000.npz") as z:
        with gzip.open(COLLECTION / "index.jsonl.gz", "rt") as lines:
            row = next(r for r in map(json.loads, lines) if r["id"] == "1orc")["row"]
        wanted = z["res_label"][slice(*z["entry_res"][row : row + 2])]
    assert wanted.min() > 0
    assert find(converted, "1orc").residues.label_seq_id.tolist() == wanted.tolist()


def test_numbers_step_by_one_exactly_where_the_chain_is_bonded(converted):
    bonded_steps, gaps = [], 0
    for name in ("2apo", "8coh", "1crn", "1mjc", "3gp2_b"):
        s = find(converted, name)
        for chain in np.flatnonzero(s.chains.kind == ChainKind.PROTEIN):
            rows = range(len(s.residues))[s.chain_residues(chain)]
            for left, right in pairwise(rows):
                carbon, nitrogen = s.residue_atoms(left).start + 2, s.residue_atoms(right).start
                if not (s.atoms.resolved[carbon] and s.atoms.resolved[nitrogen]):
                    continue
                step = s.residues.label_seq_id[right] - s.residues.label_seq_id[left]
                distance = np.linalg.norm(s.atoms.positions[carbon] - s.atoms.positions[nitrogen])
                assert (step == 1) == (distance < 2.5)
                bonded_steps.append(step == 1)
                gaps += step > 1
    assert sum(bonded_steps) > 250


def test_large_entries_become_compact_parts(tmp_path):
    convert_structures(COLLECTION, tmp_path / "set", max_residues=60, progress=False)
    whole = {}
    for split in SPLITS:
        entries = StructureSet(tmp_path / "set", split)
        for index, name in enumerate(entries.names):
            s = entries.structure(index)
            polymer = s.chains.kind[s.residues.chain] != ChainKind.LIGAND
            assert polymer.sum() <= 60
            whole[name] = s
    part = whole["3bhe"]
    assert (part.chains.kind[part.residues.chain] == ChainKind.PROTEIN).sum() == 60
    ca = part.atoms.positions[(part.atoms.name == "CA") & part.atoms.resolved]
    full = read_entry("3bhe")
    all_ca = np.stack([dict(atoms)["CA"] for *_, atoms in full if "CA" in dict(atoms)])
    assert ca.std(0).sum() < 0.85 * all_ca.std(0).sum()


def test_the_same_collection_gives_the_same_bytes(tmp_path, converted):
    convert_structures(COLLECTION, tmp_path / "again", progress=False)
    files = sorted(path.name for path in converted.iterdir())
    assert files == sorted(path.name for path in (tmp_path / "again").iterdir())
    assert all((converted / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in files)


def test_sources_can_be_left_out_and_two_are_by_default(tmp_path):
    convert_structures(COLLECTION, tmp_path / "set", excluded_sources=["project-gemmi/gemmi"], progress=False)
    assert "1pfe" not in StructureSet(tmp_path / "set", "train").names
    assert set(EXCLUDED_SOURCES) == {"RosettaCommons/demos", "Acellera/moleculekit"}


def raw(name: str) -> tuple[RawEntry, TemplateList]:
    templates = TemplateList()
    collection = Collection(COLLECTION)
    records = [r for r in collection.records if r["id"] == name]
    return next(collection.entries(records, templates)), templates


def test_residues_of_the_wrong_hand_are_left_out():
    entry, templates = raw("1orc")
    assert without_mirrored(entry, templates) is entry
    mirrored = dataclasses.replace(entry, positions=entry.positions * [-1, 1, 1])
    left = without_mirrored(mirrored, templates)
    names = [templates.rows[number].name for number in entry.template]
    assert {templates.rows[number].name for number in left.template} == {"GLY"}
    assert len(left.template) == names.count("GLY") > 0


def test_a_backbone_of_impossible_bonds_is_noticed():
    entry, templates = raw("1orc")
    assert has_sound_backbone(entry, templates)
    rounded = dataclasses.replace(entry, positions=np.rint(entry.positions / 100).astype(int) * 100)
    assert not has_sound_backbone(rounded, templates)


def test_unsound_entries_do_not_enter_a_set(tmp_path):
    entry, templates = raw("1orc")
    other = raw("1crn")[0]
    writer = SetWriter(templates, max_residues=512)
    writer.add(
        dataclasses.replace(entry, positions=np.rint(entry.positions / 100).astype(int) * 100), "train", cluster=1
    )
    with pytest.raises(InputError, match="no usable structure"):
        writer.write(tmp_path / "set", source="here")
    writer.add(entry, "val", cluster=1)
    with pytest.raises(ValueError, match="before those of later splits"):
        writer.add(other, "train", cluster=1)


def record(name: str, clusters: list[int], **changes) -> dict:
    chains = [{"c90": cluster, "n": 100} for cluster in clusters]
    return {"id": name, "atoms": "all", "tags": [], "resolution": 2.0, "n_atoms": 800, "chains": chains} | changes


def test_of_a_large_cluster_the_root_is_kept_best_first():
    same = [record(f"c{n}", [1], resolution=1.0 + n / 10) for n in range(9)]
    kept = choose([*same, record("other", [2], resolution=None)], max_atoms=1e9, max_residues=512)
    assert sorted(r["id"] for r in kept) == ["c0", "c1", "c2", "other"]


def test_second_members_of_clusters_go_before_first_ones():
    records = [record("a", [1], resolution=1.0), record("b", [1], resolution=1.1), record("c", [2], resolution=3.0)]
    assert [r["id"] for r in choose(records, max_atoms=1600, max_residues=512)] == ["a", "c"]


def test_all_atoms_go_before_backbones_and_other_folds_before_antibodies():
    records = [
        record("trace", [1], atoms="backbone", resolution=1.0),
        record("antibody", [1], tags=["ig"], resolution=1.0),
        record("full", [1], resolution=3.0),
    ]
    assert [r["id"] for r in choose(records, max_atoms=800, max_residues=512)] == ["full"]


def test_a_new_partner_is_reason_enough_to_keep_a_complex():
    known = [record(f"k{n}", [1]) for n in range(4)]
    assert "new" in [r["id"] for r in choose([*known, record("new", [1, 7])], max_atoms=1e9, max_residues=512)]


def test_near_bonds_ignore_metals_and_take_carbon_neighbours():
    positions = np.array([[0, 0, 0], [1.5, 0, 0], [3.0, 0, 0], [3.0, 1.2, 0]], float)
    assert near_bonds(positions, ["C", "C", "ZN", "O"]) == [(0, 1, 1)]
    assert near_bonds(positions, ["C", "C", "C", "O"]) == [(0, 1, 1), (1, 2, 1), (2, 3, 1)]


def test_a_set_that_cannot_fit_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"max_mebibytes.*0\.5"):
        convert_structures(COLLECTION, tmp_path / "set", max_mebibytes=0.5, progress=False)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_something_else_is_neither_read_nor_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"no structure collection.*index\.jsonl\.gz"):
        convert_structures(tmp_path, tmp_path / "set", progress=False)
    with pytest.raises(InputError, match="no training set"):
        convert_structures(COLLECTION, tmp_path, progress=False)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_older_set_is_replaced_and_an_interrupted_one_leaves_it(tmp_path, converted, monkeypatch):
    out = tmp_path / "set"
    shutil.copytree(converted, out)
    (out / "left_over.npy").write_bytes(b"old")

    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            convert_structures(COLLECTION, out, progress=False)
    assert (out / "left_over.npy").exists()
    convert_structures(COLLECTION, out, progress=False)
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in converted.iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_command_line(tmp_path, capsys):
    assert main([str(COLLECTION), str(tmp_path / "set")]) == 0
    assert "val: 3 entries" in capsys.readouterr().out
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "set2")]) == 2
    assert "no such folder" in capsys.readouterr().err
