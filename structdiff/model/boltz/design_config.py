"""Sizes of BoltzGen's networks of designs, as their checkpoints tell them."""

from __future__ import annotations

from collections.abc import Mapping

from structdiff.model.boltz.config import (
    WINDOW_KEYS,
    WINDOW_QUERIES,
    BoltzConfig,
    KnownDistanceConfig,
    atom_sizes,
    denoiser_sizes,
    embedder_sizes,
    msa_sizes,
    pair_inputs,
    pair_reader_sizes,
    pairformer_sizes,
)
from structdiff.model.boltz.settings import Settings


def design_config(values: Mapping[str, object]) -> BoltzConfig:
    """The sizes that the ``hyper_parameters`` of a checkpoint tell; what they do not tell is as in BoltzGen's code.

    Its templates are left out: BoltzGen gives them nothing to read when it designs. Raises InputError for a setting
    that cannot be honoured.
    """
    settings = Settings(values)
    _check(settings)
    c_s, c_z = settings.get("token_s", 384), settings.get("token_z", 128)
    embedder, score = settings.part("embedder_args"), settings.part("score_model_args")
    _check_parts(embedder, settings.part("msa_args"), score, c_s)
    config = BoltzConfig(
        c_s=c_s,
        c_z=c_z,
        atom=atom_sizes(settings),
        embedder=embedder_sizes(embedder),
        pairs=pair_inputs(settings, sym_between_chains=True, cyclic=True),
        template=None,
        known_distances=_known_distances(settings.part("token_distance_args")),
        msa=msa_sizes(settings.part("msa_args"), c_z),
        pairformer=pairformer_sizes(settings.part("pairformer_args"), c_s, c_z),
        denoiser=denoiser_sizes(score),
        confidence=None,
    )
    settings.must("atom_feature_dim", config.atom.channels, 128)
    return config


def _check(settings: Settings) -> None:
    settings.must("atoms_per_window_queries", WINDOW_QUERIES, WINDOW_QUERIES)
    settings.must("atoms_per_window_keys", WINDOW_KEYS, WINDOW_KEYS)
    settings.must("use_token_distances", True, False)
    settings.must("use_miniformer", False, True)
    settings.must("predict_res_type", False, False)
    settings.must("inverse_fold", False, False)


def _check_parts(embedder: Settings, msa: Settings, score: Settings, c_s: int) -> None:
    for flag in ("add_ph_flag", "add_temp_flag"):
        embedder.must(flag, False, False)
    for flag in ("add_design_mask_flag", "add_binding_specification", "add_ss_specification"):
        embedder.must(flag, True, False)
    msa.must("miniformer_blocks", False, True)
    msa.must("use_paired_feature", True, False)
    score.must("token_layers", 1, 1)
    score.must("gaussian_random_3d_encoding_dim", 0, 0)
    score.must("use_qk_norm", False, False)
    if score.values.get("tfmr_s") is not None:
        score.must("tfmr_s", 2 * c_s, 2 * c_s)


def _known_distances(settings: Settings) -> KnownDistanceConfig:
    settings.must("miniformer_blocks", False, False)
    settings.must("post_layer_norm", False, False)
    settings.must("use_token_distance_feats", True, True)
    return KnownDistanceConfig(
        c_distance=settings.get("token_distance_dim", 64),
        blocks=settings.get("token_distance_blocks", 2),
        **pair_reader_sizes(settings),
        bells=settings.get("distance_gaussian_dim", 32),
    )
