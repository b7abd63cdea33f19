"""What is asked of sequences is understood as it was meant, or refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.inverse_folding import design_sequences, score_sequence, tied_rows
from structdiff.structure.tables import Structure
from tests.inverse_folding.conftest import DATA


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"allowed": {9999: "A"}}, "allowed: not a row of the residues (found 9999; allowed: 0 to 70)"),
        ({"banned_at": {-1: "A"}}, "banned_at: not a row"),
        ({"tied": [[1, 999]]}, "tied: not a row"),
        ({"order": [5000]}, "order: not a row"),
        ({"fixed": np.arange(71)}, "fixed: true or false for each residue"),
        ({"bias": {"K": float("inf")}}, "bias holds values that are no numbers, or infinite"),
        ({"bias": {"K": 1e300}}, "infinite"),
        ({"model": "ligandmpnn", "side_chain_context": True}, "every residue is designed"),
    ],
)
def test_what_cannot_be_asked(options: dict, says: str, cro: Structure) -> None:
    with pytest.raises(InputError) as refused:
        design_sequences(cro, num_sequences=1, **options)
    assert says in str(refused.value)


def test_a_ban_by_an_infinite_bias_is_kept(cro: Structure) -> None:
    found = design_sequences(cro, num_sequences=1, temperature=20.0, bias={"C": float("-inf")}, banned="W")[0]
    assert not {"CYS", "TRP"} & set(found.structure.residues.name[found.designed].tolist())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"given": np.zeros(3, bool)}, "given: one value for each of 71"),
        ({"given": np.zeros(300, bool)}, "given: one value for each of 71"),
        ({"membrane": np.ones(71, int)}, "only the membrane networks"),
        ({"membrane": np.full(71, 5), "model": "membrane_mpnn"}, "0 outside"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_cannot_be_scored(options: dict, says: str, cro: Structure) -> None:
    with pytest.raises(InputError) as refused:
        score_sequence(cro, **options)
    assert says in str(refused.value)


def test_the_network_of_whole_proteins_is_told_of_the_whole(cro: Structure) -> None:
    one, all_ = np.zeros(71, int), np.full(71, 2)
    one[10] = 2
    scores = [score_sequence(cro, model="membrane_mpnn_global", membrane=each) for each in (one, all_, None)]
    first, second, outside = (score.negative_log_likelihood for score in scores)
    assert first == pytest.approx(second)
    assert first != pytest.approx(outside, abs=1e-3)


#: Calls with arguments of other kinds than asked, and what is said of them.
WRONG_KINDS = {
    "Restrictions(tied=[1, 2])": "tied: this cannot be",
    'Restrictions(tied=["A", "B"])': "tied: this cannot be",
    'Restrictions(order="A5")': "order: this cannot be",
    "Restrictions(banned=5)": "banned: this cannot be",
    'Restrictions(banned_at="A5=C")': "banned_at: this cannot be",
    'Restrictions(bias="K=1")': "bias: this cannot be",
    'plan_of(cro, backbone, Restrictions(bias={"K": "much"}))': "bias: this cannot be",
    'plan_of(cro, backbone, Restrictions(banned_at={"A5": "C"}))': "banned_at: not a row of the residues (found 'A5'",
    'plan_of(cro, backbone, Restrictions(fixed="A1-10"))': "one value for each of 71 residues is needed (found 'A1",
    'score_sequence("1orc.pdb")': "structure: this cannot be",
    "score_sequence(cro, num_orders=1.5)": "num_orders: must be a whole number",
    'pack_side_chains("1orc.pdb")': "structure: this cannot be",
    "pack_side_chains(cro, num_steps=2.5)": "num_steps: must be a whole number",
    'pack_side_chains(cro, ligands="no")': "ligands: this cannot be",
}
_PROGRAM = """
from structdiff.errors import InputError
from structdiff.inverse_folding import Restrictions, pack_side_chains, score_sequence
from structdiff.inverse_folding.backbone import protein_backbone
from structdiff.inverse_folding.restrictions import plan_of
from structdiff.structure.files import read_structure
cro = read_structure({file!r})
backbone = protein_backbone(cro)
for call in {calls!r}:
    try:
        print(eval(call))
    except InputError as error:
        print(error)
"""


def test_arguments_of_other_kinds() -> None:
    """In a process of its own: in this one jaxtyping checks what these functions are called with."""
    program = _PROGRAM.format(file=str(DATA / "1orc.pdb.gz"), calls=list(WRONG_KINDS))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert [text for text, line in zip(WRONG_KINDS.values(), said, strict=True) if text not in line] == []


def test_residues_that_are_missing_in_one_chain_alone_are_told(peptides: Structure) -> None:
    """Both chains lack one residue, but not the same: place by place, all in between would be tied wrongly."""
    numbers, chain = peptides.residues.author_seq_id, peptides.residues.chain
    gone = ((numbers == 3) & (chain == 0)) | ((numbers == 6) & (chain == 1))
    cut = peptides.select(~gone[peptides.atoms.residue])
    with pytest.raises(InputError, match=r"wrong residues would be tied \(found 'A4 with B3'"):
        tied_rows(cut, "A", "B")
    numbers = cut.residues.author_seq_id
    for part in ("1-2", "4-5", "7-10"):
        assert all(numbers[one] == numbers[other] for one, other in tied_rows(cut, f"A{part}", f"B{part}"))
