"""Examples for the confidence head: the network's own structures, and how wrong each turned out to be."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from structdiff.confidence.targets import (
    aligned_error,
    atom_of_token,
    distance_error,
    error_bins,
    lddt_bins,
    token_lddt,
)
from structdiff.constraints.motif import MotifHold
from structdiff.diffusion.sampler import SamplingConfig, sample, sample_generator
from structdiff.features.schema import Features
from structdiff.model.heads import ConfidenceLogits
from structdiff.model.network import StructureNetwork
from structdiff.model.trunk import TrunkOutput
from structdiff.structure.tables import ChainKind


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

    representative: [batch, sample, token, 3] in Å.
    """

    features: Features
    trunk: TrunkOutput
    representative: Tensor
    truth: Truth

    def logits(self, network: StructureNetwork, index: Tensor) -> ConfidenceLogits:
        """What the head says of one sample of each structure (index [batch])."""
        return network.confidence(self.features, self.trunk, self.representative[torch.arange(len(index)), index])


def draw_batch(
    network: StructureNetwork,
    batch: Features,
    *,
    samples: int,
    sampling: SamplingConfig,
    seed: int,
    number: int,
    from_truth: bool = False,
) -> DrawnBatch:
    """Draws structures with the network as it is and compares them with the experiment's.

    Args:
        network: trunk and denoiser are used, nothing is learned.
        batch: training examples; their atoms are the resolved ones, motifs are held.
        samples: structures for each example.
        sampling: how they are drawn.
        seed, number: decide the noise; number is that of the batch.
        from_truth: begin with the experiment's positions and noise of level ``sampling.sigma_max`` on them.
    """
    shape = (batch.num_tokens, batch.num_slots)
    size = batch.token.mask.shape[0]
    with torch.no_grad():
        trunk = network.trunk(batch)
        condition = network.denoiser.condition(batch, trunk).repeat(samples)
        positions = sample(
            lambda noisy, sigma, previous: network.denoiser(condition, noisy, sigma, previous).positions,
            batch.atom.mask.repeat_interleave(samples, 0),
            generators=[sample_generator(seed, number * size * samples + row) for row in range(size * samples)],
            config=sampling,
            constraints=MotifHold.from_features(batch).repeat(samples),
            start=batch.atom.positions.repeat_interleave(samples, 0) if from_truth else None,
        )
        positions = positions.unflatten(1, shape).unflatten(0, (size, samples))
        representative = atom_of_token(positions, _repeated(batch.token.representative, samples))
        truth = compare(batch, positions)
    return DrawnBatch(features=batch, trunk=trunk, representative=representative, truth=truth)


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
    """Cross entropy of each kind of bin, and their sum ``loss`` (AlphaFold 3, section 4.3; all weigh the same)."""
    terms = {
        "plddt": _entropy(logits.plddt, truth.plddt_bin, truth.plddt_mask),
        "pae": _entropy(logits.pae, truth.pae_bin, truth.pae_mask),
        "pde": _entropy(logits.pde, truth.pde_bin, truth.pde_mask),
    }
    return terms | {"loss": torch.stack(list(terms.values())).sum()}


def _entropy(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    entropy = functional.cross_entropy(logits.movedim(-1, 1), target.long(), reduction="none") * mask
    places = tuple(range(1, mask.ndim))
    # The mean of each structure first, so that large ones do not outweigh small ones.
    counts = mask.sum(places)
    return (entropy.sum(places) / counts.clamp(min=1)).sum() / (counts > 0).sum().clamp(min=1)
