"""Names of Boltz-2's and BoltzGen's parameters in their checkpoints, and ours of the same."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from structdiff.errors import InputError

#: Parts that are left out on purpose: what nothing here asks for, and tables that are computed.
_LEFT_OUT = re.compile(
    r"(distogram_module|bfactor_module|affinity_module\d?)\."
    r"|confidence_module\.(boundaries$|confidence_heads\.to_resolved_logits\.)"
    r"|.*\.output_projection_linear\."  # a second name of the gate's layer
    r"|token_distance_module\.token_distance_encoder\.distance_gaussian_smearing\."
)

_TRIANGLE_MULTIPLICATION = {
    "norm_in": "norm_in", "p_in": "project_in", "g_in": "gate_in", "norm_out": "norm_out", "p_out": "project_out",
    "g_out": "gate_out",
}  # fmt: skip
_TRIANGLE_ATTENTION = {
    "layer_norm": "norm", "mha.linear_q": "project_q", "mha.linear_k": "project_k", "mha.linear_v": "project_v",
    "linear": "project_bias", "mha.linear_g": "gate", "mha.linear_o": "project_out",
}  # fmt: skip
_TRANSITION = {"norm": "norm", "fc1": "project_gate", "fc2": "project_up", "fc3": "project_out"}
_ATTENTION = {
    "pre_norm_s": "norm", "attention.proj_q": "project_q", "attention.proj_k": "project_k",
    "attention.proj_v": "project_v", "attention.proj_g": "gate", "attention.proj_z.0": "norm_pair",
    "attention.proj_z.1": "project_bias", "attention.proj_o": "project_out",
}  # fmt: skip
_OUTER_PRODUCT = {"norm": "norm", "proj_a": "project_a", "proj_b": "project_b", "proj_o": "project_out"}
_AVERAGING = {
    "norm_m": "norm", "norm_z": "norm_pair", "proj_m": "project_v", "proj_g": "gate", "proj_z": "project_bias",
    "proj_o": "project_out",
}  # fmt: skip
_FOURIER = {"proj": ""}


def _under(theirs: str, ours: str, names: Mapping[str, str]) -> dict[str, str]:
    """The same names one level down."""
    return {_joined(theirs, one): _joined(ours, other) for one, other in names.items()}


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


_PAIR_BLOCK = {
    **_under("tri_mul_out", "multiply_outgoing", _TRIANGLE_MULTIPLICATION),
    **_under("tri_mul_in", "multiply_incoming", _TRIANGLE_MULTIPLICATION),
    **_under("tri_att_start", "attend_starting", _TRIANGLE_ATTENTION),
    **_under("tri_att_end", "attend_ending", _TRIANGLE_ATTENTION),
    **_under("transition_z", "transition", _TRANSITION),
}
_PAIRFORMER_BLOCK = {
    **_under("", "pair", _PAIR_BLOCK),
    **_under("", "attention", _ATTENTION),
    **_under("transition_s", "transition", _TRANSITION),
}
_MSA_BLOCK = {
    **_under("pair_weighted_averaging", "averaging", _AVERAGING),
    **_under("msa_transition", "transition", _TRANSITION),
    **_under("outer_product_mean", "outer_product_mean", _OUTER_PRODUCT),
    **_under("pairformer_layer", "pair", _PAIR_BLOCK),
}
_ADAPTIVE_NORM = {"s_norm": "norm.norm_condition", "s_scale": "norm.scale", "s_bias": "norm.shift"}
_STEERED_BLOCK = {
    **_under("adaln", "attention", _ADAPTIVE_NORM),
    **{f"pair_bias_attn.proj_{one}": f"attention.project_{one}" for one in "qkv"},
    "pair_bias_attn.proj_g": "attention.gate",
    "pair_bias_attn.proj_o": "attention.project_out",
    "output_projection.0": "attention.condition_gate.gate",
    **_under("transition.adaln", "transition", _ADAPTIVE_NORM),
    "transition.swish_gate.0": "transition.project_gate",
    "transition.a_to_b": "transition.project_up",
    "transition.b_to_a": "transition.project_out",
    "transition.output_projection.0": "transition.condition_gate.gate",
}
_ATOMS = {
    "embed_atom_features": "embed",
    "embed_atompair_ref_pos": "offset",
    "embed_atompair_ref_dist": "distance",
    "embed_atompair_mask": "same_conformer",
    "s_to_c_trans": "from_token",
    "z_to_p_trans": "from_pair",
    "c_to_p_trans_q.1": "query",
    "c_to_p_trans_k.1": "key",
    **{f"p_mlp.{place}": f"hidden.{number}" for number, place in enumerate((1, 3, 5))},
}
_CONTACTS = {
    **_under("fourier_embedding", "fourier", _FOURIER), "encoder": "encode", "encoding_unspecified": "unspecified",
    "encoding_unselected": "unselected",
}  # fmt: skip
_PAIR_INPUTS = {
    "rel_pos.linear_layer": "relative_position.project",
    "token_bonds": "bonds",
    "token_bonds_type": "bond_types",
    **_under("contact_conditioning", "contacts", _CONTACTS),
}


def _stack(theirs: str, ours: str, block: Mapping[str, str]) -> dict[str, str]:
    """Names of the layers of a stack; N stands for the number of each."""
    return _under(_joined(theirs, "N"), _joined(ours, "N"), block)


_ATOM_LAYERS = "diffusion_transformer.layers"
_EMBEDDER = {
    **_under("atom_encoder", "atoms", _ATOMS),
    "atom_enc_proj_z": "biases.0",
    **_stack(f"atom_attention_encoder.atom_encoder.{_ATOM_LAYERS}", "transformer.blocks", _STEERED_BLOCK),
    "atom_attention_encoder.atom_to_token_trans.0": "to_token",
    "res_type_encoding": "residue_type",
    "msa_profile_encoding": "profile",
    "method_conditioning_init": "method",
    "modified_conditioning_init": "modified",
    "cyclic_conditioning_init": "cyclic",
    "mol_type_conditioning_init": "molecule_type",
    "design_mask_conditioning_init": "designed",
    "binding_specification_conditioning_init": "binding",
    "ss_specification_init": "secondary_structure",
}
_TEMPLATES = {
    "z_norm": "norm_in", "z_proj": "project_in", "a_proj": "features", "v_norm": "norm_out", "u_proj": "project_out",
    **_stack("pairformer.layers", "stack.blocks", _PAIR_BLOCK),
}  # fmt: skip
_KNOWN_DISTANCES = {
    "z_norm": "norm_in", "z_proj": "project_in", "a_proj": "features", "v_norm": "norm_out", "u_proj": "project_out",
    **_under("token_distance_encoder.distance_token_bias_trans", "frames", _TRANSITION),
    **_stack("pairformer.layers", "stack.blocks", _PAIR_BLOCK),
}  # fmt: skip
_TRUNK = {
    **_under("input_embedder", "input_embedder", _EMBEDDER),
    "s_init": "s_init",
    "z_init_1": "z_init_row",
    "z_init_2": "z_init_column",
    **_under("", "pair_inputs", _PAIR_INPUTS),
    "s_norm": "s_recycle.0",
    "s_recycle": "s_recycle.1",
    "z_norm": "z_recycle.0",
    "z_recycle": "z_recycle.1",
    **_under("template_module", "templates", _TEMPLATES),
    **_under("token_distance_module", "known_distances", _KNOWN_DISTANCES),
    "msa_module.s_proj": "msa_module.project_s",
    "msa_module.msa_proj": "msa_module.project_msa",
    **_stack("msa_module.layers", "msa_module.blocks", _MSA_BLOCK),
    **_stack("pairformer_module.layers", "pairformer.blocks", _PAIRFORMER_BLOCK),
}
_CONDITIONING = {
    "pairwise_conditioner.dim_pairwise_init_proj": "pair",
    **_stack("pairwise_conditioner.transitions", "transitions", _TRANSITION),
    **_under("atom_encoder", "atoms", _ATOMS),
    "atom_enc_proj_z": "encoder_biases",
    "atom_dec_proj_z": "decoder_biases",
    "token_trans_proj_z": "token_biases",
}
_SCORE = {
    "single_conditioner.norm_single": "conditioning.single.0",
    "single_conditioner.single_embed": "conditioning.single.1",
    **_under("single_conditioner.fourier_embed", "noise.fourier", _FOURIER),
    "single_conditioner.norm_fourier": "noise.norm",
    "single_conditioner.fourier_to_single": "noise.project",
    **_stack("single_conditioner.transitions", "transitions", _TRANSITION),
    "atom_attention_encoder.r_to_q_trans": "from_positions",
    **_stack(f"atom_attention_encoder.atom_encoder.{_ATOM_LAYERS}", "encoder.blocks", _STEERED_BLOCK),
    "atom_attention_encoder.atom_to_token_trans.0": "to_token",
    "s_to_a_linear": "steer_tokens",
    **_stack("token_transformer.layers", "blocks", _STEERED_BLOCK),
    "a_norm": "norm_tokens",
    "atom_attention_decoder.a_to_q_trans": "from_token",
    **_stack(f"atom_attention_decoder.atom_decoder.{_ATOM_LAYERS}", "decoder.blocks", _STEERED_BLOCK),
    "atom_attention_decoder.atom_feat_to_atom_pos_update": "to_positions",
}
_CONFIDENCE = {
    "dist_bin_pairwise_embed": "distance",
    "s_to_z": "row",
    "s_to_z_transpose": "column",
    "s_to_z_prod_in1": "product_row",
    "s_to_z_prod_in2": "product_column",
    "s_to_z_prod_out": "product_out",
    "s_inputs_norm": "norm_inputs",
    "s_norm": "norm_s",
    "z_norm": "norm_z",
    "s_input_to_s": "inputs_to_s",
    **_under("", "pair_inputs", _PAIR_INPUTS),
    **_stack("pairformer_stack.layers", "pairformer.blocks", _PAIRFORMER_BLOCK),
    "confidence_heads.to_plddt_logits": "plddt",
    **{f"confidence_heads.to_{head}_logits": f"{head}.within" for head in ("pae", "pde")},
    **{f"confidence_heads.to_{head}_intra_logits": f"{head}.within" for head in ("pae", "pde")},
    **{f"confidence_heads.to_{head}_inter_logits": f"{head}.between" for head in ("pae", "pde")},
}
_NAMES = {
    **_under("", "trunk", _TRUNK),
    **_under("diffusion_conditioning", "denoiser.conditioning", _CONDITIONING),
    **_under("structure_module.score_model", "denoiser", _SCORE),
    **_under("confidence_module", "confidence", _CONFIDENCE),
}
_NOT_OF_DESIGNS = re.compile(r"(template_module|confidence_module)\.")
#: What a stack was called when BoltzGen was trained, and what it is called in its code and Boltz-2's.
_EARLIER = (".token_transformer_layers.0.", ".token_transformer.")
_LAYER = re.compile(r"\.(?:layers|transitions)\.(\d+)\.")


def to_own_names(state: Mapping[str, Tensor], *, designs: bool = False) -> dict[str, Tensor]:
    """Boltz-2's parameters under our names; raises InputError for one that is not known.

    Its distogram, B-factors, affinities and which atoms are resolved are left out: nothing here asks for them. designs:
    they are BoltzGen's, whose templates see nothing and are left out too.
    """
    found: dict[str, Tensor] = {}
    for written, tensor in state.items():
        name = written.replace(*_EARLIER)
        if _LEFT_OUT.match(name) or (designs and _NOT_OF_DESIGNS.match(name)):
            continue
        own = _own_name(name)
        if own is None:
            raise InputError("not a parameter of this network", key="state_dict", found=written)
        found[own] = tensor[:, 0] if own.endswith("fourier.weight") else tensor
    return found


def _own_name(name: str) -> str | None:
    """Our name of a parameter: the longest beginning of it that is known, and the rest as it is."""
    layer = _LAYER.search(name)
    counted = name if layer is None else f"{name[: layer.start(1)]}N{name[layer.end(1) :]}"
    for end in [*(place for place in range(len(counted) - 1, 0, -1) if counted[place] == "."), len(counted)]:
        if counted[:end] in _NAMES:
            own = _NAMES[counted[:end]] + counted[end:]
            return own if layer is None else own.replace(".N.", f".{layer.group(1)}.", 1)
    return None
