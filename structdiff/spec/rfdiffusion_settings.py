"""RFdiffusion's settings: which there are, which mean nothing to a design, and which structdiff cannot do."""

from __future__ import annotations

from collections.abc import Mapping

from structdiff.errors import InputError
from structdiff.spec.rfdiffusion_command import is_unset

#: Settings of how RFdiffusion computes, or of its files; a design is the same without them.
INERT = (
    "inference.ckpt_override_path", "inference.model_directory_path", "inference.model_runner",
    "inference.schedule_directory_path", "inference.trb_save_ckpt_path", "inference.write_trajectory",
    "inference.empty_cache_per_design", "inference.cautious", "inference.deterministic", "inference.recenter",
    "inference.radius", "inference.model_only_neighbors", "inference.align_motif", "inference.symmetric_self_cond",
    "inference.final_step", "inference.scaffold_guided", "logging.inputs",
)  # fmt: skip
INERT_GROUPS = ("model.", "preprocess.", "contig_settings.", "hydra.")
DIFFUSER = {"T": 50.0, "b_0": 1e-2, "b_T": 7e-2, "crd_scale": 0.25}
INERT_DIFFUSER = ("schedule_type", "so3_type", "so3_schedule_type", "min_b", "max_b", "min_sigma", "max_sigma")
#: What counts only beside guiding potentials.
OF_POTENTIALS = ("potentials.guide_scale", "potentials.guide_decay", "potentials.olig_inter_all",
                  "potentials.olig_intra_all")  # fmt: skip
NOISE_SCALES = ("denoiser.noise_scale_ca", "denoiser.noise_scale_frame")
OTHER_NOISE = (
    "denoiser.final_noise_scale_ca", "denoiser.ca_noise_schedule_type", "denoiser.final_noise_scale_frame",
    "denoiser.frame_noise_schedule_type",
)  # fmt: skip
#: What RFdiffusion can be asked that a design of structdiff cannot, and the way out.
_REFUSED = {
    "contigmap.inpaint_str": "leave the stretch out of the contigs and ask for its length, or hold it",
    "contigmap.inpaint_str_helix": "secondary_structure gives H, E or L for each residue of a designed chain",
    "contigmap.inpaint_str_strand": "secondary_structure gives H, E or L for each residue of a designed chain",
    "contigmap.inpaint_str_loop": "secondary_structure gives H, E or L for each residue of a designed chain",
    "inference.design_startnum": "leave it out: a run goes on after the designs that its folder holds",
}
_KNOWN = (
    "--config-name", *INERT, *_REFUSED, *NOISE_SCALES, *OTHER_NOISE, *OF_POTENTIALS,
    *(f"diffuser.{key}" for key in (*DIFFUSER, *INERT_DIFFUSER)),
    "diffuser.partial_T", "inference.input_pdb", "inference.num_designs", "inference.output_prefix",
    "inference.symmetry", "inference.cyclic", "inference.cyc_chains", "contigmap.contigs", "contigmap.length",
    "contigmap.inpaint_seq", "contigmap.provide_seq", "ppi.hotspot_res", "potentials.guiding_potentials",
    "potentials.olig_custom_contact", "potentials.substrate", "scaffoldguided.scaffoldguided",
)  # fmt: skip


def check_settings(settings: Mapping[str, str]) -> None:
    """Raises InputError for settings that RFdiffusion has not, and for what structdiff cannot do."""
    for key, value in settings.items():
        if key.startswith(INERT_GROUPS):
            continue
        if key.startswith("scaffoldguided.") and key != "scaffoldguided.scaffoldguided":
            _refuse_scaffold(settings, key)
            continue
        if key not in _KNOWN:
            raise InputError("RFdiffusion has no such setting", key="settings", found=key, suggest_from=_KNOWN)
        if key in _REFUSED and not is_unset(value) and value not in ("0", "False", "false"):
            raise InputError("structdiff cannot do this", key=key, found=value, allowed=_REFUSED[key])
    if is_true(settings.get("scaffoldguided.scaffoldguided")):
        raise InputError("folds given as .pt files (pickles) are not read", key="scaffoldguided.scaffoldguided",
                         found=settings["scaffoldguided.scaffoldguided"],
                         allowed="fold_of: a structure with that fold, in the YAML of structdiff")  # fmt: skip


def _refuse_scaffold(settings: Mapping[str, str], key: str) -> None:
    """The rest of scaffoldguided counts for nothing unless it is switched on, which is refused by itself."""
    if is_true(settings.get("scaffoldguided.scaffoldguided")) or is_unset(settings[key]):
        return
    if settings[key] not in ("False", "false", "True", "true", "0"):
        raise InputError("counts only with scaffoldguided.scaffoldguided", key=key, found=settings[key])


def is_true(value: str | None) -> bool:
    """Whether a setting is switched on."""
    return value is not None and value.strip().lower() in ("true", "1", "yes")


def whole_number(text: str, key: str) -> int:
    """A whole number, 0 or more; raises InputError under the key."""
    if not text.strip().isdecimal():
        raise InputError("must be a whole number", key=key, found=text)
    return int(text)
