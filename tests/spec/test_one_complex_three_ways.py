"""FASTA, YAML and AlphaFold 3 JSON of one complex are read into one and the same request, and it comes back whole."""

import json
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structdiff.chemistry.components import component, is_known
from structdiff.errors import InputError
from structdiff.spec.chain import LETTERS, ChainSpec, Modification, chain_letters
from structdiff.spec.complex import BondSpec, ComplexSpec, ContactSpec, PocketSpec, Site
from structdiff.spec.read import read_complex, read_complexes
from structdiff.spec.template import TemplateSpec
from structdiff.spec.yaml import from_dict
from structdiff.spec.yaml_writing import to_dict, to_json, write_yaml

FASTA = """\
>A,B|protein
MKV(MSE)AC
>C|dna
GATTACA
>D|rna|empty
GGCUAGCC
>E|ccd
ATP
>F|smiles
C[C@H](N)C(=O)O
"""
CHAI = """\
>protein|name=enzyme
MKV(MSE)AC
>protein|name=enzyme
MKV(MSE)AC
>dna|name=strand
GATTACA
"""
YAML = """\
version: 1
sequences:
- protein:
    id: [A, B]
    sequence: MKVMAC
    modifications: [{position: 4, ccd: MSE}]
- dna: {id: C, sequence: GATTACA}
- rna: {id: D, sequence: GGCUAGCC, msa: empty}
- ligand: {id: E, ccd: ATP}
- ligand: {id: F, smiles: 'C[C@H](N)C(=O)O'}
"""
AF3 = {
    "name": "job",
    "modelSeeds": [],
    "sequences": [
        {
            "protein": {
                "id": ["A", "B"],
                "sequence": "MKVMAC",
                "modifications": [{"ptmType": "MSE", "ptmPosition": 4}],
            }
        },
        {"dna": {"id": "C", "sequence": "GATTACA"}},
        {"rna": {"id": "D", "sequence": "GGCUAGCC", "unpairedMsa": ""}},
        {"ligand": {"id": "E", "ccdCodes": ["ATP"]}},
        {"ligand": {"id": "F", "smiles": "C[C@H](N)C(=O)O"}},
    ],
    "dialect": "alphafold3",
    "version": 1,
}


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "job.fasta"
    path.write_text(FASTA)
    return read_complex(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("job.yaml", YAML), ("job.yml", YAML), ("job.json", json.dumps(AF3)), ("job.fa", FASTA),
        ("job.fasta", FASTA.replace("\n", "\r\n")), ("job.txt", FASTA), ("job.input", json.dumps(AF3, indent=2)),
        ("job.fasta", "\ufeff" + FASTA),
    ],
)  # fmt: skip
def test_all_ways_give_the_same(spec, tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode())
    assert read_complex(tmp_path / name) == spec


def test_own_schema_as_json(spec, tmp_path):
    (tmp_path / "own.json").write_text(to_json(spec))
    assert read_complex(tmp_path / "own.json") == spec


def test_chai_names_its_chains_in_order(spec, tmp_path):
    (tmp_path / "job.fasta").write_text(CHAI)
    chai = read_complex(tmp_path / "job.fasta")
    assert chai.chain_ids == ("A", "B", "C")
    for name in chai.chain_ids:
        assert chai.component_names(name) == spec.component_names(name)


def test_several_jobs_and_unknown_formats(tmp_path):
    (tmp_path / "two.json").write_text(json.dumps([{"sequences": [{"ion": {"ion": "MG"}}]}] * 2))
    assert len(read_complexes(tmp_path / "two.json")) == 2
    with pytest.raises(InputError, match=r"two\.json: the file holds 2 jobs"):
        read_complex(tmp_path / "two.json")
    (tmp_path / "x.pdb").write_text("ATOM")
    with pytest.raises(InputError, match=r"x\.pdb: the format of this file is unknown .*'\.pdb'; allowed: \.fasta"):
        read_complex(tmp_path / "x.pdb")
    with pytest.raises(InputError, match="no such file"):
        read_complex(tmp_path / "gone.yaml")


CODES = st.sampled_from(["MSE", "SEP", "5MC", "2MG", "ZZ9", "017", "NO", "1E5", "ATP"])
#: Those that chains of a kind can hold, and one that nobody knows.
MODIFIED = {"protein": ["MSE", "SEP", "ZZZZ9"], "dna": ["5CM", "ZZZZ9"], "rna": ["5MC", "2MG", "ZZZZ9"]}
TEXTS = st.text("abÅé -#:'\"{}[]*&!%@`~|>,?0123NOyes\n", max_size=12)


@st.composite
def chains(draw, names):
    ids = tuple(next(names) for _ in range(draw(st.integers(1, 3))))
    kind = draw(st.sampled_from(["protein", "dna", "rna", "ccd", "smiles", "sdf"]))
    description = draw(TEXTS).strip()
    if kind == "ccd":
        codes = tuple(draw(st.lists(CODES, min_size=1, max_size=3, unique=True)))
        return ChainSpec(ids=ids, kind="ligand", ccd=codes, description=description)
    if kind == "smiles":
        smiles = draw(st.sampled_from(["CCO", "[Mg+2]", "C[C@H](N)C(=O)O", "C/C=C\\C", "c1ccccc1", "*C", "#N", "0"]))
        return ChainSpec(ids=ids, kind="ligand", smiles=smiles, description=description)
    if kind == "sdf":
        return ChainSpec(ids=ids, kind="ligand", sdf="ligands/x.sdf", description=description)
    sequence = draw(st.text("".join(LETTERS[kind]), min_size=1, max_size=20))
    places = draw(st.lists(st.integers(1, len(sequence)), unique=True, max_size=3))
    inside = "job.json#sequences[1].protein.unpairedMsa"
    several = ("msa/x.a3m", "msa/x.a3m#2", inside)
    msas = [()] if kind == "dna" else [(), "empty", "self", "msa/x.a3m", "msa/x.a3m#2", inside, several]
    codes = st.sampled_from(MODIFIED[kind])
    return ChainSpec(
        ids=ids, kind=kind, sequence=sequence, description=description,
        cyclic=len(sequence) > 2 and draw(st.booleans()),
        modifications=tuple(Modification(position=place, ccd=draw(codes)) for place in places),
        msa=draw(st.sampled_from(msas)),
    )  # fmt: skip


@st.composite
def complexes(draw):
    names = chain_letters()
    made = tuple(draw(chains(names)) for _ in range(draw(st.integers(1, 4))))
    by_name = {name: chain for chain in made for name in chain.ids}

    def site(atom):
        name = draw(st.sampled_from(sorted(by_name)))
        place = draw(st.integers(1, len(by_name[name])))
        wanted = by_name[name].kind == "ligand" and atom
        return Site(chain=name, residue=place, atom=draw(st.sampled_from(atoms_of(name, place))) if wanted else None)

    def atoms_of(name, place):
        """Those of the dictionary; of a component that comes with the file they are not known yet."""
        codes = by_name[name].ccd
        known = codes and is_known(codes[place - 1])
        return component(codes[place - 1]).atom_names.tolist() if known else ["CA", "1", "C1'", "O 1", "N"]

    bonds, constraints = [], []
    ligands = [chain.ids[0] for chain in made if chain.kind == "ligand"]
    if ligands and len(atoms_of(ligands[0], 1)) > 1 and draw(st.booleans()):
        names = draw(st.lists(st.sampled_from(atoms_of(ligands[0], 1)), min_size=2, max_size=2, unique=True))
        atoms = [Site(chain=ligands[0], residue=1, atom=name) for name in names]
        bonds.append(BondSpec(atom1=atoms[0], atom2=atoms[1]))
    distance = draw(st.floats(1, 30))
    first, second = site(True), site(True)
    if first != second:
        constraints.append(ContactSpec(token1=first, token2=second, max_distance=distance, force=draw(st.booleans())))
    contacts = tuple(dict.fromkeys(each for each in (first, second) if each.chain != made[0].ids[0]))
    if contacts:
        constraints.append(PocketSpec(binder=made[0].ids[0], contacts=contacts, max_distance=distance))
    proteins = tuple(name for name, chain in by_name.items() if chain.kind == "protein")
    templates = draw(
        st.sampled_from(
            [
                (),
                (TemplateSpec(path="t.cif"), TemplateSpec(path="t.pdb", chains=proteins, force=True, threshold=1.5)),
                (TemplateSpec(path="/abs/t.pdb.gz", chains=proteins, template_chains=("X",) * len(proteins)),),
            ]
        )
    )
    seeds = tuple(draw(st.lists(st.integers(0, 2**32 - 1), max_size=3, unique=True)))
    name = draw(st.text("aÅ b-_.:#'\"01", min_size=1).filter(lambda text: text.strip() and not text.startswith(".")))
    return ComplexSpec(
        name=name, chains=made, bonds=tuple(bonds), constraints=tuple(constraints), templates=templates, seeds=seeds
    )


@given(complexes())
@settings(max_examples=150, deadline=None)
def test_plain_data_and_json_round_trip(spec):
    assert from_dict(to_dict(spec)) == spec
    again = from_dict(json.loads(to_json(spec)))
    assert again == spec
    assert [chain.description for chain in again.chains] == [chain.description for chain in spec.chains]


@given(complexes())
@settings(max_examples=100, deadline=None)
def test_yaml_file_round_trip(spec):
    with tempfile.TemporaryDirectory() as folder:
        for name in ("msa/x.a3m", "job.json", "ligands/x.sdf", "t.cif", "t.pdb"):
            (Path(folder) / name).parent.mkdir(exist_ok=True)
            (Path(folder) / name).write_text("a file")
        data = json.loads(to_json(spec).replace('"/abs/t.pdb.gz"', f'"{folder}/t.pdb"'))
        for old in ("msa/x.a3m", "job.json", "ligands/x.sdf", "t.cif", "t.pdb"):
            data = json.loads(re.sub(rf'"{old}(#[^"]*)?"', rf'"{folder}/{old}\1"', json.dumps(data)))
        placed = from_dict(data)
        write_yaml(placed, Path(folder) / "spec.yaml")
        assert read_complex(Path(folder) / "spec.yaml") == placed


@pytest.mark.parametrize(
    ("kind", "sequence", "ccd", "position", "missing"),
    [
        ("protein", "MKAYI", "ATP", 3, "no N and no C"),
        ("protein", "MKAYI", "DT", 5, "no N"),
        ("protein", "MKAYI", "ACE", 3, "no N"),
        ("rna", "ACGU", "ATP", 2, "no P"),
    ],
)
def test_what_no_chain_can_hold_is_refused(kind, sequence, ccd, position, missing):
    change = Modification(position=position, ccd=ccd)
    with pytest.raises(InputError, match=f"modifications: {ccd} cannot stand in {kind} A at position.*{missing}"):
        ChainSpec(ids=("A",), kind=kind, sequence=sequence, modifications=(change,))


def test_caps_stand_at_the_ends_alone():
    caps = (Modification(position=1, ccd="ACE"), Modification(position=4, ccd="NH2"))
    assert len(ChainSpec(ids=("A",), kind="protein", sequence="XKAX", modifications=caps)) == 4
    with pytest.raises(InputError, match="ACE cannot stand"):
        ChainSpec(ids=("A",), kind="protein", sequence="XKAX", modifications=caps, cyclic=True)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.sto", ">101\nMKV\n>hit\nMKI\n", "a.sto: alignments are inputs as .a3m"),
        ("r.yaml", "defaults: [base]\njob_name: x\n", "r.yaml:1: this is an input of RoseTTAFold All-Atom"),
        ("c.fasta", ">x\nMKW:MKV\n", "c.fasta:2: .*letter ':' at position 4 .*give each chain a record"),
    ],
)
def test_what_other_programs_take_is_refused_by_its_name(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=says):
        read_complexes(tmp_path / name)
