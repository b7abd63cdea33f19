"""Training of the confidence head: it learns, leaves the rest alone, goes on where it stopped."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from structdiff.confidence.scores import plddt_from_logits
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError
from structdiff.model.checkpoint import load_weights, save_weights
from structdiff.model.heads import ConfidenceLogits
from structdiff.model.network import StructureNetwork, tiny
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.confidence import main, train_confidence
from structdiff.training.confidence_examples import Source, compare, confidence_loss, draw_batch
from structdiff.training.confidence_streams import ConfidenceTraining
from structdiff.training.confidence_validation import Judged, agreement
from structdiff.training.confidence_validation import main as validate
from structdiff.training.dataset import StructureSet
from structdiff.training.decoys import KINDS
from structdiff.training.tasks import TaskMix

SAMPLING = SamplingConfig(steps=2, solver="dpm-solver-2m")
EVERYTHING = Source(
    samplings=(SAMPLING, SAMPLING),
    restarts=(SamplingConfig(steps=1, solver="euler", sigma_max=0.1), SAMPLING),
    decoys=tuple(KINDS),
    truth=True,
)
PREDICT = TaskMix(weights={"predict": 1.0}, nothing_told=1.0)
QUICK = ConfidenceTraining(
    samplings=(SAMPLING,), reuse=2, pool=2, max_rounds=2, validation_batches=1, judge_batches=2,
    batches=BatchConfig(crops=((16, 2, 1.0),)), validation_crops=BatchConfig(crops=((16, 2, 1.0),)),
    chain_crops=BatchConfig(crops=((48, 1, 1.0),)),
)  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    torch.manual_seed(0)
    save_weights(StructureNetwork(tiny()), folder, training={"steps": 5}, sampling={"steps": 9})
    (folder / "MODEL_CARD.md").write_text("# tiny\n")
    return folder


@pytest.fixture(scope="module")
def batch(data):
    return TrainingBatches(StructureSet(data, "train"), QUICK.batches, PREDICT, seed=0).batch(0)


def test_the_experiment_itself_is_beyond_reproach(batch):
    positions = batch.atom.positions.unflatten(1, (batch.num_tokens, batch.num_slots))[:, None]
    turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    truth = compare(batch, positions @ turn.T + 4.0)
    assert truth.plddt_mask.any()
    assert (truth.lddt[truth.plddt_mask] == 1).all()
    assert (truth.plddt_bin[truth.plddt_mask] == 49).all()
    assert not truth.pae_bin[truth.pae_mask].any()
    assert not truth.pde_bin[truth.pde_mask].any()


def test_the_loss_is_least_where_the_head_is_sure_of_the_truth(batch):
    positions = batch.atom.positions.unflatten(1, (batch.num_tokens, batch.num_slots))
    noise = torch.randn(positions.shape, generator=torch.Generator().manual_seed(0))
    truth = compare(batch, (positions + noise)[:, None]).pick(torch.zeros(len(positions), dtype=torch.long))

    def logits(shift: int) -> ConfidenceLogits:
        def sure(bins: torch.Tensor, count: int) -> torch.Tensor:
            return 30.0 * torch.nn.functional.one_hot((bins.long() + shift) % count, count).float()

        return ConfidenceLogits(
            plddt=sure(truth.plddt_bin, 50), pae=sure(truth.pae_bin, 64), pde=sure(truth.pde_bin, 64)
        )

    right, wrong = (confidence_loss(logits(shift), truth) for shift in (0, 1))
    for name in ("plddt", "pae", "pde"):
        assert right[name] < 1e-6
        assert wrong[name] == pytest.approx(30.0, rel=1e-4)
    assert right["lddt"] <= 0.01  # half a bin
    assert wrong["lddt"] > right["lddt"]
    assert right["loss"] == pytest.approx(4 * float(right["lddt"]), abs=1e-5)


def test_a_drawn_batch_does_not_depend_on_how_many_are_drawn_after_it(batch, weights):
    network = load_weights(weights).network
    first, again = (draw_batch(network, batch, EVERYTHING, seed=3, number=1) for _ in range(2))
    other = draw_batch(network, batch, EVERYTHING, seed=3, number=2)
    assert torch.equal(first.positions, again.positions)
    assert not torch.allclose(first.positions[:, 0], other.positions[:, 0])
    assert not torch.allclose(first.positions[:, 0], first.positions[:, 1])


def test_a_batch_holds_structures_of_every_kind_in_order(batch, weights):
    item = draw_batch(load_weights(weights).network, batch, EVERYTHING, seed=3, number=1)
    assert item.positions.shape[1] == 2 + 2 + len(KINDS) + 1
    lddt = (item.truth.lddt * item.truth.plddt_mask).sum(-1) / item.truth.plddt_mask.sum(-1)
    assert (lddt[:, -1] == 1).all()
    assert (lddt[:, :2] < 1).all()
    slightly = lddt[:, 2]  # the experiment's with 0.1 Å of noise, denoised
    assert (slightly > lddt[:, :2].max(1).values).all()


def test_only_the_confidence_head_changes(weights, data, tmp_path):
    out = train_confidence(weights, data, tmp_path / "out", max_minutes=5.0, settings=QUICK)
    before, after = (load_file(folder / "model.safetensors") for folder in (weights, out))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("confidence.") for name in changed)
    assert {tensor.dtype for tensor in after.values()} == {torch.bfloat16}
    config = json.loads((out / "config.json").read_text())
    assert config["sampling"] == {"steps": 9}
    assert config["training"]["steps"] == 5
    assert config["training"]["confidence"]["steps"] == 4
    assert -1 <= config["training"]["confidence"]["validation"]["mixed"]["spearman_tokens"] <= 1
    assert (out / "MODEL_CARD.md").read_text() == "# tiny\n"


def test_the_head_learns_to_look(weights, data, tmp_path, capsys):
    settings = ConfidenceTraining(
        samplings=(SAMPLING,), reuse=150, pool=1, max_rounds=1, validation_batches=1, warmup_steps=5,
        batches=QUICK.batches, validation_crops=QUICK.batches, tasks=PREDICT, learning_rate=5e-3, decoys=("fragments",),
    )  # fmt: skip
    found = train_confidence(weights, data, tmp_path / "a", settings=settings)
    network, old = (load_weights(weights).network for _ in range(2))
    learned = torch.load(tmp_path / "a-confidence.ckpt", weights_only=True)["average"]
    network.confidence.load_state_dict(learned)
    batch = TrainingBatches(StructureSet(data, "train"), QUICK.batches, PREDICT, seed=0).batch(0)
    item = draw_batch(old, batch, Source(samplings=(SAMPLING,), truth=True), seed=0, number=0)

    def plddt(network: StructureNetwork, place: int) -> float:
        index = torch.full((len(item.positions),), place)
        with torch.no_grad():
            logits = item.logits(network, index).plddt
        judged = item.truth.plddt_mask[:, place].numpy()
        rows = [plddt_from_logits(row)[mask] for row, mask in zip(logits, judged, strict=True)]
        return float(np.concatenate(rows).mean())

    drawn, true = plddt(network, 0), plddt(network, 1)
    assert true > drawn + 30
    assert abs(plddt(old, 1) - plddt(old, 0)) < 10  # untrained, it could not know
    assert "validation mixed" in capsys.readouterr().out
    # Of other structures it knows less than before, having seen one batch: what was there before is kept.
    kept = load_weights(found)
    assert kept.training["confidence"]["kept_after_round"] == 0
    assert torch.equal(kept.network.confidence.plddt[1].weight, old.confidence.plddt[1].weight)


def test_a_second_call_goes_on_and_other_weights_are_refused(weights, data, tmp_path):
    for rounds in (2, 4, 4):  # in all: the last call has nothing to do
        settings = replace(QUICK, max_rounds=rounds)
        out = train_confidence(weights, data, tmp_path / "out", settings=settings, max_minutes=None)
        record = json.loads((out / "config.json").read_text())["training"]["confidence"]
        assert (record["rounds"], record["steps"], record["rounds_in_all"]) == (rounds, 2 * rounds, rounds)
    further = train_confidence(out, data, tmp_path / "further", settings=QUICK)
    assert load_weights(further).training["confidence"]["rounds_in_all"] == 6
    with pytest.raises(InputError, match="needs a limit"):
        train_confidence(weights, data, tmp_path / "out", settings=ConfidenceTraining(), max_minutes=None)
    with pytest.raises(InputError, match="belongs to other weights"):
        train_confidence(out, data, tmp_path / "out", settings=QUICK)
    (tmp_path / "out-confidence.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="cannot be read"):
        train_confidence(weights, data, tmp_path / "out", settings=QUICK)


def test_an_untrained_head_can_be_asked_for(weights, tmp_path):
    tensors = load_file(weights / "model.safetensors")
    other = {name: tensor for name, tensor in tensors.items() if not name.startswith("confidence.near")}
    shutil.copytree(weights, tmp_path / "other")
    save_file(other | {"confidence.distance.weight": torch.zeros(2)}, tmp_path / "other" / "model.safetensors")
    with pytest.raises(InputError, match=r"confidence head is .* another version.*--fresh"):
        load_weights(tmp_path / "other")
    torch.manual_seed(1)
    state = load_weights(tmp_path / "other", fresh_confidence=True).network.state_dict()
    for name, tensor in tensors.items():
        if not name.startswith("confidence."):
            assert torch.equal(state[name], tensor.float())
    assert not torch.equal(state["confidence.plddt.1.weight"], tensors["confidence.plddt.1.weight"].float())


def test_agreement_is_that_of_ranks_and_of_numbers():
    true = np.linspace(0.0, 90.0, 10)
    found = agreement([Judged(kind="truth", told=true / 2 + shift, true=true) for shift in (0.0, 0.1)])
    assert found["spearman_within_structures"] == pytest.approx(1.0)
    assert found["spearman_tokens"] > 0.99
    assert found["mean_absolute_error_0_to_100"] == pytest.approx(
        22.46
    )  # 45 / 2; of the second half 0.1 less, but at 0
    assert (found["mean_lddt_0_to_100"], found["structures"]) == (pytest.approx(45.0), 2)
    backwards = agreement([Judged(kind="truth", told=-true, true=true)])
    assert backwards["spearman_tokens"] == pytest.approx(-1.0)
    assert backwards["spearman_structures"] == 0.0  # of one structure


def test_a_folder_is_judged_by_a_command(weights, data, tmp_path, capsys):
    command = [str(weights), str(data), "--batches", "1", "--json", str(tmp_path / "figures.json")]
    assert validate(command) == 0
    report = json.loads((tmp_path / "figures.json").read_text())
    assert json.loads(capsys.readouterr().out) == report
    figures = report["figures"]
    assert set(figures) == {"rollouts", "mixed", "truths", "predictions"}
    assert figures["truths"]["mean_lddt_0_to_100"] == pytest.approx(100.0)
    assert figures["mixed"]["structures"] == figures["truths"]["structures"] * 10
    assert figures["rollouts"]["structures"] == figures["truths"]["structures"] * 2
    assert validate([str(tmp_path / "nothing"), str(data)]) == 2


def test_wrong_folders_are_one_line(weights, data, tmp_path, capsys):
    assert main([str(tmp_path / "nothing"), str(data), str(tmp_path / "out")]) == 2
    assert main([str(weights), str(tmp_path / "nothing"), str(tmp_path / "out")]) == 2
    assert main([str(weights), str(data), str(tmp_path / "out"), "--max-minutes", "0"]) == 2
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: out: cannot be written: this is a file"):
        train_confidence(weights, data, tmp_path / "file", max_minutes=1.0, settings=QUICK)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert "mini" in said[0]  # names are taken too
