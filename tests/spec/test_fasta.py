import pytest

from structdiff.errors import InputError
from structdiff.spec.chain import ChainSpec, Modification
from structdiff.spec.fasta import guess_kind, parse_fasta, read_fasta
from structdiff.spec.read import read_complex


def only(text):
    (chain,) = parse_fasta(text).chains
    return chain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">x y\nMKVL", ChainSpec(ids=("A",), kind="protein", sequence="MKVL")),
        (">A\r\nmk\r\n\r\nvl*\r\n", ChainSpec(ids=("A",), kind="protein", sequence="MKVL")),
        ("; note\n>B\nGGUU\n; note\nAC", ChainSpec(ids=("B",), kind="rna", sequence="GGUUAC")),
        (">A, B\nMKVL", ChainSpec(ids=("A", "B"), kind="protein", sequence="MKVL")),
        (">\nMKUL", ChainSpec(ids=("A",), kind="protein", sequence="MKUL")),
        (">A|dna\nGATTACA", ChainSpec(ids=("A",), kind="dna", sequence="GATTACA")),
        (">A|PROTEIN\nGATTACA", ChainSpec(ids=("A",), kind="protein", sequence="GATTACA")),
        (">|protein\nMK", ChainSpec(ids=("A",), kind="protein", sequence="MK")),
        (">Q,R|rna\nacgu", ChainSpec(ids=("Q", "R"), kind="rna", sequence="ACGU")),
        (">A|protein|empty\nMK", ChainSpec(ids=("A",), kind="protein", sequence="MK", msa="empty")),
        (">A|protein|self\nMK", ChainSpec(ids=("A",), kind="protein", sequence="MK", msa="self")),
        (">A|protein|\nMK", ChainSpec(ids=("A",), kind="protein", sequence="MK")),
        (">L|ccd\natp", ChainSpec(ids=("L",), kind="ligand", ccd=("ATP",))),
        (">L|ccd\nNAG NAG,BMA", ChainSpec(ids=("L",), kind="ligand", ccd=("NAG", "NAG", "BMA"))),
        (">L|ccd\nNA\nG", ChainSpec(ids=("L",), kind="ligand", ccd=("NA", "G"))),
        (">L|smiles\nC[C@H](N)\nC(=O)O", ChainSpec(ids=("L",), kind="ligand", smiles="C[C@H](N)C(=O)O")),
        (">protein|name=one\nMK", ChainSpec(ids=("A",), kind="protein", sequence="MK")),
        (">dna|\nGATTACA", ChainSpec(ids=("A",), kind="dna", sequence="GATTACA")),
        (">rna\nACG", ChainSpec(ids=("A",), kind="rna", sequence="ACG")),
        (">ligand|name=x\nCCO", ChainSpec(ids=("A",), kind="ligand", smiles="CCO")),
        (">sp|P69905|HBA_HUMAN\nMVLS", ChainSpec(ids=("A",), kind="protein", sequence="MVLS")),
        (">tr|Q1|X\nMVLS", ChainSpec(ids=("A",), kind="protein", sequence="MVLS")),
        (">4HHB_1|Chains A, C|Hemoglobin|Homo\nMVLS", ChainSpec(ids=("A", "C"), kind="protein", sequence="MVLS")),
        (">1ABC_2|Chain B[auth X]|Y\nMVLS", ChainSpec(ids=("X",), kind="protein", sequence="MVLS")),
        (">A|protein\nM(ALA)K", ChainSpec(ids=("A",), kind="protein", sequence="MAK")),
    ],
)
def test_one_record(text, expected):
    assert only(text) == expected


def test_modified_residues_know_their_parents():
    chain = only(">A|protein\nAK(MSE)V(SEP)(ZZZ99)")
    assert chain.sequence == "AKMVSX"
    assert [change.ccd for change in chain.modifications] == ["MSE", "SEP", "ZZZ99"]
    assert only(">R|rna\nA(5MC)G") == ChainSpec(
        ids=("R",), kind="rna", sequence="ACG", modifications=(Modification(position=2, ccd="5MC"),)
    )


def test_chai_has_modified_residues_in_brackets_of_either_kind():
    assert only(">protein|name=x\nAK[MSE]V(SEP)") == only(">protein|name=x\nAK(MSE)V(SEP)")


def test_glycans_are_sugars_and_their_bonds():
    for header in (">B,C|glycan", ">glycan|name=x"):
        spec = parse_fasta(f">A|protein\nMKN\n{header}\nNAG(4-1 NAG(4-1 BMA(3-1 MAN)(6-1 MAN)))(6-1 FUC)")
        assert spec.component_names("B") == ("NAG", "NAG", "BMA", "MAN", "MAN", "FUC")
        found = [f"{bond.atom1} {bond.atom2}" for bond in spec.bonds]
        own = ["1/O4 2/C1", "2/O4 3/C1", "3/O3 4/C1", "3/O6 5/C1", "1/O6 6/C1"]
        assert found == [" ".join(f"{name}/{end}" for end in each.split())
                         for name in spec.chain_ids[1:] for each in own]  # fmt: skip


def test_names_of_nameless_chains_avoid_the_given_ones():
    text = ">first chain\nMKV\n>A\nMKV\n>second chain\nMKV\n>protein|name=z\nMKV"
    assert parse_fasta(text).chain_ids == ("B", "A", "C", "D")


def test_description_is_kept_and_takes_no_part_in_comparison():
    one, two = only(">sp|P1|X y z\nMKV"), only(">A|protein\nMKV")
    assert one.description == "sp|P1|X y z"
    assert one == two


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "msa").mkdir()
    (tmp_path / "msa" / "a.a3m").write_text(">A\nMK\n")
    (tmp_path / "x.sdf").write_text("ligand")
    path = tmp_path / "job.fasta"
    path.write_text(">A|protein|msa/a.a3m\nMK\n>L|sdf\n./x.sdf\n")
    spec = read_fasta(path)
    assert spec.name == "job"
    assert spec.chains[0].msa == (str(tmp_path / "msa" / "a.a3m"),)
    assert spec.chains[1].sdf == str(tmp_path / "x.sdf")


@pytest.mark.parametrize(
    ("sequence", "kind"),
    [("MKV", "protein"), ("ACGU", "rna"), ("NNU", "rna"), ("ACGTX", "protein"), ("MKU", "protein")],
)
def test_guess_kind(sequence, kind):
    assert guess_kind(sequence) == kind


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ["no records"]),
        ("\n\n;only a note", ["no records"]),
        ("MKV\n>A\nMKV", ["line 1", "starts with a header", "MKV"]),
        (">A|protein\nMKV\n>B|protein\n", ["line 3", "no sequence", ">B|protein"]),
        (">A|protein\n>B|protein\nMK", ["line 1", "no sequence"]),
        (">A\nGATTACA", ["line 2", "DNA or protein", "'>A|dna'", "'>A|protein'", "GATTACA"]),
        (">A\nGANNACA", ["line 2", "DNA or protein"]),
        (">A\nACGTU", ["line 2", "neither", "ACGTU"]),
        (">A|protien\nMK", ["line 1", "'protien'", "allowed: protein, dna, rna", "did you mean 'protein'"]),
        (">A|ligand\nATP", ["line 1", "'ccd', 'smiles', 'sdf' or 'glycan'", "'ligand'"]),
        (">protien|name=x\nMK", ["line 1", "'protien'", "did you mean 'protein'"]),
        (">glycan|name=x\nNAG(NAG)", ["line 2", "no glycan", "'NAG(NAG)'", "NAG(4-1 NAG)"]),
        (">glycan|name=x\nNAG(4-1 NAG", ["line 2", "no glycan"]),
        (">glycan|name=x\nNAG(4-1)", ["line 2", "no glycan, at character 6"]),
        (">A|protein\nMK\n>glycan|\nNAG(2-1 NAG)", ["line 4", "(NAG) has no such atom", "'O2'", "O4"]),
        (">protein|chain=x\nMK", ["line 1", "chain=x", "allowed: name=..."]),
        (">A|protein|a|b\nMK", ["line 1", "too many parts"]),
        (">A|dna|x.a3m\nACGT", ["line 1", "alignment", "x.a3m"]),
        (">A|protein\nMKVJL", ["line 2", "'J'", "position 4", "I or L"]),
        (">A|protein\nMK-VL", ["line 2", "'-'", "position 3", "gaps"]),
        (">A|protein\nMK*VL", ["line 2", "'*'", "position 3", "only at the end"]),
        (">A|protein\nMK1VL", ["line 2", "'1'", "position 3", "allowed: A"]),
        (">A|protein\nMKßT", ["line 2", "'ß'", "position 3", "allowed: A"]),
        (">A|dna\nACGU", ["line 2", "'U'", "position 4", "write T"]),
        (">A|rna\nACGT", ["line 2", "'T'", "position 4", "write U"]),
        (">A|dna\nACRT", ["line 2", "'R'", "A or G", "write N"]),
        (">A|protein\nMK(MSE", ["line 2", "bracket", "character 3"]),
        (">A|protein\nMK)MSE", ["line 2", "bracket", "character 3"]),
        (">A|protein\nMK(SELENO)", ["line 2", "SELENO", "1 to 5"]),
        (">A|protein\nMK()", ["line 2", "1 to 5 letters"]),
        (">A|protein\n*", ["line 2", "empty sequence"]),
        (">A|protein\nMK\n>B|dna\nACGT\n>A|rna\nACGU", ["line 5", "same name", "line 1", "'A'"]),
        (">A,A|protein\nMK", ["line 1", "same name", "'A'"]),
        (">A?|protein\nMK", ["line 1", "name", "'A?'"]),
        (">A,|protein\nMK", ["line 1", "name", "''"]),
        (">L|ccd\nATP!", ["line 2", "ATP!", "such as ATP"]),
        (">L|smiles\nCC O", ["line 2", "blanks", "CC O"]),
    ],
)
def test_bad_input_gives_one_line_that_names_the_place(text, says):
    with pytest.raises(InputError) as caught:
        parse_fasta(text)
    message = str(caught.value)
    assert "\n" not in message
    for part in says:
        assert part in message


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("no.fasta", None, ["no.fasta: no such file"]),
        ("empty.fasta", b"\n \n", ["empty.fasta: the file is empty"]),
        ("binary.fasta", b"\x1f\x8b\x08\x00\xff", ["binary.fasta: not a text file"]),
        (
            "lost.fasta",
            b">A|protein|gone.a3m\nMK",
            ["lost.fasta:1: no such file; paths are relative to the file they are written in", "gone.a3m"],
        ),
        ("lost.fasta", b">L|sdf\ngone.sdf", ["lost.fasta:2: no such file", "gone.sdf"]),
        ("letter.fasta", b">A|protein\nMKJ", ["letter.fasta:2: sequence: letter 'J'"]),
    ],
)
def test_bad_files(tmp_path, name, data, says):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_fasta(tmp_path / name)
    for part in says:
        assert part in str(caught.value)


def test_a_path_that_counts_from_the_working_folder_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples" / "msa").mkdir(parents=True)
    (tmp_path / "examples" / "msa" / "x.a3m").write_text(">x\nMKT\n")
    (tmp_path / "examples" / "x.fasta").write_text(">A|protein|./examples/msa/x.a3m\nMKT\n")
    with pytest.raises(InputError, match=r"written in, from which it is msa/x\.a3m \(found"):
        read_fasta("examples/x.fasta")


def test_a_sequence_is_no_file():
    with pytest.raises(InputError, match=r"MKTAYIAKQRQISFVK: no such file; a sequence is written into one \(FASTA\)"):
        read_complex("MKTAYIAKQRQISFVK")
    with pytest.raises(InputError, match="no such file; a text of FASTA is read by parse_fasta"):
        read_complex(">A|protein\nMKTAY")


def test_a_folder_is_not_a_fasta(tmp_path):
    with pytest.raises(InputError, match="this is a folder"):
        read_fasta(tmp_path)
