"""What runs hand back."""

from structdiff.campaign.refolding import complex_of
from structdiff.output.prediction import chain_sequences
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind

#: By chain: what it is, its residues, the letters that stand for them.
CHAINS = {
    "A": (ChainKind.PROTEIN, ("GLY", "MSE", "SEP", "UNK", "SEC"), "GMSXU"),
    "B": (ChainKind.RNA, ("A", "5MC", "U"), "ACU"),
    "C": (ChainKind.DNA, ("DA", "5CM", "DN"), "ACN"),
}


def test_modified_residues_have_the_letters_of_what_they_come_from():
    """They were X, which other programs are given, and which fits whatever stands there."""
    structure = build_structure(
        [ChainSequence(name=name, kind=kind, residues=names) for name, (kind, names, _) in CHAINS.items()]
    )
    assert chain_sequences(structure) == {name: letters for name, (_, _, letters) in CHAINS.items()}
    spec = complex_of(structure, "x")
    assert {name: tuple(spec.component_names(name)) for name in CHAINS} == {
        name: names for name, (_, names, _) in CHAINS.items()
    }
    assert [(each.position, each.ccd) for each in spec.chain("A").modifications] == [(2, "MSE"), (3, "SEP")]
