"""Ligands that stand before the end of a chain, as programs write them that set no TER."""

import pytest

from structdiff.structure.files import read_structure
from structdiff.structure.tables import ChainKind
from tests.structure.test_pdb_lines import atom, residue

GLYCEROL = [atom(name, "GOL", 900, (50 + 1.4 * row, 0, 0), record="HETATM", element=name[0])
            for row, name in enumerate(("C1", "O1", "C2", "O2", "C3", "O3"))]  # fmt: skip
FIRST, SECOND = residue("ALA", 1), residue("SER", 2, shift=3)


def read(tmp_path, lines, **options):
    path = tmp_path / "model.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    structure = read_structure(path, **options)
    starts = [*structure.chains.residue_start.tolist(), len(structure.residues)]
    return [(kind, structure.residues.name[start:stop].tolist())
            for kind, start, stop in zip(structure.chains.kind, starts[:-1], starts[1:], strict=True)]  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        FIRST + GLYCEROL + SECOND,
        [*FIRST, "TER", *GLYCEROL, *SECOND, "TER"],
        GLYCEROL + FIRST + SECOND,
        FIRST + SECOND + [line.replace("HETATM", "ATOM  ") for line in GLYCEROL],
    ],
)
def test_a_ligand_is_no_residue_of_the_chain(tmp_path, lines):
    found = read(tmp_path, lines)
    assert sorted(found) == [(ChainKind.PROTEIN, ["ALA", "SER"]), (ChainKind.LIGAND, ["GOL"])]


def test_a_short_peptide_with_many_ions_is_a_peptide(tmp_path):
    ions = [atom(" NA", "NA", 10 + row, (50 + 9 * row, 0, 0)) for row in range(9)]
    found = read(tmp_path, FIRST + SECOND + ions)
    assert found == [(ChainKind.PROTEIN, ["ALA", "SER"])] + [(ChainKind.LIGAND, ["NA"])] * 9


def test_waters_of_force_fields_before_ions_are_waters(tmp_path):
    lines = [*FIRST, *SECOND, atom(" OW", "SOL", 3, (40, 0, 0)), atom(" NA", "NA", 4, (50, 0, 0))]
    assert read(tmp_path, lines) == [(ChainKind.PROTEIN, ["ALA", "SER"]), (ChainKind.LIGAND, ["NA"])]
    assert (ChainKind.WATER, ["HOH"]) in read(tmp_path, lines, keep_waters=True)


@pytest.mark.parametrize(("code", "own"), [("NH2", "NH2"), ("NHE", "NH2")])
def test_caps_that_are_bonded_stay_in_the_chain(tmp_path, code, own):
    carbon = next(line for line in SECOND if line[12:16].strip() == "C")
    x, y, z = (float(carbon[start : start + 8]) for start in (30, 38, 46))
    cap = atom(" N", code, 3, (x, y + 1.33, z), element="N")
    assert read(tmp_path, [*FIRST, *SECOND, cap]) == [(ChainKind.PROTEIN, ["ALA", "SER", own])]
