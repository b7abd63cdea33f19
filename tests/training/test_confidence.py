"""Training of the confidence head: it learns, leaves the rest alone, goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError
from structdiff.model.checkpoint import load_weights, save_weights
from structdiff.model.heads import ConfidenceLogits
from structdiff.model.network import StructureNetwork, tiny
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.confidence import ConfidenceTraining, main, train_confidence
from structdiff.training.confidence_examples import compare, confidence_loss, draw_batch
from structdiff.training.converter import convert_structures
from structdiff.training.dataset import StructureSet
from structdiff.training.tasks import TaskMix

COLLECTION = Path(__file__).parent / "data" / "collection"
SAMPLING = SamplingConfig(steps=2, solver="dpm-solver-2m")
PREDICT = TaskMix(weights={"predict": 1.0}, nothing_told=1.0)
QUICK = ConfidenceTraining(
    samplings=(SAMPLING,), reuse=2, pool=2, max_rounds=2, validation_batches=1,
    batches=BatchConfig(crops=((16, 2, 1.0),)),
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("set") / "out"
    convert_structures(COLLECTION, out, progress=False)
    return out


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

    assert confidence_loss(logits(0), truth)["loss"] < 1e-6
    assert confidence_loss(logits(1), truth)["loss"] == pytest.approx(90.0, rel=1e-4)


def test_a_drawn_batch_does_not_depend_on_how_many_are_drawn_after_it(batch, weights):
    network = load_weights(weights).network
    first, again = (draw_batch(network, batch, samples=2, sampling=SAMPLING, seed=3, number=1) for _ in range(2))
    other = draw_batch(network, batch, samples=2, sampling=SAMPLING, seed=3, number=2)
    assert torch.equal(first.representative, again.representative)
    assert not torch.allclose(first.representative, other.representative)
    assert not torch.allclose(first.representative[:, 0], first.representative[:, 1])


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
    assert -1 <= config["training"]["confidence"]["validation"]["spearman_tokens"] <= 1
    assert (out / "MODEL_CARD.md").read_text() == "# tiny\n"


def test_the_head_learns_what_its_samples_are_worth(weights, data, tmp_path, capsys):
    settings = ConfidenceTraining(
        samplings=(SAMPLING,), reuse=40, pool=1, max_rounds=1, validation_batches=1, warmup_steps=5,
        batches=QUICK.batches, tasks=PREDICT,
    )  # fmt: skip
    first = train_confidence(weights, data, tmp_path / "a", settings=settings)
    network, old = load_weights(first).network, load_weights(weights).network
    batch = TrainingBatches(StructureSet(data, "train"), QUICK.batches, PREDICT, seed=0).batch(0)
    item = draw_batch(old, batch, samples=2, sampling=SAMPLING, seed=0, number=0)
    index = torch.zeros(len(item.representative), dtype=torch.long)
    losses = [float(confidence_loss(item.logits(n, index), item.truth.pick(index))["loss"]) for n in (old, network)]
    assert losses[1] < 0.9 * losses[0]
    assert "validation spearman_tokens" in capsys.readouterr().out


def test_a_second_call_goes_on_and_other_weights_are_refused(weights, data, tmp_path):
    for rounds in (2, 4):
        out = train_confidence(weights, data, tmp_path / "out", settings=QUICK)
        record = json.loads((out / "config.json").read_text())["training"]["confidence"]
        assert (record["rounds"], record["steps"]) == (rounds, 2 * rounds)
    with pytest.raises(InputError, match="belongs to other weights"):
        train_confidence(out, data, tmp_path / "out", settings=QUICK)
    (tmp_path / "out-confidence.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="cannot be read"):
        train_confidence(weights, data, tmp_path / "out", settings=QUICK)


def test_wrong_folders_are_one_line(weights, data, tmp_path, capsys):
    assert main([str(tmp_path / "nothing"), str(data), str(tmp_path / "out")]) == 2
    assert main([str(weights), str(tmp_path / "nothing"), str(tmp_path / "out")]) == 2
    assert main([str(weights), str(data), str(tmp_path / "out"), "--max-minutes", "0"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
