"""Which residues come from the input, as RFdiffusion and RFdiffusion3 tell it, and what is judged by it."""

import json
import pickle
from pathlib import Path

import gemmi
import numpy as np
import pytest

from structdiff.campaign.sequence_evaluation import refold_measure
from structdiff.cli.main import main
from structdiff.errors import InputError
from structdiff.evaluation.evaluation import evaluate
from structdiff.evaluation.foreign_maps import foreign_map
from structdiff.evaluation.motif import residues_of_map
from structdiff.evaluation.subject import Given, read_subject

DATA = Path(__file__).parent / "data"
HELD = ("A", 23), ("A", 24), ("A", 25)


def place(key):
    return {"chain": key[0], "number": key[1], "insertion_code": ""}


def binder(path: Path, binder: str, target: str = "1ubi") -> Path:
    """A design as RFdiffusion writes it: the binder is chain A, the target chain B, numbered on."""
    parts = [gemmi.read_structure(str(DATA / f"{name}.pdb"))[0][0] for name in (binder, target)]
    model, number = gemmi.Model("1"), 0
    for name, part, shift in zip("AB", parts, (0, 60), strict=True):
        chain = gemmi.Chain(name)
        for residue in part.get_polymer():
            number += 1
            residue.seqid = gemmi.SeqId(number, " ")
            for atom in residue:
                atom.pos += gemmi.Position(shift, 0, 0)
            chain.add_residue(residue)
        model.add_chain(chain)
    structure = gemmi.Structure()
    structure.add_model(model)
    structure.setup_entities()
    structure.write_pdb(str(path))
    return path


def trb(own, given, whole_own=None, whole_given=None, **config):
    content = {
        "config": config,
        "plddt": np.ones((2, 3), np.float32),
        "time": np.float64(3),
        "mask_1d": [True],
        "con_hal_pdb_idx": [(chain, np.int64(number)) for chain, number in own],
        "con_ref_pdb_idx": [(chain, np.int64(number)) for chain, number in given],
    }
    if whole_own is not None:
        content |= {"complex_con_hal_pdb_idx": whole_own, "complex_con_ref_pdb_idx": whole_given}
    return pickle.dumps(content)


class Poison:
    """What a file of someone else could hold: a call of anything."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_trb_is_read_and_nothing_in_it_is_called(tmp_path):
    file = tmp_path / "d_0.trb"
    content = pickle.loads(trb([("A", 6)], [("H", 163)], inference={"input_pdb": "in.pdb"}))
    file.write_bytes(pickle.dumps(content | {"device": Poison(tmp_path / "touched")}))
    found = foreign_map(tmp_path / "d_0.pdb")
    assert found["residues"] == [{"design": place(("A", 6)), "motif": place(("H", 163)), "group": 1}]
    assert found["input"] == "in.pdb"
    assert not (tmp_path / "touched").exists()


def test_single_atoms_that_are_held_are_known(tmp_path):
    contig_atoms = "{'M1': 'ND2,CG', 'M3': 'N,CA,C,O'}"
    (tmp_path / "two.trb").write_bytes(
        trb(HELD, [("M", n) for n in (1, 2, 3)], contigmap={"contig_atoms": contig_atoms})
    )
    rows = foreign_map(tmp_path / "two.pdb")["residues"]
    assert [row.get("atoms") for row in rows] == [["ND2", "CG"], None, ["N", "CA", "C", "O"]]
    selected = {"A5-6": "BKBN", "A7": ["OG", "CB"], "A8": "TIP", "A9": "", "A10": "ALL"}
    index = {f"A{number}": f"C{number + 20}" for number in range(5, 12)}
    content = {"diffused_index_map": index, "specification": {"input": "/a/b.pdb", "select_fixed_atoms": selected}}
    (tmp_path / "three.json").write_text(json.dumps(content))
    found = foreign_map(tmp_path / "three.cif.gz")
    backbone = ["N", "CA", "C", "O"]
    assert [row.get("atoms") for row in found["residues"]] == [
        backbone, backbone, ["OG", "CB"], ["TIP"], [], None, None,
    ]  # fmt: skip
    assert found["residues"][0]["design"] == place(("C", 25))
    assert [each.motif[1] for each in residues_of_map(found)] == [5, 6, 7, 8, 10, 11]


@pytest.mark.parametrize("content", [b"no pickle", pickle.dumps([1]), trb([("A", 6)], [])])
def test_a_damaged_trb_is_told(tmp_path, content):
    (tmp_path / "a.trb").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.trb: what is beside the design cannot be read"):
        foreign_map(tmp_path / "a.pdb")


@pytest.mark.parametrize("content", [b'[{"diffused_index_map": 1}]', b"{", b"\xff\xfe", b"[" * 100000])
def test_other_json_beside_a_structure_says_nothing(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    assert foreign_map(tmp_path / "a.pdb") is None


def test_insertion_codes_and_longer_names_of_chains_are_read(tmp_path):
    (tmp_path / "a.json").write_text('{"diffused_index_map": {"H82A": "AA5", "L-2": "B1"}}')
    rows = foreign_map(tmp_path / "a.pdb")["residues"]
    assert [row["design"] for row in rows] == [place(("AA", 5)), place(("B", 1))]
    assert [row["motif"] for row in rows] == [place(("H", 82)) | {"insertion_code": "A"}, place(("L", -2))]


def test_a_damaged_map_of_rfdiffusion3_is_told(tmp_path):
    (tmp_path / "a.json").write_text('{"diffused_index_map": {"A5": "somewhere"}}')
    with pytest.raises(InputError, match=r"a\.json: .*somewhere is no residue"):
        foreign_map(tmp_path / "a.pdb")


def test_binders_of_rfdiffusion_are_compared_by_what_was_designed(tmp_path):
    """The target is longer than the binders: all were one cluster, and judged as designs from nothing."""
    files = []
    for name, length in (("1crn", 46), ("2igd", 61)):
        files.append(binder(tmp_path / f"{name}.pdb", name))
        own = [("A", 5), ("A", 6), ("A", 7)]
        target = [("B", number) for number in range(length + 1, length + 77)]
        given = [("A", number) for number in range(1, 77)]
        content = trb(own, HELD, [*own, *target], [*HELD, *given], inference={"input_pdb": str(DATA / "1ubi.pdb")})
        files[-1].with_suffix(".trb").write_bytes(content)
    done = evaluate(files)
    assert done.lengths.tolist() == [46, 61]
    assert done.summary["clusters"].mean == 2
    assert [row.values["motif_residues"] for row in done.rows] == [3, 3]
    assert done.rows[0].values["motif_rmsd"] > 0.05
    assert not any("natural quartiles" in target.text for target in done.targets)
    assert not any("--designed" in note for note in done.notes)


def test_a_map_of_rfdiffusion_can_be_named_for_all(tmp_path):
    file, own = binder(tmp_path / "renamed.pdb", "1crn"), [("A", 5), ("A", 6), ("A", 7)]
    target = [("B", number) for number in range(47, 123)]
    (tmp_path / "d.trb").write_bytes(trb(own, HELD, [*own, *target], [*HELD, *target]))
    index = {f"A{n}": f"A{n}" for n in (23, 24, 25)} | {f"A{n}": f"B{n}" for n in range(47, 123)}
    (tmp_path / "d.json").write_text(json.dumps({"diffused_index_map": index}))
    for name in ("d.trb", "d.json"):
        out = tmp_path / "out"
        options = ["--residue-map", str(tmp_path / name), "--motif", str(DATA / "1ubi.pdb"), "--out", str(out)]
        assert main(["evaluate", str(file), *options, "--quiet"]) == 0
        (row,) = json.loads((out / "evaluation.json").read_text())["structures"]
        assert row["motif_residues"] == 3
        assert row["motif_rmsd"] > 0.05


def test_a_map_of_another_structure_is_told_and_left_out(tmp_path):
    file = binder(tmp_path / "a.pdb", "1crn")
    file.with_suffix(".trb").write_bytes(trb([("A", 400)], [("A", 1)]))
    subject = read_subject(file, "a", Given())
    assert subject.residue_map == {}
    assert "names some it does not have" in subject.notes[0]


def test_a_motif_that_is_not_here_is_told(tmp_path):
    file = binder(tmp_path / "a.pdb", "1crn")
    file.with_suffix(".trb").write_bytes(trb([("A", 4)], [("A", 1)], inference={"input_pdb": "/gone/in.pdb"}))
    done = evaluate([file], clusters=False)
    assert any("/gone/in.pdb is not here" in note for note in done.notes)
    assert "motif_rmsd" not in done.rows[0].values


def test_atoms_that_were_held_alone_are_compared_alone(tmp_path):
    """The side chain's tip is where the motif has it, the backbone is not."""
    structure = gemmi.read_structure(str(DATA / "1ubi.pdb"))
    for residue in structure[0]["A"]:
        if residue.seqid.num in (23, 24, 25):
            for atom in residue:
                if atom.name in ("N", "CA", "C", "O"):
                    atom.pos += gemmi.Position(3, 0, 0)
    file = tmp_path / "a.pdb"
    structure.write_pdb(str(file))
    given = Given(motif=read_subject(DATA / "1ubi.pdb", "m", Given()).structure)
    whole = {"diffused_index_map": {f"A{n}": f"A{n}" for n in (23, 24, 25)}, "specification": {}}
    tip = {**whole, "specification": {"select_fixed_atoms": {"A23-25": "TIP"}}}
    for content, wrong in ((whole, True), (tip, False)):
        (tmp_path / "a.json").write_text(json.dumps(content))
        values = evaluate([file], given=given, clusters=False).rows[0].values
        assert (values["motif_rmsd_all"] > 0.5) is wrong
        assert ("motif_rmsd" in values) is wrong


def test_own_designs_that_hold_tips_are_compared_by_these(tmp_path):
    """As the verdict of the design has it: the backbone counted, which was free."""
    file = tmp_path / "d_1.pdb"
    file.write_bytes((DATA / "1ubi.pdb").read_bytes())
    row = {"design": place(("A", 23)), "motif": place(("A", 23)), "group": 1}
    other = {"design": place(("A", 30)), "motif": place(("A", 30)), "group": 1}
    (tmp_path / "d_1.residue_map.json").write_text(json.dumps({"chains": [], "residues": [row, other]}))
    spec = {"motif": str(DATA / "1ubi.pdb"), "tip": ["A23"], "held_atoms": ["A30=ND2/CG"]}
    (tmp_path / "d_1.confidence.json").write_text(json.dumps({"provenance": {"spec": spec}}))
    atoms = [each.atoms for each in read_subject(file, "d_1", Given()).motif_residues]
    assert atoms == [("TIP",), ("ND2", "CG")]


def test_a_binder_without_letters_is_not_judged_by_its_sequence(tmp_path):
    """RFdiffusion calls all that is new GLY, beside a target that has its own letters: these were judged."""
    file = binder(tmp_path / "a.pdb", "1crn")
    lines = file.read_text().splitlines()
    target_lines = [line for line in lines if line[21:22] == "B"]
    backbone = [line for line in lines if line[21:22] == "A" and line[12:16].strip() in ("N", "CA", "C", "O")]
    file.write_text("\n".join([f"{line[:17]}GLY{line[20:]}" for line in backbone] + target_lines) + "\n")
    target, given = [("B", number) for number in range(47, 123)], [("T", number) for number in range(1, 77)]
    file.with_suffix(".trb").write_bytes(trb([], [], target, given))
    asked: list[str] = []
    measure = refold_measure(lambda: asked.append("refolder"))  # type: ignore[arg-type, return-value]
    with pytest.raises(InputError, match="what was designed has no sequence"):
        measure(read_subject(file, "a", Given()))
    assert asked == []


@pytest.mark.parametrize("program", ["rfdiffusion", "rfdiffusion3", "own"])
def test_hotspots_that_a_design_was_asked_to_touch_are_judged(tmp_path, program):
    """They have the input's numbers, the design others: RFdiffusion numbers the target after the binder."""
    file = binder(tmp_path / "a.pdb", "1crn")
    target, given = [("B", number) for number in range(47, 123)], [("T", number) for number in range(1, 77)]
    if program == "rfdiffusion":
        content = trb([], [], target, given, ppi={"hotspot_res": ["T5", "T6-7"]})
        file.with_suffix(".trb").write_bytes(content)
    elif program == "rfdiffusion3":
        index = {f"T{b}": f"B{a}" for (_, a), (_, b) in zip(target, given, strict=True)}
        content = {"diffused_index_map": index, "specification": {"select_hotspots": {"T5": "CA", "T6-7": "ALL"}}}
        file.with_suffix(".json").write_text(json.dumps(content))
    else:
        rows = [{"design": place(a), "motif": place(b), "group": 1} for a, b in zip(target, given, strict=True)]
        chains = [{"chain": "A", "kept": False}, {"chain": "B", "kept": True}]
        (tmp_path / "a.residue_map.json").write_text(json.dumps({"chains": chains, "residues": rows}))
        spec = {"motif": str(DATA / "1ubi.pdb"), "hotspots": ["T5", "T6", "T7"]}
        (tmp_path / "a.confidence.json").write_text(json.dumps({"provenance": {"spec": spec}}))
    assert read_subject(file, "a", Given()).hotspots == [("B", 51, ""), ("B", 52, ""), ("B", 53, "")]
    assert evaluate([file], clusters=False).rows[0].values["hotspots_touched"] == 0
    assert read_subject(file, "a", Given(hotspots=[("B", 60, "")])).hotspots == [("B", 60, "")]


def test_designed_chains_can_be_named(tmp_path, capsys):
    files = [str(binder(tmp_path / f"{name}.pdb", name)) for name in ("1crn", "2igd")]
    out = ["--out", str(tmp_path / "out")]
    assert main(["evaluate", *files, *out]) == 0
    assert "--designed names the chains" in " ".join(capsys.readouterr().out.split())
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert data["summary"]["mean_pairwise_tm"]["mean"] == 1
    assert main(["evaluate", *files, "--designed", "A", *out]) == 0
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert data["summary"]["mean_pairwise_tm"]["mean"] < 0.5
    assert data["provenance"]["designed"] == "A"
    assert not any("--designed" in note for note in data["notes"])
    assert main(["evaluate", files[0], "--designed", "C", *out]) == 2
    assert "there is no chain of that name (found 'C'; allowed: A, B)" in capsys.readouterr().err
