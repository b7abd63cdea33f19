import gzip

import numpy as np
import pytest
import torch

from structdiff.errors import InputError
from structdiff.trrosetta.alignment import GAP, read_alignment
from structdiff.trrosetta.couplings import COUPLINGS, alignment_channels, sequence_weights

A3M = ">q\nMKVLACDE\n>a\nMKILgACDE\n>b\nMR-LAC-E\n>c\nMKVLACDX\n"
STOCKHOLM = """# STOCKHOLM 1.0
#=GF ID q
q MKVL.
a MKILg
b MR-L.
c MKVL.

q ACDE
a ACDE
b AC-E
c ACDX
//
"""
SEQUENCE = "MKVLACDE"


def written(tmp_path, text, name="x.a3m"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def test_insertions_are_left_out_and_what_is_no_amino_acid_is_a_gap(tmp_path):
    found = read_alignment(written(tmp_path, A3M), SEQUENCE)
    assert found.letters.tolist() == [
        [12, 11, 19, 10, 0, 4, 3, 6],
        [12, 11, 9, 10, 0, 4, 3, 6],
        [12, 1, GAP, 10, 0, 4, GAP, 6],
        [12, 11, 19, 10, 0, 4, 3, GAP],
    ]
    assert (len(found), found.rows) == (4, 4)
    assert found.coverage == pytest.approx(21 / 24)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.a3m.gz", A3M),
        ("crlf.a3m", A3M.replace("\n", "\r\n")),
        ("wrapped.a3m", "#8\t1\n" + A3M.replace("MKVLACDE\n", "MKVL\nACDE\n")),
        # Columns in which the first row has a gap are insertions of the others.
        ("aligned.fasta", ">q\nMKVL-ACDE\n>a\nMKILGACDE\n>b\nMR-L-AC-E\n>c\nMKVL-ACDX\n"),
        ("x.csv", "key,sequence\n-1,MKVLACDE\n,MKILgACDE\n7,MR-LAC-E\n7,MKVLACDX\n"),
        ("x.sto", STOCKHOLM),
        ("tabs.sto", STOCKHOLM.replace("q ", "q\t")),
        ("ends.a3m", A3M.replace("DE\n", "DE*\n") + "\0"),
        (
            "quoted.csv",
            '"key","sequence"\n'.replace('"', "") + '"1","MKVLACDE"\n1,"MKILgACDE"\n1,MR-LAC-E\n1,MKVLACDX\n',
        ),
    ],
)
def test_every_way_to_write_it_is_the_same_alignment(tmp_path, name, text):
    found = read_alignment(written(tmp_path, text, name), SEQUENCE)
    assert np.array_equal(found.letters, read_alignment(written(tmp_path, A3M, "same.a3m"), SEQUENCE).letters)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["holds no sequence", "A3M, FASTA, Stockholm"]),
        ("MKVLACDE\n", ["x.a3m:1", "begins with a line '>NAME'"]),
        (">q\nMKVLACD\n", ["x.a3m:1", "msa", "7 residues", "8 residues"]),
        (">q\nMKVLACDQ\n", ["msa", "not the chain's", "Q at residue 8", "E"]),
        (">q\nMKVLACDE\n>short\nMKV\n", ["x.a3m:3", "short", "not as long", "3", "8"]),
        (">q\nMKVLACDE\n>odd\nMKV?ACDE\n", ["x.a3m:3", "odd", "no letter of a protein", "?"]),
        ("key,sequence\n0,MKVLACDE\nMKVLACDE\n", ["x.a3m:3", "a key, a comma and a sequence"]),
        ("# STOCKHOLM 1.0\nq MKVLACDE\na\n", ["x.a3m:3", "a name and letters"]),
    ],
)
def test_what_is_no_alignment_of_the_chain_is_refused(tmp_path, text, said):
    with pytest.raises(InputError) as caught:
        read_alignment(written(tmp_path, text), SEQUENCE)
    for part in said:
        assert part in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(InputError, match=r"gone.a3m.*cannot be read"):
        read_alignment(tmp_path / "gone.a3m", SEQUENCE)
    (tmp_path / "x.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=r"x.gz:1.*found 'no gzip'"):
        read_alignment(tmp_path / "x.gz", SEQUENCE)
    whole = written(tmp_path, A3M, "whole.gz").read_bytes()
    (tmp_path / "broken.gz").write_bytes(whole[:12] + b"\xff\xff\xff" + whole[15:])
    with pytest.raises(InputError, match=r"broken.gz.*cannot be read"):
        read_alignment(tmp_path / "broken.gz", SEQUENCE)
    (tmp_path / "x.pqt").write_bytes(b"PAR1\xff\xfe\x00")
    with pytest.raises(InputError, match=r"x.pqt.*no text"):
        read_alignment(tmp_path / "x.pqt", SEQUENCE)


def test_channels_are_those_of_the_published_code(tmp_path):
    """Values of ``preprocess`` of tr-rosetta-pytorch 0.0.3 on the same file."""
    alignment = read_alignment(written(tmp_path, A3M), SEQUENCE)
    rows = torch.nn.functional.one_hot(torch.from_numpy(alignment.letters).long(), 21).float()
    assert sequence_weights(rows).tolist() == pytest.approx([1 / 3, 0.5, 1.0, 0.5])
    single, pair = alignment_channels(alignment)
    assert single.shape == (8, 42)
    assert pair.shape == (8, 8, COUPLINGS)
    assert single[1, 20 + 1].item() == pytest.approx(3 / 7)
    assert single[1, -1].item() == pytest.approx(0.68291, abs=1e-5)
    assert pair[0, 7].sum().item() == pytest.approx(-0.0193, abs=1e-4)
    strength = [0.0, -0.0024, -0.0036, 0.0068, 0.0068, 0.0068, -0.0017, 0.0043]
    assert pair[0, :, -1].tolist() == pytest.approx(strength, abs=1e-4)
    assert pair[1, 6, -1].item() == pytest.approx(0.0199, abs=1e-4)


def test_selenocysteine_may_be_a_cysteine(tmp_path):
    assert len(read_alignment(written(tmp_path, A3M), "MKVLAUDE")) == 4


def test_a_sequence_alone_has_no_couplings(tmp_path):
    single, pair = alignment_channels(read_alignment(written(tmp_path, ">q\nMKVLACDE\n"), SEQUENCE))
    assert pair is None
    assert single[:, 20:41].sum(1).tolist() == pytest.approx([1.0] * 8)
