"""Alignments inside JSON of AlphaFold 3, in files that Protenix names, and as one chain of ColabFold's complexes."""

import hashlib
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from structdiff.complex_jobs import complex_request
from structdiff.errors import InputError
from structdiff.features.chain_folds import alignments_sha256
from structdiff.spec.alignment_source import PairedAlignmentWarning, has_pairs, read_source, warn_of_pairing
from structdiff.spec.read import read_complex
from structdiff.spec.text_source import source_sha256
from structdiff.spec.yaml import from_dict
from structdiff.spec.yaml_writing import to_dict, write_yaml
from structdiff.trrosetta.alignment import read_alignment

PAIRED = ">q\nMKVLAC\n>p1\nMKiVLA-\n>p2\n------\n"
UNPAIRED = ">q\nMKVLAC\n>same as p1\nMKVLAg-\n>u1\n-KVLAC\n>u1 again\n-KVLAC\n"
MERGED = ">q\nMKVLAC\n>p1\nMKVLA-\n>u1\n-KVLAC\n"
KEY = "sequences[1].protein"


def af3(folder, *chains, name="job_data.json"):
    """A document as AlphaFold 3's data pipeline writes it."""
    bodies = [
        {"protein": {"id": name, "sequence": "MKVLAC", "modifications": [], "templates": [], **chain}}
        for name, chain in zip("ABC", chains, strict=False)
    ]
    document = {"dialect": "alphafold3", "version": 3, "name": "job", "sequences": bodies, "modelSeeds": [1],
                "bondedAtomPairs": None, "userCCD": None}  # fmt: skip
    (folder / name).write_text(json.dumps(document, indent=2))
    return folder / name


def letters(chain):
    return read_alignment(chain.msa, chain.sequence).letters.tolist()


@pytest.fixture
def wanted(tmp_path):
    (tmp_path / "merged.a3m").write_text(MERGED)
    return read_alignment(tmp_path / "merged.a3m", "MKVLAC").letters.tolist()


def test_paired_rows_come_first_and_none_comes_twice(tmp_path, wanted):
    path = af3(tmp_path, {"pairedMsa": PAIRED, "unpairedMsa": UNPAIRED})
    (chain,) = read_complex(path).chains
    assert chain.msa == (f"{path}#{KEY}.pairedMsa", f"{path}#{KEY}.unpairedMsa")
    assert letters(chain) == wanted
    assert read_alignment(chain.msa, "MKVLAC").rows == 3


def test_texts_files_and_lists_of_files_are_the_same_alignment(tmp_path, wanted):
    (tmp_path / "pairing.a3m").write_text(PAIRED)
    (tmp_path / "non_pairing.a3m").write_text(UNPAIRED)
    paths = {"pairedMsaPath": "pairing.a3m", "unpairedMsaPath": "non_pairing.a3m"}
    own = tmp_path / "own.yaml"
    own.write_text("sequences: [{protein: {id: A, sequence: MKVLAC, msa: [pairing.a3m, non_pairing.a3m]}}]")
    given = [read_complex(own), read_complex(af3(tmp_path, paths))]
    for keys in (paths, {"msa": {"precomputed_msa_dir": ".", "pairing_db": "uniref100"}}):
        protenix = [{"name": "p", "sequences": [{"proteinChain": {"sequence": "MKVLAC", "count": 1, **keys}}]}]
        (tmp_path / "protenix.json").write_text(json.dumps(protenix))
        given.append(read_complex(tmp_path / "protenix.json"))
    for spec in given:
        assert letters(spec.chains[0]) == wanted


def test_a_single_text_is_read_as_its_file_is(tmp_path):
    """Rows that come again count, as in any alignment of its own."""
    (tmp_path / "same.a3m").write_text(UNPAIRED)
    (chain,) = read_complex(af3(tmp_path, {"pairedMsa": "", "unpairedMsa": UNPAIRED})).chains
    assert letters(chain) == read_alignment(tmp_path / "same.a3m", "MKVLAC").letters.tolist()
    assert len(letters(chain)) == 4


@pytest.mark.parametrize(
    ("keys", "msa"),
    [
        ({"pairedMsa": "", "unpairedMsa": ""}, ("empty",)),
        ({"pairedMsa": None, "unpairedMsa": None}, ()),
        ({}, ()),
    ],
)
def test_an_empty_text_is_no_alignment(tmp_path, keys, msa):
    assert read_complex(af3(tmp_path, keys)).chains[0].msa == msa


def test_complexes_alone_have_pairs_and_reading_them_warns_of_nothing(tmp_path, recwarn):
    own = {"pairedMsa": PAIRED, "unpairedMsa": ""}
    alone, both = read_complex(af3(tmp_path, own)), read_complex(af3(tmp_path, own, own, name="both.json"))
    assert (has_pairs(alone), has_pairs(both)) == (False, True)
    assert not has_pairs(read_complex(af3(tmp_path, *2 * [{"pairedMsa": "", "unpairedMsa": UNPAIRED}])))
    assert not recwarn.list
    warn_of_pairing(alone)
    warn_of_pairing(both)
    assert [each.category for each in recwarn.list] == [PairedAlignmentWarning]


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_keys_of_boltz_make_pairs_too(tmp_path, name):
    (tmp_path / name).touch()
    for ids, pairs in (("A", False), ("[A, B]", True)):
        (tmp_path / "x.yaml").write_text(f"sequences: [{{protein: {{id: {ids}, sequence: MKVLAC, msa: {name}}}}}]")
        assert has_pairs(read_complex(tmp_path / "x.yaml")) == pairs


def test_which_alignments_are_paired_is_read_checked_and_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.a3m", "b.a3m"):
        (tmp_path / name).touch()
    path = Path("x.yaml")
    path.write_text("sequences: [{protein: {id: A, sequence: MKVLAC, msa: [a.a3m, b.a3m], paired_msa: a.a3m}}]")
    spec = read_complex(path)
    assert spec.chains[0].paired_msa == ("a.a3m",)
    assert from_dict(to_dict(spec)) == spec
    (tmp_path / "sub").mkdir()
    write_yaml(spec, "sub/copy.yaml")
    assert "paired_msa: ../a.a3m" in Path("sub/copy.yaml").read_text()
    assert [Path(each).resolve() for each in read_complex("sub/copy.yaml").chains[0].paired_msa] == [
        Path.cwd() / "a.a3m"
    ]
    for msa in ("b.a3m", "empty"):
        path.write_text(f"sequences: [{{protein: {{id: A, sequence: MKVLAC, msa: {msa}, paired_msa: a.a3m}}}}]")
        with pytest.raises(InputError, match=r"x.yaml:1: .*paired_msa.*none of the chain's alignments"):
            read_complex(path)


def test_what_was_read_is_recorded_and_survives_writing_and_other_processes(tmp_path):
    path = af3(tmp_path, {"pairedMsa": "", "unpairedMsa": UNPAIRED})
    spec, source = read_complex(path), f"{path}#{KEY}.unpairedMsa"
    assert alignments_sha256(spec) == {source: hashlib.sha256(UNPAIRED.encode()).hexdigest()}
    assert pickle.loads(pickle.dumps(spec)) == spec == from_dict(to_dict(spec))
    (tmp_path / "sub").mkdir()
    write_yaml(spec, tmp_path / "sub" / "copy.yaml")
    assert read_complex(tmp_path / "sub" / "copy.yaml") == spec
    request = complex_request(spec)
    assert from_dict(request) == spec
    af3(tmp_path, {"pairedMsa": "", "unpairedMsa": MERGED})
    with pytest.raises(InputError, match=r"alignments_sha256.*has changed"):
        from_dict(request)


def test_each_chain_of_a_complex_has_its_columns(tmp_path):
    path = tmp_path / "complex.a3m"
    path.write_text(
        "#6,3\t1,1\n>101\t102\nMKVLACGHW\n>pair\nMK-LAaCggG-W\n>101\nMKVLAC---\n>hit\nMR-lLAC---\n>102\n------GHW\n"
    )
    first, second = tmp_path / "first.a3m", tmp_path / "second.a3m"
    first.write_text(">q\nMKVLAC\n>pair\nMK-LAC\n>hit\nMR-LAC\n")
    second.write_text(">q\nGHW\n>pair\nG-W\n")
    for source, sequence, own in (("#1", "MKVLAC", first), ("#2", "GHW", second)):
        found = read_alignment(f"{path}{source}", sequence)
        assert np.array_equal(found.letters, read_alignment(own, sequence).letters)
    assert source_sha256(f"{path}#2") == hashlib.sha256(path.read_bytes()).hexdigest()


def test_documents_of_alphafold3_may_name_a_chain_of_a_complex(tmp_path):
    (tmp_path / "complex.a3m").write_text("#3,6\t1,1\n>101\t102\nGHWMKVLAC\n")
    (chain,) = read_complex(af3(tmp_path, {"pairedMsa": "", "unpairedMsaPath": "complex.a3m#2"})).chains
    assert len(letters(chain)) == 1


def test_a_file_may_have_the_sign_in_its_name(tmp_path):
    path = tmp_path / "run#2"
    path.write_text(MERGED)
    assert read_source(str(path)).text == MERGED


@pytest.mark.parametrize(
    ("source", "text", "said"),
    [
        ("x.a3m", "#6,3\t1,1\n>a\nMKVLACGHW\n", ["x.a3m: ", "several chains", "x.a3m#1 to #2"]),
        ("x.a3m#3", "#6,3\t1,1\n>a\nMKVLACGHW\n", ["no such chain", "x.a3m#3", "x.a3m#1 to #2"]),
        ("x.a3m#1", ">a\nMKVLAC\n", ["no such chain", "x.a3m#1'; allowed", "x.a3m)"]),
        ("x.a3m#B", "#6,3\t1,1\n>a\nMKVLACGHW\n", ["no such chain", "x.a3m#B", "x.a3m#1 to #2"]),
        ("x.a3m#1", "#6,3\t1,1\n>a\nMKVLACGHW\n>short\nMK\n", ["x.a3m:4: short: ", "not as long", "found 2", "9"]),
        ("x.json", '{"unpairedMsa": ">q\\nM"}', ["which text", "x.json#unpairedMsa"]),
        ("x.txt", '{"a": ">q\\nM"}', ["which text", "it has no alignment"]),
        ("x.json#1", '{"a": "#6,3\\t1,1\\n>q\\nM"}', ["no such text", "'1'"]),
        ("x.json#a", '\n{"a": "#6,3\\t1,1\\n>q\\nM"}', ["x.json:2: a: line 1 of this text: ", "several chains"]),
        ("x.json#unpaired", '{"unpairedMsa": ">q\\nM"}', ["x.json: ", "no such text", "did you mean 'unpairedMsa'"]),
        ("x.json#a", '\n{"a":\n">q\\nMKVLAC\\n>r\\nMK"}', ["x.json:3: a: line 3 of this text: r: ", "not as long"]),
        ("x.json#a", '\n{"a":\n">q\\nMKVLA"}', ["x.json:3: a: line 1 of this text: ", "length of the chain"]),
        ("x.json#a", '\n{"a":\n"MKVLAC"}', ["x.json:3: a: line 1 of this text: ", "line '>NAME'"]),
        ("x.json#a", '\n{"a":\n"\\n"}', ["x.json:3: a: ", "holds no sequence"]),
    ],
)  # fmt: skip
def test_errors_name_the_line_and_the_line_inside_the_text(tmp_path, source, text, said):
    (tmp_path / source.partition("#")[0]).write_text(text)
    with pytest.raises(InputError) as caught:
        read_alignment(tmp_path / source, "MKVLAC")
    for part in said:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("msa", "said"),
    [
        ("[x.a3m, empty]", ["x.yaml:1", "stands for the whole alignment", "'empty'"]),
        ("[x.a3m, x.a3m]", ["x.yaml:1", "twice"]),
        ("gone.a3m#2", ["x.yaml:1", "no such file", "'gone.a3m'"]),
        ("[[x.a3m]]", ["x.yaml:1", "expected a text"]),
    ],
)
def test_lists_of_alignments_are_checked(tmp_path, msa, said):
    (tmp_path / "x.a3m").write_text(MERGED)
    (tmp_path / "x.yaml").write_text(f"sequences: [{{protein: {{id: A, sequence: MKVLAC, msa: {msa}}}}}]")
    with pytest.raises(InputError) as caught:
        read_complex(tmp_path / "x.yaml")
    for part in said:
        assert part in str(caught.value)
