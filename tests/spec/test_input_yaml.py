import pytest

from structdiff.errors import InputError
from structdiff.spec.complex import BondSpec, ContactSpec, PocketSpec, Site
from structdiff.spec.template import TemplateSpec
from structdiff.spec.yaml import from_dict, read_yaml
from structdiff.spec.yaml_writing import to_dict, write_yaml

BOLTZ = """\
version: 1  # Optional, defaults to 1
sequences:
  - protein:
      id: [A, B]
      sequence: MVTPEGNVSLVDESLLVGVTDEDRAVRS
      msa: ./seq1.a3m
      modifications:
        - position: 5
          ccd: PTR
  - protein:
      id: C
      sequence: QLEDSEVEAVAKG
      msa: empty
      cyclic: true
  - ligand:
      id: [D, E]
      ccd: SAH
  - ligand:
      id: F
      smiles: 'N[C@@H](Cc1ccc(O)cc1)C(=O)O'
constraints:
  - bond:
      atom1: [A, 1, CG]
      atom2: [D, 1, CA]
  - pocket:
      binder: F
      contacts: [[A, 20], [B, 3], [D, N1]]
  - contact:
      token1: [A, 4]
      token2: [F, C1]
      max_distance: 8.5
      force: true
templates:
  - cif: t.cif
  - pdb: t.pdb
    chain_id: [A, B]
    template_id: [A1, B1]
    force: true
    threshold: 2
"""


@pytest.fixture
def boltz_file(tmp_path):
    for name in ("seq1.a3m", "t.cif", "t.pdb"):
        (tmp_path / name).write_text("a file")
    path = tmp_path / "job.yaml"
    path.write_text(BOLTZ)
    return path


def test_a_boltz_file_is_read_whole(boltz_file):
    spec = read_yaml(boltz_file)
    folder = boltz_file.parent
    assert spec.name == "job"
    assert spec.chain_ids == ("A", "B", "C", "D", "E", "F")
    assert spec.chain("B").msa == (str(folder / "seq1.a3m"),)
    assert spec.component_names("A")[4] == "PTR"
    assert (spec.chain("C").msa, spec.chain("C").cyclic) == (("empty",), True)
    assert spec.chain("D").ccd == ("SAH",)
    assert spec.chain("F").smiles == "N[C@@H](Cc1ccc(O)cc1)C(=O)O"
    assert spec.bonds == (
        BondSpec(atom1=Site(chain="A", residue=1, atom="CG"), atom2=Site(chain="D", residue=1, atom="CA")),
    )
    pocket, contact = spec.constraints
    assert pocket == PocketSpec(
        binder="F",
        contacts=(Site(chain="A", residue=20), Site(chain="B", residue=3), Site(chain="D", residue=1, atom="N1")),
    )
    assert contact == ContactSpec(
        token1=Site(chain="A", residue=4), token2=Site(chain="F", residue=1, atom="C1"), max_distance=8.5, force=True
    )
    assert spec.templates == (
        TemplateSpec(path=str(folder / "t.cif")),
        TemplateSpec(
            path=str(folder / "t.pdb"), chains=("A", "B"), template_chains=("A1", "B1"), force=True, threshold=2.0
        ),
    )


def test_writing_and_reading_again_from_another_folder(boltz_file, tmp_path, monkeypatch):
    spec = read_yaml(boltz_file)
    (tmp_path / "sub").mkdir()
    write_yaml(spec, tmp_path / "sub" / "copy.yaml")
    assert read_yaml(tmp_path / "sub" / "copy.yaml") == spec
    monkeypatch.chdir(tmp_path)
    near = read_yaml("job.yaml")
    assert near.chain("A").msa == ("seq1.a3m",)
    write_yaml(near, "sub/near.yaml")
    assert "msa: ../seq1.a3m" in (tmp_path / "sub" / "near.yaml").read_text()
    assert read_yaml("sub/near.yaml") == near
    assert not list(tmp_path.rglob("*.part"))


def test_words_are_taken_as_written():
    text_to_value = from_dict(
        {"sequences": [{"ligand": {"id": "NO", "ccd": "017"}}, {"protein": {"id": 1, "sequence": "MK"}}]}
    )
    assert text_to_value.chain("NO").ccd == ("017",)
    assert text_to_value.chain_ids == ("NO", "1")


def test_plain_yaml_words_are_not_truth_values_or_numbers(tmp_path):
    path = tmp_path / "x.yaml"
    pairs = (("NO", "NO"), ("01", "017"), ("on", "1E5"))
    path.write_text("sequences:\n" + "".join(f"- ligand: {{id: {name}, ccd: {code}}}\n" for name, code in pairs))
    spec = read_yaml(path)
    assert spec.chain_ids == ("NO", "01", "on")
    assert [chain.ccd for chain in spec.chains] == [("NO",), ("017",), ("1E5",)]
    write_yaml(spec, path)
    assert read_yaml(path) == spec


def test_inline_modifications_and_own_keys():
    spec = from_dict(
        {
            "name": "x",
            "seeds": 7,
            "sequences": [
                {"protein": {"id": "A", "sequence": "MK (MSE)\nV", "description": "an enzyme"}},
                {"ligand": {"id": "G", "ccd": ["NAG", "NAG"]}},
            ],
            "constraints": [{"contact": {"token1": ["A", 1], "token2": ["G", 2, "C1"]}}],
        }
    )
    assert spec.component_names("A") == ("MET", "LYS", "MSE", "VAL")
    assert spec.chain("A").description == "an enzyme"
    assert (spec.name, spec.seeds) == ("x", (7,))
    assert to_dict(spec)["sequences"][1] == {"ligand": {"id": "G", "ccd": ["NAG", "NAG"]}}


def test_an_affinity_is_asked_for_as_in_boltz(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(
        "version: 1\nsequences:\n- protein: {id: A, sequence: MKV}\n- ligand: {id: L, ccd: GOL}\n"
        "properties:\n- affinity: {binder: L}\n"
    )
    spec = read_yaml(path)
    assert spec.affinity == "L"
    write_yaml(spec, path)
    assert read_yaml(path) == spec
    assert "affinity: {binder: L}" in path.read_text()
    path.write_text(path.read_text().replace("properties:\n- affinity: {binder: L}", "properties: []"))
    assert read_yaml(path).affinity is None


GOOD = "sequences:\n- protein: {id: A, sequence: MKV}\n- ligand: {id: L, ccd: [NAG, NAG]}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sequences: [", ["x.yaml:1", "not YAML"]),
        ("a: b: c", ["x.yaml:1", "not YAML"]),
        ("a: 1\n\tb: 2", ["x.yaml:2", "not YAML"]),
        ("# nothing", ["x.yaml: the file is empty"]),
        ("- protein", ["x.yaml:1", "expected keys", "a list"]),
        ("just words", ["x.yaml:1", "expected keys", "just words"]),
        ("sequnces: []", ["x.yaml:1", "unknown key", "'sequnces'", "allowed: version", "did you mean 'sequences'"]),
        ("version: 1", ["'sequences' is missing"]),
        ("version: 2\n" + GOOD, ["x.yaml:1", "version", "'2'"]),
        ("sequences: []", ["no chains"]),
        ("sequences: protein", ["x.yaml:1", "sequences", "expected a list"]),
        ("sequences:\n- protien: {id: A}", ["x.yaml:2", "sequences[1]", "'protien'", "did you mean 'protein'"]),
        ("sequences:\n- protein: {id: A, sequence: M}\n  dna: {}", ["x.yaml:2", "exactly one key"]),
        ("sequences:\n- protein: {id: A}", ["x.yaml:2", "'sequence' is missing"]),
        ("sequences:\n- protein: {sequence: M}", ["x.yaml:2", "'id' is missing"]),
        ("sequences:\n- protein: {id: A, sequence: M, smiles: C}", ["x.yaml:2", "'smiles'", "allowed: id, sequence"]),
        ("sequences:\n- protein:\n    id: A\n    seqence: M", ["x.yaml:4", "'seqence'", "did you mean 'sequence'"]),
        ("sequences:\n- protein:\n    id: A\n    sequence: MKJ", ["x.yaml:4", "'J'", "position 3", "I or L"]),
        ("sequences:\n- protein:\n    id: A\n    sequence:", ["'sequence' is missing"]),
        ("sequences:\n- protein:\n    id: A\n    sequence: [M]", ["x.yaml:4", "expected a text"]),
        ("sequences:\n- protein: {id: A, sequence: M, cyclic: maybe}", ["cyclic", "true or false", "maybe"]),
        ("sequences:\n- dna: {id: A, sequence: A, msa: x}", ["'msa'"]),
        ("sequences:\n- protein: {id: A, sequence: M, msa: gone.a3m}", ["x.yaml:2", "msa", "no such file", "gone.a3m"]),
        ("sequences:\n- protein: {id: A, sequence: M, msa: .}", ["x.yaml:2", "a folder"]),
        ("sequences:\n- ligand: {id: A}", ["x.yaml:2", "exactly one way"]),
        ("sequences:\n- ligand:\n    id: A\n    ccd: A-P", ["x.yaml:4", "'A-P'"]),
        (
            "sequences:\n- protein:\n    id: A\n    sequence: M\n    modifications:\n    - {position: 2, ccd: MSE}",
            ["x.yaml:6", "found 2", "1 to 1"],
        ),
        (
            "sequences:\n- protein:\n    id: A\n    sequence: M\n    modifications:\n    - {position: one, ccd: MSE}",
            ["x.yaml:6", "position", "whole number", "one"],
        ),
        ("sequences:\n- protein: {id: A, sequence: M}\n- dna: {id: A, sequence: A}", ["x.yaml:3", "same name", "'A'"]),
        (GOOD + "constraints:\n- bnod: {}", ["x.yaml:5", "'bnod'", "did you mean 'bond'"]),
        (GOOD + "constraints:\n- bond: {atom1: [A, 1, CA]}", ["x.yaml:5", "'atom2' is missing"]),
        (GOOD + "constraints:\n- bond: {atom1: [A, 1], atom2: [L, 1, C1]}", ["x.yaml:5", "name both"]),
        (GOOD + "constraints:\n- bond: {atom1: [A, 9, CA], atom2: [L, 1, C1]}", ["x.yaml:5", "found 9", "1 to 3"]),
        (GOOD + "constraints:\n- bond: {atom1: [A, 1, CX], atom2: [L, 1, C1]}", ["x.yaml:5", "'CX'", "MET"]),
        (GOOD + "constraints:\n- contact: {token1: [A, 1], token2: [L, C1]}", ["x.yaml:5", "2 components"]),
        (GOOD + "constraints:\n- contact: {token1: [A, CA], token2: [L, 1]}", ["x.yaml:5", "whole number", "CA"]),
        (GOOD + "constraints:\n- contact: {token1: [X, 1], token2: [L, 1]}", ["x.yaml:5", "'X'", "allowed: A, L"]),
        (GOOD + "constraints:\n- contact: {token1: A, token2: [L, 1]}", ["x.yaml:5", "expected a list"]),
        (GOOD + "constraints:\n- contact: {token1: [A], token2: [L, 1]}", ["x.yaml:5", "[chain, residue]"]),
        (
            GOOD + "constraints:\n- contact: {token1: [A, 1], token2: [A, 2], max_distance: far}",
            ["x.yaml:5", "max_distance", "expected a number", "far"],
        ),
        (
            GOOD + "constraints:\n- contact: {token1: [A, 1], token2: [A, 2], max_distance: -1}",
            ["x.yaml:5", "max_distance", "above 0"],
        ),
        (GOOD + "constraints:\n- pocket: {binder: Q, contacts: [[A, 1]]}", ["x.yaml:5", "'Q'"]),
        (GOOD + "constraints:\n- pocket: {binder: L, contacts: []}", ["x.yaml:5", "at least one"]),
        (GOOD + "templates:\n- {chain_id: A}", ["x.yaml:5", "'cif' or 'pdb'"]),
        (GOOD + "templates:\n- {cif: gone.cif}", ["x.yaml:5", "no such file"]),
        (GOOD + "properties:\n- affinity: {binder: L}", ["x.yaml:5", "of one component", "L, of 2"]),
        (GOOD + "properties:\n- affinity: {binder: A}", ["x.yaml:5", "of ligands", "A, a protein", "allowed: L"]),
        (GOOD + "properties:\n- affinity: {binder: Q}", ["x.yaml:5", "no such chain", "'Q'"]),
        (GOOD + "properties:\n- affinity: {ligand: L}", ["x.yaml:5", "unknown key", "'ligand'", "allowed: binder"]),
        (GOOD + "properties:\n- affinity: {}", ["x.yaml:5", "'binder' is missing"]),
        (GOOD + "properties:\n- affinty: {binder: L}", ["x.yaml:5", "unknown key", "did you mean 'affinity'"]),
        (GOOD + "properties: affinity", ["x.yaml:4", "expected a list"]),
        (
            GOOD + "properties:\n- affinity: {binder: L}\n- affinity: {binder: L}",
            ["x.yaml:6", "affinity of one ligand", "2 binders"],
        ),
        (
            "sequences:\n- protein: {id: A, sequence: MKV}\n- ligand: {id: [L, M], ccd: GOL}\n"
            "properties:\n- affinity: {binder: L}",
            ["x.yaml:5", "there once", "L, M are the same"],
        ),
        (
            "sequences:\n- dna: {id: A, sequence: GAC}\n- ligand: {id: L, ccd: GOL}\n"
            "properties:\n- affinity: {binder: L}",
            ["x.yaml:5", "to proteins, and there is none"],
        ),
        (GOOD + "seeds: [x]", ["x.yaml:4", "seeds", "whole number"]),
        (GOOD + "seeds: [99999999999]", ["x.yaml:4", "seeds", "99999999999"]),
        (GOOD + "name: a/b", ["x.yaml:4", "name", "'a/b'"]),
        (GOOD + "name: x\nname: y", ["x.yaml:5", "twice", "'name'"]),
        ("a: &x [1]\nsequences: *x", ["x.yaml", "aliases"]),
        ("sequences: !!python/object:os.system []", ["x.yaml:1", "tags"]),
        ("--- 1\n--- 2", ["x.yaml", "not YAML"]),
    ],
)
def test_bad_input_gives_one_line_that_names_the_place(tmp_path, text, says):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_yaml(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in says:
        assert part in message


@pytest.mark.parametrize("text", ["[a]", GOOD + "foo: 1", "name: x"])
def test_errors_offer_no_key_that_nobody_can_set(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(InputError, match=r"allowed: version, .* properties\)$"):
        read_yaml(tmp_path / "x.yaml")


def test_errors_in_plain_data_name_the_key():
    with pytest.raises(InputError, match=r"sequences\[1\].protein: unknown key \(found 'seq'"):
        from_dict({"sequences": [{"protein": {"id": "A", "seq": "M"}}]})


def test_unwritable_output(tmp_path):
    spec = from_dict({"sequences": [{"protein": {"id": "A", "sequence": "M"}}]})
    with pytest.raises(InputError, match="cannot be written"):
        write_yaml(spec, tmp_path / "gone" / "x.yaml")


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        ("bond: {atom1: [A, 5, OH], atom2: [L, 1, PX]}", r"residue 1 of chain L \(ATP\) has no such atom .*'PX'.* PG"),
        ("contact: {token1: [A, 3], token2: [L, PX]}", r"residue 1 of chain L \(ATP\) has no such atom .*'PX'.* PG"),
        ("bond: {atom1: [A, 2, NX], atom2: [L, 1, PG]}", r"residue 2 of chain A \(SEP\) has no such atom .*'NX'"),
        ("pocket: {binder: L, contacts: [[A, 3]], max_distance: 0.5}", "max_distance: .*found 0.5; allowed: 1 to 30 Å"),
    ],
)
def test_what_a_constraint_cannot_mean_is_told_with_its_line(tmp_path, constraint, message):
    file = tmp_path / "complex.yaml"
    file.write_text(
        "sequences:\n- protein: {id: A, sequence: MSTAY, modifications: [{position: 2, ccd: SEP}]}\n"
        "- ligand: {id: L, ccd: ATP}\nconstraints:\n- bond: {atom1: [A, 5, OH], atom2: [L, 1, PG]}\n"
        f"- {constraint}\n"
    )
    with pytest.raises(InputError, match=rf"complex\.yaml:6: .*{message}"):
        read_yaml(file)
