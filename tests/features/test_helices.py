"""Base pairs of a complex, the helices they make, and how predictions hold them."""

from __future__ import annotations

import dataclasses
import json

import biotite.structure.io.pdbx as pdbx
import numpy as np
import pytest
from biotite.structure import base_pairs as biotite_base_pairs

import structdiff
from structdiff.errors import InputError
from structdiff.features import helices as module
from structdiff.features.helices import SHORTEST_HELIX, helices, pairs_of_complex, with_helices
from structdiff.features.templates import read_templates
from structdiff.output.files import write_prediction
from structdiff.pipeline import load_engine, predict
from structdiff.soundness import base_pair_verdicts
from structdiff.spec.base_pairs import BasePairsSpec
from structdiff.spec.chain import ChainSpec, Modification
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.yaml import read_yaml
from structdiff.spec.yaml_writing import write_yaml
from structdiff.structure.base_pairs import base_pairs
from structdiff.structure.complex import build_complex

HAIRPIN = "GGGCGAAAGCCC"


def rna(sequence, *pairs, **more):
    chain = ChainSpec(ids=("A",), kind="rna", sequence=sequence, **more)
    return ComplexSpec(chains=(chain,), base_pairs=pairs)


def duplex(first="CGCGAATTCGCG", second="CGCGAATTCGCG", kinds=("dna", "dna")):
    chains = zip("AB", kinds, (first, second), strict=True)
    return ComplexSpec(chains=tuple(ChainSpec(ids=(name,), kind=kind, sequence=text) for name, kind, text in chains))


@pytest.fixture(scope="module")
def engine():
    return load_engine(structdiff.RunOptions())


def pairs(text):
    return np.array(BasePairsSpec(chains=("A",), structure=text).pairs()).reshape(-1, 2)


def test_pairs_are_predicted_where_nothing_is_said():
    spec = rna(HAIRPIN)
    found = pairs_of_complex(spec, build_complex(spec))
    assert found.predicted.tolist() == [[0, 11], [1, 10], [2, 9], [3, 8]]
    assert len(found.asked) == 0


def test_what_is_said_of_a_chain_replaces_what_is_predicted():
    nothing = rna(HAIRPIN, BasePairsSpec(chains=("A",), structure="." * 12))
    assert len(pairs_of_complex(nothing, build_complex(nothing)).every) == 0
    other = rna(HAIRPIN, BasePairsSpec(chains=("A",), structure="(........).."))
    assert pairs_of_complex(other, build_complex(other)).every.tolist() == [[0, 9]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("((((....))))", [(4, [0, 1, 2, 3])]),
        ("((....))..", []),  # too short
        ("(((.(((....))))))", [(6, [0, 1, 2, 3, 4, 5])]),  # a bulge
        ("(((.(((....))).)))", [(6, [0, 1, 2, 4, 5, 6])]),  # an internal loop of one on each side
        ("(((......(((....))))))", [(3, [0, 1, 2]), (3, [0, 1, 2])]),  # a bulge too long to go through
    ],
)
def test_helices_go_through_small_loops(text, expected):
    spec = rna("G" * len(text))
    found = helices(pairs(text), build_complex(spec), shortest=SHORTEST_HELIX)
    assert [(len(each.pairs), list(each.steps)) for each in found] == expected


def test_a_helix_goes_over_a_nick():
    chains = ("GGGGGGGG", "CCCC", "CCCC")
    spec = ComplexSpec(
        chains=tuple(
            ChainSpec(ids=(name,), kind="dna", sequence=text) for name, text in zip("ABC", chains, strict=True)
        )
    )
    structure = build_complex(spec)
    found = pairs_of_complex(spec, structure)
    assert [len(each.pairs) for each in helices(found.every, structure)] == [8]


@pytest.mark.parametrize("kinds", [("dna", "dna"), ("rna", "rna"), ("rna", "dna")])
def test_what_is_laid_out_is_paired(kinds):
    texts = ["GGCAUGAACC" if kinds[0] == "rna" else "GGCATGAACC", "GGUUCAUGCC" if kinds[1] == "rna" else "GGTTCATGCC"]
    spec = duplex(*texts, kinds=kinds)
    structure = build_complex(spec)
    found = pairs_of_complex(spec, structure)
    laid = with_helices(read_templates(spec, structure), structure, found)
    assert laid.fixed.all()
    assert set(laid.group.tolist()) == {1}
    placed = structure.with_positions(laid.positions, resolved=laid.group > 0)
    assert {frozenset(pair) for pair in base_pairs(placed).tolist()} == {frozenset((i, 19 - i)) for i in range(10)}


def test_a_modified_residue_pairs_as_its_parent():
    spec = rna("GGGCGAAAGCCC", modifications=(Modification(position=3, ccd="2MG"),))
    structure = build_complex(spec)
    found = pairs_of_complex(spec, structure)
    assert [2, 9] in found.predicted.tolist()
    laid = with_helices(read_templates(spec, structure), structure, found)
    own = structure.atoms.residue == 2
    assert {str(name) for name in structure.atoms.name[own & (laid.group == 0)]} == {"CM2"}


def test_too_many_nucleotides_are_told(monkeypatch):
    monkeypatch.setattr(module, "MOST_FOLDED", 10)
    spec = rna(HAIRPIN)
    structure = build_complex(spec)
    found = pairs_of_complex(spec, structure)
    assert len(found.every) == 0
    (verdict,) = base_pair_verdicts(found, structure)
    assert not verdict.met
    assert "12 nucleotides" in verdict.asked


def test_a_duplex_is_predicted_as_one(engine, tmp_path):
    """Judged by a library of its own: all pairs are there, in a file that others read."""
    (found,) = predict(duplex(), engine=engine, seed=3)
    (verdict,) = [each for each in found.verdicts if each.name == "predicted base pairs"]
    assert verdict.met
    assert not verdict.requested
    assert "A ((((((((((((, B ))))))))))))" in verdict.asked
    write_prediction(found, tmp_path, "duplex")
    atoms = pdbx.get_structure(pdbx.CIFFile.read(tmp_path / "duplex.cif"), model=1, include_bonds=True)
    rows = biotite_base_pairs(atoms)
    theirs = {frozenset((atoms.chain_id[row], int(atoms.res_id[row])) for row in pair) for pair in rows}
    assert theirs == {frozenset((("A", number), ("B", 13 - number))) for number in range(1, 13)}


def test_asked_pairs_are_formed_in_helices_and_alone(engine, tmp_path):
    asked = BasePairsSpec(chains=("A",), structure="((((....))))....(..(....)..)")
    spec = rna("GGGCGAAAGCCCAAUUGGACUUUUGUCC", asked)
    write_yaml(spec, tmp_path / "asked.yaml")
    assert read_yaml(tmp_path / "asked.yaml") == dataclasses.replace(spec, name="complex")
    (found,) = predict(tmp_path / "asked.yaml", engine=engine)
    (verdict,) = [each for each in found.verdicts if each.name == "base pairs"]
    assert verdict.met
    assert verdict.requested
    assert json.dumps(dict(found.provenance.spec["constraints"][0])).count("base_pairs") == 1


@pytest.mark.parametrize(
    ("text", "chains", "message"),
    [
        ("((((....))))", ["Q"], "no such chain"),
        ("((((....)))", ["A"], "no partner"),
        ("((((....)))))", ["A"], "no partner"),
        ("((((....)))).", ["A"], "one sign is needed for each nucleotide"),
        ("(.((....)).).", ["A"], "one sign is needed"),
        ("((((....).)))"[:12], ["A"], "no partner"),
        ("(((....)))..", ["A"], "cannot pair"),
        ("((((....)))x", ["A"], "no sign of base pairs"),
        ("....", ["P"], "DNA and RNA"),
        ("((((....))))" * 2, ["A", "A"], "named twice"),
        ("", [], "at least one chain"),
    ],
)
def test_pairs_that_cannot_be_are_refused(text, chains, message):
    molecules = (
        ChainSpec(ids=("A",), kind="rna", sequence=HAIRPIN),
        ChainSpec(ids=("P",), kind="protein", sequence="MKTA"),
    )
    with pytest.raises(InputError, match=message):
        ComplexSpec(chains=molecules, base_pairs=(BasePairsSpec(chains=tuple(chains), structure=text),))


def test_a_chain_has_its_pairs_once():
    once = BasePairsSpec(chains=("A",), structure="." * 12)
    with pytest.raises(InputError, match="given twice"):
        rna(HAIRPIN, once, once)
