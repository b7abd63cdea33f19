"""Motifs, interfaces and hotspots: values that are known beforehand."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.evaluation import evaluate
from structdiff.evaluation.interface import hotspots_touched, interface, interface_pairs
from structdiff.evaluation.measures import measured
from structdiff.evaluation.motif import MotifResidue, motif_deviation, residues_of_map
from structdiff.evaluation.subject import Subject
from structdiff.structure.files import read_structure, write_structure
from structdiff.structure.tables import ChainKind


def residues(first, last, shift=0, group=1):
    return [
        MotifResidue(design=("A", number, ""), motif=("A", number + shift, ""), group=group)
        for number in range(first, last + 1)
    ]


def shifted(structure, rows, offset):
    positions = structure.atoms.positions.copy()
    positions[rows] += offset
    return structure.with_positions(positions, resolved=structure.atoms.resolved)


def test_a_motif_that_is_held_deviates_by_nothing(ubiquitin, generator):
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    design = ubiquitin.with_positions(ubiquitin.atoms.positions @ rotation + 9, resolved=ubiquitin.atoms.resolved)
    found = motif_deviation(design, ubiquitin, residues(5, 20))
    assert found.residues == 16
    assert found.backbone < 1e-4
    assert found.all_atoms < 1e-4


def test_groups_are_superposed_apart_and_the_worst_counts(ubiquitin):
    numbers = ubiquitin.residues.author_seq_id[ubiquitin.atoms.residue]
    design = shifted(ubiquitin, numbers >= 40, [7.0, 0, 0])
    apart = [*residues(5, 15), *residues(50, 60, group=2)]
    assert motif_deviation(design, ubiquitin, apart).backbone < 1e-4
    together = [dataclasses.replace(residue, group=1) for residue in apart]
    assert 1 < motif_deviation(design, ubiquitin, together).backbone < 3.6


def test_symmetric_side_chains_may_be_named_either_way(ubiquitin):
    names = ubiquitin.atoms.name.copy()
    exchange = {"OD1": "OD2", "OD2": "OD1", "OE1": "OE2", "OE2": "OE1", "CD1": "CD2", "CD2": "CD1", "CE1": "CE2",
                "CE2": "CE1"}  # fmt: skip
    types = ubiquitin.residues.name[ubiquitin.atoms.residue]
    for row, (name, kind) in enumerate(zip(names.tolist(), types.tolist(), strict=True)):
        if kind in ("ASP", "GLU", "PHE", "TYR") and name in exchange:
            names[row] = exchange[name]
    renamed = dataclasses.replace(ubiquitin, atoms=dataclasses.replace(ubiquitin.atoms, name=names))
    assert motif_deviation(renamed, ubiquitin, residues(1, 70)).all_atoms < 1e-4
    leucines = np.array([exchange.get(n, n) if k == "LEU" else n
                         for n, k in zip(ubiquitin.atoms.name, types, strict=True)])  # fmt: skip
    wrong = dataclasses.replace(ubiquitin, atoms=dataclasses.replace(ubiquitin.atoms, name=leucines))
    assert motif_deviation(wrong, ubiquitin, residues(1, 70)).all_atoms > 0.1


def test_a_residue_that_is_not_there_is_named(ubiquitin):
    with pytest.raises(InputError, match="A103"):
        motif_deviation(ubiquitin, ubiquitin, residues(3, 6, shift=100))


def test_residue_maps_leave_out_chains_kept_whole():
    rows = [
        {"design": {"chain": chain, "number": 4}, "motif": {"chain": "M", "number": 9}, "group": 2} for chain in "AB"
    ]
    found = residues_of_map({"chains": [{"chain": "B", "kept": True}], "residues": rows})
    assert found == [MotifResidue(design=("A", 4, ""), motif=("M", 9, ""), group=2)]


def test_the_interface_of_a_coiled_coil(coiled_coil, ubiquitin):
    found = interface(coiled_coil)
    assert found is not None
    assert found.area == pytest.approx(900, rel=0.1)  # O'Shea et al., Science 254, 539 (1991): 900 Å² a helix
    assert 30 < found.contacts < 70
    assert interface(ubiquitin) is None


def test_pairs_of_an_interface_need_no_side_chains_and_may_be_asked_of_some_chains(coiled_coil, ubiquitin):
    cb = Backbone.from_structure(coiled_coil).cb_or_ideal
    chain = coiled_coil.residues.chain
    expected = int((np.linalg.norm(cb[chain == 0][:, None] - cb[chain == 1], axis=-1) < 8).sum())
    assert interface_pairs(coiled_coil) == interface_pairs(coiled_coil, ["B"]) == expected > 20
    assert interface_pairs(coiled_coil, []) == 0
    bare = coiled_coil.select(np.isin(coiled_coil.atoms.name, ("N", "CA", "C", "O")))
    assert interface_pairs(bare) == pytest.approx(expected, abs=5)
    assert interface_pairs(ubiquitin) is None


def test_pairs_with_nucleic_acids_count_each_nucleotide_once():
    bound = read_structure(Path(__file__).parents[1] / "data" / "5ugo.pdb.gz")
    protein = bound.chains.name[bound.chains.kind == ChainKind.PROTEIN].tolist()
    pairs = interface_pairs(bound, protein)
    assert pairs is not None
    assert 20 < pairs < (interface_pairs(bound) or 0)  # the strands of the DNA touch each other


def test_the_buried_surface_of_two_carbons_is_that_of_their_caps(coiled_coil):
    _, first = np.unique(coiled_coil.atom_chain, return_index=True)
    carbons = first + 1  # CA of the first residue of each chain
    pair = coiled_coil.select(np.isin(np.arange(len(coiled_coil.atoms)), carbons))
    apart = np.array([[0, 0, 0], [4, 0, 0]], np.float32)
    radius, height = 1.7 + 1.4, 1.7 + 1.4 - 4 / 2  # Å: carbon and probe; the cap cut off halfway
    found = interface(pair.with_positions(apart, resolved=np.ones(2, bool)))
    assert found is not None
    assert found.area == pytest.approx(2 * np.pi * radius * height, rel=0.05)


def test_hotspots_are_touched_when_they_lie_in_the_interface(coiled_coil):
    core, outside = ("A", 16, ""), ("A", 10, "")  # Asn 16 faces its partner
    assert hotspots_touched(coiled_coil, [core]) == 1
    assert hotspots_touched(coiled_coil, [core, outside]) == 0.5
    with pytest.raises(InputError, match="A99"):
        hotspots_touched(coiled_coil, [("A", 99, "")])


def test_what_is_new_is_judged_without_what_the_motif_brings(ubiquitin):
    def of(structure, count):
        """Values of a design whose first residues are its motif."""
        rows = [
            {key: {"chain": "A", "number": number} for key in ("design", "motif")} for number in range(1, count + 1)
        ]
        return measured(Subject(name="x", path=Path("x"), structure=structure, residue_map={"residues": rows}))

    def crowded(number):
        """The O of a residue upon the CA of the next but one."""
        positions, rows = ubiquitin.atoms.positions.copy(), ubiquitin.residues.author_seq_id[ubiquitin.atoms.residue]
        oxygen, alpha = (
            np.flatnonzero((rows == at) & (ubiquitin.atoms.name == name))[0]
            for at, name in ((number, "O"), (number + 2, "CA"))
        )
        positions[oxygen] = positions[alpha] + 0.5
        return ubiquitin.with_positions(positions, resolved=ubiquitin.atoms.resolved)

    sound, bad_motif, bad_design = of(ubiquitin, 40), of(crowded(10), 40), of(crowded(60), 40)
    assert bad_motif["backbone_clashes_per_100"] > sound["backbone_clashes_per_100"]
    assert bad_motif["new_clashes_per_100"] == sound["new_clashes_per_100"]
    assert bad_design["new_clashes_per_100"] > sound["new_clashes_per_100"] + 100 / 36 - 1e-6
    assert 0.9 < sound["new_rama_favoured"] <= 1
    whole = of(ubiquitin, 76)
    assert "new_rama_favoured" not in whole
    assert whole["motif_residues"] == 76


def test_each_design_is_held_against_the_motif_that_it_names(ubiquitin, tmp_path):
    rows = [{key: {"chain": "A", "number": number} for key in ("design", "motif")} for number in range(1, 11)]
    bent = shifted(ubiquitin, slice(0, 20), 5.0)
    files = []
    for name, structure in (("free", None), ("straight", ubiquitin), ("bent", bent)):
        files.append(write_structure(ubiquitin if structure is None else structure, tmp_path / f"{name}.cif"))
        if structure is not None:
            write_structure(structure, tmp_path / f"{name}_motif.pdb")
            spec = {"motif": f"{name}_motif.pdb"}
            (tmp_path / f"{name}.confidence.json").write_text(json.dumps({"provenance": {"spec": spec}}))
            (tmp_path / f"{name}.residue_map.json").write_text(json.dumps({"residues": rows}))
    found = evaluate(files)
    assert not found.failures
    assert [row.values.get("motif_rmsd") for row in found.rows] == [
        None,
        pytest.approx(0, abs=2e-3),
        pytest.approx(0, abs=2e-3),
    ]


def test_a_covalent_ligand_that_was_torn_off_is_told(tmp_path):
    source = Path(__file__).parents[2] / "examples/problems/chromophore.pdb"
    lines = source.read_text().splitlines()
    torn = [f"{line[:30]}{float(line[30:38]) + 30:8.3f}{line[38:]}" if line.startswith("HETATM") else line
            for line in lines]  # fmt: skip
    (tmp_path / "torn.pdb").write_text("\n".join(torn) + "\n")
    found = evaluate([source, tmp_path / "torn.pdb"], clusters=False)
    (note,) = (note for note in found.notes if "torn" in note)
    assert re.fullmatch(r"torn has a bond of \d\d\.\d Å, SG of CYS 69 to C1 of HC4 201: it is torn", note)
