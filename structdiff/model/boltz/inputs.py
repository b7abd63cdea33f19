"""What Boltz-2's network reads, in its own classes and its own order of atoms."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from structdiff.chemistry.residues import RESTYPE_INDEX
from structdiff.errors import InputError
from structdiff.features.schema import Features
from structdiff.model.boltz.atom_layout import AtomLayout, atom_layout, backbone_classes
from structdiff.model.boltz.design_inputs import (
    MASKED_ELEMENT,
    NUM_BACKBONE,
    DesignInputs,
    design_inputs,
    masked_names,
    open_residues,
)
from structdiff.model.boltz.merging import host_tokens, is_host
from structdiff.model.boltz.msa_inputs import alignment_inputs
from structdiff.model.boltz.pair_inputs import COVALENT, bond_types, contacts, ring_closures
from structdiff.model.boltz.reference import centred_conformers, reference_spaces
from structdiff.model.boltz.residue_classes import ResidueClasses, residue_classes
from structdiff.model.boltz.template_inputs import template_inputs
from structdiff.typing import Bool, Float, Int

X_RAY = 1  # the experiment that predictions imitate


@dataclass(frozen=True, kw_only=True)
class BoltzInputs:
    """A batch of structures as Boltz-2's network reads them; names and classes are those of its featuriser.

    Atoms stand close together, in the order of the tokens, and their number is a multiple of 32 (``atom_mask`` is False
    in what is added); ``atom_slot`` is where each stands among the (token * slot) atoms of structdiff's features, and
    ``atom_token`` its token. Tokens keep their places. design: what BoltzGen's networks read besides.
    """

    token_mask: Bool[Tensor, "batch token"]
    residue_type: Int[Tensor, "batch token"]  # one of 33 classes
    profile: Float[Tensor, "batch token 33"]
    deletion_mean: Float[Tensor, "batch token"]
    molecule_type: Int[Tensor, "batch token"]  # 0 protein, 1 DNA, 2 RNA, 3 anything else
    method: Int[Tensor, "batch token"]  # of the experiment that is imitated
    modified: Int[Tensor, "batch token"]
    cyclic_period: Float[Tensor, "batch token"]
    residue_index: Int[Tensor, "batch token"]
    token_index: Int[Tensor, "batch token"]
    asym_id: Int[Tensor, "batch token"]
    entity_id: Int[Tensor, "batch token"]
    sym_id: Int[Tensor, "batch token"]
    representative: Int[Tensor, "batch token"]  # row of the atom whose distances count

    token_bonds: Float[Tensor, "batch token token"]
    bond_type: Int[Tensor, "batch token token"]
    contact_type: Int[Tensor, "batch token token"]  # 0 not known, 1 none, 2 pocket to binder, 3 back, 4 contact
    contact_threshold: Float[Tensor, "batch token token"]  # Å

    atom_mask: Bool[Tensor, "batch atom"]
    atom_slot: Int[Tensor, "batch atom"]
    atom_token: Int[Tensor, "batch atom"]
    reference_positions: Float[Tensor, "batch atom 3"]  # Å
    reference_charge: Float[Tensor, "batch atom"]  # e
    reference_element: Int[Tensor, "batch atom"]  # atomic number
    reference_name: Int[Tensor, "batch atom 4"]  # characters less 32
    reference_space: Int[Tensor, "batch atom"]  # number of the residue or ligand whose conformer it is of
    backbone: Int[Tensor, "batch atom"]  # one of 17 classes

    msa: Int[Tensor, "batch row token"]
    has_deletion: Float[Tensor, "batch row token"]
    deletion_value: Float[Tensor, "batch row token"]
    msa_paired: Float[Tensor, "batch row token"]
    msa_mask: Float[Tensor, "batch row token"]

    template_type: Int[Tensor, "batch template token"]  # one of 33 classes
    template_frame_rotation: Float[Tensor, "batch template token 3 3"]
    template_frame_origin: Float[Tensor, "batch template token 3"]  # Å
    template_frame_mask: Float[Tensor, "batch template token"]
    template_cb: Float[Tensor, "batch template token 3"]  # Å
    template_ca: Float[Tensor, "batch template token 3"]  # Å
    template_cb_mask: Float[Tensor, "batch template token"]
    template_mask: Float[Tensor, "batch template token"]
    template_visibility: Int[Tensor, "batch template token"]  # tokens of one number see their distances

    design: DesignInputs | None = None


def boltz_inputs(features: Features, *, designs: bool = False) -> BoltzInputs:
    """What Boltz-2's own featuriser (version 2.2.1) makes of a batch, on its device; designs: BoltzGen's (0.3.2).

    Tokens of a modified residue are one there: the first, while the others are masked (`merging.host_tokens`).
    Deletions are as at training (`msa_inputs`). Raises InputError for a design that is not to be one.
    """
    if not designs:
        _require_sequences(features)
    token = features.token
    host = host_tokens(token)
    stands = token.mask & is_host(host)
    layout = atom_layout(features, host)
    residues = residue_classes(features, layout, stands)
    types = bond_types(features, host, residues.modified)
    contact_type, contact_threshold = contacts(features, host, stands)
    inputs = BoltzInputs(
        token_mask=stands,
        residue_type=residues.residue_type,
        molecule_type=token.kind * stands,
        method=X_RAY * stands.long(),
        modified=residues.modified.long(),
        cyclic_period=(token.cyclic_period * stands).float(),
        residue_index=(token.residue_index - 1) * stands,
        token_index=(stands.cumsum(-1) - 1) * stands,
        asym_id=token.asym_id * stands,
        entity_id=token.entity_id * stands,
        sym_id=token.sym_id * stands,
        representative=residues.representative,
        token_bonds=(types > 0).float(),
        bond_type=types,
        contact_type=contact_type,
        contact_threshold=contact_threshold,
        **_atoms(features, layout, residues),
        **_alignment(features, residues, stands),
        **_template(features, residues, stands),
    )
    return _of_design(features, inputs) if designs else inputs


def _of_design(features: Features, inputs: BoltzInputs) -> BoltzInputs:
    """The inputs as BoltzGen has them: nothing that would tell what an open residue becomes, no template.

    Contacts are not told, and bonds by their types alone: BoltzGen has not learnt the one, and forgot the other. The
    link that closes a ring is a bond to it, and none to Boltz-2.
    """
    design = design_inputs(features, inputs.token_mask)
    slot = inputs.atom_slot % features.num_slots
    of_open = design.open.gather(1, inputs.atom_token) & inputs.atom_mask
    side = of_open & (slot >= NUM_BACKBONE)
    names = torch.where(side[..., None], masked_names(slot, slot.device), inputs.reference_name)
    return dataclasses.replace(
        inputs,
        reference_positions=inputs.reference_positions * ~of_open[..., None],
        reference_charge=inputs.reference_charge * ~side,
        reference_element=torch.where(side, MASKED_ELEMENT, inputs.reference_element),
        reference_name=names,
        msa_paired=inputs.msa_paired * ~design.open[:, None],
        token_bonds=torch.zeros_like(inputs.token_bonds),
        bond_type=torch.where(ring_closures(features.token), COVALENT, inputs.bond_type),
        contact_type=torch.zeros_like(inputs.contact_type),
        contact_threshold=torch.zeros_like(inputs.contact_threshold),
        template_mask=torch.zeros_like(inputs.template_mask),
        design=design,
    )


def _require_sequences(features: Features) -> None:
    unknown = open_residues(features)
    if unknown.any():
        raise InputError("this network predicts structures of known sequences; design with structdiff's own network",
                         key="weights", found=f"{int(unknown.sum())} residues of unknown sequence")  # fmt: skip


def _atoms(features: Features, layout: AtomLayout, residues: ResidueClasses) -> dict[str, Any]:
    space = reference_spaces(features.token, layout)
    kind = torch.take_along_dim(features.token.kind, layout.token, 1)
    return {
        "atom_mask": layout.mask,
        "atom_slot": layout.slot,
        "atom_token": layout.token,
        "reference_positions": centred_conformers(layout.take(features.atom.ref_positions), space, layout.mask),
        "reference_charge": layout.take(features.atom.charge),
        "reference_element": residues.elements,
        "reference_name": residues.names,
        "reference_space": space,
        "backbone": backbone_classes(residues.names, kind) * layout.mask,
    }


def _alignment(features: Features, residues: ResidueClasses, stands: Tensor) -> dict[str, Any]:
    query = torch.where(residues.methionine, RESTYPE_INDEX["MET"], -1)
    found = alignment_inputs(features.msa, query, stands)
    return {
        "profile": found.profile,
        "deletion_mean": found.deletion_mean,
        "msa": found.msa,
        "has_deletion": found.has_deletion,
        "deletion_value": found.deletion_value,
        "msa_paired": found.paired,
        "msa_mask": found.mask,
    }


def _template(features: Features, residues: ResidueClasses, stands: Tensor) -> dict[str, Any]:
    found = template_inputs(features, residues.residue_type, stands)
    fields = {
        "template_type": found.type,
        "template_frame_rotation": found.rotation,
        "template_frame_origin": found.origin,
        "template_frame_mask": found.frame_mask.float(),
        "template_cb": found.cb,
        "template_ca": found.ca,
        "template_cb_mask": found.cb_mask.float(),
        "template_mask": found.mask.float(),
        "template_visibility": found.visibility,
    }
    return {name: value[:, None] for name, value in fields.items()}
