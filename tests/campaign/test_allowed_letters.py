import numpy as np
import pytest

from structdiff.campaign.allowed_letters import allowed_by_row, check_allowed, check_layout, parse_allowed
from structdiff.errors import InputError
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.layout import sample_layout
from structdiff.structure.complex import build_complex


@pytest.fixture
def dimer():
    return build_complex(ComplexSpec(chains=(ChainSpec(ids=("A", "B"), kind="protein", sequence="MKTAY"),)))


@pytest.mark.parametrize(
    ("text", "said"),
    [("A10", "expected residues=letters"), ("A10=", "expected residues=letters"), ("A10=PX", "no amino acid"),
     ("10-=P", "no selection")],
)  # fmt: skip
def test_what_cannot_be_read_is_named(text, said):
    with pytest.raises(InputError, match=said):
        parse_allowed(text)


def test_chains_that_no_design_has_and_letters_that_are_avoided_are_refused_at_once():
    check_allowed("A10=CD", "C", ["A"])
    with pytest.raises(InputError, match="no such chain"):
        check_allowed("B10=CD", "", ["A"])
    with pytest.raises(InputError, match="no amino acid is left"):
        check_allowed("A10=C", "C", ["A"])


def test_what_is_said_of_one_copy_goes_for_all(dimer):
    fixed = np.zeros(10, bool)
    alike = [[row, row + 5] for row in range(5)]
    assert allowed_by_row("B2-3=PG", dimer, fixed, alike) == {1: "PG", 2: "PG", 6: "PG", 7: "PG"}
    assert allowed_by_row("B2-3=PG", dimer, fixed, []) == {6: "PG", 7: "PG"}


def test_a_residue_that_keeps_its_type_and_one_that_is_not_there_are_refused(dimer):
    fixed = np.arange(10) == 1
    with pytest.raises(InputError, match="A2=PG"):
        allowed_by_row("A1-3=PG", dimer, fixed, [])
    with pytest.raises(InputError, match="no residue 9"):
        allowed_by_row("A9=PG", dimer, fixed, [])


def test_letters_are_asked_of_open_residues_of_the_layout_alone():
    layout = sample_layout(parse_contigs("3 2"), np.random.default_rng(0))
    open_ = np.array([True, True, False, True, True])
    check_layout("A1-2=PG,B=W", layout, open_)
    for text, said in (("A2-3=P", "A3=P"), ("B3=P", "'B3'; allowed: B1 to B2"), ("A2-1=P", "runs backwards")):
        with pytest.raises(InputError, match=said):
            check_layout(text, layout, open_)
