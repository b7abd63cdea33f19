"""Orders of the bonds inside of ligands and modified residues, aromatic where RDKit says so, as Boltz has them."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.features.schema import Features
from structdiff.typing import Bool, Int


def perceived_orders(
    features: Features, same_residue: Bool[Tensor, "batch token token"]
) -> Int[Tensor, "batch token token"]:
    """Orders (1, 2, 3, 4 aromatic, 0 other or none) between the atoms of each component, by RDKit's aromaticity.

    The Chemical Component Dictionary, whose flags the features have, takes fewer bonds for aromatic: those of guanine's
    smaller ring alone. Done on the CPU.
    """
    from structdiff.chemistry.aromaticity import rdkit_bond_orders

    orders = (features.pair.token_bonds * same_residue).triu().cpu()
    elements, charges = (
        values[:, :: features.num_slots].long().cpu() for values in (features.atom.element, features.atom.charge)
    )
    token = features.token
    number = _component_numbers(token.asym_id, token.residue_index).cpu()
    for item in range(len(orders)):
        ends = orders[item].nonzero()
        for component in number[item][ends[:, 0]].unique().tolist():
            own = ends[number[item][ends[:, 0]] == component]
            atoms, rows = own.unique(return_inverse=True)
            found = rdkit_bond_orders(
                tuple(elements[item, atoms].tolist()),
                tuple(charges[item, atoms].tolist()),
                tuple((first, second) for first, second in rows.tolist()),
                tuple(orders[item][own[:, 0], own[:, 1]].tolist()),
            )
            orders[item][own[:, 0], own[:, 1]] = torch.tensor(found)
    orders = orders.to(features.pair.token_bonds.device)
    return orders + orders.mT


def _component_numbers(asym_id: Int[Tensor, "batch token"], residue_index: Tensor) -> Int[Tensor, "batch token"]:
    new = (asym_id[:, 1:] != asym_id[:, :-1]) | (residue_index[:, 1:] != residue_index[:, :-1])
    return torch.nn.functional.pad(new, (1, 0)).cumsum(-1)
