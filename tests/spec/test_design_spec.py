import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structdiff.design_jobs import design_request
from structdiff.errors import InputError
from structdiff.spec.compose import Motif, asked_spec
from structdiff.spec.contig_grammar import parse_contigs, parse_residues
from structdiff.spec.design import (
    DesignSpec,
    design_from_dict,
    design_to_dict,
    design_to_json,
    read_design,
    write_design,
)
from structdiff.spec.energies import Contacts, RadiusOfGyration
from structdiff.spec.read import read_complex
from structdiff.spec.segments import ResidueId
from structdiff.spec.symmetry import Symmetry
from structdiff.structure.files import read_structure

MOTIF_FILE = str(Path(__file__).parents[2] / "examples" / "5tpn_site_v.pdb")
MOTIF = [ResidueId(chain=chain, number=number) for chain in "AB" for number in range(1, 101)]


def design(contigs="10-20/A5-9/10-20 B1-100", motif="motif.pdb", **more):
    return DesignSpec(contigs=parse_contigs(contigs), motif=motif, **more)


def test_file(tmp_path):
    (tmp_path / "motif.pdb").write_text("a structure")
    path = tmp_path / "binder.yaml"
    path.write_text(
        "motif: motif.pdb\ncontigs: [10-20/A5-9/10-20, B1-100]\nlength: 30-40\nhotspots: [B45, B67-69]\n"
        "keep_away: B12,B14\ncyclic: A\nfixed_sequence: no\nnum_designs: 4\nseed: 7\n"
    )
    spec = read_design(path)
    assert spec == DesignSpec(
        name="binder", motif=str(tmp_path / "motif.pdb"), contigs=parse_contigs("10-20/A5-9/10-20 B1-100"),
        length=(30, 40), hotspots=tuple(ResidueId(chain="B", number=number) for number in (45, 67, 68, 69)),
        keep_away=(ResidueId(chain="B", number=12), ResidueId(chain="B", number=14)),
        cyclic=("A",), fixed_sequence=False, num_designs=4, seed=7,
    )  # fmt: skip
    write_design(spec, tmp_path / "copy.yaml")
    assert "motif: " in (tmp_path / "copy.yaml").read_text()
    assert read_design(tmp_path / "copy.yaml") == spec
    (tmp_path / "copy.json").write_text(design_to_json(spec))
    assert read_design(tmp_path / "copy.json") == spec


def test_secondary_structure_settles_the_lengths():
    spec = design("10-20/A5-9/10-20 B 8-12", secondary_structure="H12 ?5 L3 E10 / e9", burial="B30/P9")
    assert spec.secondary_structure == "H" * 12 + "?" * 5 + "L" * 3 + "E" * 10 + "/" + "E" * 9
    assert spec.chain_lengths == (30, 9)
    spec = spec.resolve(MOTIF)
    layout = spec.sample_layout(np.random.default_rng(0))
    assert {name: len(row) for name, row in layout.chains.items()} == {"A": 30, "B": 100, "C": 9}
    letters = spec.secondary_structure_of(layout)
    assert letters == "H" * 12 + "?????LLL" + "E" * 10 + "?" * 100 + "E" * 9
    assert spec.burial_of(layout) == "B" * 30 + "?" * 100 + "P" * 9
    plain = design()
    assert set(plain.secondary_structure_of(plain.sample_layout(np.random.default_rng(0)))) == {"?"}


def test_resolve_checks_what_only_the_structure_tells():
    spec = design("70 B", hotspots=(ResidueId(chain="B", number=45),))
    assert len(spec.resolve(MOTIF).sample_layout(np.random.default_rng(0))) == 170
    with pytest.raises(InputError, match=r"hotspots: .*'B101'"):
        design("70 B", hotspots=(ResidueId(chain="B", number=101),)).resolve(MOTIF)
    with pytest.raises(InputError, match=r"length: .*'200'; allowed: 110-120"):
        design("10-20/B", length=(200, 200)).resolve(MOTIF)


def test_stretches_hold_residues_with_insertion_codes():
    """A5-7 is whatever stands between A5 and A7 in the file, wherever a request names residues."""
    codes = [ResidueId(chain="A", number=6, insertion_code=code) for code in "ABC"]
    present = [ResidueId(chain="A", number=n) for n in range(1, 7)] + codes + [ResidueId(chain="A", number=7)]
    stretch = parse_residues("A5-7", "redesign")
    spec = DesignSpec(
        motif="motif.pdb", contigs=parse_contigs("4/A5-7"), length=(10, 10), secondary_structure="L10",
        redesign=stretch, hotspots=tuple(codes[:1]),
    ).resolve(present)  # fmt: skip
    kept = present[4:]
    assert [residue.origin for residue in spec.sample_layout(np.random.default_rng(0)).residues][4:] == kept
    assert spec.redesign == tuple(kept)
    assert design_to_dict(spec)["redesign"] == ["A5", "A6", "A6A", "A6B", "A6C", "A7"]
    assert parse_residues("A6A-6C", "redesign") == tuple(codes)
    asked = DesignSpec(motif="motif.pdb", contigs=parse_contigs("4/A5-7"), redesign=stretch)
    assert design_to_dict(asked)["redesign"] == ["A5-7"]
    assert design_from_dict(design_to_dict(replace(asked, motif=MOTIF_FILE))).resolve(present).redesign == tuple(kept)
    assert replace(spec, redesign=parse_residues("A5,A6", "redesign")).resolve(present).redesign == (kept[0], kept[1])
    with pytest.raises(InputError, match=r"length: .*'11'; allowed: 10"):
        DesignSpec(motif="motif.pdb", contigs=parse_contigs("4/A5-7"), length=(11, 11)).resolve(present)
    missing = ResidueId(chain="A", number=6, insertion_code="D")
    with pytest.raises(InputError, match="'A6D'"):
        DesignSpec(motif="motif.pdb", contigs=parse_contigs("4/A5-7"), hotspots=(missing,)).resolve(present)


def test_unconditional():
    spec = DesignSpec(contigs=parse_contigs("50-60"), length=(55, 55))
    assert len(spec.sample_layout(np.random.default_rng(0))) == 55


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"motif": None}, ["motif", "A5-9", "no structure"]),
        ({"contigs": "100"}, ["contigs", "take nothing", "'100'"]),
        ({"contigs": "A1-10"}, ["nothing to design", "A1-10"]),
        ({"name": "a/b"}, ["name", "'a/b'"]),
        ({"name": "n" * 201}, ["name", "too long", "201 bytes"]),
        ({"num_designs": 0}, ["num_designs", "at least one"]),
        ({"draws": 0}, ["draws", "at least once"]),
        ({"seed": -1}, ["seed", "found -1"]),
        ({"length": (80, 90)}, ["length", "'80-90'", "25-45"]),
        ({"hotspots": (ResidueId(chain="C", number=1),)}, ["hotspots", "'C1'"]),
        ({"keep_away": (ResidueId(chain="B", number=101),)}, ["keep_away", "'B101'"]),
        (
            {"hotspots": (ResidueId(chain="B", number=1),), "keep_away": (ResidueId(chain="B", number=1),)},
            ["keep_away", "'B1'", "hotspot"],
        ),
        ({"cyclic": ("B",)}, ["cyclic", "'B'", "allowed: A"]),
        ({"cyclic": ("Z",)}, ["cyclic", "'Z'"]),
        ({"secondary_structure": "HHXH"}, ["secondary_structure", "letter 3", "'X'", "H, E, L, ?"]),
        ({"secondary_structure": "12H"}, ["letter 1", "'1'"]),
        ({"secondary_structure": ""}, ["no letters"]),
        ({"secondary_structure": "H30//E5"}, ["no letters"]),
        ({"secondary_structure": "H30/E5"}, ["2 chains", "1 chains"]),
        ({"secondary_structure": "H50"}, ["chain A", "found 50", "25-45"]),
        ({"secondary_structure": "H999999"}, ["more than 100000"]),
        ({"secondary_structure": "H30", "length": (40, 42)}, ["secondary_structure", "found 30", "40-42"]),
        ({"burial": "B50"}, ["burial", "found 50", "25-45"]),
        ({"burial": "H30"}, ["burial", "'H'", "B, P, E, ?"]),
        ({"secondary_structure": "H30", "burial": "B31"}, ["same lengths"]),
    ],
)
def test_what_cannot_be_is_refused(changes, says):
    with pytest.raises(InputError) as caught:
        design(**changes).resolve(MOTIF)
    for part in says:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("num_designs: 5", ["x.yaml:1", "contigs", "say what to design: contigs or a length"]),
        ("length: 60\nmotif: x.yaml", ["x.yaml", "contigs", "which residues of the motif to keep"]),
        ("contigs: 100\nlenght: 5", ["x.yaml:2", "'lenght'", "did you mean 'length'"]),
        ("contigs: 100\nhotspot: A5", ["x.yaml:2", "did you mean 'hotspots'"]),
        ("name: x\ncontigs: 10-5", ["x.yaml:2", "contigs", "write 5-10"]),
        ("contigs: 5/A1-5\nmotif: gone.pdb", ["x.yaml:2", "motif", "no such file; paths are relative to"]),
        ("contigs: 5/A1-5", ["x.yaml", "motif", "A1-5"]),
        ("contigs: 10-20\n\nlength: 50", ["x.yaml:3", "length", "10-20"]),
        ("contigs: 10\nlength: long", ["x.yaml:2", "length", "'long'"]),
        ("contigs: 10\nhotspots: [5]", ["x.yaml:2", "hotspots", "'5'"]),
        ("contigs: 10\nnum_designs: many", ["x.yaml:2", "num_designs", "whole number"]),
        ("contigs: 10\nfixed_sequence: 3", ["x.yaml:2", "fixed_sequence", "true or false"]),
        ("contigs: 10\nsecondary_structure: HXH", ["x.yaml:2", "'X'"]),
        ("contigs: 10\nversion: 3", ["x.yaml:2", "version", "'3'"]),
        ("contigs: {a: 1}", ["x.yaml:1", "contigs", "expected a text"]),
    ],
)
def test_bad_files_give_one_line_that_names_the_place(tmp_path, text, says):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_design(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in says:
        assert part in message


@given(
    contigs=st.sampled_from(["10-20/A5-9/10-20 B1-100", "30/A5-9@2/10/B1-100", "25-40/A5-9/5 B 10"]),
    hotspots=st.lists(st.sampled_from(MOTIF[4:9]), unique=True, max_size=3).map(tuple),
    keep_away=st.lists(st.sampled_from(MOTIF[100:]), unique=True, max_size=3).map(tuple),
    fixed_sequence=st.booleans(),
    num_designs=st.integers(1, 100),
    draws=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
    name=st.text("abcÅ -_.:#'\"0123", min_size=1).filter(lambda text: text.strip() and not text.startswith(".")),
    cyclic=st.sampled_from([(), ("A",)]),
)
def test_round_trip(**fields):
    spec = DesignSpec(**{**fields, "contigs": parse_contigs(fields["contigs"])}, motif="some/motif.cif")
    assert design_from_dict(design_to_dict(spec)) == spec
    assert design_from_dict(json.loads(design_to_json(spec))) == spec


@pytest.mark.parametrize("hotspots", [(), ("B5", "B7")])
def test_written_files_have_a_key_a_line(tmp_path, hotspots):
    path = tmp_path / "x.yaml"
    write_design(DesignSpec(contigs="10/A5-9/10 B1-9", motif=tmp_path / "m.pdb", hotspots=hotspots), path)
    lines = path.read_text().splitlines()
    assert {"version: 1", "fixed_sequence: true", "num_designs: 1"} <= set(lines)
    assert ("hotspots: [B5, B7]" in lines) == bool(hotspots)


@pytest.mark.parametrize(
    ("key", "given", "kept"),
    [
        ("contigs", "10-20/A5-9/10-20 B1-100", parse_contigs("10-20/A5-9/10-20 B1-100")),
        ("hotspots", ["B5", "B7-8"], parse_residues("B5,B7-8", "hotspots")),
        ("hotspots", "B5", parse_residues("B5", "hotspots")),
        ("hotspots", [*parse_residues("B5", "hotspots"), "B7"], parse_residues("B5,B7", "hotspots")),
        ("hotspots", [], ()),
        ("hotspots", None, ()),
        ("length", 45, (45, 45)),
        ("length", [40, 60], (40, 60)),
        ("length", (np.int64(40), np.int64(60)), (40, 60)),
        ("length", "40-60", (40, 60)),
        ("cyclic", "A", ("A",)),
        ("disulfides", [[["A", 2], ["A", 9]]], ((("A", 2), ("A", 9)),)),
        ("held_atoms", {"A5": ["N", "CA"]}, ((ResidueId(chain="A", number=5), ("N", "CA")),)),
        ("target_crop", 100, "100"),
        ("symmetry", "C3", Symmetry("C3")),
        ("energies", RadiusOfGyration(target=12), (RadiusOfGyration(target=12),)),
        ("energies", "radius_of_gyration target=12", (RadiusOfGyration(target=12),)),
        ("energies", [{"contacts": None}], (Contacts(),)),
        ("motif", Path("m.pdb"), "m.pdb"),
        ("num_designs", np.int64(3), 3),
        ("fixed_sequence", "no", False),
    ],
)
def test_python_takes_what_the_command_line_and_files_take(key, given, kept):
    asked = {"contigs": parse_contigs("10-20/A5-9/10-20 B1-100"), "motif": "motif.pdb", key: given}
    found = getattr(DesignSpec(**asked), key)
    assert found == kept
    assert type(found) is type(kept)
    assert replace(DesignSpec(**asked), seed=5) == DesignSpec(**{**asked, "seed": 5})


@pytest.mark.parametrize(
    ("key", "given"),
    [("contigs", None), ("contigs", 3.5), ("contigs", [object()]), ("hotspots", {"B5"}), ("hotspots", [None]),
     ("hotspots", 5), ("length", (60, 40)), ("length", (40.5, 60)), ("length", (0, 5)), ("length", "x"),
     ("length", {"least": 4}),
     ("num_designs", "many"), ("num_designs", 1.5), ("num_designs", True), ("seed", None), ("fixed_sequence", "nay"),
     ("fixed_sequence", 2), ("target_crop", "half"), ("symmetry", 3), ("noise", []), ("motif", 5.5j), ("energies", [5]),
     ("secondary_structure", 5j), ("adjacent", [(1, 2, 3)]), ("name", None)],
)  # fmt: skip
def test_what_python_cannot_give_is_named_by_its_key(key, given):
    asked = {"contigs": "10-20/A5-9/10-20 B1-100", "motif": "motif.pdb", key: given}
    with pytest.raises(InputError, match=rf"^{key}"):
        DesignSpec(**asked)


@pytest.mark.parametrize("text", ["[a]", "contigs: 5\nmotif_sha: x"])
def test_errors_offer_no_key_that_nobody_can_set(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(InputError, match=r"allowed: version, .* seed\)") as caught:
        read_design(tmp_path / "x.yaml")
    assert "sha256" not in str(caught.value)


def test_empty_lists_of_a_file_ask_nothing():
    asked = {"motif": "m.pdb", "contigs": "40 B1-20"}
    lists = ("hotspots", "keep_away", "held_atoms", "energies", "cyclic", "adjacent", "inpaint", "unindexed", "ligands")
    assert design_from_dict({**asked, **{key: [] for key in lists}}) == design_from_dict(asked)


def test_the_request_of_provenance_can_be_asked_again(tmp_path):
    motif = tmp_path / "motif.pdb"
    motif.write_bytes((Path(__file__).parents[2] / "examples/5tpn_site_v.pdb").read_bytes())
    spec = DesignSpec(motif=str(motif), contigs="5/A163-181/5", seed=3)
    again = tmp_path / "again.json"
    again.write_text(json.dumps(design_request(spec)))
    assert read_design(again) == spec
    motif.write_bytes(motif.read_bytes() + b"END\n")
    with pytest.raises(InputError, match=r"again.json.*motif_sha256: the file has changed"):
        read_design(again)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.yaml", "version: 1\nsequences: []\n", r"a\.yaml:2: this is a complex .* structdiff predict reads"),
        ("a.json", '[{"name": "x",\n"sequences": []}]', r"a\.json:2: this is a complex"),
        ("a.fasta", ">A|protein\nMK\n", r"a\.fasta: this is a complex"),
        ("b.yaml", "entities:\n- protein: {id: B, sequence: 80..140}\n", r"b\.yaml:1: .* BoltzGen, .* import"),
        ("b.json", '{"design_path": "x",\n"starting_pdb": "y"}', r"b\.json:2: this is an input of BindCraft"),
        ("c.yaml", "contigmap:\n  contigs: [50]\n", r"c\.yaml:1: .* RFdiffusion, .* import"),
        ("c.json", '{"one":\n{"input": "x.pdb", "contig": "50"}}', r"c\.json:2: .* RFdiffusion3, .* import"),
    ],
)
def test_inputs_of_other_programs_are_told_as_what_they_are(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=says):
        read_design(tmp_path / name)


def test_a_design_and_a_complex_are_told_from_each_other(tmp_path):
    """The other's keys were unknown ones, with the nearest key of this one proposed."""
    asked = tmp_path / "asked.yaml"
    asked.write_text("seed: 1\ncontigs: 30-40\n")
    with pytest.raises(InputError, match=r"asked.yaml:2: this is a design, which structdiff design reads"):
        read_complex(asked)
    asked.write_text("contigs: 30-40\nconstraints: []\n")
    with pytest.raises(InputError, match=r"asked.yaml:2: .* a design has hotspots, keep_away"):
        read_design(asked)
    asked.write_text("constraints: []\nsequences: []\n")
    with pytest.raises(InputError, match=r"asked.yaml:2: this is a complex to be predicted"):
        read_design(asked)


def test_python_needs_no_more_than_the_command_line():
    """A length alone is a new chain; what rebuilds begins with all; a motif needs to be told what is kept of it."""
    assert DesignSpec(length=60) == DesignSpec(contigs="60", length=60)
    assert str(DesignSpec(motif="a.pdb", noise=4).contigs) == str(DesignSpec(motif="a.pdb", inpaint="gaps").contigs)
    for asked, says in (({}, "say what to design"), ({"motif": "a.pdb", "length": 50}, "which residues of the motif")):
        with pytest.raises(InputError, match=says):
            DesignSpec(**asked)
    spec = asked_spec(DesignSpec(length=60), {"length": "70-80"})
    assert (spec.length, str(spec.contigs)) == ((70, 80), "70-80")
    with pytest.raises(InputError, match="length"):
        asked_spec(DesignSpec(contigs="60"), {"length": "70-80"})


def test_a_file_may_leave_what_is_designed_to_who_reads_it(tmp_path):
    path = tmp_path / "binder.yaml"
    path.write_text("motif: motif.pdb\nhotspots: B45\nnum_designs: 3\n")
    (tmp_path / "motif.pdb").write_text("a structure")
    with pytest.raises(InputError, match=r"binder.yaml:1: contigs: say what to design"):
        read_design(path)
    spec = read_design(path, {"contigs": parse_contigs("70-90 B1-100"), "num_designs": 2})
    assert (str(spec.contigs), spec.num_designs, spec.hotspots) == (
        "70-90 B1-100",
        2,
        (ResidueId(chain="B", number=45),),
    )
    assert asked_spec(path, {"contigs": "70-90 B1-100", "num_designs": 2}) == spec
    path.write_text("motif: motif.pdb\nlength: 170-190\n")
    assert str(read_design(path, {"contigs": parse_contigs("70-90 B1-100")}).contigs) == "70-90 B1-100"


def test_a_structure_in_memory_is_kept_as_a_file_by_its_content(tmp_path, monkeypatch):
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path / "cache"))
    structure = read_structure(MOTIF_FILE)
    asked = {"contigs": "10/A163-181/10", "seed": 3}
    spec = DesignSpec(motif=structure, **asked)
    (file,) = (tmp_path / "cache" / "structures").iterdir()
    assert spec.motif == str(file)
    assert file.name.startswith("5tpn_site_v-")
    request = design_request(spec)
    assert request["motif_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert design_from_dict(request) == spec
    # The same content is the same request, however it is asked; another is another file.
    assert (Motif(read_structure(MOTIF_FILE), asked["contigs"])).spec(seed=3) == spec
    moved = structure.with_positions(structure.atoms.positions + 1)
    assert asked_spec(spec, {"motif": moved}).motif != spec.motif
    assert Path(asked_spec(None, {"fold_of": moved, "length": 50}).fold_of).parent == file.parent
    # A file that was damaged is written again.
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert DesignSpec(motif=structure, **asked) == spec
    assert file.read_bytes() == whole
    with pytest.raises(InputError, match="a Structure"):
        DesignSpec(motif=object(), **asked)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="STRUCTDIFF_CACHE names another cache"):
        DesignSpec(motif=structure, **asked)


@pytest.mark.parametrize("asked", [{"noise": "4"}, {"inpaint": "A3-5"}])
def test_what_varies_a_structure_needs_one(asked) -> None:
    with pytest.raises(InputError, match=f"motif: {next(iter(asked))} is for a structure that is there"):
        asked_spec(None, {"length": "60", **asked})
