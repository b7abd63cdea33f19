"""How strongly ligands bind in predicted structures: Boltz-2's affinity network beside the one that predicts."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from structdiff.chemistry.neutral_form import neutral_smiles
from structdiff.configuration import to_dict
from structdiff.cost import estimated_cost
from structdiff.device import check_memory
from structdiff.diffusion.sampler import sample, sample_generator
from structdiff.engine import Engine
from structdiff.errors import InputError
from structdiff.features.collate import collate
from structdiff.features.schema import Features
from structdiff.features.token_subset import token_subset
from structdiff.jobs import Job
from structdiff.model.boltz.affinity_crop import MOST_TOKENS, affinity_crop, all_is_seen
from structdiff.model.boltz.affinity_ensemble import ensemble_readings
from structdiff.model.boltz.affinity_inputs import affinity_inputs
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.model.boltz.network import BoltzNetwork
from structdiff.model.boltz.trunk import BoltzTrunkOutput
from structdiff.model.checkpoint import Weights
from structdiff.options import recommended_sampling
from structdiff.output.affinity import Affinity, AffinityMember
from structdiff.output.prediction import Prediction
from structdiff.structure.tables import Structure

#: Heavy atoms of a ligand, and of those that the network was trained with.
MOST_ATOMS, MOST_TRAINED = 128, 56
#: Structures that the affinity network draws for itself, of which it looks at the best.
SAMPLES = 5
#: Their random numbers are those of samples no run reaches, so that they have nothing to do with the drawing.
_STREAM = 3_000_000_000


def check_binder(structure: Structure, binder: str, smiles: str | None = None) -> None:
    """Raises InputError for a ligand (chain) that is too large for affinities; warns of one unlike those it has seen.

    smiles: what it is made of, where that is a SMILES string.
    """
    row = int(np.flatnonzero(structure.chains.name == binder)[0])
    count = int((structure.atom_chain == row).sum())
    if count > MOST_ATOMS:
        raise InputError("affinities are those of ligands of so many heavy atoms", key="affinity",
                         found=f"{binder}, of {count}", allowed=f"at most {MOST_ATOMS}")  # fmt: skip
    if count > MOST_TRAINED:
        warnings.warn(f"affinity of {binder}: {count} heavy atoms are more than the {MOST_TRAINED} of ligands that the "
                      "network has seen, so it may be far off", stacklevel=2)  # fmt: skip
    neutral = None if smiles is None else neutral_smiles(smiles)
    if neutral is not None:
        warnings.warn(f"affinity of {binder}: ligands that the network has seen are neutral, as {neutral} is",
                      stacklevel=2)  # fmt: skip


class Affinities:
    """What is said of the structures of one job, by the weights of an engine that are for that.

    It depends on a structure by what is seen of it alone, and is not computed twice for the same.
    """

    def __init__(self, engine: Engine, job: Job) -> None:
        """Raises InputError where the weights are not here, ResourceError where what may be seen does not fit.

        record: what decides them, for provenance.
        """
        assert job.binder is not None
        self.weights, self.device, self.job = engine.affinity_weights, engine.device, job
        self.record = affinity_record(engine)
        self.binder = int(np.flatnonzero(job.structure.chains.name == job.binder)[0])
        tokens, rows = min(len(job.tokens), MOST_TOKENS), job.features.msa.restype.shape[0]
        check_memory(self.weights.network.config, tokens, SAMPLES, self.device, rows=rows)
        self._known: dict[tuple[int, bytes], Affinity] = {}

    def judged(self, prediction: Prediction) -> Prediction:
        """A prediction of the job with the affinity in it, and with what that was computed by."""
        affinity = self.of(prediction.structure, prediction.provenance.seed)
        provenance = dataclasses.replace(prediction.provenance, affinity=self.record)
        return dataclasses.replace(prediction, affinity=affinity, provenance=provenance)

    def of(self, structure: Structure, seed: int) -> Affinity:
        """The affinity in a structure of the job, as a run with this seed has it."""
        seen = affinity_crop(self.job.tokens, structure, self.binder)
        key = (seed, seen.tobytes())
        if key not in self._known:
            self._known[key] = self._computed(np.flatnonzero(seen), seed)
        return self._known[key]

    def _computed(self, rows: np.ndarray, seed: int) -> Affinity:
        features = token_subset(self.job.features, torch.from_numpy(rows))
        batch = collate([features]).to(self.device)
        binder = torch.from_numpy(self.job.tokens.chain[rows] == self.binder)[None].to(self.device)
        with torch.inference_mode():
            members = _members(self.weights, batch, binder, seed)
        assert self.job.binder is not None
        return Affinity(binder=self.job.binder, tokens=len(rows), members=members)


def _members(weights: Weights, batch: Features, binder: Tensor, seed: int) -> tuple[AffinityMember, ...]:
    """What each module says of the best of several structures, which are drawn with nothing asked of them."""
    network, inputs = cast(BoltzNetwork, weights.network), affinity_inputs(batch)
    trunk = network.trunk.understood(inputs, recycles=weights.recycles)
    positions = _drawn(weights, batch, inputs, trunk, seed)
    packed = positions.gather(1, inputs.atom_slot.expand(SAMPLES, -1)[..., None].expand(-1, -1, 3))
    readings = ensemble_readings(network, inputs, trunk, binder, packed)
    return tuple(
        AffinityMember(log10_ic50=float(each.log10_ic50), binder_probability=float(each.binder_logit.sigmoid()))
        for each in readings
    )


def _drawn(weights: Weights, batch: Features, inputs: BoltzInputs, trunk: BoltzTrunkOutput, seed: int) -> Tensor:
    """Positions (Å) of the atoms (token, slot) of several structures."""
    network = cast(BoltzNetwork, weights.network)
    condition = network.denoiser.told(inputs, trunk, batch.token.true_restype).repeat(SAMPLES)

    def denoise(positions: Tensor, sigma: Tensor, previous: Tensor | None, /) -> Tensor:
        return network.denoiser(condition, positions, sigma, previous).positions

    return sample(
        denoise,
        batch.atom.mask.expand(SAMPLES, -1),
        generators=[sample_generator(seed, _STREAM + number) for number in range(SAMPLES)],
        config=recommended_sampling(weights),
    )


def affinity_record(engine: Engine) -> dict[str, Any]:
    """What decides affinities beside structure and seed, for a prediction's provenance; raises as `Affinities` does."""
    weights = engine.affinity_weights
    return {
        "weights": weights.name, "weights_sha256": weights.sha256, "recycles": weights.recycles, "samples": SAMPLES,
        "sampling": to_dict(recommended_sampling(weights)),
    }  # fmt: skip


def affinity_seconds(engine: Engine, job: Job, structures: int) -> float:
    """What the affinities of so many structures of a job take: of a small complex it is computed once for all."""
    weights, tokens = engine.affinity_weights, len(job.tokens)
    cost = estimated_cost(
        weights.network.config, min(tokens, MOST_TOKENS), SAMPLES, steps=recommended_sampling(weights).steps,
        relax=False, prediction=True, recycles=weights.recycles, rows=job.features.msa.restype.shape[0],
    )  # fmt: skip
    return cost.seconds * (1 if all_is_seen(job.tokens, job.structure) else structures)
