"""Sizes of Boltz-2's network, as its published checkpoints tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from structdiff.diffusion.preconditioning import SIGMA_DATA
from structdiff.model.boltz.affinity_config import AffinitySizes, affinity_sizes
from structdiff.model.boltz.settings import Settings
from structdiff.model.heads import NUM_ERROR_BINS, NUM_PLDDT_BINS
from structdiff.model.msa_module import MSAConfig
from structdiff.model.pairformer import PairConfig, PairformerConfig

NUM_RESIDUE_TYPES = 33
NUM_METHODS = 12
NUM_MOLECULE_TYPES = 4
NUM_BINDING_TYPES = 3
NUM_SECONDARY_STRUCTURES = 4
NUM_BOND_TYPES = 7  # none, and six kinds
NUM_ELEMENTS = 128
NUM_NAME_CHARACTERS = 64
NUM_BACKBONE_CLASSES = 17
WINDOW_QUERIES, WINDOW_KEYS = 32, 128
#: Rows of the alignment that a pass of the trunk reads, drawn anew for each as Boltz does.
MOST_ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class AtomConfig:
    """Sizes of what reads atoms, and which of their features it reads; c_atom a atom, c_pair a pair in a window."""

    c_atom: int = 128
    c_pair: int = 16
    names: bool = True
    backbone: bool = False
    residues: bool = False

    @property
    def channels(self) -> int:
        """Features of an atom: position, charge and element always, what else is read."""
        names = 4 * NUM_NAME_CHARACTERS * self.names
        residues = (NUM_RESIDUE_TYPES + 1 + NUM_MOLECULE_TYPES) * self.residues
        return 3 + 1 + NUM_ELEMENTS + names + NUM_BACKBONE_CLASSES * self.backbone + residues


@dataclass(frozen=True, kw_only=True)
class EmbedderConfig:
    """The atom transformer of the input embedder, and which flags of a token are told; the last three of designs."""

    depth: int = 3
    heads: int = 4
    method: bool = True
    modified: bool = True
    cyclic: bool = True
    molecule_type: bool = True
    designed: bool = False
    binding: bool = False
    secondary_structure: bool = False


@dataclass(frozen=True, kw_only=True)
class PairInputConfig:
    """How pairs of tokens are described: places in chains, bonds, contacts that are asked for.

    sym_between_chains: the number of a copy counts between chains of one entity, as AlphaFold 3's authors meant it.
    """

    sym_between_chains: bool = True
    cyclic: bool = True
    bond_types: bool = True
    nearest_contact: float = 4.0  # Å
    furthest_contact: float = 20.0  # Å


@dataclass(frozen=True, kw_only=True)
class PairReaderConfig:
    """Sizes of a stack that reads what is told of pairs, and the bins of their distances (Å)."""

    blocks: int = 2
    heads: int = 4
    head_dim: int = 32
    first: float = 3.25
    last: float = 50.75
    bins: int = 38


@dataclass(frozen=True, kw_only=True)
class TemplateConfig(PairReaderConfig):
    """Sizes of what reads templates."""

    c_template: int = 64


@dataclass(frozen=True, kw_only=True)
class KnownDistanceConfig(PairReaderConfig):
    """Sizes of what reads the distances of a design's known parts, bells between 0 and 2 Å among them."""

    c_distance: int = 64
    bells: int = 32


@dataclass(frozen=True, kw_only=True)
class DenoiserSizes:
    """Sizes of the denoiser, and of what it is told once a trunk."""

    c_fourier: int = 256
    encoder_depth: int = 3
    encoder_heads: int = 4
    token_depth: int = 24
    token_heads: int = 16
    decoder_depth: int = 3
    decoder_heads: int = 4
    conditioning_transitions: int = 2
    sigma_data: float = SIGMA_DATA


@dataclass(frozen=True, kw_only=True)
class ConfidenceSizes:
    """Sizes of the confidence module, and what it reads again beside the trunk's last word."""

    blocks: int = 8
    heads: int = 16
    triangle_heads: int = 4
    triangle_head_dim: int = 32
    distance_bins: int = 64
    furthest: float = 22.0  # Å
    product: bool = True
    single_inputs: bool = True
    pair_inputs: bool = True
    heads_between_chains: bool = True


@dataclass(frozen=True, kw_only=True)
class BoltzConfig:
    """Sizes of the whole network: c_s a token, c_z a pair of tokens; the defaults are Boltz-2's.

    known_distances, confidence: None where a network has no such part: Boltz-2 and BoltzGen have one of them each.
    """

    c_s: int = 384
    c_z: int = 128
    atom: AtomConfig = field(default_factory=AtomConfig)
    embedder: EmbedderConfig = field(default_factory=EmbedderConfig)
    pairs: PairInputConfig = field(default_factory=PairInputConfig)
    template: TemplateConfig | None = field(default_factory=TemplateConfig)
    known_distances: KnownDistanceConfig | None = None
    msa: MSAConfig = field(default_factory=lambda: MSAConfig(dropout=0.0, msa_dropout=0.0))
    pairformer: PairformerConfig = field(default_factory=lambda: PairformerConfig(blocks=64, dropout=0.0))
    denoiser: DenoiserSizes = field(default_factory=DenoiserSizes)
    confidence: ConfidenceSizes | None = field(default_factory=ConfidenceSizes)
    affinity: tuple[AffinitySizes, ...] = ()

    @property
    def designs(self) -> bool:
        """Whether it draws residues whose amino acid is open, as BoltzGen's networks do."""
        return self.known_distances is not None

    def pair_stack(self, c_z: int, *, heads: int, head_dim: int) -> PairConfig:
        """Sizes of blocks that refine a pair table of another width."""
        return PairConfig(c_z=c_z, c_hidden_mul=c_z, triangle_heads=heads, triangle_head_dim=head_dim, dropout=0.0)

    def confidence_stack(self, sizes: ConfidenceSizes) -> PairformerConfig:
        """Sizes of the confidence module's Pairformer."""
        return PairformerConfig(
            blocks=sizes.blocks, c_s=self.c_s, c_z=self.c_z, c_hidden_mul=self.c_z, heads=sizes.heads, dropout=0.0,
            triangle_heads=sizes.triangle_heads, triangle_head_dim=sizes.triangle_head_dim,
        )  # fmt: skip


def config_from_hyper_parameters(values: Mapping[str, object]) -> BoltzConfig:
    """The sizes that a checkpoint's ``hyper_parameters`` tell.

    As Boltz does when it predicts, the alignment is not thinned out and its pairing is read, and the Pairformer is that
    of version 2, whatever the checkpoint was trained with. Raises InputError for a setting that cannot be honoured.
    """
    settings = Settings(values)
    settings.must("atoms_per_window_queries", WINDOW_QUERIES, WINDOW_QUERIES)
    settings.must("atoms_per_window_keys", WINDOW_KEYS, WINDOW_KEYS)
    settings.must("token_level_confidence", True, True)
    settings.must("confidence_prediction", True, True)
    settings.must("run_trunk_and_structure", True, True)
    c_s, c_z = settings.get("token_s", 384), settings.get("token_z", 128)
    config = BoltzConfig(
        c_s=c_s,
        c_z=c_z,
        atom=atom_sizes(settings),
        embedder=embedder_sizes(settings.part("embedder_args")),
        pairs=pair_inputs(
            settings,
            sym_between_chains=settings.get("fix_sym_check", False),
            cyclic=settings.get("cyclic_pos_enc", False),
        ),
        template=_template(settings),
        msa=msa_sizes(settings.part("msa_args"), c_z),
        pairformer=pairformer_sizes(settings.part("pairformer_args"), c_s, c_z),
        denoiser=denoiser_sizes(settings.part("score_model_args")),
        confidence=_confidence(settings.part("confidence_model_args")),
        affinity=affinity_sizes(settings),
    )
    settings.must("atom_feature_dim", config.atom.channels, 128)
    return config


def atom_sizes(settings: Settings) -> AtomConfig:
    """Sizes of what reads atoms; settings: all of a checkpoint."""
    return AtomConfig(
        c_atom=settings.get("atom_s", 128),
        c_pair=settings.get("atom_z", 16),
        names=not settings.get("use_no_atom_char", False),
        backbone=settings.get("use_atom_backbone_feat", False),
        residues=settings.get("use_residue_feats_atoms", False),
    )


def embedder_sizes(settings: Settings) -> EmbedderConfig:
    """Sizes of the input embedder; settings: its own."""
    return EmbedderConfig(
        depth=settings.get("atom_encoder_depth", 3),
        heads=settings.get("atom_encoder_heads", 4),
        method=settings.get("add_method_conditioning", False),
        modified=settings.get("add_modified_flag", False),
        cyclic=settings.get("add_cyclic_flag", False),
        molecule_type=settings.get("add_mol_type_feat", False),
        designed=settings.get("add_design_mask_flag", False),
        binding=settings.get("add_binding_specification", False),
        secondary_structure=settings.get("add_ss_specification", False),
    )


def pair_inputs(settings: Settings, *, sym_between_chains: bool, cyclic: bool) -> PairInputConfig:
    """How pairs of tokens are described; settings: the checkpoint's."""
    return PairInputConfig(
        sym_between_chains=sym_between_chains,
        cyclic=cyclic,
        bond_types=settings.get("bond_type_feature", False),
        nearest_contact=settings.get("conditioning_cutoff_min", 4.0),
        furthest_contact=settings.get("conditioning_cutoff_max", 20.0),
    )


def _template(settings: Settings) -> TemplateConfig | None:
    if not settings.get("use_templates", False):
        return None
    settings.must("use_templates_v2", True, False)
    part = settings.part("template_args")
    part.must("post_layer_norm", False, False)
    return TemplateConfig(
        c_template=part.get("template_dim", 64),
        blocks=part.get("template_blocks", 2),
        **pair_reader_sizes(part),
    )


def pair_reader_sizes(settings: Settings) -> dict[str, Any]:
    """Heads of a stack that reads what is told of pairs, and its bins of distances; settings: the stack's."""
    return {
        "heads": settings.get("pairwise_num_heads", 4), "head_dim": settings.get("pairwise_head_width", 32),
        "first": settings.get("min_dist", 3.25), "last": settings.get("max_dist", 50.75),
        "bins": settings.get("num_bins", 38),
    }  # fmt: skip


def triangle_sizes(settings: Settings) -> dict[str, Any]:
    """Heads of a stack's triangle attention; settings: the stack's."""
    heads, head_dim = settings.get("pairwise_num_heads", 4), settings.get("pairwise_head_width", 32)
    return {"triangle_heads": heads, "triangle_head_dim": head_dim}


def msa_sizes(settings: Settings, c_z: int) -> MSAConfig:
    """Sizes of the MSA module; settings: its own."""
    return MSAConfig(
        blocks=settings.get("msa_blocks", 4), c_m=settings.get("msa_s", 64), c_z=c_z, c_hidden_mul=c_z, dropout=0.0,
        msa_dropout=0.0, **triangle_sizes(settings),
    )  # fmt: skip


def pairformer_sizes(settings: Settings, c_s: int, c_z: int) -> PairformerConfig:
    """Sizes of the Pairformer; settings: its own."""
    return PairformerConfig(
        blocks=settings.get("num_blocks", 64), heads=settings.get("num_heads", 16), c_s=c_s, c_z=c_z, c_hidden_mul=c_z,
        dropout=0.0, **triangle_sizes(settings),
    )  # fmt: skip


def denoiser_sizes(settings: Settings) -> DenoiserSizes:
    """Sizes of the denoiser; settings: its own."""
    settings.must("transformer_post_ln", False, False)
    return DenoiserSizes(
        c_fourier=settings.get("dim_fourier", 256),
        encoder_depth=settings.get("atom_encoder_depth", 3),
        encoder_heads=settings.get("atom_encoder_heads", 4),
        token_depth=settings.get("token_transformer_depth", 24),
        token_heads=settings.get("token_transformer_heads", 8),
        decoder_depth=settings.get("atom_decoder_depth", 3),
        decoder_heads=settings.get("atom_decoder_heads", 4),
        conditioning_transitions=settings.get("conditioning_transition_layers", 2),
        sigma_data=settings.get("sigma_data", SIGMA_DATA),
    )


def _confidence(settings: Settings) -> ConfidenceSizes:
    stack, heads = settings.part("pairformer_args"), settings.part("confidence_args")
    settings.must("maximum_bond_distance", 0, 0)
    stack.must("no_update_s", False, False)
    stack.must("post_layer_norm", False, False)
    heads.must("num_plddt_bins", NUM_PLDDT_BINS, 50)
    heads.must("num_pae_bins", NUM_ERROR_BINS, 64)
    heads.must("num_pde_bins", NUM_ERROR_BINS, 64)
    return ConfidenceSizes(
        blocks=stack.get("num_blocks", 8),
        heads=stack.get("num_heads", 16),
        **triangle_sizes(stack),
        distance_bins=settings.get("num_dist_bins", 64),
        furthest=settings.get("max_dist", 22.0),
        product=settings.get("add_s_to_z_prod", False),
        single_inputs=settings.get("add_s_input_to_s", False),
        pair_inputs=settings.get("add_z_input_to_z", False),
        heads_between_chains=heads.get("use_separate_heads", False),
    )
