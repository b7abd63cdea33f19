from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.structure.files import write_structure
from structdiff.training.converter import convert_structures, main
from structdiff.training.dataset import StructureSet
from structdiff.training.folder import convert_folder, sequence_groups
from structdiff.training.set_files import SPLITS

COLLECTION = Path(__file__).parent / "data" / "collection"


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    out = tmp_path_factory.mktemp("set") / "out"
    convert_structures(COLLECTION, out, progress=False)
    found = {}
    for split in SPLITS:
        entries = StructureSet(out, split)
        found.update({name: entries.structure(index) for index, name in enumerate(entries.names)})
    return found


def seen_only(structure):
    return structure.select(structure.atoms.resolved)


@pytest.fixture(scope="module")
def folder(originals, tmp_path_factory):
    path = tmp_path_factory.mktemp("files")
    (path / "deep").mkdir()
    write_structure(seen_only(originals["1orc"]), path / "1orc.cif")
    write_structure(seen_only(originals["1crn"]), path / "deep" / "1crn.pdb")
    write_structure(seen_only(originals["1bx8"]), path / "1bx8.cif.gz")
    write_structure(seen_only(originals["2xpn_b"]), path / "2xpn_b.pdb")
    text = (path / "deep" / "1crn.pdb").read_text().splitlines()
    fewer = [line for line in text if not (line.startswith("ATOM") and 20 <= int(line[22:26]) <= 24)]
    (path / "gap.pdb").write_text("\n".join(line for line in fewer if not line.startswith("SEQRES")) + "\n")
    trace = [line for line in text if line.startswith("ATOM") and line[12:16] == " CA "]
    (path / "trace.pdb").write_text("\n".join(trace) + "\nEND\n")
    (path / "broken.cif").write_text("data_x\nloop_\n_atom_site.id\n")
    (path / "notes.txt").write_text("not a structure")
    return path


@pytest.fixture(scope="module")
def converted(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("converted") / "out"
    summary = convert_folder(folder, out, validation_fraction=0, test_fraction=0, progress=False)
    return summary, StructureSet(out, "train")


def test_atoms_are_those_of_the_files(converted, originals):
    entries = converted[1]
    for name, original in (("1orc.cif", "1orc"), ("deep/1crn.pdb", "1crn"), ("1bx8.cif.gz", "1bx8")):
        ours, wanted = (seen_only(s) for s in (entries.structure(entries.names.index(name)), originals[original]))
        assert ours.atoms.name.tolist() == wanted.atoms.name.tolist()
        assert ours.residues.author_seq_id.tolist() == wanted.residues.author_seq_id.tolist()
        assert ours.residues.insertion_code.tolist() == wanted.residues.insertion_code.tolist()
        shift = (ours.atoms.positions - wanted.atoms.positions).mean(0)
        np.testing.assert_allclose(ours.atoms.positions - shift, wanted.atoms.positions, atol=0.011)


def test_a_chain_break_shows_in_the_numbers(converted):
    structure = converted[1].structure(converted[1].names.index("gap.pdb"))
    steps = np.diff(structure.residues.label_seq_id)
    assert sorted(set(steps.tolist())) == [1, 6]
    assert structure.residues.author_seq_id[int(np.argmax(steps))] == 19


def test_backbones_are_recognised_and_unusable_files_named(converted):
    summary, entries = converted
    kinds = dict(zip(entries.names, entries.atoms_kind.tolist(), strict=True))
    assert kinds == {
        "1orc.cif": "all", "deep/1crn.pdb": "all", "1bx8.cif.gz": "all", "gap.pdb": "all", "2xpn_b.pdb": "backbone",
    }  # fmt: skip
    assert len(summary.skipped) == 2
    assert any("broken.cif" in reason for reason in summary.skipped)
    assert any("trace.pdb" in reason and "one atom a residue" in reason for reason in summary.skipped)


def test_the_same_sequence_never_is_in_two_splits(folder, tmp_path):
    for number in range(1, 6):
        (folder / f"copy{number}.pdb").write_bytes((folder / "deep" / "1crn.pdb").read_bytes())
    try:
        convert_folder(folder, tmp_path / "set", validation_fraction=0.4, test_fraction=0.3, progress=False)
    finally:
        for number in range(1, 6):
            (folder / f"copy{number}.pdb").unlink()
    sets = {split: StructureSet(tmp_path / "set", split) for split in SPLITS}
    home = [split for split, entries in sets.items() if "deep/1crn.pdb" in entries.names]
    copies = [name for name in sets[home[0]].names if name.startswith("copy")]
    assert len(home) == 1
    assert len(copies) == 5
    row = sets[home[0]].names.index("copy1.pdb")
    assert sets[home[0]].cluster[row] == 6
    assert sum(len(entries) > 0 for entries in sets.values()) > 1


def test_groups_join_through_shared_chains():
    a, b, c = "ALA " * 30, "GLY " * 30, "SER " * 30
    groups = sequence_groups([frozenset({a}), frozenset({b, c}), frozenset({a, b}), frozenset({"VAL"})])
    assert groups[0] == groups[1] == groups[2] != groups[3]


def test_folders_without_structures_are_refused(tmp_path, capsys):
    with pytest.raises(InputError, match=r"no such folder"):
        convert_folder(tmp_path / "nowhere", tmp_path / "set", progress=False)
    with pytest.raises(InputError, match=r"no structure files.*\.cif"):
        convert_folder(tmp_path, tmp_path / "set", progress=False)
    with pytest.raises(InputError, match=r"nothing to train on"):
        convert_folder(tmp_path, tmp_path / "set", validation_fraction=0.6, test_fraction=0.4, progress=False)
    (tmp_path / "empty.pdb").write_text("")
    assert main([str(tmp_path), str(tmp_path / "set")]) == 2
    assert "1 skipped, beginning with" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_entries_that_a_set_cannot_hold_are_named_and_the_others_kept(folder, tmp_path):
    (tmp_path / "files").mkdir()
    text = (folder / "deep" / "1crn.pdb").read_text().splitlines()
    (tmp_path / "files" / "good.pdb").write_text("\n".join(text) + "\n")
    rows = [row for row, line in enumerate(text) if line.startswith("ATOM")]
    far = list(text)
    far[rows[-1]] = f"{far[rows[-1]][:30]}{9000:8.3f}{far[rows[-1]][38:]}"
    (tmp_path / "files" / "far.pdb").write_text("\n".join(far) + "\n")
    rounded = list(text)
    for row in rows:
        place = [f"{round(float(text[row][at : at + 8])):8.3f}" for at in (30, 38, 46)]
        rounded[row] = f"{text[row][:30]}{''.join(place)}{text[row][54:]}"
    (tmp_path / "files" / "rounded.pdb").write_text("\n".join(rounded) + "\n")
    summary = convert_folder(
        tmp_path / "files", tmp_path / "out", validation_fraction=0, test_fraction=0, progress=False
    )
    assert list(StructureSet(tmp_path / "out", "train").names) == ["good.pdb"]
    assert len(summary.skipped) == 2
    assert any("far.pdb" in reason and "Å apart" in reason for reason in summary.skipped)
    assert any("rounded.pdb" in reason and "backbone bonds" in reason for reason in summary.skipped)
