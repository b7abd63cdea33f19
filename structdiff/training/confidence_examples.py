"""Examples for the confidence head: the network's own structures, and how wrong each turned out to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from structdiff.confidence.targets import (
    aligned_error,
    distance_error,
    error_bins,
    lddt_bins,
    token_lddt,
)
from structdiff.constraints.combined import Combined
from structdiff.constraints.motif import MotifHold
from structdiff.diffusion.sampler import SamplingConfig, sample, sample_generator
from structdiff.features.schema import Features
from structdiff.model.denoiser import DenoiserCondition
from structdiff.model.heads import NUM_PLDDT_BINS, ConfidenceLogits
from structdiff.model.network import StructureNetwork
from structdiff.model.trunk import TrunkOutput
from structdiff.structure.tables import ChainKind
from structdiff.training.decoys import decoy, examples
from structdiff.training.held import HeldBatch

_LDDT_WEIGHT = 4.0


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What the head should have said: numbers of bins, and a mask for each of where they mean anything.

    All have the leading axes [batch, sample]; lddt [token] is 0 to 1, pae (row aligned) and pde are [token, token].
    """

    lddt: Tensor
    plddt_bin: Tensor
    plddt_mask: Tensor
    pae_bin: Tensor
    pae_mask: Tensor
    pde_bin: Tensor
    pde_mask: Tensor

    def pick(self, index: Tensor) -> Truth:
        """One sample of each structure: index [batch]; the axis of samples is gone."""
        rows = torch.arange(len(index))
        return Truth(**{name: getattr(self, name)[rows, index] for name in self.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class DrawnBatch:
    """Several structures of one trunk: what the head sees, and what it should say.

    positions: [batch, sample, token, slot, 3] in Å.
    """

    features: Features
    trunk: TrunkOutput
    positions: Tensor
    truth: Truth

    def logits(self, network: StructureNetwork, index: Tensor) -> ConfidenceLogits:
        """What the head says of one sample of each structure (index [batch])."""
        return network.confidence(self.features, self.trunk, self.positions[torch.arange(len(index)), index])


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the structures of a batch come from.

    samplings: ways to draw structures from pure noise. restarts: the same, from the experiment's positions with noise
    of each one's sigma_max on them. decoys: kinds of wrong structures (structdiff.training.decoys).
    truth: the experiment's own structures too.
    """

    samplings: Sequence[SamplingConfig] = ()
    restarts: Sequence[SamplingConfig] = ()
    decoys: Sequence[str] = ()
    truth: bool = False


def draw_batch(
    network: StructureNetwork,
    batch: Features | HeldBatch,
    source: Source,
    *,
    seed: int,
    number: int,
) -> DrawnBatch:
    """Structures for each example, drawn with the network as it is or made otherwise, beside the experiment's.

    Args:
        network: trunk and denoiser are used, nothing is learned.
        batch: training examples; their atoms are the resolved ones, motifs are held. Held ones follow their constraints
            too, and their wrong structures are there, before the truth.
        source: which structures; the axis of samples is in its order, truth last.
        seed, number: decide the noise; number is that of the batch.
    """
    held = batch if isinstance(batch, HeldBatch) else None
    batch = batch.features if isinstance(batch, HeldBatch) else batch
    shape = (batch.num_tokens, batch.num_slots)
    truth = batch.atom.positions.unflatten(1, shape)[:, None]
    with torch.no_grad():
        trunk = network.trunk(batch)
        drawn = []
        for ways, start in ((source.samplings, None), (source.restarts, batch.atom.positions)):
            if ways:
                drawn.append(_sampled(network, batch, trunk, ways, seed, number, start, held))
        if source.decoys:
            drawn.append(_decoys(batch, source.decoys, np.random.default_rng([seed, number])))
        if held is not None:
            drawn.append(held.wrong)
        if source.truth:
            drawn.append(truth)
        positions = torch.cat(drawn, 1)
        return DrawnBatch(features=batch, trunk=trunk, positions=positions, truth=compare(batch, positions))


def _sampled(
    network: StructureNetwork,
    batch: Features,
    trunk: TrunkOutput,
    samplings: Sequence[SamplingConfig],
    seed: int,
    number: int,
    start: Tensor | None,
    held: HeldBatch | None,
) -> Tensor:
    """One structure [batch, sample, token, slot, 3] for each sampling; those that follow and are equal in one go."""
    size = len(batch.token.mask)
    drawn, generator = [], number * size * len(samplings)
    for sampling, group in groupby(samplings):
        samples = len(list(group))
        condition = network.denoiser.condition(batch, trunk).repeat(samples)
        rows = [sample_generator(seed, generator + row) for row in range(size * samples)]
        parts = [] if held is None else [held.constraint(samples)]
        positions = sample(
            partial(_denoised, network, condition),
            batch.atom.mask.repeat_interleave(samples, 0),
            generators=rows,
            config=sampling,
            constraints=Combined([*parts, MotifHold.from_features(batch).repeat(samples)]),
            start=None if start is None else start.repeat_interleave(samples, 0),
        )
        drawn.append(positions.unflatten(1, (batch.num_tokens, batch.num_slots)).unflatten(0, (size, samples)))
        generator += size * samples
    return torch.cat(drawn, 1)


def _denoised(
    network: StructureNetwork, condition: DenoiserCondition, noisy: Tensor, sigma: Tensor, previous: Tensor | None
) -> Tensor:
    return network.denoiser(condition, noisy, sigma, previous).positions


def _decoys(batch: Features, kinds: Sequence[str], rng: np.random.Generator) -> Tensor:
    known = examples(batch)
    rows = [torch.stack([decoy(kind, known, row, rng) for kind in kinds]) for row in range(len(known))]
    return torch.stack(rows)


def compare(batch: Features, positions: Tensor) -> Truth:
    """How wrong predicted positions [batch, sample, token, slot, 3] (Å) are beside those of the features."""
    samples = positions.shape[1]
    shape = (batch.num_tokens, batch.num_slots)
    token = batch.token
    reference = _repeated(batch.atom.positions.unflatten(1, shape), samples)
    seen = _repeated((batch.atom.mask & batch.atom.resolved).unflatten(1, shape), samples)
    centre, representative, frame, kind, exists = (
        _repeated(each, samples) for each in (token.centre, token.representative, token.frame, token.kind, token.mask)
    )
    nucleic = (kind == ChainKind.DNA) | (kind == ChainKind.RNA)
    lddt, plddt_mask = token_lddt(positions, reference, seen, centre, exists & (kind <= ChainKind.RNA), nucleic)
    pae, pae_mask = aligned_error(positions, reference, seen, centre, frame)
    pde, pde_mask = distance_error(positions, reference, seen, representative)
    return Truth(
        lddt=lddt,
        plddt_bin=lddt_bins(lddt).to(torch.uint8),
        plddt_mask=plddt_mask,
        pae_bin=error_bins(pae).to(torch.uint8),
        pae_mask=pae_mask,
        pde_bin=error_bins(pde).to(torch.uint8),
        pde_mask=pde_mask,
    )


def _repeated(tensor: Tensor, samples: int) -> Tensor:
    """[batch, ...] to [batch, sample, ...]."""
    return tensor[:, None].expand(-1, samples, *tensor.shape[1:])


def confidence_loss(logits: ConfidenceLogits, truth: Truth) -> dict[str, Tensor]:
    """Cross entropy of each kind of bin (AlphaFold 3, section 4.3; all weigh the same), and their sum ``loss``.

    ``lddt``, the mean absolute difference of expected and true lDDT, counts four times: unlike the cross entropy it
    tells a bin beside the right one from one far off, which the head learns much sooner from.
    """
    centres = (torch.arange(NUM_PLDDT_BINS, device=logits.plddt.device) + 0.5) / NUM_PLDDT_BINS
    expected = logits.plddt.softmax(-1) @ centres
    terms = {
        "plddt": _entropy(logits.plddt, truth.plddt_bin, truth.plddt_mask),
        "pae": _entropy(logits.pae, truth.pae_bin, truth.pae_mask),
        "pde": _entropy(logits.pde, truth.pde_bin, truth.pde_mask),
        "lddt": _mean((expected - truth.lddt).abs(), truth.plddt_mask),
    }
    total = terms["plddt"] + terms["pae"] + terms["pde"] + _LDDT_WEIGHT * terms["lddt"]
    return terms | {"loss": total}


def _entropy(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    flat = functional.cross_entropy(logits.flatten(0, -2), target.long().flatten(), reduction="none")
    return _mean(flat.view(mask.shape), mask)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of each structure first, so that large ones do not outweigh small ones."""
    places = tuple(range(1, mask.ndim))
    counts = mask.sum(places)
    return ((values * mask).sum(places) / counts.clamp(min=1)).sum() / (counts > 0).sum().clamp(min=1)
