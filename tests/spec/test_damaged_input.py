"""Whatever is done to an input file, the answer is a request or one clear line, never a crash."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structdiff.errors import InputError
from structdiff.spec.af3_json import all_or_error, parse_af3_document
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.contigs import Contigs
from structdiff.spec.design import DesignSpec, parse_design
from structdiff.spec.document_text import parse_json_document, parse_yaml_document
from structdiff.spec.fasta import parse_fasta
from structdiff.spec.openfold3 import parse_each_query
from structdiff.spec.yaml import parse_complex

FASTA = ">A,B|protein|empty\nMKV(MSE)\n>4HHB_1|Chains C, D[auth Q]|x\nMKV*\n>L|ccd\nATP\n>protein|name=y\nMKV\n"
YAML = """\
version: 1
sequences:
- protein: {id: [A, B], sequence: MKVMAC, modifications: [{position: 4, ccd: MSE}], msa: empty}
- ligand: {id: L, ccd: [NAG, FUC]}
constraints:
- bond: {atom1: [A, 1, CA], atom2: [L, 1, C1]}
- pocket: {binder: L, contacts: [[A, 1], [B, 2]], max_distance: 6, force: true}
seeds: [1, 2]
"""
DESIGN = "contigs: 10-20/A5-9@2/10-20 B1-100\nlength: 30-40\nhotspots: [B45, B67-69]\nsecondary_structure: H20?13\n"
AF3 = json.dumps(
    {
        "name": "x",
        "modelSeeds": [1],
        "sequences": [
            {"protein": {"id": ["A"], "sequence": "MK", "modifications": [{"ptmType": "MSE", "ptmPosition": 1}]}},
            {"ligand": {"id": "L", "ccdCodes": ["ATP"]}},
        ],
        "bondedAtomPairs": [[["A", 2, "CA"], ["L", 1, "PG"]]],
        "dialect": "alphafold3",
        "version": 1,
    }
)
OPENFOLD3 = json.dumps(
    {
        "queries": {
            "x": {
                "chains": [
                    {"molecule_type": "protein", "chain_ids": "A", "sequence": "MK",
                     "non_canonical_residues": {"1": "MSE"}, "use_msas": False},
                    {"molecule_type": "ligand", "chain_ids": ["L"], "ccd_codes": "ATP"},
                ],
                "covalent_bonds": [[["A", 2, "CA"], ["L", 1, "PG"]]],
                "pocket_constraint": {"ligand_chain_id": "L", "pocket_residues": [["A", 1]], "max_distance": 4},
            }
        },
        "seeds": [1],
    }
)  # fmt: skip
PROTENIX = json.dumps(
    [
        {
            "name": "x",
            "sequences": [{"proteinChain": {"sequence": "MK", "count": 2}}, {"ligand": {"ligand": "CC=O"}}],
            "covalent_bonds": [{"entity1": 1, "copy1": 1, "position1": 2, "atom1": "NZ",
                                "entity2": 2, "copy2": 1, "position2": 1, "atom2": "0"}],
            "constraint": {
                "contact": [{"entity1": 1, "copy1": 1, "position1": 1, "entity2": 1, "copy2": 2, "position2": 1,
                             "max_distance": 8}],
                "pocket": {"binder_chain": {"entity": 2, "copy": 1}, "max_distance": 6,
                           "contact_residues": [{"entity": 1, "copy": 1, "position": 1}]},
            },
        }
    ]
)  # fmt: skip
PARSERS = {
    "fasta": (FASTA, parse_fasta),
    "yaml": (YAML, lambda text: parse_complex(parse_yaml_document(text), name="x")),
    "design": (DESIGN, lambda text: parse_design(parse_yaml_document(text), name="x")),
    "af3": (AF3, lambda text: parse_af3_document(parse_json_document(text))),
    "openfold3": (OPENFOLD3, lambda text: all_or_error(parse_each_query(parse_json_document(text)))),
    "protenix": (PROTENIX, lambda text: parse_af3_document(parse_json_document(text))),
    "contigs": ("[10-20/A163-181@2/1:5-7/A52B/0 B1-100/0 C]", parse_contigs),
}


@st.composite
def damaged(draw, text):
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        stop = draw(st.integers(start, min(len(text), start + 6)))
        text = text[:start] + draw(st.text("\n\t >|:,-/@'\"[]{}()0A1é\x00null\u2028", max_size=4)) + text[stop:]
    return text


@pytest.mark.parametrize("kind", PARSERS)
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_text(kind, data):
    original, parse = PARSERS[kind]
    text = data.draw(damaged(original))
    try:
        parsed = parse(text)
    except InputError as error:
        message = str(error)
        assert message
        assert "\n" not in message
    else:
        if isinstance(parsed, Contigs):
            assert parse_contigs(str(parsed)) == parsed
        elif isinstance(parsed, DesignSpec):
            assert parsed.contigs.chains
        else:
            for spec in parsed if isinstance(parsed, tuple) else (parsed,):
                for name in spec.chain_ids:
                    assert all(spec.component_names(name))
