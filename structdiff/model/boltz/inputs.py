"""What Boltz-2's network reads, in its own classes and its own order of atoms."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from structdiff.typing import Bool, Float, Int


@dataclass(frozen=True, kw_only=True)
class BoltzInputs:
    """A batch of structures as Boltz-2's network reads them; names and classes are those of its featuriser.

    Atoms stand close together, in the order of the tokens, and their number is a multiple of 32 (``atom_mask`` is False
    in what is added); ``atom_slot`` is where each stands among the (token * slot) atoms of structdiff's features, and
    ``atom_token`` its token. Tokens keep their places.
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
