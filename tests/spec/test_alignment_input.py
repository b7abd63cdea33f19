import gzip
import lzma

import pytest

from structdiff.errors import InputError
from structdiff.spec.alignment_source import PairedAlignmentWarning, has_pairs, warn_of_pairing
from structdiff.spec.read import read_complex, read_complexes
from structdiff.trrosetta.alignment import read_alignment


def written(tmp_path, text):
    path = tmp_path / "own.a3m"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("first", "ids"), [("", ("A",)), ("#6\t1\n", ("A",)), ("#6\t3\n", ("A", "B", "C")), ("# made by hand\n", ("A",))]
)
def test_the_first_sequence_is_the_chain_and_the_file_its_alignment(tmp_path, first, ids):
    path = written(tmp_path, f"{first}>101 of a protein\nMKVgg\nL-AC*\n>hit\nMK-gLAC\n")
    spec = read_complex(path)
    (chain,) = spec.chains
    assert (spec.name, chain.ids, chain.sequence, chain.msa) == ("own", ids, "MKVLAC", (str(path),))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("#6,7\t1,1\n>101\t102\nMKVLACMKVLAC\n", "own.a3m:2: .*length .*12.*13"),
        ("#6,x\t1,1\n>101\t102\nMKVLACMKVLACD\n", "own.a3m:1: .*lengths, a tab, and copies"),
        ("#6,7\n>101\t102\nMKVLACMKVLACD\n", "own.a3m:1: .*lengths, a tab, and copies .*'#6,7'"),
        ("#6,7\t1\n>101\t102\nMKVLACMKVLACD\n", "own.a3m:1: .*not as many"),
        ("#6,0\t1,1\n>101\t102\nMKVLAC\n", "own.a3m:1: a chain has no residues"),
        ("#6,3\t1,1\n>101\nMKVLAC---\n", "own.a3m:1: no row holds anything of chain 2"),
        ("#6,3\t1,1\n>101\nMKVLACG-W\n", "own.a3m:2: the first row of chain 2 is not all .*'G-W'.*3 letters"),
        ("#6\t0\n>a\nMKVLAC\n", "own.a3m:1: so many copies .*1 or more of each chain, 100 of all"),
        ("#6,6\t1,1\n>a\nMKVLACMKJLAC\n", "own.a3m:2: .*'J' at position 3"),
        ("#9\t2\n>a\nMKVLAC\n", "own.a3m:2: .*length .*6.*9"),
        ("MKVLAC\n", "own.a3m: .*line '>NAME'"),
        (">empty\n>hit\nMKV\n", "own.a3m:1: .*empty sequence"),
        (">odd\nMK7\n", "own.a3m:1: .*'7' at position 3"),
    ],
)
def test_what_is_no_alignment_of_a_chain_is_refused(tmp_path, text, says):
    with pytest.raises(InputError, match=says):
        read_complexes(written(tmp_path, text))


COMPLEX = "#6,3\t2,1\n>101\t102\nMKVLACGHW\n>pair\nMK-LACggG-W\n>101\nMKVLAC---\n>hit\nMR-lLAC---\n>102\n------GHW\n"


def test_a_complex_of_colabfold_is_split_into_chains_that_follow_their_columns(tmp_path):
    path = written(tmp_path, COMPLEX)
    spec = read_complex(path)
    with pytest.warns(PairedAlignmentWarning, match="own: how chains lie to each other"):
        warn_of_pairing(spec)
    assert [(chain.ids, chain.sequence, chain.msa) for chain in spec.chains] == [
        (("A", "B"), "MKVLAC", (f"{path}#1",)), (("C",), "GHW", (f"{path}#2",)),
    ]  # fmt: skip


def test_chains_that_no_row_joins_begin_where_their_own_rows_do(tmp_path):
    path = written(tmp_path, "#6,3\t1,1\n>101\nMKVLAC---\n>hit\nMR-lLAC---\n>102\n------GHW\n>hit\n------GgH-\n")
    spec = read_complex(path)
    assert has_pairs(spec)
    assert [chain.sequence for chain in spec.chains] == ["MKVLAC", "GHW"]
    assert [len(read_alignment(chain.msa, chain.sequence)) for chain in spec.chains] == [2, 2]


@pytest.mark.parametrize(("suffix", "packed"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed_alignments_are_inputs_too(tmp_path, suffix, packed):
    path = tmp_path / f"own.a3m{suffix}"
    path.write_bytes(packed(b">q\nMKVLAC\n"))
    spec = read_complex(path)
    assert (spec.name, spec.chains[0].sequence, spec.chains[0].msa) == ("own", "MKVLAC", (str(path),))
    path.write_bytes(packed(b">q\nMKVLAC\n" * 99)[:-9])
    with pytest.raises(InputError, match=rf"own.a3m{suffix}: cannot be read: the .* data are damaged or cut short"):
        read_complex(path)
