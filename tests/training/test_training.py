import dataclasses
import json
import pickle
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from structdiff.errors import InputError
from structdiff.features.build import build_features
from structdiff.features.collate import collate
from structdiff.features.tokens import tokenise
from structdiff.model.checkpoint import load_weights, save_weights
from structdiff.model.network import StructureNetwork, tiny
from structdiff.structure.tables import ChainKind
from structdiff.training import losses
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.confidence import train_confidence
from structdiff.training.converter import convert_structures
from structdiff.training.dataset import StructureSet
from structdiff.training.history import parts_of
from structdiff.training.module import TrainingModule
from structdiff.training.packed import pack
from structdiff.training.resuming import beginning
from structdiff.training.run import TrainConfig, read_train_config, train
from structdiff.training.step_settings import LossWeights, OptimiserConfig
from structdiff.training.targets import denoising_targets, representatives
from structdiff.training.tasks import _TASKS, TaskMix, draw_condition, training_example
from tests.features.examples import mixed

ENCODER_ALONE = LossWeights(
    position=0, smooth_lddt=0, local_geometry=0, clash=0, restype=0, distogram=0, local_distogram=1
)
COLLECTION = Path(__file__).parent / "data" / "collection"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("set") / "set"
    convert_structures(COLLECTION, out, progress=False)
    return out


def test_every_loss_is_least_at_the_truth_and_sees_a_mirror_image():
    torch.manual_seed(0)
    target = torch.randn(2, 40, 3) * 8
    weight, sigma = torch.ones(2, 40), torch.tensor([1.0, 4.0])
    turned = target @ torch.linalg.qr(torch.randn(3, 3))[0].T
    turned = turned * torch.sign(torch.det(turned[0, :3]) * torch.det(target[0, :3]))
    assert losses.position_loss(target, target, weight, sigma).max() < 1e-8
    assert losses.position_loss(turned + 5, target, weight, sigma).max() < 1e-6
    mirrored = target * torch.tensor([1.0, 1.0, -1.0])
    assert losses.position_loss(mirrored, target, weight, sigma).min() > 1e-2
    mask = torch.ones(2, 40, dtype=torch.bool)
    truth = losses.smooth_lddt_loss(target, target, mask)
    assert (truth < losses.smooth_lddt_loss(target + torch.randn_like(target), target, mask)).all()


def test_local_geometry_sees_a_stretched_bond_and_a_broken_link():
    torch.manual_seed(0)
    target = torch.randn(1, 4, 5, 3)
    mask, linked = torch.ones(1, 4, 5, dtype=torch.bool), torch.tensor([[True, True, True, False]])
    assert losses.local_geometry_loss(target, target, mask, linked).max() < 1e-6
    inside = target.clone()
    inside[0, 2, 4] += 1.0  # a side-chain atom
    assert losses.local_geometry_loss(inside, target, mask, linked) > 0.01
    moved = target.clone()
    moved[0, 2:] += 3.0  # the second half as one piece: only the link between the halves is wrong
    assert losses.local_geometry_loss(moved, target, mask, linked) > 0.1
    assert losses.local_geometry_loss(moved, target, mask, torch.zeros_like(linked)) < 1e-5


def test_clashes_count_between_proteins_only():
    centre = torch.tensor([[[0.0, 0, 0], [1.7, 0, 0], [50.0, 0, 0]]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    assert losses.clash_loss(centre, mask, mask) == pytest.approx(2 * 2.0 / 3, rel=1e-4)
    assert losses.clash_loss(centre, mask, ~mask) == 0


def test_rare_atoms_weigh_more_and_unseen_ones_nothing():
    structure = mixed()
    resolved = structure.atoms.name != "CB"
    batch = collate([build_features(structure.with_positions(structure.atoms.positions, resolved=resolved))])
    target, weight, counted = denoising_targets(batch)
    kind = batch.token.kind.repeat_interleave(batch.num_slots, 1)
    for number, expected in enumerate((1.0, 6.0)):  # protein, DNA
        assert weight[(kind == number) & counted].unique().tolist() == [expected]
    assert weight[(kind == 3) & counted].unique().tolist() == [11.0]  # ligands and ions
    assert weight[~counted].abs().max() == 0
    assert counted.sum() == resolved.sum()
    assert torch.allclose(target[counted].mean(0), torch.zeros(3), atol=1e-4)


@pytest.mark.parametrize("task", list(_TASKS))
def test_tasks_hide_and_hold_what_they_say(data, task):
    structures, rng = StructureSet(data, "train"), np.random.default_rng(0)
    silent = TaskMix(partial_sequence=0.0, nothing_told=0.0)
    hidden, held = [], []
    for index in range(len(structures)):
        structure = structures.structure(index)
        if not (structure.chains.kind == 0).any() or len(structure.residues) > 400:
            continue
        tokens = tokenise(structure)
        condition = draw_condition(structure, tokens, task, silent, rng)
        protein_tokens = (structure.chains.kind[tokens.chain] == 0) & tokens.standard
        hidden.append(float((~condition.sequence_known[protein_tokens]).mean()))
        held.append(float((condition.motif_group[protein_tokens] > 0).mean()))
        assert condition.sequence_known[~protein_tokens].all()
    assert hidden
    expected = {
        "predict": (0.0, 0.0),
        "unconditional": (1.0, 0.0),
        "motif": (None, None),
        "inpaint": (None, None),
        "binder": (None, None),
    }[task]
    for values, value in zip((hidden, held), expected, strict=True):
        assert 0 < np.mean(values) < 1 if value is None else np.mean(values) == value


def test_everything_told_can_be_dropped_at_once(data):
    structures = StructureSet(data, "train")
    structure = next(s for s in map(structures.structure, range(len(structures))) if (s.chains.kind == 0).any())
    tokens = tokenise(structure)
    for seed in range(10):
        condition = draw_condition(structure, tokens, "motif", TaskMix(nothing_told=1.0), np.random.default_rng(seed))
        for channel in dataclasses.fields(condition):
            if channel.name != "sequence_known":
                assert not getattr(condition, channel.name).any(), channel.name


def test_entries_that_are_never_drawn_do_not_count_as_fitting(data):
    structures = StructureSet(data, "train")
    config = BatchConfig(crops=((int(structures.num_tokens[0]), 1, 1.0),), small_share=1.0)
    structures.weight = structures.weight * (structures.num_tokens > 2 * structures.num_tokens[0])
    assert structures.weight.any()
    TrainingBatches(structures, config, TaskMix(), seed=3).batch(0)


def test_batches_depend_on_seed_and_number_alone(data):
    structures, config = StructureSet(data, "train"), BatchConfig(crops=((24, 2, 1.0),))
    first = TrainingBatches(structures, config, TaskMix(), seed=3)
    later = TrainingBatches(structures, config, TaskMix(), seed=3, start=2)
    stream = iter(first)
    third = [next(stream) for _ in range(3)][2]
    again = next(iter(later))
    for group in dataclasses.fields(third):
        for field in dataclasses.fields(getattr(third, group.name)):
            a, b = (getattr(getattr(x, group.name), field.name) for x in (third, again))
            assert torch.equal(a, b), f"{group.name}.{field.name}"
    other = TrainingBatches(structures, config, TaskMix(), seed=4).batch(2)
    assert other.atom.positions.shape != third.atom.positions.shape or not torch.equal(
        other.atom.positions, third.atom.positions
    )


def test_a_packed_batch_is_the_same_batch_in_a_fraction_of_the_bytes(data):
    config = BatchConfig(crops=((24, 3, 1.0),), fixed_size=True)
    batches = TrainingBatches(StructureSet(data, "train"), config, TaskMix(contacts=1.0), seed=3)
    for number in range(4):
        batch = batches.batch(number)
        assert batch.num_tokens == 24
        packed = pickle.loads(pickle.dumps(pack(batch)))
        again, size = packed.unpack(), 0
        for group in dataclasses.fields(batch):
            for field in dataclasses.fields(getattr(batch, group.name)):
                a, b = (getattr(getattr(x, group.name), field.name) for x in (batch, again))
                assert a.dtype == b.dtype
                assert torch.equal(a, b), field.name
                size += a.nbytes
        assert packed.data.nbytes < 0.4 * size


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more than the machine may have cores
def test_batches_made_ahead_by_workers_are_the_same_in_the_same_order(data):
    batches = TrainingBatches(
        StructureSet(data, "train"), BatchConfig(crops=((16, 1, 1.0),)), TaskMix(), seed=3, count=5
    )
    ahead = list(DataLoader(batches, batch_size=None, num_workers=2))
    assert len(ahead) == 5
    for one, other in zip(batches, ahead, strict=True):
        assert torch.equal(one.atom.positions, other.atom.positions)
        assert torch.equal(one.condition.motif_group, other.condition.motif_group)


def test_validation_structures_are_never_drawn_for_training(data):
    assert not set(StructureSet(data, "train").names) & set(StructureSet(data, "val").names)


def test_an_example_has_no_more_tokens_than_asked(data):
    structures = StructureSet(data, "train")
    for index in range(min(8, len(structures))):
        example = training_example(structures.structure(index), 20, TaskMix(), np.random.default_rng(index), "motif")
        assert example.num_tokens <= 20


def test_the_network_learns_one_structure(data):
    structures = StructureSet(data, "train")
    torch.manual_seed(0)
    module = TrainingModule(tiny(), noise_levels=4, optimiser=OptimiserConfig(learning_rate=5e-3, warmup_steps=10))
    batch = TrainingBatches(structures, BatchConfig(crops=((16, 1, 1.0),)), TaskMix(), seed=1).batch(0)
    settings = module.configure_optimizers()
    optimiser = settings["optimizer"]
    seen = []
    for step in range(60):
        terms = module.losses(module.network, batch, torch.Generator().manual_seed(step % 4))
        optimiser.zero_grad()
        terms["loss"].backward()
        optimiser.step()
        settings["lr_scheduler"]["scheduler"].step()
        seen.append(float(terms["loss"].detach()))
    assert np.mean(seen[-8:]) < 0.6 * np.mean(seen[:8])


def test_a_trunk_that_learns_alone_needs_no_denoiser_and_leaves_it(data, monkeypatch):
    weights = LossWeights(
        position=0, smooth_lddt=0, local_geometry=0, clash=0, restype=0, distogram=1.0, local_distogram=2.0
    )
    torch.manual_seed(0)
    module = TrainingModule(tiny(), weights=weights)
    batch = TrainingBatches(StructureSet(data, "train"), BatchConfig(crops=((16, 2, 1.0),)), TaskMix(), seed=1).batch(0)
    monkeypatch.setattr(module.network.denoiser, "forward", None)  # any call would fail
    terms = module.losses(module.network, batch, torch.Generator().manual_seed(0))
    assert set(terms) == {"distogram", "local_distogram", "loss"}
    assert terms["loss"] == terms["distogram"] + 2 * terms["local_distogram"]
    terms["loss"].backward()
    assert all(parameter.grad is None for parameter in module.network.denoiser.parameters())
    assert any(parameter.grad is not None for parameter in module.network.trunk.parameters())


def test_the_sequence_encoder_learns_alone_and_touches_nothing_else(data, monkeypatch):
    torch.manual_seed(0)
    module = TrainingModule(tiny(), weights=ENCODER_ALONE)
    batch = TrainingBatches(StructureSet(data, "train"), BatchConfig(crops=((16, 2, 1.0),)), TaskMix(), seed=1).batch(0)
    monkeypatch.setattr(module.network.trunk.pairformer, "forward", None)  # any call would fail
    terms = module.losses(module.network, batch, torch.Generator())
    assert set(terms) == {"local_distogram", "loss"}
    terms["loss"].backward()
    learnt = {name for name, parameter in module.network.named_parameters() if parameter.grad is not None}
    assert "trunk.sequence_encoder.convolutions.0.mix.weight" in learnt
    assert all(name.startswith(("trunk.sequence_encoder.", "local_distogram.")) for name in learnt)


def test_the_local_distogram_asks_for_the_distances_along_the_chain(data):
    torch.manual_seed(0)
    module = TrainingModule(tiny())
    batch = TrainingBatches(StructureSet(data, "train"), BatchConfig(crops=((24, 1, 1.0),)), TaskMix(), seed=1).batch(0)
    token, slot = batch.token, batch.token.representative[0]
    positions = batch.atom.positions[0].unflatten(0, (24, -1))[torch.arange(24), slot]
    seen = batch.atom.resolved[0].unflatten(0, (24, -1))[torch.arange(24), slot]
    s = torch.zeros(1, 24, tiny().trunk.sequence.channels)
    head = module.network.local_distogram.project
    # A head that is sure of one bin pays much for every pair but those in it.
    wrong = []
    for bin_ in range(64):
        with torch.no_grad():
            head.bias.zero_().view(7, 64)[:, bin_] = 100.0
            wrong.append(float(module._local_distogram(module.network, batch, s)["local_distogram"]) / 100.0)
    distances = [
        float((positions[j] - positions[i]).norm())
        for i in range(24)
        for j in range(24)
        if 2 <= token.residue_index[0, j] - token.residue_index[0, i] <= 8
        and token.asym_id[0, i] == token.asym_id[0, j] and token.standard[0, i] and token.standard[0, j]
        and seen[i] and seen[j]
    ]  # fmt: skip
    share = np.bincount(losses.distance_bin(torch.tensor(distances)).numpy(), minlength=64) / len(distances)
    assert np.allclose(1 - np.array(wrong), share, atol=0.02)


def test_residues_of_which_the_backbone_alone_is_known_have_distances_too(data):
    batch = TrainingBatches(StructureSet(data, "train"), BatchConfig(crops=((24, 1, 1.0),)), TaskMix(), seed=1).batch(0)
    own, seen = representatives(batch)
    resolved = batch.atom.resolved.clone()
    resolved.unflatten(1, (24, -1))[:, :, 4:] = False  # N, CA, C, O stay
    bare = dataclasses.replace(batch, atom=dataclasses.replace(batch.atom, resolved=resolved))
    virtual, known = representatives(bare)
    protein = (batch.token.kind == ChainKind.PROTEIN) & batch.token.standard & seen
    assert protein.sum() > 10
    assert known[protein].all()
    assert (virtual - own)[protein].norm(dim=-1).max() < 0.3  # Å
    backbone_lost = dataclasses.replace(batch, atom=dataclasses.replace(batch.atom, resolved=resolved & False))
    assert not representatives(backbone_lost)[1].any()


def config_for(data: Path, out: Path, **changes) -> TrainConfig:
    return TrainConfig(
        data=data, out=out, model="tiny", accelerator="cpu", noise_levels=2, log_steps=1000, validate_steps=1000,
        batches=BatchConfig(crops=((16, 1, 1.0),)), threads=1, **changes,
    )  # fmt: skip


def run(config: TrainConfig):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_weights(train(config)), torch.load(config.out / "last.ckpt", weights_only=True)


def test_weights_without_a_sequence_encoder_get_one(data, tmp_path):
    torch.manual_seed(0)
    old = StructureNetwork(dataclasses.replace(tiny(), trunk=dataclasses.replace(tiny().trunk, sequence=None)))
    save_weights(old, tmp_path / "old", training={}, half=False)
    weights, _ = run(config_for(data, tmp_path / "new", max_steps=1, start_from=tmp_path / "old", losses=ENCODER_ALONE))
    new = weights.network
    assert new.config == tiny()
    assert all(torch.allclose(value, new.state_dict()[name], atol=0.01) for name, value in old.state_dict().items())
    with pytest.raises(InputError, match="has none"):
        train(dataclasses.replace(config_for(data, tmp_path / "base", losses=ENCODER_ALONE), model="base"))


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(data, tmp_path):
    _, whole_state = run(config_for(data, tmp_path / "whole", max_steps=4))
    _, half_state = run(config_for(data, tmp_path / "parts", max_steps=2))
    _, parts_state = run(config_for(data, tmp_path / "parts", max_steps=4))
    assert parts_state["global_step"] == whole_state["global_step"] == 4
    assert whole_state["lr_schedulers"] == parts_state["lr_schedulers"]

    def distance(one: dict, other: dict) -> float:
        names = [name for name in one["state_dict"] if name.startswith("network.")]
        return sum(float((one["state_dict"][n] - other["state_dict"][n]).square().sum()) for n in names) ** 0.5

    # Adam divides tiny gradients by themselves, so that rounding shows; a lost moment or another batch would show more.
    assert distance(whole_state, parts_state) < 0.05 * distance(half_state, parts_state)
    assert json.loads((tmp_path / "parts" / "run.json").read_text())["steps"] == 4


def test_a_run_starts_from_weights(data, tmp_path):
    run(config_for(data, tmp_path / "first", max_steps=1))
    begun, state = run(config_for(data, tmp_path / "second", max_steps=1, start_from=tmp_path / "first" / "weights",
                                  optimiser=OptimiserConfig(learning_rate=1e-12)))  # fmt: skip
    first = load_weights(tmp_path / "first" / "weights").network.state_dict()
    for name, tensor in first.items():
        assert torch.allclose(state["state_dict"][f"network.{name}"], tensor, atol=1e-6), name
    assert begun.training["steps"] == 2  # of both runs
    assert [part["steps"] for part in parts_of(begun.training)] == [1, 1]
    assert str(tmp_path) not in (tmp_path / "second" / "weights" / "config.json").read_text()


def test_a_checkpoint_of_other_sizes_or_cut_short_is_told_in_a_line(data, tmp_path):
    run(config_for(data, tmp_path / "run", max_steps=1))
    with pytest.raises(InputError, match="other sizes") as caught:
        train(dataclasses.replace(config_for(data, tmp_path / "run", max_steps=2), model="mini"))
    assert len(str(caught.value)) < 400
    checkpoint = tmp_path / "run" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:20_000])
    with pytest.raises(InputError, match=r"last.ckpt: this checkpoint cannot be read"):
        train(config_for(data, tmp_path / "run", max_steps=2))


def test_installed_weights_are_begun_with_by_name(tmp_path):
    begun = beginning(Path("mini"))
    assert begun is not None
    assert begun.path.name == "mini"
    with pytest.raises(InputError, match="start_from: no such weights"):
        beginning(tmp_path / "mini")


@pytest.mark.parametrize("asked", [{"accelerator": "gpux"}, {"devices": 0}, {"precision": "7"}])
def test_a_device_that_is_not_there_is_told_in_a_line(data, tmp_path, asked):
    with pytest.raises(InputError, match="accelerator, devices, precision: "):
        train(dataclasses.replace(config_for(data, tmp_path, max_steps=1), **asked))


def test_a_set_without_structures_for_validation_trains_without(data, tmp_path, capsys):
    part = tmp_path / "set"
    shutil.copytree(data, part)
    description = json.loads((part / "set.json").read_text())
    description["splits"]["val"] = [description["splits"]["val"][0]] * 2
    (part / "set.json").write_text(json.dumps(description))
    run(dataclasses.replace(config_for(part, tmp_path / "run", max_steps=2), validate_steps=1))
    assert "no structures for validation" in capsys.readouterr().out
    with pytest.raises(InputError, match="no structure to draw in the val split"):
        TrainingBatches(StructureSet(part, "val"), BatchConfig(), TaskMix(), seed=1)
    with pytest.raises(InputError, match="no structures for validation"):
        train_confidence(tmp_path / "run" / "weights", part, tmp_path / "judged")


def test_a_wall_clock_limit_saves_and_ends(data, tmp_path):
    _, state = run(config_for(data, tmp_path, max_steps=100_000, max_minutes=0.001))
    assert 1 <= state["global_step"] < 1000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: x\nout: y\nmodle: mini\n", ["modle", "did you mean 'model'"]),
        ("data: x\nout: y\nmax_steps: many\n", ["max_steps", "'many'", "int"]),
        ("data: x\nout: y\noptimiser: {learning_rat: 1}\n", ["optimiser.learning_rat", "learning_rate"]),
        ("data: x\nout: y\ntasks: {weights: {predikt: 1}}\n", [": tasks.weights: ", "did you mean 'predict'"]),
        ("data: x\nout: y\ntasks: {weights: {predict: -1}}\n", ["tasks.weights.predict", "-1", "0 or more"]),
        ("data: x\nout: y\ntasks: {hotspots: 1.5}\n", ["tasks.hotspots", "1.5", "0 to 1"]),
        ("data: x\nout: y\nbatches: {nucleic: -0.1}\n", ["batches.nucleic", "-0.1", "0 to 1"]),
        ("data: x\nout: y\ntasks: {weights: {predict: 0}}\n", ["tasks.weights", "no task is drawn"]),
        ("data: x\nout: y\nbatches: {crops: 64}\n", [": batches.crops: ", "64", "[64, 4, 0.75]"]),
        ("data: x\nout: y\nbatches: {crops: [[64, 0, 1.0]]}\n", ["batches.crops", "[64, 4, 0.75]"]),
        ("- data\n", ["table of settings"]),
        ("data: [x\n", ["YAML"]),
    ],
)
def test_bad_settings_are_named(tmp_path, text, words):
    path = tmp_path / "train.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_train_config(path)
    assert all(word in str(caught.value) for word in [*words, "train.yaml"])


def test_a_run_in_half_precision_made_ahead_and_with_a_compiler_that_fails_trains_on(data, tmp_path):
    # It fails here since a compiler cannot read the checks of types that tests turn on; compiled_step.py has one work.
    config = config_for(data, tmp_path, max_steps=2, max_minutes=5.0, compile=True, precision="bf16-mixed", workers=1,
                        optimiser=OptimiserConfig(decay_share=0.5))  # fmt: skip
    weights, state = run(config)
    assert state["global_step"] == 2
    trial = json.loads((tmp_path / "run.json").read_text())["trial"]
    assert trial["crops"] == [[16, 1, 1.0]]
    assert trial["blocks"].startswith("interpreted: ")
    assert "Dynamo" in trial["blocks"]
    assert weights.training["steps"] == 2


def test_the_rate_follows_steps_and_clock():
    rate = OptimiserConfig(warmup_steps=10, decay_share=0.25).rate
    assert rate(0) == 0.1
    assert rate(50, 0.75) == 1.0
    assert rate(50, 0.875) == pytest.approx(0.55)
    assert rate(50, 1.0) == pytest.approx(0.1)
    assert OptimiserConfig(warmup_steps=1, decay_from=5, decay_steps=10).rate(10, 1.0) == pytest.approx(0.55)


def test_a_rate_that_follows_the_clock_needs_one(data, tmp_path):
    with pytest.raises(InputError, match="decay_share"):
        train(config_for(data, tmp_path, max_steps=1, optimiser=OptimiserConfig(decay_share=0.5)))


def test_two_processes_train_one_set_of_weights(data, tmp_path):
    settings = {
        "data": str(data), "out": str(tmp_path / "out"), "model": "tiny", "accelerator": "cpu", "devices": 2,
        "noise_levels": 2, "max_steps": 2, "batches": {"crops": [[16, 1, 1.0]]}, "threads": 1,
    }  # fmt: skip
    path = tmp_path / "train.json"
    path.write_text(json.dumps(settings))
    done = subprocess.run([sys.executable, "-m", "structdiff", "train", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert load_weights(tmp_path / "out" / "weights").training["steps"] == 2
