import pytest

from structdiff.errors import InputError
from structdiff.spec.read import read_complex, read_complexes


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
    assert (spec.name, chain.ids, chain.sequence, chain.msa) == ("own", ids, "MKVLAC", str(path))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("#6,7\t1,1\n>101\t102\nMKVLACMKVLACD\n", "own.a3m:1: .*several chains"),
        ("#6\t0\n>a\nMKVLAC\n", "own.a3m:1: so many copies .*0.*1 to 100"),
        ("#9\t2\n>a\nMKVLAC\n", "own.a3m:2: .*length .*6.*9"),
        ("MKVLAC\n", "own.a3m: .*line '>NAME'"),
        (">empty\n>hit\nMKV\n", "own.a3m:1: .*empty sequence"),
        (">odd\nMK7\n", "own.a3m:1: .*'7' at position 3"),
    ],
)
def test_what_is_no_alignment_of_a_chain_is_refused(tmp_path, text, says):
    with pytest.raises(InputError, match=says):
        read_complexes(written(tmp_path, text))
