"""Networks with published weights, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from structdiff.errors import InputError
from structdiff.inverse_folding.network import InverseFoldingConfig, InverseFoldingNetwork, Kind
from structdiff.published_weights import full_names, weights_path
from structdiff.published_weights.catalogue import CATALOGUE
from structdiff.published_weights.conversion import read_safetensors

#: Names of published parameters, and what they are called here; the first rule that fits a part applies.
RENAMED = (
    (r"\.W([123])\.", lambda m: f".message.{_ORDER[int(m[1])]}."),
    (r"\.W1([123])\.", lambda m: f".edge_message.{_ORDER[int(m[1])]}."),
    (r"\.norm([123])\.", r".norm_\1."),
    (r"\.dense\.W_in\.", ".transition.expand."),
    (r"\.dense\.W_out\.", ".transition.contract."),
    (r"^context_encoder_layers\.", "context.residue_layers."),
    (r"^y_context_encoder_layers\.", "context.atom_layers."),
    (r"^V_C\.", "context.out."),
    (r"^V_C_norm\.", "context.out_norm."),
    (r"^W_c\.", "context.to_context."),
    (r"^W_nodes_y\.", "context.to_atoms."),
    (r"^W_edges_y\.", "context.to_bonds."),
    (r"^features\.node_project_down\.", "context.pair_embedding."),
    (r"^features\.type_linear\.", "context.type_embedding."),
    (r"^features\.y_nodes\.", "context.atom_embedding."),
    (r"^features\.y_edges\.", "context.bond_embedding."),
    (r"^features\.norm_y_nodes\.", "context.atom_norm."),
    (r"^features\.norm_y_edges\.", "context.bond_norm."),
    (r"^encoder_layers\.", "encoder."),
    (r"^decoder_layers\.", "decoder."),
)
_ORDER = {1: "first", 2: "second", 3: "third"}
_SEQUENCE_RENAMED = (
    (r"^features\.embeddings\.linear\.", "edge_features.separation.linear."),
    (r"^features\.edge_embedding\.", "edge_features.embedding."),
    (r"^features\.norm_edges\.", "edge_features.norm."),
    (r"^W_e\.", "embed_edges."),
    (r"^W_s\.", "letters."),
    (r"^W_out\.", "logits."),
)
_LIGAND_RENAMED = ((r"^features\.norm_nodes\.", "context.pair_norm."), (r"^W_v\.", "context.to_pairs."))
_MEMBRANE_RENAMED = (
    (r"^features\.node_embedding\.", "embed_label."),
    (r"^features\.norm_nodes\.", "label_norm."),
    (r"^W_v\.", "embed_nodes."),
)
#: Parameters that are published with CA-only weights although nothing was computed with them.
_UNUSED_IN_CA = ("features.node_embedding.", "features.norm_nodes.", "W_v.")

#: The short names of networks that design sequences.
MODELS = ("proteinmpnn", "solublempnn", "ligandmpnn", "proteinmpnn_ca", "membrane_mpnn", "membrane_mpnn_global")

#: Networks that are told of a whole protein whether it is of a membrane: yes if any residue is.
_WHOLE_CHAIN = ("membrane_mpnn_global", "global_label_membrane_mpnn_v_48_020")


def model_name(model: str) -> str:
    """The full name of the weights of a network that designs sequences. Raises InputError for any other name."""
    sequence_models = [each for each in CATALOGUE.weights if network_kind(each) is not None]
    if model not in MODELS and model not in sequence_models:
        raise InputError(
            "no such network for sequences (structdiff weights list names all weights)",
            key="model", found=model, allowed=MODELS, suggest_from=(*MODELS, *sequence_models),
        )  # fmt: skip
    return full_names(model)[0]


def load_network(model: str, *, device: torch.device | str = "cpu") -> InverseFoldingNetwork:
    """A network that designs sequences, with its published weights.

    Raises InputError for an unknown name, and when the weights have not been fetched yet.
    """
    name = model_name(model)
    path = weights_path(name)
    return _loaded(name, path, path.stat().st_mtime_ns, str(device))


@lru_cache(maxsize=8)
def _loaded(name: str, path: Path, modified: int, device: str) -> InverseFoldingNetwork:
    tensors, facts = read_safetensors(path)
    settings = facts["settings"]
    kind = network_kind(name)
    assert kind is not None
    assert isinstance(settings, Mapping)
    config = InverseFoldingConfig(
        kind=kind,
        num_neighbours=int(settings["num_edges"]),
        num_context_atoms=int(settings.get("atom_context_num", 0)),
    )
    network = InverseFoldingNetwork(config)
    fill(network, sequence_parameters(tensors, kind), path)
    return network.to(device)


def sequence_parameters(tensors: Mapping[str, Tensor], kind: Kind) -> dict[str, Tensor]:
    """Published parameters under the names they have here."""
    if kind == "ca":
        tensors = {name: value for name, value in tensors.items() if not name.startswith(_UNUSED_IN_CA)}
    special = {"ligand": _LIGAND_RENAMED, "membrane": _MEMBRANE_RENAMED}.get(kind, ())
    return renamed(tensors, (*_SEQUENCE_RENAMED, *special, *RENAMED))


def renamed(tensors: Mapping[str, Tensor], rules: tuple) -> dict[str, Tensor]:
    """Tensors under new names: every rule is applied to every name."""
    found = {}
    for old, value in tensors.items():
        name = old
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        found[name] = value
    return found


def fill(network: nn.Module, parameters: Mapping[str, Tensor], path: Path) -> None:
    """Puts parameters into a network, which is then ready to predict. Raises InputError unless all fit exactly."""
    wanted = network.state_dict()
    wrong = sorted(set(wanted) ^ set(parameters)) or [n for n in wanted if wanted[n].shape != parameters[n].shape]
    if wrong:
        raise InputError("the weights do not fit the network", path=path, found=wrong[0])
    network.load_state_dict(dict(parameters))
    network.eval().requires_grad_(False)


def network_kind(name: str) -> Kind | None:
    """What a network of that name sees; None for weights of other networks."""
    if name.startswith("proteinmpnn_ca"):
        return "ca"
    if name.startswith(("proteinmpnn", "solublempnn")):
        return "backbone"
    if name.endswith("sc_v_32_002_16") or name.startswith("trrosetta"):
        return None
    return "ligand" if name.startswith("ligandmpnn") else "membrane"


def check_membrane(model: str, network: InverseFoldingNetwork, labels: np.ndarray | None) -> None:
    """Raises InputError for labels of a membrane where the network knows of none."""
    if labels is not None and network.config.kind != "membrane":
        message = "only the membrane networks know what lies in a membrane"
        raise InputError(message, key="membrane", found=model, allowed="membrane_mpnn, membrane_mpnn_global")


def seen_labels(model: str, labels: np.ndarray) -> np.ndarray:
    """The labels of a membrane (residue,) as a network of that name is told of them."""
    return np.full_like(labels, labels.any()) if model in _WHOLE_CHAIN else labels
