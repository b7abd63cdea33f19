"""Where the test files are, and how two structures are compared."""

from pathlib import Path

import numpy as np

from structdiff.structure.tables import Structure

DATA = Path(__file__).parents[1] / "data"
CIF_FILES = sorted(path.name for path in DATA.glob("*.cif.gz"))
PDB_FILES = sorted(path.name for path in (*DATA.glob("*.pdb.gz"), *DATA.glob("*.ent.gz")))


def named_bonds(structure: Structure) -> set[tuple]:
    """Bonds between resolved atoms, by chain, author number, insertion code, component and atom name."""
    atoms, residues, chains = structure.atoms, structure.residues, structure.chains

    def key(atom: int) -> tuple:
        row = atoms.residue[atom]
        chain = str(chains.name[residues.chain[row]])
        number, code = int(residues.author_seq_id[row]), str(residues.insertion_code[row])
        return chain, number, code, str(residues.name[row]), str(atoms.name[atom])

    seen = atoms.resolved[structure.bonds.atom_1] & atoms.resolved[structure.bonds.atom_2]
    rows = zip(structure.bonds.atom_1[seen], structure.bonds.atom_2[seen], structure.bonds.order[seen], strict=True)
    return {(*sorted((key(first), key(second))), int(order)) for first, second, order in rows}


def assert_same(one: Structure, other: Structure, *, labels: bool) -> None:
    """The same chains, residues, atoms, numbering, bonds and positions (to 0.001 Å); label chain ids too if asked."""
    columns = {
        "chains": ["name", "kind", "cyclic", "entity_id", "sym_id"] + ["label_id"] * labels,
        "residues": ["name", "author_seq_id", "insertion_code", "label_seq_id", "chain"],
        "atoms": ["name", "element", "charge", "resolved", "residue"],
    }
    for table, names in columns.items():
        for name in names:
            left, right = getattr(getattr(one, table), name), getattr(getattr(other, table), name)
            np.testing.assert_array_equal(left, right, err_msg=f"{table}.{name}")
    np.testing.assert_allclose(one.atoms.positions, other.atoms.positions, atol=0.00101)
    np.testing.assert_allclose(one.atoms.b_factor, other.atoms.b_factor, atol=0.0051)
    np.testing.assert_allclose(one.atoms.occupancy, other.atoms.occupancy, atol=0.0051)
    assert named_bonds(one) == named_bonds(other)
