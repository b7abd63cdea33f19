"""Biological assemblies."""

import gemmi
import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.structure.files import read_structure, write_structure
from tests.structure.comparison import DATA, assert_same


@pytest.mark.parametrize(("name", "copies"), [("5i55.cif.gz", 20), ("1pfe.cif.gz", 2)])
def test_copies_agree_with_gemmi(name, copies):
    asymmetric = read_structure(DATA / name)
    whole = read_structure(DATA / name, assembly="1")
    assert len(whole.atoms) == copies * len(asymmetric.atoms)
    assert len(whole.bonds) == copies * len(asymmetric.bonds)
    assert len(set(whole.chains.label_id.tolist())) == len(whole.chains)
    raw = gemmi.read_structure(str(DATA / name))
    raw.transform_to_assembly("1", gemmi.HowToNameCopiedChain.AddNumber)
    places = {tuple(np.round(atom.pos.tolist(), 1)) for chain in raw[0] for residue in chain for atom in residue}
    ours = whole.atoms.positions[whole.atoms.resolved]
    near = [tuple(np.round(point.astype(float), 1)) for point in ours]
    assert np.mean([point in places for point in near]) > 0.98


def test_first_copy_keeps_its_names():
    asymmetric = read_structure(DATA / "1pfe.cif.gz")
    whole = read_structure(DATA / "1pfe.cif.gz", assembly="1")
    count = len(asymmetric.chains)
    assert whole.chains.name[:count].tolist() == asymmetric.chains.name.tolist()
    assert set(whole.chains.name[:count].tolist()) == {"A", "B"}
    assert set(whole.chains.name[count:].tolist()) == {"C", "D"}
    assert whole.metadata["assembly_chains"] == {"A": "A", "B": "B", "C": "A", "D": "B"}
    assert whole.chains.entity_id[:count].tolist() == whole.chains.entity_id[count:].tolist()
    assert whole.chains.sym_id[whole.chains.entity_id == 0].tolist() == [0, 1]


def test_assembly_of_a_pdb_file_and_round_trip(tmp_path):
    whole = read_structure(DATA / "4oz7.pdb.gz", assembly="2")
    assert set(whole.chains.name.tolist()) == {"B"}
    again = read_structure(write_structure(whole, tmp_path / "b.cif"))
    assert_same(whole, again, labels=True)


def test_unknown_assembly():
    with pytest.raises(InputError, match=r"1pfe.*found '7'; allowed: 1"):
        read_structure(DATA / "1pfe.cif.gz", assembly="7")
    with pytest.raises(InputError, match="describes no assembly"):
        read_structure(DATA / "6ydw_chain_Bj.cif.gz", assembly="1")
