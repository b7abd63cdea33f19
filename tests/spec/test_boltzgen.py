"""BoltzGen's specifications become designs, or errors that say what cannot be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from structdiff.errors import InputError
from structdiff.spec.boltzgen import read_boltzgen
from structdiff.spec.design import design_from_dict
from structdiff.spec.document_text import parse_yaml_document
from structdiff.spec.imported import Imported
from structdiff.structure.known_chains import known_chains

ROOT = Path(__file__).parents[2]
#: 234 residues of label chain A, of which the first eight have no coordinates; number 1 is -11 to its author.
NUMBERED = ROOT / "tests/data/1o1z.cif.gz"
ZIPPER = ROOT / "examples/problems/zipper.pdb"
SITE = ROOT / "examples/5tpn_site_v.pdb"  # 150 to 194 to its author
POLYMERASE = ROOT / "tests/data/5ugo.pdb.gz"
CHROMOPHORE = ROOT / "examples/problems/chromophore.pdb"


def all_designs(text: str, folder: Path, **given):
    root = parse_yaml_document(text, folder / "spec.yaml")
    return read_boltzgen(root, known_chains, name="spec", **given)


@pytest.fixture
def imported(tmp_path):
    def read(text: str) -> Imported:
        (found,) = all_designs(text, tmp_path).values()
        assert isinstance(found, Imported)
        design_from_dict(found.data)  # what is written is a design
        return found

    return read


def file_entity(path: Path, rest: str = "") -> str:
    lines = [f"  - file:\n      path: {path}", *(f"      {line}" for line in rest.splitlines())]
    return "entities:\n" + "\n".join(lines) + "\n"


BINDER = "  - protein: {id: B, sequence: 30..40}\n"


def test_a_binder_has_the_binding_site_by_the_numbers_of_the_files_author(imported):
    marks = "include: [{chain: {id: A}}]\nbinding_types: [{chain: {id: A, binding: '30..33,40', not_binding: ..12}}]"
    found = imported(file_entity(NUMBERED, marks) + BINDER)
    assert found.data["contigs"] == "A 30-40"
    assert (found.data["hotspots"], found.data["keep_away"]) == (["A18-21", "A28"], ["A-3-0"])
    assert found.data["motif"] == NUMBERED.as_posix()
    assert found.options == {"--weights": "boltzgen"}
    assert any("target_crop: none" in note for note in found.notes)


def test_what_is_to_be_bound_and_is_not_there_is_told(imported):
    marks = "include: [{chain: {id: A, res_index: 1..20}}]\nbinding_types: [{chain: {id: A, binding: '19..23'}}]"
    found = imported(file_entity(ZIPPER, marks) + BINDER)
    assert found.data["hotspots"] == ["A19-20"]
    assert "binding_types of what is not included is left out: 3 residues from A21 to A23" in found.notes


def test_what_is_included_is_near_and_not_excluded(imported):
    marks = (
        "include: [{chain: {id: A}}, {chain: {id: Z}}, {chain: {id: P}}]\n"
        "include_proximity: [{chain: {id: Z, radius: 12}}]\nexclude: [{chain: {id: A, res_index: 272..}}]"
    )
    found = imported(file_entity(POLYMERASE, marks) + BINDER)
    assert found.data["contigs"] == "P10-11 A146-152/A155/A178-192/A253-256 30-40"
    assert found.data["ligands"] == ["A401"]  # Z is the first ligand of chain A


def test_the_total_length_counts_the_target_too(imported):
    total = "constraints: [{total_len: {min: 65, max: 200}}]\n"
    found = imported(file_entity(ZIPPER, "include: [{chain: {id: A}}]") + BINDER + total)
    assert found.data["length"] == "34-40"
    with pytest.raises(InputError, match="cannot come to this length"):
        imported(file_entity(ZIPPER) + BINDER + "constraints: [{total_len: {min: 20, max: 60}}]\n")


def test_a_motif_is_fused_between_lengths(imported):
    found = imported(
        "entities:\n  - protein: {id: X, sequence: 10..20}\n"
        f"  - file: {{path: {SITE}, include: [{{chain: {{id: A, res_index: 14..32}}}}], fuse: X}}\n"
        "  - protein: {id: Y, sequence: 5..7, fuse: X}\n"
    )
    assert found.data["contigs"] == "10-20/A163-181/5-7"
    assert "chain X is called A in the design" in found.notes


def test_designed_residues_keep_their_backbone_where_it_is_visible(imported):
    marks = (
        "include: [{chain: {id: A}}]\ndesign: [{chain: {id: A, res_index: '30..40,60..70'}}]\n"
        "not_design: [{chain: {id: A, res_index: 70}}]\nstructure_groups:\n  - group: {id: A, visibility: 2}\n"
        "  - group: {id: A, visibility: 0, res_index: 30..40}\n"
        "design_insertions: [{insertion: {id: A, res_index: 35, num_residues: 1..4}}]"
    )
    found = imported(file_entity(NUMBERED, marks))
    assert found.data["contigs"] == "A-3-17/12-15/A29-222"
    assert found.data["redesign"] == ["A48-57"]


def test_visibilities_are_motif_groups(imported):
    marks = "structure_groups: [{group: {id: A, visibility: 2}}, {group: {id: B, visibility: 0}}]"
    found = imported(file_entity(ZIPPER, marks) + "  - protein: {id: C, sequence: 30}\n")
    assert found.data["contigs"] == "A B@2 30"
    assert "chain B of visibility 0 keeps its structure, and its pose is free" in found.notes
    marks = "structure_groups: [{group: {id: A, visibility: 1}}, {group: {id: A, visibility: 0, res_index: 3..5}}]"
    found = imported(file_entity(ZIPPER, "include: [{chain: {id: A}}]\n" + marks) + BINDER)
    assert found.data["contigs"] == "A 30-40"
    assert "A3-5: of visibility 0, but held as the file has them" in found.notes


def test_missing_residues_stay_out_of_targets_and_are_new_with_their_amino_acids_in_designed_chains(imported, tmp_path):
    lines = CHROMOPHORE.read_text().splitlines(keepends=True)
    gap = tmp_path / "gap.pdb"
    gap.write_text("".join(line for line in lines if line[:4] != "ATOM" or line[22:26].strip() not in ("50", "51")))
    chain = known_chains(gap)[0]
    letters = [(str(row.id), row.letter) for row in chain.residues if not row.seen]
    assert letters == [("A50", "T"), ("A51", "G")]
    found = imported(file_entity(gap, "include: [{chain: {id: A}}]") + BINDER)
    assert found.data["contigs"] == "A 30-40"
    assert "2 residues without coordinates (A50 to A51) stay out" in found.notes
    marks = "include: [{chain: {id: A}}]\ndesign: [{chain: {id: A, res_index: 20}}]\n"
    hidden = "structure_groups: [{group: {id: A, visibility: 1}}, {group: {id: A, visibility: 0, res_index: 20}}]"
    found = imported(file_entity(gap, marks + hidden))
    assert found.data["contigs"] == "A42-49/2/A52-60/1/A62-72"
    assert "2 residues without coordinates (A50 to A51) are new, with their amino acids" in found.notes
    assert found.options["--allow-at"] == "A9=T,A10=G"


def test_a_cyclic_peptide_with_a_disulfide(imported):
    peptide = "  - protein: {id: P, sequence: 3..5C6C3, cyclic: true}\n"
    bond = "constraints: [{bond: {atom1: [P, 4, SG], atom2: [P, 11, SG]}}]\n"
    found = imported(file_entity(ZIPPER, "include: [{chain: {id: A}}]") + peptide + bond)
    assert found.data["contigs"] == "A 14-16"
    assert (found.data["cyclic"], found.data["disulfides"]) == (["B"], ["B-11-B-4"])
    assert "--allow-at" not in found.options  # cysteines of disulfides are cysteines
    ring = "constraints: [{bond: {atom1: [P, 12, C], atom2: [P, 1, N]}}]\n"
    found = imported("entities:\n  - protein: {id: P, sequence: 12}\n" + ring)
    assert (found.data["contigs"], found.data["cyclic"]) == ("12", ["A"])


def test_amino_acids_that_are_said_are_options_of_the_command(imported):
    target = file_entity(ZIPPER, "include: [{chain: {id: B}}]")
    found = imported(target + "  - protein: {id: H, sequence: 5GS3..6}\n")
    assert found.options["--allow-at"] == "A6=G,A7=S"
    rules = "residue_constraints: [{position: 1.., disallowed: CM}, {position: 2..3, allowed: [ALA, G]}]"
    found = imported(target + f"  - protein: {{id: H, sequence: 8..10, {rules}}}\n")
    assert (found.options["--avoid"], found.options["--allow-at"]) == ("CM", "A2-3=AG")
    assert any("not in the file" in note for note in found.notes)


def test_secondary_structure_is_that_of_every_residue(imported):
    text = "entities:\n  - protein: {id: A, sequence: 12, secondary_structure: uhhhHssl}\n"
    assert imported(text).data["secondary_structure"] == "?1 H4 E2 L1 ?4"
    text = "entities:\n  - protein: {id: A, sequence: 12, secondary_structure: {helix: ..5, sheet: 8..}}\n"
    assert imported(text).data["secondary_structure"] == "H5 ?2 E5"
    with pytest.raises(InputError, match="each designed chain has one length"):
        imported("entities:\n  - protein: {id: A, sequence: 12..14, secondary_structure: hhh}\n")


def test_ligands_of_a_file_and_on_their_own(imported):
    marks = "include: [{chain: {id: Z}}]\nbinding_types: [{chain: {id: Z, binding: all}}]"
    found = imported(file_entity(CHROMOPHORE, marks) + BINDER)
    assert (found.data["contigs"], found.data["ligands"], found.data["hotspots"]) == ("30-40", ["A201"], ["A201"])
    found = imported("entities:\n  - ligand: {id: L, smiles: CCO, binding_types: B}\n" + BINDER)
    assert (found.data["ligands"], found.data["hotspots"]) == (["L1"], ["L1"])
    assert found.parts[0].smiles == "CCO"
    assert found.data["motif"] == "spec_motif.cif"


def test_several_files_become_one_motif_and_a_list_of_them_several_designs(tmp_path):
    (tmp_path / "one.yaml").write_text(
        f"path: {SITE}\ndesign: [{{chain: {{id: A, res_index: 10..15}}}}]\n"
        "structure_groups: [{group: {id: A, visibility: 2}}, {group: {id: A, visibility: 0, res_index: 10..15}}]\n"
    )
    (tmp_path / "two.yaml").write_text(f"path: {ZIPPER}\ninclude: [{{chain: {{id: Q}}}}]\n")
    text = file_entity(ZIPPER, "include: [{chain: {id: A}}]") + "  - file: {path: [one.yaml, two.yaml]}\n"
    one, two = (found := all_designs(text, tmp_path)).values()
    assert list(found) == ["spec_one", "spec_two"]
    assert one.data["contigs"] == "A C150-158@2/6/C165-194@2"  # B is a chain of the first file
    assert [part.renamed for part in one.parts] == [{}, {"A": "C"}]
    assert isinstance(two, InputError)
    assert "two.yaml:2" in str(two)


@pytest.mark.parametrize(("chain", "kind"), [("Z", "ligand"), ("P", "dna")])
def test_what_is_no_protein_is_not_fused_to_one(imported, chain, kind):
    entity = file_entity(POLYMERASE, f"include: [{{chain: {{id: {chain}}}}}]\nfuse: B").removeprefix("entities:\n")
    with pytest.raises(InputError, match=f"polymers of one kind are fused .found 'a {kind} to a protein'"):
        imported("entities:\n" + BINDER + entity)


def test_a_structure_elsewhere(tmp_path):
    text = file_entity(Path("far/away.cif"), "include: [{chain: {id: A}}]") + BINDER
    with pytest.raises(InputError, match=r"spec\.yaml:3: .*the structure is needed.*--pdb"):
        all_designs(text, tmp_path)
    (found,) = all_designs(text, tmp_path, structure=NUMBERED).values()
    assert found.data["motif"] == NUMBERED.as_posix()


@pytest.mark.parametrize(
    ("entities", "says"),
    [
        ("  - protein: {id: A, sequence: MKTAYIAK}\n", "no structure for this sequence.*structdiff predict"),
        ("  - dna: {id: A, sequence: ACGT}\n", "designs proteins, and keeps nucleic acids"),
        ("  - protein: {id: A, sequence: 80-140}\n", "character 3 is neither"),
        ("  - protein: {id: A, sequence: 140..80}\n", "the range is reversed"),
        ("  - protein: {id: A, sequence: 3..5A3}\n", "depends on a length before it"),
        ("  - protein: {id: A, sequense: 80}\n", "did you mean 'sequence'"),
        ("  - protein: {id: [A, B], sequence: 80, symmetric_group: 1}\n", "symmetry: C2"),
        ("  - protein: {id: A, sequence: 8, residue_constraints: [{position: 9, allowed: A}]}\n", r"allowed: 1\.\.8"),
        ("  - protein: {id: A, sequence: 8, fuse: Q}\n", "no chain has this name"),
        ("  - ligand: {id: L, ccd: [NAG, NAG]}\n" + BINDER, "one component makes a free ligand"),
        ("  - ligand: {id: L, ccd: SAH}\n  - ligand: {id: M, ccd: SAH}\n" + BINDER, "no place beside the rest"),
        (BINDER + "constraints: [{bond: {atom1: [B, 1, SG], atom2: [B, 5, SG]}}]\n", "a disulfide joins cysteines"),
        ("  - protein: {id: B, sequence: 2C2C2C2}\nconstraints:\n  - bond: {atom1: [B, 3, SG], atom2: [B, 6, SG]}\n"
         "  - bond: {atom1: [B, 6, SG], atom2: [B, 9, SG]}\n", "a cysteine has one disulfide"),
        ("  - protein: {id: B, sequence: 2..4C2..4C2..4}\n"
         "constraints: [{bond: {atom1: [B, 3, SG], atom2: [B, 6, SG]}}]\n", "on both sides"),
        ("  - protein: {id: B, sequence: 9}\nconstraints: [{bond: {atom1: [B, 1, CB], atom2: [B, 5, CB]}}]\n",
         "makes no such bond"),
        (BINDER + "leaving_atoms: [{atom: [B, 1, O]}]\n", "leaving_atoms"),
        (BINDER + "  - protein: {id: C, sequence: 8, cyclic: true, fuse: B}\n", "a ring is that of the whole chain"),
        (BINDER + "  - protein: {id: C, sequence: 8, symmetric_group: 1, fuse: B}\n", "symmetric_group is that of"),
        (BINDER + "  - file: {path: []}\n", r"path: expected a file \(found 'an empty list'"),
        (BINDER + "  - protein: {id: [], sequence: 20}\n", r"id: expected the name of a chain \(found 'an empty list'"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_an_error(imported, entities, says):
    with pytest.raises(InputError, match=says):
        imported("entities:\n" + entities)


@pytest.mark.parametrize(
    ("path", "rest", "says"),
    [
        (ZIPPER, "use_assembly: true", "file of the assembly"),
        (NUMBERED, "include: [{chain: {id: C}}]", r"allowed: A, B \(author's A\)"),
        (ZIPPER, "include: [{chain: {id: A, res_index: 25..40}}]", r"allowed: 1\.\.31"),
        (ZIPPER, "include: [{chain: {id: A, res_idx: 5}}]", "did you mean 'res_index'"),
        (ZIPPER, "include: [{chain: {id: A, symmetric_group: 1, res_index: 1..9}}, {chain: {id: A, res_index: 10..31}}"
                 ", {chain: {id: B, symmetric_group: 1}}]", "symmetric_group: .*symmetry: C2"),
        (ZIPPER, "add_cyclization: [{chain: {id: A, res_index: 2..9}}]", "unknown key .found 'res_index'; allowed: id"),
        (ZIPPER, "reset_res_index: [{chain: {id: Q}}]", "the file has no such chain.*found 'Q'; allowed: A, B"),
        (ZIPPER, "include: {chain: {id: A}}", "include: expected all, or a list of chains"),
        (ZIPPER, "design: [{chain: {id: A}}]\nfuse: B", "fuse: one chain is fused to another"),
        (CHROMOPHORE, "design: [{chain: {id: Z}}]", "designs proteins"),
        (SITE, "design: [{chain: {id: A, res_index: 1..3}}]\nexclude: [{chain: {id: A, res_index: 20..24}}]\n"
               "structure_groups: [{group: {id: A, visibility: 1, res_index: 4..45}}]", "some are left out"),
        (POLYMERASE, "structure_groups: [{group: {id: Z, visibility: 1}}, {group: {id: Y, visibility: 2}}]",
         "visibilities 1, 2"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_of_a_file_is_an_error(imported, path, rest, says):
    with pytest.raises(InputError, match=says):
        imported(file_entity(path, rest) + "  - protein: {id: K, sequence: 30}\n")
