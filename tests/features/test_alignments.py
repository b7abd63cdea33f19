"""The alignment of a complex: letters, deletions, and which rows of its chains stand side by side."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from structdiff.chemistry.residues import GAP, PROTEIN_THREE_TO_ONE, RESTYPES, UNK_PROTEIN
from structdiff.errors import InputError
from structdiff.features.alignments import msa_features
from structdiff.features.build import build_features, query_alone
from structdiff.features.schema import MSAFeatures
from structdiff.features.tokens import tokenise
from structdiff.spec.chain import ChainSpec, Modification
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.read import read_complex
from structdiff.structure.complex import build_complex

SHOWN = {"-": "-", "UNK": "X", **PROTEIN_THREE_TO_ONE}
A, B = "MKVLAC", "GHW"


def features(spec: ComplexSpec, **options: int) -> MSAFeatures:
    structure = build_complex(spec)
    return msa_features(spec, structure, tokenise(structure), **options)


def shown(found: MSAFeatures) -> list[str]:
    """Each row as letters; those that are not paired in lower case, where there are any."""
    rows = []
    for restype, paired in zip(found.restype.tolist(), found.paired.tolist(), strict=True):
        letters = [SHOWN.get(RESTYPES[number], "?") for number in restype]
        rows.append("".join(own if keep else own.lower() for own, keep in zip(letters, paired, strict=True)))
    return rows


def protein(name: str, sequence: str, *msa: object, **more: object) -> ChainSpec:
    return ChainSpec(ids=tuple(name), kind="protein", sequence=sequence, msa=tuple(map(str, msa)), **more)


@pytest.fixture
def write(tmp_path):
    def of(name: str, text: str):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return of


def of_chains(*chains: ChainSpec) -> ComplexSpec:
    return ComplexSpec(chains=chains)


def test_insertions_are_counted_before_the_column_that_follows(write):
    path = write("a.a3m", ">q\nMKVLAC\n>r\nggM-VLaaaaA-vvv\n>dots\nMKV..LA.cC*\n")
    found = features(of_chains(protein("A", A, path)))
    assert shown(found) == ["MKVLAC", "m-vla-", "mkvlac"]
    counts = torch.tensor([[0] * 6, [2, 0, 0, 0, 4, 0], [0, 0, 0, 0, 0, 1]])
    assert torch.equal(found.has_deletion, counts.clamp(max=1).float())
    assert torch.allclose(found.deletion_value, 2 / torch.pi * torch.atan(counts / 3))
    assert found.mask.all()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.fasta", ">q\nMK--VLAC\n>r\nMKGGV-AC\n"),
        ("a.sto", "# STOCKHOLM 1.0\nq MK..VLAC\nr MKggV.AC\n//\n"),
        ("a.csv", "key,sequence\n-1,MKVLAC\n-1,MKggV-AC\n"),
        ("a.a3m", ">q\nMKVLAC\n>r\nMKggV-AC\n"),
    ],
)
def test_columns_that_the_chain_lacks_are_insertions_in_every_format(write, name, text):
    found = features(of_chains(protein("A", A, write(name, text))))
    assert shown(found) == ["MKVLAC", "mkv-ac"]
    assert found.has_deletion.tolist() == [[0] * 6, [0, 0, 1, 0, 0, 0]]
    assert found.deletion_value[1, 2].item() == pytest.approx(2 / np.pi * np.arctan(2 / 3))


def test_letters_that_are_no_amino_acid_are_unknown(write):
    found = features(of_chains(protein("A", A, write("a.a3m", ">q\nMKVLAC\n>r\nBJOUXZ\n"))))
    assert found.restype[1].tolist() == [UNK_PROTEIN] * 6
    with pytest.raises(InputError, match=r"a.a3m:3: r: this is no letter of a protein.*'\?'"):
        features(of_chains(protein("A", A, write("a.a3m", ">q\nMKVLAC\n>r\nMK?LAC\n"))))


def test_rna_is_read_in_its_own_letters(write):
    chain = ChainSpec(
        ids=("R",), kind="rna", sequence="GGCU", msa=str(write("r.a3m", ">q\nGGCT\n>r\nAaT-N\n>s\nRUCG\n"))
    )
    found = features(of_chains(chain))
    names = [[RESTYPES[number] for number in row] for row in found.restype.tolist()]
    assert names == [["G", "G", "C", "U"], ["A", "U", "-", "N"], ["N", "U", "C", "G"]]


def test_without_alignments_it_is_the_query_alone():
    spec = of_chains(protein("AB", A), protein("C", B, "self"), ChainSpec(ids=("L",), kind="ligand", ccd=("GOL",)))
    structure = build_complex(spec)
    tokens = tokenise(structure)
    found, wanted = msa_features(spec, structure, tokens), query_alone(build_features(structure).token.restype)
    for name in ("restype", "has_deletion", "deletion_value", "paired", "mask"):
        own, other = getattr(found, name), getattr(wanted, name)
        assert torch.equal(own, other)
        assert own.dtype == other.dtype


def test_other_molecules_have_gaps_and_atoms_of_a_modified_residue_its_letter(write):
    path = write("a.a3m", ">q\nMKVLAC\n>r\nRKVLAC\n>s\n-gVVLAC\n")
    spec = of_chains(
        ChainSpec(ids=("L",), kind="ligand", ccd=("GOL",)),
        protein("A", A, path, modifications=(Modification(position=1, ccd="MSE"),)),
    )
    structure = build_complex(spec)
    tokens = tokenise(structure)
    found = msa_features(spec, structure, tokens)
    atoms = int((~tokens.standard & (tokens.chain == 1)).sum())
    assert atoms == 8
    assert shown(found) == ["X" * 6 + "X" * 8 + "KVLAC", "-" * 6 + "r" * 8 + "kvlac", "-" * 6 + "-" * 8 + "vvlac"]
    assert found.paired.sum(1).tolist() == [6 + 8 + 5, 0, 0]


def test_rows_that_come_again_are_left_out_and_gaps_too(write):
    path = write("a.a3m", ">q\nMKVLAC\n>q\nMKVLAC\n>r\nMKV---\n>gaps\n------\n>r elsewhere\n---MKV\n>s\nM-VLAC\n")
    assert shown(features(of_chains(protein("A", A, path)))) == ["MKVLAC", "mkv---", "m-vlac"]


def test_rows_without_a_key_stand_side_by_side_block_by_block(write):
    first = write("a.a3m", ">q\nMKVLAC\n>r\nMRVLAC\n>s\nMSVLAC\n>t\nMTVLAC\n")
    second = write("b.a3m", ">q\nGHW\n>r\nGAW\n")
    spec = of_chains(protein("A", A, first), protein("BC", B, second))
    assert shown(features(spec)) == ["MKVLACGHWGHW", "mrvlacgawgaw", "msvlac------", "mtvlac------"]
    assert len(features(spec, most_rows=3).restype) == 3
    assert shown(features(spec, most_rows=1)) == ["MKVLACGHWGHW"]
    with pytest.raises(InputError, match="most_rows"):
        features(spec, most_rows=0)


def test_keys_of_boltz_pair_rows_and_those_of_most_chains_come_first(write):
    """The rows are those that Boltz 2.2.1 makes of these files once it is mended (benchmarks/parity_boltz2_msa.py)."""
    first = write("a.csv", "key,sequence\n-1,MKVLAC\n7,MAVLAC\n7,MCVLAC\n,MDVLAC\n5,MEVLAC\n5,MFVLAC\n9,MGVLAC\n")
    second = write("b.csv", "key,sequence\n-1,GHW\n8,GAW\n7,GCW\n-1,GDW\n")
    spec = of_chains(protein("A", A, first), protein("B", B, second))
    assert shown(features(spec)) == [
        "MKVLACGHW", "MAVLACGCW", "MCVLACGCW", "MEVLACgaw", "MFVLACgdw", "mdvlac---", "mgvlac---",
    ]  # fmt: skip


def test_at_most_half_of_the_rows_are_paired_and_the_others_are_not_lost(write):
    first = write("a.csv", "key,sequence\n0,MKVLAC\n1,MAVLAC\n2,MCVLAC\n3,MDVLAC\n-1,MEVLAC\n")
    second = write("b.csv", "key,sequence\n0,GHW\n1,GAW\n2,GCW\n3,GDW\n")
    spec = of_chains(protein("A", A, first), protein("B", B, second))
    assert shown(features(spec)) == ["MKVLACGHW", "MAVLACGAW", "MCVLACGCW", "MDVLACGDW", "mevlac---"]
    assert shown(features(spec, most_rows=4)) == ["MKVLACGHW", "MAVLACGAW", "mcvlacgcw", "mdvlacgdw"]


def test_copies_of_a_chain_are_paired_with_themselves_row_by_row(write):
    path = write("a.csv", "key,sequence\n-1,GHW\n4,GAW\n4,GCW\n5,GDW\n-1,GEW\n")
    assert shown(features(of_chains(protein("AB", B, path)))) == ["GHWGHW", "GAWGAW", "GCWGCW", "GDWGDW", "gewgew"]


def test_rows_of_a_file_of_several_chains_are_paired_where_they_are_of_several(write):
    path = write("own.a3m", "#6,3\t1,2\n>101\t102\nMKVLACGHW\n>pair\nMK-LACgaaG-W\n>101\nMKVLAC---\n>hit\nMR-lLAC---\n"
                            ">102\n------GHW\n>hit\n------GgA-\n>pair\nMKVLACG--\n")  # fmt: skip
    found = features(read_complex(path))
    assert shown(found) == ["MKVLACGHWGHW", "MK-LACG-WG-W", "MKVLACG--G--", "mr-lacga-ga-"]
    assert found.has_deletion[1].tolist() == [0] * 6 + [1, 0, 0] * 2
    assert found.deletion_value[1, 6].item() == pytest.approx(0.5)


def job(folder, *chains: dict) -> ComplexSpec:
    bodies = [{"protein": {"id": name, **chain}} for name, chain in zip("AB", chains, strict=True)]
    document = {"dialect": "alphafold3", "version": 3, "name": "job", "sequences": bodies, "modelSeeds": [1]}
    (folder / "job.json").write_text(json.dumps(document))
    return read_complex(folder / "job.json")


def test_paired_texts_are_paired_row_by_row_where_headers_tell_nothing(tmp_path):
    spec = job(
        tmp_path,
        {"sequence": A, "pairedMsa": ">q\nMKVLAC\n>x\nMAVLAC\n>x\n------\n>x\nMCVLAC\n",
         "unpairedMsa": ">q\nMKVLAC\n>x TaxID=1\nMDVLAC\n>x\nMAVLAC\n"},
        {"sequence": B, "pairedMsa": ">q\nGHW\n>x\nGAW\n>x\nGCW\n>x\nGHW\n",
         "unpairedMsa": ">q\nGHW\n>x TaxID=1\nGEW\n"},
    )  # fmt: skip
    assert shown(features(spec)) == ["MKVLACGHW", "MAVLACGAW", "MCVLACGHW", "mdvlacgcw", "------gew"]


def test_paired_texts_of_alphafold3_are_paired_by_organism(tmp_path):
    spec = job(
        tmp_path,
        {
            "sequence": A,
            "pairedMsa": ">q\nMKVLAC\n>sp|P00001|X_HUMAN/1-6\nMAVLAC\n>tr|P00002|P00002_ECOLI/1-6\nMCVLAC\n",
        },
        {"sequence": B, "pairedMsa": ">q\nGHW\n>tr|P00003|P00003_ECOLI/1-3\nGAW\n>tr|P00004|P00004_9BACT/1-3\nGCW\n"},
    )
    assert shown(features(spec)) == ["MKVLACGHW", "MCVLACGAW", "mavlacgcw"]


def test_headers_pair_plain_files_of_different_chains_alone(write):
    first = write(
        "a.a3m", ">q\nMKVLAC\n>UniRef90_X n=1 TaxID=7 RepID=Y\nMAVLAC\n>UniRef100_X_9/1-6\nMCVLAC\n>u\nMDVLAC\n"
    )
    second = write("b.sto", "# STOCKHOLM 1.0\n#=GS s DE protein OX=9 GN=x\nq GHW\ns GAW\nt GCW\n//\n")
    both = of_chains(protein("A", A, first), protein("B", B, second))
    assert shown(features(both)) == ["MKVLACGHW", "MCVLACGAW", "mavlacgcw", "mdvlac---"]
    copies = of_chains(protein("AB", A, first))
    assert shown(features(copies)) == ["MKVLAC" * 2, "mavlac" * 2, "mcvlac" * 2, "mdvlac" * 2]


def test_many_copies_take_the_room_of_the_result(write):
    rng = np.random.default_rng(0)
    rows = ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY-"), 50)) for _ in range(300)]
    query = "".join(rng.choice(list("ACDEFGHIKL"), 50))
    path = write("a.a3m", "".join(f">r\n{row}\n" for row in [query, *rows]))
    found = features(of_chains(protein("ABCDEFGH", query, path)), most_rows=200)
    assert found.restype.shape == (200, 400)
    assert all(torch.equal(found.restype[:, :50], each) for each in found.restype.split(50, 1))
    assert (found.restype[1] != GAP).any()
