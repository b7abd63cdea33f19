"""What docking allows the confidence to be: errors to docked ligands, and the pLDDT of their atoms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from structdiff.confidence.of_alignment import AlignedLogits
from structdiff.confidence.of_docking import judged_by_docking
from structdiff.confidence.scores import expected_error, plddt_from_logits
from structdiff.docking.chain_placement import DockedChains
from structdiff.docking.complex_docking import UNDOCKED, Docked
from structdiff.docking.placement import DockedLigand
from structdiff.features.tokens import TokenTable, tokenise
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.structure.complex import build_complex


@pytest.fixture(scope="module")
def tokens():
    peptide = ChainSpec(ids=("A",), kind="protein", sequence="MKTA")
    return tokenise(build_complex(ComplexSpec(chains=(peptide, ChainSpec(ids=("L",), kind="ligand", ccd=("BTN",))))))


def sure(count: int) -> AlignedLogits:
    """All errors in the first bin, all lDDT in the last."""
    plddt, pae = torch.full((count, 50), -20.0), torch.full((count, count, 64), -20.0)
    plddt[:, -1], pae[..., 0] = 0.0, 0.0
    return AlignedLogits(plddt=plddt, pae=pae, pde=pae.clone())


def ligand(tokens, chance: float, *, told: bool = True) -> DockedLigand:
    of_ligand = tokens.chain == 1
    rows = tokens.atoms[of_ligand]
    return DockedLigand(rows=rows[rows >= 0], margin=0.0, told=told, chance=chance)


def test_poses_that_may_be_wrong_have_errors_to_all_else_and_within_none(tokens):
    before = sure(len(tokens))
    after = judged_by_docking(before, Docked(ligands=(ligand(tokens, 0.3),)), tokens)
    own = tokens.chain == 1
    for table in (after.pae, after.pde):
        errors = expected_error(table)
        across = own[:, None] != own[None]
        assert errors[~across] == pytest.approx(0.25, abs=0.01)
        assert errors[across] == pytest.approx(0.3 * 1.5 + 0.7 * 6.0, abs=0.1)
    plddt = plddt_from_logits(after.plddt)
    assert plddt[~own] == pytest.approx(99.0)
    assert plddt[own] == pytest.approx(100 * (0.3 * 0.9 + 0.7 * 0.35), abs=0.5)
    assert expected_error(before.pae).max() < 0.3  # what was handed over stays as it was


def test_the_surer_the_pose_the_smaller_the_errors(tokens):
    def error(chance: float, told: bool) -> float:
        docked = Docked(ligands=(ligand(tokens, chance, told=told),))
        return float(expected_error(judged_by_docking(sure(len(tokens)), docked, tokens).pae)[0, -1])

    assert error(0.9, True) < error(0.5, True) < error(0.1, True) < error(0.1, False)


def test_what_the_network_is_less_sure_of_stays(tokens):
    unsure = sure(len(tokens))
    unsure.pae[..., 0], unsure.pae[..., -1] = -20.0, 0.0
    unsure.plddt[:, -1], unsure.plddt[:, 2] = -20.0, 0.0
    after = judged_by_docking(unsure, Docked(ligands=(ligand(tokens, 0.9),)), tokens)
    assert torch.equal(after.pae, unsure.pae)
    assert plddt_from_logits(after.plddt) == pytest.approx(np.full(len(tokens), 5.0), abs=0.1)


def test_without_docked_ligands_nothing_changes(tokens):
    logits = sure(len(tokens))
    assert judged_by_docking(logits, UNDOCKED, tokens) is logits


def chains(chance: float, *, told: bool = True, loose: bool = False) -> tuple[Docked, TokenTable]:
    """Two peptides, of which the second was docked, to a first one that nothing holds or a body, and a ligand."""
    peptides = ChainSpec(ids=("A", "B"), kind="protein", sequence="MKTA")
    tokens = tokenise(build_complex(ComplexSpec(chains=(peptides, ChainSpec(ids=("L",), kind="ligand", ccd=("GOL",))))))
    rows, others = (tokens.atoms[tokens.chain == chain] for chain in (1, 0))
    others = others[others >= 0]
    body = DockedChains(rows=rows[rows >= 0], others=others, loose=others[: len(others) * loose], energy=-9.0,
                        margin=1.0, told=told, chance=chance)  # fmt: skip
    return Docked(chains=(body,)), tokens


@pytest.mark.parametrize("before", [0, -1], ids=["a sure network", "an unsure one"])
def test_of_docked_chains_docking_knows_better_than_the_network(before):
    docked, tokens = chains(0.8)
    logits = sure(len(tokens))
    logits.pae[..., 0], logits.pae[..., before] = -20.0, 0.0
    after = judged_by_docking(logits, docked, tokens)
    across = np.zeros((len(tokens),) * 2, bool)
    across[np.ix_(tokens.chain == 1, tokens.chain == 0)] = True
    across |= across.T
    assert expected_error(after.pae)[across] == pytest.approx(0.8 * 1.5 + 0.2 * 8.0, abs=0.1)
    assert torch.equal(after.pae[~across], logits.pae[~across])  # within chains, and of the ligand
    assert torch.equal(after.plddt, logits.plddt)


def test_of_chains_that_nothing_holds_the_less_sure_of_network_and_docking_counts():
    docked, tokens = chains(0.8, loose=True)
    logits = sure(len(tokens))
    assert expected_error(judged_by_docking(logits, docked, tokens).pae)[0, 4] == pytest.approx(2.8, abs=0.1)
    logits.pae[..., 0], logits.pae[..., -1] = -20.0, 0.0
    assert torch.equal(judged_by_docking(logits, docked, tokens).pae, logits.pae)


def test_chains_of_which_nothing_was_told_may_be_further_off():
    errors = [expected_error(judged_by_docking(sure(len(tokens)), docked, tokens).pae)[0, 4]
              for docked, tokens in (chains(0.3), chains(0.3, told=False))]  # fmt: skip
    assert errors[0] == pytest.approx(0.3 * 1.5 + 0.7 * 8.0, abs=0.1)
    assert errors[1] == pytest.approx(0.3 * 1.5 + 0.7 * 18.0, abs=0.1)
