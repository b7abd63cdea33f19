"""What Boltz-2's affinity network reads of a cropped complex, where that is not what the structure network reads."""

from __future__ import annotations

import dataclasses

import torch
from torch.nn import functional

from structdiff.features.schema import Features
from structdiff.model.boltz.config import NUM_RESIDUE_TYPES
from structdiff.model.boltz.inputs import BoltzInputs, boltz_inputs

OTHER_METHOD = 4  # of the experiment that is imitated: none of those that have a number of their own


def affinity_inputs(features: Features) -> BoltzInputs:
    """What its trunk reads of a batch: no templates, and another experiment than where structures are predicted.

    Raises InputError as `boltz_inputs` does.
    """
    inputs = boltz_inputs(features)
    return dataclasses.replace(
        inputs,
        method=OTHER_METHOD * inputs.token_mask.long(),
        template_mask=torch.zeros_like(inputs.template_mask),
    )


def of_query_alone(inputs: BoltzInputs) -> BoltzInputs:
    """The same for the affinity modules, whose input embedder sees the alignment's first row alone."""
    letters = functional.one_hot(inputs.msa[:, 0], NUM_RESIDUE_TYPES) * inputs.token_mask[..., None]
    return dataclasses.replace(
        inputs, profile=letters.to(inputs.profile), deletion_mean=torch.zeros_like(inputs.deletion_mean)
    )
