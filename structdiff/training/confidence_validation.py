"""How well pLDDT foretells lDDT on held-out structures, over drawn ones and over ones of every quality.

Run as ``python -m structdiff.training.confidence_validation WEIGHTS DATA [--json FILE]``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch.nn import functional

from structdiff.confidence.scores import expected_tm_terms, iptm_from_terms, plddt_from_logits
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import StructdiffError
from structdiff.model.heads import NUM_ERROR_BINS
from structdiff.model.library import load_named_weights
from structdiff.model.network import StructureNetwork
from structdiff.options import recommended_sampling
from structdiff.structure.files import write_atomically
from structdiff.structure.tables import ChainKind
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.confidence_examples import DrawnBatch, Source, draw_batch
from structdiff.training.confidence_sets import validation_halves
from structdiff.training.dataset import StructureSet
from structdiff.training.decoys import KINDS
from structdiff.training.held_chains import HeldChains, has_interfaces
from structdiff.training.held_helices import HeldHelices, has_nucleic_acids
from structdiff.training.tasks import TaskMix

_SEED = 1
_SAMPLES = 2
#: Noise levels (Å) from which an experimental structure is denoised in one step, or in some.
NOISE_ON_TRUTH = (1.0, 2.0, 4.0, 8.0, 16.0)
_FEW_STEPS = (SamplingConfig(steps=10, solver="dpm-solver-2m"), SamplingConfig(steps=16, solver="stochastic"))


def samplings(recommended: SamplingConfig) -> tuple[SamplingConfig, ...]:
    """How structures are drawn, in turn: as users get them, and with fewer steps, which look worse and cost less.

    A head that knew only the latter took what the recommended sampling draws for better than it was, by 18 of 100.
    """
    return (recommended, *_FEW_STEPS)


def task_mix() -> TaskMix:
    """Mostly prediction; structures that are partly given, so that good ones are among those drawn."""
    return TaskMix(weights={"predict": 0.7, "motif": 0.12, "inpaint": 0.12, "binder": 0.03, "unconditional": 0.03})


def _prediction() -> TaskMix:
    """The sequence and nothing else."""
    return TaskMix(weights={"predict": 1.0}, partial_sequence=0.0, nothing_told=1.0)


def crops() -> BatchConfig:
    """Mostly smaller crops, as nearly all the time goes into drawing structures; chains of users are larger."""
    return BatchConfig(crops=((64, 4, 0.6), (96, 2, 0.2), (128, 1, 0.2)))


def chain_crops() -> BatchConfig:
    """Larger crops of complexes: of small ones little is left of each chain."""
    return BatchConfig(crops=((96, 3, 0.5), (128, 2, 0.5)))


def restarts(number: int) -> tuple[SamplingConfig, SamplingConfig]:
    """How the experiment's structures are noised and denoised for a batch of that number: once in one step, and once
    in four."""
    one, four = (NOISE_ON_TRUTH[(number + shift) % len(NOISE_ON_TRUTH)] for shift in (0, len(NOISE_ON_TRUTH) // 2))
    return (
        SamplingConfig(steps=1, solver="euler", sigma_max=one),
        SamplingConfig(steps=4, solver="dpm-solver-2m", sigma_max=four),
    )


@dataclass(frozen=True, kw_only=True)
class Judged:
    """pLDDT and lDDT (0 to 100) of the judged tokens of one structure, and what kind of structure it is."""

    kind: str
    told: np.ndarray
    true: np.ndarray


def validate_confidence(
    network: StructureNetwork,
    structures: StructureSet,
    *,
    batches: int,
    recommended: SamplingConfig,
    config: BatchConfig | None = None,
    complexes: BatchConfig | None = None,
) -> dict[str, dict[str, float]]:
    """How well pLDDT foretells lDDT on structures made for given experimental ones, by set.

    rollouts: drawn under the training's tasks, in all ways of :func:`samplings`. mixed: those, and of the same examples
    the experiment's structure, decoys of each kind, and the experiment's structure noised and denoised. predictions:
    drawn from sequences alone with the recommended sampling. truths: the experiment's structures, part of mixed.
    nucleic: the nucleotides of structures with DNA or RNA, drawn so with their helices held, where there are any. Of
    each set the figures of :func:`agreement`. chains: complexes drawn with their chains held, others whose chains stand
    elsewhere, and the experiment's, where there are any, with the figures of :func:`interface_agreement`.
    """
    config = config or crops()
    ways = samplings(recommended)
    mixed = list(_judged(network, structures, task_mix(), batches, config, ways, mixed=True))
    predictions = list(_judged(network, structures, _prediction(), batches, config, ways[:1], mixed=False))
    nucleic = list(_judged_nucleotides(network, structures, batches, config, recommended))
    chains = list(_judged_interfaces(network, structures, batches, complexes or chain_crops(), recommended))
    more = {"nucleic": agreement(nucleic)} if nucleic else {}
    more |= {"chains": interface_agreement(chains)} if chains else {}
    return {
        "rollouts": agreement([one for one in mixed if one.kind == "rollout"]),
        "mixed": agreement(mixed),
        "truths": agreement([one for one in mixed if one.kind == "truth"]),
        "predictions": agreement(predictions),
    } | more


def _judged(
    network: StructureNetwork,
    structures: StructureSet,
    tasks: TaskMix,
    count: int,
    config: BatchConfig,
    ways: Sequence[SamplingConfig],
    *,
    mixed: bool,
) -> Iterator[Judged]:
    batches = TrainingBatches(structures, config, tasks, seed=_SEED)
    network.confidence.eval()
    for number in range(count):
        source = Source(
            samplings=(ways[number % len(ways)],) * _SAMPLES,
            restarts=restarts(number) if mixed else (),
            decoys=tuple(KINDS) if mixed else (),
            truth=mixed,
        )
        item = draw_batch(network, batches.batch(number), source, seed=_SEED, number=number)
        kinds = ["rollout"] * _SAMPLES + (["one step", "four steps", *KINDS, "truth"] if mixed else [])
        for place, kind in enumerate(kinds):
            yield from judge_sample(network, item, place, kind)


def _judged_nucleotides(
    network: StructureNetwork, structures: StructureSet, count: int, config: BatchConfig, sampling: SamplingConfig
) -> Iterator[Judged]:
    if not has_nucleic_acids(structures):
        return
    batches = HeldHelices(structures, config, seed=_SEED, natural=True)
    source = Source(samplings=(sampling,) * _SAMPLES)
    for number in range(count):
        item = draw_batch(network, batches.batch(number), source, seed=_SEED, number=number)
        for place in range(_SAMPLES):
            yield from judge_sample(network, item, place, "nucleic", only=(ChainKind.DNA, ChainKind.RNA))


def _judged_interfaces(
    network: StructureNetwork, structures: StructureSet, count: int, config: BatchConfig, sampling: SamplingConfig
) -> Iterator[tuple[float, float]]:
    """ipTM of complexes as the head has it, and as their errors have it."""
    if not has_interfaces(structures):
        return
    batches = HeldChains(structures, config, seed=_SEED, wrong=_SAMPLES)
    source = Source(samplings=(sampling,) * _SAMPLES, truth=True)
    for number in range(count):
        item = draw_batch(network, batches.batch(number), source, seed=_SEED, number=number)
        for place in range(item.positions.shape[1]):
            yield from judge_interfaces(network, item, place)


def judge_interfaces(network: StructureNetwork, item: DrawnBatch, place: int) -> Iterator[tuple[float, float]]:
    """ipTM of one sample of each structure of a batch, by what the head says and by what is true."""
    index = torch.full((len(item.positions),), place)
    with torch.no_grad():
        logits = item.logits(network, index)
    truth, token = item.truth.pick(index), item.features.token
    for row, exists in enumerate(token.mask.numpy()):
        size, frames = int(exists.sum()), truth.pae_mask[row].any(1).numpy()
        true = functional.one_hot(truth.pae_bin[row].long(), NUM_ERROR_BINS).float().clamp(min=1e-9).log()
        told, known = (
            iptm_from_terms(expected_tm_terms(each, size), token.asym_id[row].numpy(), exists, frames)
            for each in (logits.pae[row], true)
        )
        if not np.isnan(known):
            yield told, known


def judge_sample(
    network: StructureNetwork, item: DrawnBatch, place: int, kind: str, *, only: Sequence[ChainKind] = ()
) -> Iterator[Judged]:
    """What the head says of one sample of each structure of a batch, and what is true; none where nothing is.

    only: of the tokens of these kinds of chains.
    """
    index = torch.full((len(item.positions),), place)
    with torch.no_grad():
        logits = item.logits(network, index)
    truth = item.truth.pick(index)
    counted = truth.plddt_mask
    if only:
        counted = counted & torch.isin(item.features.token.kind, torch.tensor(only))
    for row, mask in enumerate(counted):
        if mask.any():
            yield Judged(
                kind=kind,
                told=plddt_from_logits(logits.plddt[row])[mask.numpy()],
                true=100 * truth.lddt[row][mask].numpy(),
            )


def agreement(judged: Sequence[Judged]) -> dict[str, float]:
    """Spearman's correlation of pLDDT and lDDT over all tokens, over the means of whole structures, and the mean of
    that within each structure; the mean absolute difference of tokens; the mean lDDT and pLDDT themselves."""
    told, true = [one.told for one in judged], [one.true for one in judged]
    all_told, all_true = np.concatenate(told), np.concatenate(true)
    within = [_spearman(a, b) for a, b in zip(told, true, strict=True) if len(a) >= 10]
    return {
        "structures": len(judged),
        "spearman_tokens": _spearman(all_told, all_true),
        "spearman_structures": _spearman([a.mean() for a in told], [b.mean() for b in true]),
        "spearman_within_structures": float(np.mean(within)) if within else 0.0,
        "mean_absolute_error_0_to_100": float(np.abs(all_told - all_true).mean()),
        "mean_lddt_0_to_100": float(all_true.mean()),
        "mean_plddt_0_to_100": float(all_told.mean()),
    }


def interface_agreement(judged: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Spearman's correlation of told and true ipTM over structures, their mean absolute difference, and the means."""
    told, true = np.array(judged).T
    return {
        "structures": len(judged),
        "spearman_iptm": _spearman(told, true),
        "mean_absolute_error_iptm": float(np.abs(told - true).mean()),
        "mean_true_iptm": float(true.mean()),
        "mean_iptm": float(told.mean()),
    }


def _spearman(told: Sequence[float] | np.ndarray, true: Sequence[float] | np.ndarray) -> float:
    """Spearman's rank correlation; 0 where one side does not vary, since nothing is foretold then."""
    if len(told) < 2 or np.ptp(told) == 0 or np.ptp(true) == 0:
        return 0.0
    return float(spearmanr(told, true).statistic)  # type: ignore[attr-defined]


def main(arguments: Sequence[str] | None = None) -> int:
    """Judges the confidence head of a weights folder from the command line."""
    parser = argparse.ArgumentParser(prog="python -m structdiff.training.confidence_validation", description=__doc__)
    parser.add_argument("weights", help="name or folder of the weights")
    parser.add_argument(
        "data",
        type=Path,
        help="folder of the training set; of its validation split the half that no head learns from",
    )
    parser.add_argument("--batches", type=int, default=20, help="of about four structures each (default 20)")
    parser.add_argument("--json", type=Path, default=None, help="file for the figures")
    chosen = parser.parse_args(arguments)
    try:
        weights = load_named_weights(chosen.weights)
        figures = validate_confidence(
            weights.own_network,
            validation_halves(chosen.data)[1],
            batches=chosen.batches,
            recommended=recommended_sampling(weights),
        )
    except StructdiffError as error:
        print(error, file=sys.stderr)
        return 2
    report = {"weights_sha256": weights.sha256, "batches": chosen.batches, "figures": figures}
    text = json.dumps(report, indent=2) + "\n"
    print(text, end="")
    if chosen.json:
        write_atomically(chosen.json, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
