import hashlib
import json

import pytest

from structdiff.errors import InputError
from structdiff.spec.af3_json import read_af3_json
from structdiff.spec.chain import ChainSpec, Modification
from structdiff.spec.complex import BondSpec, Site
from structdiff.spec.text_source import source_sha256

JOB = {
    "name": "Job 1/2",
    "modelSeeds": [1, 2],
    "sequences": [
        {
            "protein": {
                "id": ["A", "B"],
                "sequence": "PVLSCGEWQL",
                "modifications": [{"ptmType": "HY3", "ptmPosition": 1}, {"ptmType": "P1L", "ptmPosition": 5}],
                "description": "a protein",
                "unpairedMsaPath": "a.a3m",
                "pairedMsa": "",
                "templates": [],
            }
        },
        {
            "rna": {
                "id": "C",
                "sequence": "AGCU",
                "modifications": [{"modificationType": "2MG", "basePosition": 2}],
                "unpairedMsa": "",
            }
        },
        {"dna": {"id": "D", "sequence": "GACCTCT", "modifications": [{"modificationType": "6OG", "basePosition": 1}]}},
        {"ligand": {"id": ["G", "H"], "ccdCodes": ["ATP"]}},
        {"ligand": {"id": "K", "smiles": "CC(=O)OC1C[NH+]2CCC1CC2"}},
    ],
    "bondedAtomPairs": [[["A", 1, "CA"], ["G", 1, "PG"]]],
    "dialect": "alphafold3",
    "version": 4,
}


def write(folder, data):
    path = folder / "job.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data, indent=1))
    return path


def test_alphafold3_dialect(tmp_path):
    (tmp_path / "a.a3m").write_text(">x\nM\n")
    (spec,) = read_af3_json(write(tmp_path, JOB))
    assert spec.name == "Job 1_2"
    assert spec.seeds == (1, 2)
    assert spec.chains == (
        ChainSpec(
            ids=("A", "B"), kind="protein", sequence="PVLSCGEWQL", msa=str(tmp_path / "a.a3m"),
            modifications=(Modification(position=1, ccd="HY3"), Modification(position=5, ccd="P1L")),
        ),
        ChainSpec(
            ids=("C",), kind="rna", sequence="AGCU", msa="empty", modifications=(Modification(position=2, ccd="2MG"),)
        ),
        ChainSpec(ids=("D",), kind="dna", sequence="GACCTCT", modifications=(Modification(position=1, ccd="6OG"),)),
        ChainSpec(ids=("G", "H"), kind="ligand", ccd=("ATP",)),
        ChainSpec(ids=("K",), kind="ligand", smiles="CC(=O)OC1C[NH+]2CCC1CC2"),
    )  # fmt: skip
    assert spec.bonds == (
        BondSpec(atom1=Site(chain="A", residue=1, atom="CA"), atom2=Site(chain="G", residue=1, atom="PG")),
    )


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_versions(tmp_path, version):
    job = {"dialect": "alphafold3", "version": version, "sequences": [{"rna": {"id": "A", "sequence": "A"}}]}
    assert read_af3_json(write(tmp_path, job))[0].chain_ids == ("A",)


def test_server_dialect(tmp_path):
    jobs = [
        {
            "name": "one",
            "modelSeeds": ["1593933729", "4273"],
            "sequences": [
                {
                    "proteinChain": {
                        "sequence": "PREACHINGS",
                        "glycans": [],
                        "maxTemplateDate": "2018-01-20",
                        "modifications": [{"ptmType": "CCD_HY3", "ptmPosition": 1}],
                        "count": 2,
                        "useStructureTemplate": False,
                    }
                },
                {"dnaSequence": {"sequence": "GATTACA", "count": 1}},
                {
                    "rnaSequence": {
                        "sequence": "GUAC",
                        "modifications": [{"modificationType": "CCD_2MG", "basePosition": 1}],
                    }
                },
                {"ligand": {"ligand": "CCD_HEM", "count": 2}},
                {"ion": {"ion": "MG"}},
            ],
            "dialect": "alphafoldserver",
            "version": 1,
        },
        {"name": "two", "modelSeeds": [], "sequences": [{"ion": {"ion": "ZN", "count": 1}}]},
    ]
    one, two = read_af3_json(write(tmp_path, jobs))
    assert (one.name, one.seeds) == ("one", (1593933729, 4273))
    assert [(chain.kind, chain.ids) for chain in one.chains] == [
        ("protein", ("A", "B")), ("dna", ("C",)), ("rna", ("D",)), ("ligand", ("E", "F")), ("ligand", ("G",)),
    ]  # fmt: skip
    assert one.component_names("A")[0] == "HY3"
    assert one.component_names("D")[0] == "2MG"
    assert [one.component_names(name) for name in "EFG"] == [("HEM",), ("HEM",), ("MG",)]
    assert (two.name, two.seeds, two.component_names("A")) == ("two", (), ("ZN",))


def job(chain=None, **extra):
    chains = [chain or {"protein": {"id": "A", "sequence": "MK"}}]
    return {"dialect": "alphafold3", "version": 1, "sequences": chains, **extra}


def test_templates_are_one_for_each_copy_with_indices_counted_from_one(tmp_path):
    (tmp_path / "t.cif").write_text("data_t\n")
    templates = [template(mmcif="data_x\n"), template(mmcifPath="t.cif", mmcif=None), template(mmcif="data_y\n")]
    templates[2] |= {"queryIndices": [], "templateIndices": []}
    body = {"id": ["A", "B"], "sequence": "MK", "unpairedMsa": None, "pairedMsa": None, "templates": templates}
    path = write(tmp_path, job({"protein": body}))
    (spec,) = read_af3_json(path)
    inside = f"{path}#sequences[1].protein.templates[1].mmcif"
    assert [(each.path, each.chains, each.residue_map) for each in spec.templates] == [
        (inside, ("A",), "1=4, 2=6"), (inside, ("B",), "1=4, 2=6"),
        (f"{tmp_path}/t.cif", ("A",), "1=4, 2=6"), (f"{tmp_path}/t.cif", ("B",), "1=4, 2=6"),
    ]  # fmt: skip
    assert source_sha256(inside) == hashlib.sha256(b"data_x\n").hexdigest()


def test_templates_of_the_server(tmp_path):
    """Its README has had them since unpairedMsa; they were refused as an unknown key."""
    path = write(tmp_path, server(templates=[template(mmcif="data_x\n")], count=2, useStructureTemplate=False))
    (spec,) = read_af3_json(path)
    inside = f"{path}#[1].sequences[1].proteinChain.templates[1].mmcif"
    assert [(each.path, each.chains, each.residue_map) for each in spec.templates] == [
        (inside, ("A",), "1=4, 2=6"), (inside, ("B",), "1=4, 2=6"),
    ]  # fmt: skip
    assert source_sha256(inside) == hashlib.sha256(b"data_x\n").hexdigest()


def protein(**extra):
    return job({"protein": {"id": "A", "sequence": "MK", **extra}})


def template(**extra):
    return {"queryIndices": [0, 1], "templateIndices": [3, 5], **extra}


def server(**extra):
    return [{"name": "x", "sequences": [{"proteinChain": {"sequence": "MK", **extra}}]}]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ('{"a": 1', ["job.json:1", "not JSON"]),
        ('{"a": 1,\n "b" 2}', ["job.json:2", "not JSON"]),
        ('{"a": NaN}', ["not JSON", "NaN"]),
        ('{\n"dialect": "alphafold3",\n"dialect": "x"}', ["job.json:3", "twice", "'dialect'"]),
        ([], ["empty"]),
        ({"sequences": []}, ["'dialect' is missing"]),
        (job(sequence=[]), ["'sequence'", "did you mean 'sequences'"]),
        ({**job(), "version": 5}, ["version", "found 5", "1, 2, 3, 4"]),
        ({**job(), "dialect": "alphafoldserver"}, ["dialect", "put it in []"]),
        ({**job(), "sequences": []}, ["no chains"]),
        (job({"protien": {}}), ["job.json:6", "'protien'", "did you mean 'protein'"]),
        (job({"protein": {"sequence": "M"}}), ["'id' is missing"]),
        (protein(msa="x"), ["'msa'", "allowed: id"]),
        (job({"protein": {"id": "A", "sequence": "MKJ"}}), ["job.json:8", "'J'", "position 3"]),
        (job({"rna": {"id": "A", "sequence": "ACGT"}}), ["job.json:8", "write U"]),
        (protein(modifications=[{"ptmType": "MSE"}]), ["'ptmPosition' is missing"]),
        (protein(modifications=[{"ptmType": "MSE", "ptmPosition": 3}]), ["found 3", "1 to 2"]),
        (protein(unpairedMsa="", unpairedMsaPath="x"), ["only one of"]),
        (protein(unpairedMsaPath="gone.a3m"), ["no such file", "gone.a3m"]),
        (protein(pairedMsa=">x\nMK", pairedMsaPath="x"), ["job.json:", "pairedMsaPath", "only one of"]),
        (protein(unpairedMsa=5), ["job.json:", "unpairedMsa", "expected a text", "'5'"]),
        (protein(pairedMsaPath="x.a3m"), ["job.json:", "pairedMsaPath", "no such file"]),
        (job({"rna": {"id": "A", "sequence": "AC", "unpairedMsa": ">x\nAC"}}), ["unpairedMsa", "RNA", "empty text"]),
        (job({"rna": {"id": "A", "sequence": "AC", "pairedMsa": ""}}), ["'pairedMsa'", "allowed: id"]),
        (server(unpairedMsaPath="x", unpairedMsa=">x\nMK"), ["unpairedMsaPath", "only one of"]),
        (server(msa={"precomputed_msa_dir": "gone"}), ["precomputed_msa_dir", "no such folder", "'gone'"]),
        (server(msa={"precomputed_msa_dir": "."}), ["no alignment in this folder", "pairing.a3m, non_pairing.a3m"]),
        (server(msa={"dir": "."}), ["'dir'", "precomputed_msa_dir"]),
        (server(msa={"precomputed_msa_dir": "."}, unpairedMsa=""), ["only one of 'msa' and 'unpairedMsa'"]),
        (server(templatesPath="x.a3m"), ["templatesPath", "leave the key out"]),
        (server(id=["A", "B"]), ["id", "a name for each copy", "found 2"]),
        (protein(templates=[{"mmcifPath": "x.cif"}]), ["templates[1]", "'queryIndices' is missing"]),
        (protein(templates=[template(mmcifPath="x.cif")]), ["templates[1].mmcifPath", "no such file"]),
        (protein(templates=[template()]), ["templates[1]", "either 'mmcif' or 'mmcifPath'", "neither"]),
        (protein(templates=[template(mmcif="data_", queryIndices=[0])]), ["equally many", "1 and 2"]),
        (protein(templates=[template(mmcif="data_", queryIndices=[])]), ["equally many", "0 and 2"]),
        (protein(templates=[template(mmcif="data_", templateIndices=[1, -1])]), ["templateIndices[2]", "from 0"]),
        (protein(templates=[template(mmcif="data_", queryIndices=[1, 99])]), ["no such residue", "found 100"]),
        (protein(templates=[template(mmcif="data_", queryIndices=[1, 1])]), ["residue of the chain is there twice"]),
        (job({"ligand": {"id": "L"}}), ["exactly one way"]),
        (job({"ligand": {"id": "L", "ccdCodes": ["LIG-1337"]}}), ["'LIG-1337'"]),
        (job(userCCD="data_X"), ["userCCD", "no component is defined"]),
        (job(userCCDPath="x.cif"), ["userCCDPath", "no such file"]),
        (job(bondedAtomPairs=[[["A", 1, "CA"]]]), ["two atoms", "'1'"]),
        (job(bondedAtomPairs=[[["A", 1], ["A", 2, "N"]]]), ["[chain, residue, atom name]"]),
        (job(bondedAtomPairs=[[["A", 1, "C"], ["B", 2, "N"]]]), ["'B'", "allowed: A"]),
        (job(modelSeeds=["x"]), ["modelSeeds[1]", "whole number"]),
        (server(glycans=[{"residues": "NAG"}]), ["glycans[1]", "'position' is missing"]),
        (server(maxTemplateDate="20.1.2018"), ["maxTemplateDate", "expected a date", "YYYY-MM-DD"]),
        (server(count=0), ["at least one copy", "found 0"]),
        ([{"name": "x", "sequences": [{"ion": {"ligand": "MG"}}]}], ["'ligand'", "allowed: ion, count"]),
        ([{**job(), "name": "x"}], ["alphafold3", "alphafoldserver"]),
    ],
)
def test_bad_input_gives_one_line_that_names_the_place(tmp_path, data, says):
    with pytest.raises(InputError) as caught:
        read_af3_json(write(tmp_path, data))
    message = str(caught.value)
    assert "\n" not in message
    assert "job.json" in message
    for part in says:
        assert part in message
