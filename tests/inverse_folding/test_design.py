"""Sequences keep to what is asked, and depend on the seed and their number alone."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from structdiff.errors import InputError
from structdiff.inverse_folding import (
    Restrictions,
    SequenceConfig,
    design_for_backbones,
    design_sequences,
    rows_in,
    score_sequence,
    tied_rows,
)
from structdiff.inverse_folding.alphabet import LETTERS, letter_index
from structdiff.inverse_folding.backbone import protein_backbone
from structdiff.inverse_folding.decoding import Decoder
from structdiff.inverse_folding.mutation import with_residues
from structdiff.inverse_folding.restrictions import checked_favour
from structdiff.structure.tables import Structure
from tests.inverse_folding.conftest import random_network

MODELS = ("proteinmpnn", "proteinmpnn_ca", "ligandmpnn", "membrane_mpnn")


def texts(designed: list) -> list[dict[str, str]]:
    return [dict(each.sequences) for each in designed]


def letters_at(structure: Structure, rows: np.ndarray) -> list[str]:
    from structdiff.inverse_folding.backbone import letter_of

    return [letter_of(structure, int(row)) for row in rows]


@pytest.mark.parametrize("model", MODELS)
def test_a_sequence_depends_on_seed_and_number_alone(model: str, cro: Structure, peptides: Structure) -> None:
    alone = design_sequences(cro, model=model, num_sequences=2, temperature=0.5, seed=4)
    config = SequenceConfig(model=model, num_sequences=5, temperature=0.5, seed=4)
    peptide_first, together = design_for_backbones([(peptides, Restrictions()), (cro, Restrictions())], config)
    assert texts(alone) == texts(together[:2])
    later = design_sequences(cro, model=model, num_sequences=2, first=3, temperature=0.5, seed=4)
    assert texts(later) == texts(together[3:])
    assert [each.index for each in later] == [3, 4]
    assert [each.index for each in together] == [0, 1, 2, 3, 4]
    for one, other in zip(alone, together, strict=False):
        assert one.negative_log_likelihood == pytest.approx(other.negative_log_likelihood, abs=1e-5)
    assert texts(peptide_first[:1]) == texts(design_sequences(peptides, **_options(config, num_sequences=1)))
    assert len({each["A"] for each in texts(together)}) == 5
    assert texts(alone) != texts(design_sequences(cro, **_options(config, num_sequences=2, seed=5)))


def _options(config: SequenceConfig, **more: object) -> dict:
    return {**dataclasses.asdict(config), **more}


def test_small_batches_give_the_same(cro: Structure, peptides: Structure, monkeypatch) -> None:
    config = SequenceConfig(num_sequences=3, temperature=0.3)
    tasks = [(cro, Restrictions()), (peptides, Restrictions())]
    wanted = [texts(each) for each in design_for_backbones(tasks, config)]
    monkeypatch.setattr("structdiff.inverse_folding.design.ROWS_AT_ONCE", 70)
    seen = []
    found = design_for_backbones(tasks, config, on_progress=lambda done, total: seen.append((done, total)))
    assert [texts(each) for each in found] == wanted
    assert seen[-1] == (6, 6)
    assert len(seen) > 2


@pytest.mark.parametrize("model", MODELS)
def test_drawing_and_scoring_agree(model: str, cro: Structure) -> None:
    """The probabilities of a sequence as it was drawn are those of reading it in that order at once."""
    backbone = protein_backbone(cro, ca_only="_ca" in model)
    order = np.random.default_rng(0).permutation(backbone.rows)
    fixed = rows_in(cro, "A20-30")
    drawn = design_sequences(cro, model=model, num_sequences=1, temperature=1.0, fixed=fixed, order=order.tolist())[0]
    rng = np.random.default_rng([0, 0])
    keys = rng.random(len(backbone))
    given = fixed[backbone.rows]
    known = np.flatnonzero(given)
    first = backbone.rows[known[np.argsort(keys[known])]]
    whole = np.concatenate([first, [row for row in order if not fixed[row]]])
    ranks = np.argsort(np.argsort([whole.tolist().index(row) for row in backbone.rows]))
    network = random_network(model)
    with torch.no_grad():
        letters = torch.tensor([letter_index(letter) for letter in letters_at(drawn.structure, backbone.rows)])
        found = Decoder(network, network.encode(backbone)).score(0, letters, torch.from_numpy(ranks)[None])[0]
    chosen = -found[torch.arange(len(letters)), letters].numpy()
    by_residue = drawn.residue_negative_log_likelihood[backbone.rows]
    np.testing.assert_allclose(by_residue[~given], chosen[~given], atol=1e-4)
    assert np.isnan(by_residue[given]).all()
    assert drawn.negative_log_likelihood == pytest.approx(chosen[~given].mean(), abs=1e-4)


def test_fixed_residues_stay_with_their_side_chains(cro: Structure) -> None:
    fixed = rows_in(cro, "A20-30,A40")
    for each in design_sequences(cro, num_sequences=3, temperature=1.0, fixed=fixed):
        rows = np.flatnonzero(fixed)
        assert letters_at(each.structure, rows) == letters_at(cro, rows)
        assert not each.designed[rows].any()
        for row in rows:
            old, new = cro.residue_atoms(row), each.structure.residue_atoms(row)
            assert (each.structure.atoms.positions[new] == cro.atoms.positions[old]).all()
            assert each.structure.atoms.resolved[new].all() == cro.atoms.resolved[old].all()
        others = np.flatnonzero(each.designed)
        assert letters_at(each.structure, others) != letters_at(cro, others)
        kept = np.array(letters_at(each.structure, others)) == np.array(letters_at(cro, others))
        assert each.recovery == pytest.approx(kept.mean())


def test_banned_and_allowed_letters(cro: Structure) -> None:
    free = "".join(text["A"] for text in texts(design_sequences(cro, num_sequences=4, temperature=20.0)))
    assert {"C", "W"} <= set(free)
    at = np.flatnonzero(rows_in(cro, "A20-25")).tolist()
    designed = design_sequences(
        cro, num_sequences=4, temperature=20.0, banned="cW", allowed=dict.fromkeys(at, "DE"), banned_at={at[0]: "D"}
    )
    for each in designed:
        rows = np.flatnonzero(each.designed)
        assert not set("CW") & set(letters_at(each.structure, rows))
        assert set(letters_at(each.structure, np.array(at))) <= set("DE")
        assert letters_at(each.structure, np.array(at[:1])) == ["E"]
    only = design_sequences(cro, num_sequences=1, temperature=20.0, allowed="AG")[0]
    assert set(letters_at(only.structure, np.flatnonzero(only.designed))) == {"A", "G"}


def test_a_bias_is_followed(cro: Structure) -> None:
    many = design_sequences(cro, num_sequences=1, bias={"K": 50.0})[0]
    assert set(letters_at(many.structure, np.flatnonzero(many.designed))) == {"K"}
    bias = np.zeros((len(cro.residues), 20))
    row = int(np.flatnonzero(rows_in(cro, "A30"))[0])
    bias[row, LETTERS.index("P")] = 50
    one = design_sequences(cro, num_sequences=1, temperature=0.0, bias=bias)[0]
    assert letters_at(one.structure, np.array([row])) == ["P"]


def test_tied_chains_get_one_sequence(peptides: Structure) -> None:
    groups = tied_rows(peptides, "A", "B")
    assert len(groups) == 10
    free = design_sequences(peptides, num_sequences=6, temperature=1.0)
    assert any(each.sequences["A"] != each.sequences["B"] for each in free)
    for each in design_sequences(peptides, num_sequences=6, temperature=1.0, tied=groups):
        assert each.sequences["A"] == each.sequences["B"]
        assert len(set(each.structure.chains.entity_id[:2].tolist())) == 1


def test_groups_of_one_change_nothing(cro: Structure) -> None:
    alone = [[int(row)] for row in protein_backbone(cro).rows]
    order = protein_backbone(cro).rows.tolist()
    options = {"num_sequences": 2, "temperature": 0.7, "order": order}
    assert texts(design_sequences(cro, tied=alone, **options)) == texts(design_sequences(cro, **options))


def test_a_tie_to_a_fixed_residue_fixes(peptides: Structure) -> None:
    groups = tied_rows(peptides, "A", "B")
    fixed = rows_in(peptides, "A2-5")
    wanted = dict.fromkeys((row for group in groups for row in group), "W")
    found = design_sequences(peptides, num_sequences=1, tied=groups, fixed=fixed, allowed=wanted)[0]
    rows = np.array(groups)
    kept = fixed[rows[:, 0]]
    assert letters_at(found.structure, rows[kept, 1]) == letters_at(peptides, rows[kept, 0])
    designed = found.designed[rows[:, 1]]
    assert set(letters_at(found.structure, rows[designed, 1])) == {"W"}
    assert not designed[kept].any()


def test_a_residue_takes_the_amino_acid_of_the_fixed_one_it_is_tied_to(peptides: Structure) -> None:
    row = int(np.flatnonzero(rows_in(peptides, "B2"))[0])
    other = with_residues(peptides, {row: "TRP"})
    fixed = rows_in(other, "A2-3")
    found = design_sequences(other, num_sequences=1, tied=tied_rows(other, "A", "B"), fixed=fixed, pack=True)[0]
    assert found.sequences["A"] == found.sequences["B"]
    assert letters_at(found.structure, np.array([row])) == letters_at(peptides, np.flatnonzero(fixed)[:1])
    assert found.designed[row]
    assert np.isnan(found.residue_negative_log_likelihood[row])
    assert found.structure.atoms.resolved[found.structure.residue_atoms(row)].all()
    kept = peptides.residue_atoms(int(np.flatnonzero(rows_in(peptides, "B3"))[0]))
    assert (
        found.structure.atoms.positions[found.structure.residue_atoms(row + 1)] == peptides.atoms.positions[kept]
    ).all()


def test_tied_residues_that_were_not_seen_take_the_letter_too(peptides: Structure) -> None:
    """Else the copies of a homo-oligomer would be two sequences where one of them lacks a residue."""
    hidden = rows_in(peptides, "B5,B8")
    unseen = peptides.atoms.resolved & ~hidden[peptides.atoms.residue]
    part = peptides.with_positions(peptides.atoms.positions, resolved=unseen)
    fixed = rows_in(part, "A8")
    found = design_sequences(
        part, num_sequences=1, temperature=9.0, tied=tied_rows(part, "A", "B"), fixed=fixed, banned="SP", pack=True
    )[0]
    assert found.sequences["A"] == found.sequences["B"]
    assert found.sequences["B"][4] != "S"
    assert found.sequences["B"][7] == "P"
    assert not found.designed[hidden].any()
    assert not found.structure.atoms.resolved[hidden[found.structure.atoms.residue]].any()


def test_the_given_order_matters_and_is_kept(cro: Structure) -> None:
    rows = protein_backbone(cro).rows.tolist()
    forward = design_sequences(cro, num_sequences=1, temperature=0.0, order=rows)[0]
    backward = design_sequences(cro, num_sequences=1, temperature=0.0, order=rows[::-1])[0]
    difference = forward.residue_negative_log_likelihood - backward.residue_negative_log_likelihood
    assert np.nanmax(np.abs(difference)) > 0.01
    for again in design_sequences(cro, num_sequences=2, temperature=0.0, order=rows, seed=9):
        assert again.sequences == forward.sequences
        assert again.negative_log_likelihood == pytest.approx(forward.negative_log_likelihood, abs=1e-5)


# Not the CA-only network: as published, it takes rotations between frames in the axes of the file.
@pytest.mark.parametrize("model", ["proteinmpnn", "ligandmpnn", "membrane_mpnn"])
def test_rotations_change_nothing_and_mirrors_do(model: str, polymerase: Structure) -> None:
    part = polymerase.select(np.isin(polymerase.atom_chain, [0, 3]) & (polymerase.atoms.residue < 90))
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    own = score_sequence(part, model=model).residue_negative_log_likelihood
    seen = part.atoms.resolved
    moved = part.with_positions(part.atoms.positions @ rotation.T + 7, resolved=seen)
    mirrored = part.with_positions(part.atoms.positions * [1, 1, -1], resolved=seen)
    np.testing.assert_allclose(score_sequence(moved, model=model).residue_negative_log_likelihood, own, atol=2e-3)
    assert np.nanmax(np.abs(score_sequence(mirrored, model=model).residue_negative_log_likelihood - own)) > 0.05


def test_ligands_and_given_side_chains_are_seen(polymerase: Structure) -> None:
    def score(structure: Structure, model: str) -> np.ndarray:
        return score_sequence(structure, model=model).residue_negative_log_likelihood[-330:]

    alone = polymerase.select(polymerase.atom_chain == 3)
    with_dna = score(polymerase, "ligandmpnn")[~np.isnan(score(polymerase, "ligandmpnn"))]
    assert np.abs(with_dna - score(alone, "ligandmpnn")[~np.isnan(score(alone, "ligandmpnn"))]).max() > 0.01
    without = score(polymerase, "proteinmpnn")
    np.testing.assert_allclose(without[~np.isnan(without)], score(alone, "proteinmpnn")[-326:], atol=1e-4)
    fixed = np.arange(len(alone.residues)) % 2 == 0
    shown, hidden = (
        design_sequences(alone, model="ligandmpnn", num_sequences=1, fixed=fixed, side_chain_context=each)[0]
        for each in (True, False)
    )
    assert shown.negative_log_likelihood != pytest.approx(hidden.negative_log_likelihood, abs=1e-3)


def test_membrane_labels_are_seen(cro: Structure) -> None:
    labels = np.full(len(cro.residues), 2)
    buried = score_sequence(cro, model="membrane_mpnn", membrane=labels).negative_log_likelihood
    assert buried != pytest.approx(score_sequence(cro, model="membrane_mpnn").negative_log_likelihood, abs=1e-3)
    whole, one = np.zeros(len(cro.residues), int), np.zeros(len(cro.residues), int)
    whole[:], one[10] = 1, 2
    found = [
        design_sequences(cro, model="membrane_mpnn_global", num_sequences=1, membrane=each)[0] for each in (whole, one)
    ]
    assert found[0].sequences == found[1].sequences


def test_amino_acids_that_are_there_are_favoured(cro: Structure) -> None:
    def recoveries(favour: float) -> list[float]:
        return [each.recovery or 0.0 for each in design_sequences(cro, num_sequences=3, favour_present=favour)]

    plain, some, most, none = (np.array(recoveries(favour)) for favour in (0.0, 5.0, 20.0, -20.0))
    assert (some > plain).all()
    assert (most > some).all()
    assert (none == 0).all()
    # Its likelihood is that without what was added.
    kept = design_sequences(cro, num_sequences=1, favour_present=20.0)[0]
    assert kept.negative_log_likelihood > 1.0
    assert kept.provenance["favour_present"] == 20.0


def test_numbers_of_other_kinds_are_recorded_as_plain_ones() -> None:
    """Those of numpy were no JSON, so that nothing could be written."""
    config = SequenceConfig(favour_present=np.float64(1), temperature=np.float64(0.5))
    assert [type(each) for each in (config.favour_present, config.temperature)] == [float, float]
    assert json.dumps([checked_favour(np.float32(0.5)), checked_favour(1)]) == "[0.5, 1.0]"
    for wrong in (True, "1", None, np.ones(1)):
        with pytest.raises(InputError, match="favour_present"):
            checked_favour(wrong)


def test_scores_are_means_over_orders(cro: Structure) -> None:
    many = score_sequence(cro, num_orders=3)
    one = score_sequence(cro, num_orders=1)
    assert many.negative_log_likelihood == pytest.approx(np.nanmean(many.residue_negative_log_likelihood))
    assert many.perplexity == pytest.approx(np.exp(many.negative_log_likelihood))
    assert np.isnan(one.spread)
    assert many.spread > 0
    assert np.isnan(many.residue_negative_log_likelihood).sum() == 7
    given = rows_in(cro, "A20-30")
    assert np.isnan(score_sequence(cro, given=given).residue_negative_log_likelihood[given]).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "protinmpnn"}, "did you mean 'proteinmpnn'"),
        ({"model": "trrosetta"}, "no such network"),
        ({"num_sequences": 0}, "num_sequences"),
        ({"temperature": -1.0}, "temperature"),
        ({"seed": -1}, "seed"),
        ({"favour_present": 21.0}, "favour_present"),
        ({"favour_present": float("nan")}, "favour_present"),
        ({"banned": "X"}, "banned: not the letter of an amino acid"),
        ({"banned": LETTERS[:20]}, "no amino acid is left for residue A"),
        ({"allowed": "AB"}, "allowed: not the letter"),
        ({"fixed": np.ones(3, bool)}, "fixed: one value for each of"),
        ({"fixed": np.ones(71, bool)}, "nothing to design"),
        ({"bias": np.zeros((3, 20))}, "bias"),
        ({"bias": {"K": float("nan")}}, "bias"),
        ({"order": [1, 2]}, "order must name every designed residue"),
        ({"tied": [[10, 11], [11, 12]]}, "tied twice"),
        ({"membrane": np.zeros(71, int)}, "membrane"),
        ({"model": "membrane_mpnn", "membrane": np.full(71, 5)}, "0 outside"),
        ({"side_chain_context": True}, "only ligandmpnn"),
    ],
)
def test_what_cannot_be_asked(options: dict, says: str, cro: Structure) -> None:
    with pytest.raises(InputError) as refused:
        design_sequences(cro, **options)
    assert says in str(refused.value)


def test_what_has_no_backbone(cro: Structure, peptides: Structure) -> None:
    only_ca = cro.with_positions(cro.atoms.positions, resolved=cro.atoms.resolved & (cro.atoms.name == "CA"))
    with pytest.raises(InputError, match="no protein residue has N, CA, C and O"):
        design_sequences(only_ca)
    assert design_sequences(only_ca, model="proteinmpnn_ca", num_sequences=1)[0].designed.sum() == 64
    with pytest.raises(InputError, match=r"equally long.*A1-3 3, B1-4 4"):
        tied_rows(peptides, "A1-3", "B1-4")
    with pytest.raises(InputError, match="different amino acids"):
        design_sequences(cro, tied=[[20, 21]], fixed=np.arange(71) < 40)


def test_a_backbone_without_a_sequence_has_no_recovery(cro: Structure) -> None:
    bare = with_residues(cro, {int(row): "GLY" for row in protein_backbone(cro).rows})
    assert design_sequences(bare, num_sequences=1)[0].recovery is None
    assert design_sequences(cro, num_sequences=1)[0].recovery is not None
