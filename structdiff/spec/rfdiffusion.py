"""RFdiffusion's settings as a design of structdiff: what it asks, in our words; what we cannot do is an error."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.errors import InputError
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.contigs import Contigs
from structdiff.spec.rfdiffusion_command import is_unset, list_items
from structdiff.spec.rfdiffusion_energies import energies_from_potentials
from structdiff.spec.segments import FixedSegment, FreeSegment, ResidueId
from structdiff.spec.symmetry import Symmetry, parse_symmetry

#: Settings of how RFdiffusion computes, or of its files; a design is the same without them.
INERT = (
    "inference.ckpt_override_path", "inference.model_directory_path", "inference.model_runner",
    "inference.schedule_directory_path", "inference.trb_save_ckpt_path", "inference.write_trajectory",
    "inference.empty_cache_per_design", "inference.cautious", "inference.deterministic", "inference.recenter",
    "inference.radius", "inference.model_only_neighbors", "inference.align_motif", "inference.symmetric_self_cond",
    "inference.final_step", "inference.scaffold_guided", "logging.inputs",
)  # fmt: skip
_INERT_GROUPS = ("model.", "preprocess.", "contig_settings.", "hydra.")
_DIFFUSER = {"T": 50.0, "b_0": 1e-2, "b_T": 7e-2, "crd_scale": 0.25}
_INERT_DIFFUSER = ("schedule_type", "so3_type", "so3_schedule_type", "min_b", "max_b", "min_sigma", "max_sigma")
#: What counts only beside guiding potentials.
_OF_POTENTIALS = ("potentials.guide_scale", "potentials.guide_decay", "potentials.olig_inter_all",
                  "potentials.olig_intra_all")  # fmt: skip
_NOISE_SCALES = ("denoiser.noise_scale_ca", "denoiser.noise_scale_frame")
_OTHER_NOISE = (
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
    "--config-name", *INERT, *_REFUSED, *_NOISE_SCALES, *_OTHER_NOISE, *_OF_POTENTIALS,
    *(f"diffuser.{key}" for key in (*_DIFFUSER, *_INERT_DIFFUSER)),
    "diffuser.partial_T", "inference.input_pdb", "inference.num_designs", "inference.output_prefix",
    "inference.symmetry", "inference.cyclic", "inference.cyc_chains", "contigmap.contigs", "contigmap.length",
    "contigmap.inpaint_seq", "contigmap.provide_seq", "ppi.hotspot_res", "potentials.guiding_potentials",
    "potentials.olig_custom_contact", "potentials.substrate", "scaffoldguided.scaffoldguided",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class KnownStructure:
    """What a mapping must know of the input structure: its residues in order, and their CA positions (Å)."""

    residues: tuple[ResidueId, ...]
    positions: np.ndarray


@dataclass(kw_only=True)
class Imported:
    """A design as plain data of our YAML schema; notes: what is done otherwise; options: of ``structdiff design``."""

    data: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)


def design_from_rfdiffusion(
    settings: Mapping[str, str], *, structure: Callable[[], KnownStructure] | None = None
) -> Imported:
    """The design that RFdiffusion's settings ask for.

    ``structure`` reads the input structure; it is called only where the settings cannot be understood without it.
    Raises InputError for unknown settings and for what structdiff cannot do.
    """
    _check(settings)
    given = {key: value for key, value in settings.items() if not is_unset(value)}
    found = Imported(data={"version": 1, "name": Path(given.get("inference.output_prefix", "design")).name or "design"})
    if "inference.input_pdb" in given:
        found.data["motif"] = given["inference.input_pdb"]
    contigs, symmetry = _contigs(given, found, structure)
    if "diffuser.partial_T" in given:
        _partial(given, contigs, found, structure)
    else:
        found.data["contigs"] = str(contigs)
        if "motif" in found.data and not contigs.fixed:
            del found.data["motif"]
            found.notes.append("inference.input_pdb is left out: the contigs take nothing from it")
        if "contigmap.provide_seq" in given:
            raise InputError("means something in partial diffusion only", key="contigmap.provide_seq",
                             allowed="with diffuser.partial_T")  # fmt: skip
    if "contigmap.length" in given:
        found.data["length"] = given["contigmap.length"].strip("'\"[]")
    _residues(given, found)
    _cyclic(given, contigs, found)
    energies_from_potentials(given, contigs, symmetry, found)
    found.data["num_designs"] = _whole(given.get("inference.num_designs", "10"), "inference.num_designs")
    _sampling(given, found)
    return found


def _check(settings: Mapping[str, str]) -> None:
    for key, value in settings.items():
        if key.startswith(_INERT_GROUPS):
            continue
        if key.startswith("scaffoldguided.") and key != "scaffoldguided.scaffoldguided":
            _refuse_scaffold(settings, key)
            continue
        if key not in _KNOWN:
            raise InputError("RFdiffusion has no such setting", key="settings", found=key, suggest_from=_KNOWN)
        if key in _REFUSED and not is_unset(value) and value not in ("0", "False", "false"):
            raise InputError("structdiff cannot do this", key=key, found=value, allowed=_REFUSED[key])
    if _true(settings.get("scaffoldguided.scaffoldguided")):
        raise InputError("folds given as .pt files (pickles) are not read", key="scaffoldguided.scaffoldguided",
                         found=settings["scaffoldguided.scaffoldguided"],
                         allowed="fold_of: a structure with that fold, in the YAML of structdiff")  # fmt: skip


def _refuse_scaffold(settings: Mapping[str, str], key: str) -> None:
    """The rest of scaffoldguided counts for nothing unless it is switched on, which is refused by itself."""
    if _true(settings.get("scaffoldguided.scaffoldguided")) or is_unset(settings[key]):
        return
    if settings[key] not in ("False", "false", "True", "true", "0"):
        raise InputError("counts only with scaffoldguided.scaffoldguided", key=key, found=settings[key])


def _contigs(
    given: Mapping[str, str], found: Imported, structure: Callable[[], KnownStructure] | None
) -> tuple[Contigs, Symmetry | None]:
    if "contigmap.contigs" not in given:
        raise InputError("there are no contigs", key="contigmap.contigs", allowed="[10-40/A163-181/10-40], say")
    contigs = parse_contigs(" ".join(list_items(given["contigmap.contigs"])))
    if "inference.symmetry" not in given:
        return contigs, None
    symmetry = parse_symmetry(given["inference.symmetry"].strip("'\""))
    contigs, placed = _of_one_copy(contigs, symmetry, structure)
    if placed:
        symmetry = parse_symmetry(f"{symmetry}:motif=placed")
        found.notes.append("the motif stays where its file has it: axis along z, through the origin, as in RFdiffusion")
    found.data["symmetry"] = str(symmetry)
    found.notes.append(f"contigs are those of one of {len(symmetry.operators)} copies")
    return contigs, symmetry


def _of_one_copy(
    contigs: Contigs, symmetry: Symmetry, structure: Callable[[], KnownStructure] | None
) -> tuple[Contigs, bool]:
    """RFdiffusion's contigs name all copies; and whether they hold a motif, which then lies at the axes."""
    order = len(symmetry.operators)
    if len(contigs.chains) == 1 and not contigs.fixed:
        low, high = contigs.length_range()
        if low % order or high % order:
            raise InputError(f"the length is that of all {order} copies, and is shared out equally",
                             key="contigmap.contigs", found=str(contigs), allowed=f"multiples of {order}")  # fmt: skip
        return parse_contigs(f"{low // order}-{high // order}"), False
    shapes = {tuple(_shape(segment) for segment in row) for row in contigs.chains}
    if len(contigs.chains) != order or len(shapes) != 1:
        raise InputError(f"expected the same stretches for each of {order} copies", key="contigmap.contigs",
                         found=str(contigs))  # fmt: skip
    if contigs.fixed:
        _check_copies(contigs, symmetry, structure)
    return Contigs(chains=contigs.chains[:1]), bool(contigs.fixed)


def _shape(segment: FreeSegment | FixedSegment) -> tuple[int, int, bool]:
    if isinstance(segment, FreeSegment):
        return segment.minimum, segment.maximum, False
    return len(segment.residues), len(segment.residues), True


def _check_copies(contigs: Contigs, symmetry: Symmetry, structure: Callable[[], KnownStructure] | None) -> None:
    """The motif of each copy must be that of the first, turned by an operator of our frame."""
    if structure is None:
        return
    known = structure()
    place = {residue: row for row, residue in enumerate(known.residues)}
    rows = [
        [place[residue] for segment in row if isinstance(segment, FixedSegment) for residue in segment.residues]
        for row in contigs.chains
        if all(residue in place for s in row if isinstance(s, FixedSegment) for residue in s.residues)
    ]
    if len(rows) != len(contigs.chains):
        raise InputError("the input structure lacks residues of the contigs", key="contigmap.contigs",
                         found=str(contigs))  # fmt: skip
    images = symmetry.operators.apply(known.positions[rows[0]])
    for row, chain in zip(rows, contigs.chains, strict=True):
        away = np.sqrt(np.square(images - known.positions[row]).sum(-1).mean(-1)).min()
        if away > 1.0:
            raise InputError(f"the motif is not where {symmetry.group} would have it in our frame (Å RMSD)",
                             key="contigmap.contigs", found=f"{'/'.join(map(str, chain))}: {away:.1f}",
                             allowed="main axis along z, through the origin")  # fmt: skip


def _partial(
    given: Mapping[str, str], contigs: Contigs, found: Imported, structure: Callable[[], KnownStructure] | None
) -> None:
    if "motif" not in found.data:
        raise InputError("there is no structure to begin with", key="inference.input_pdb", allowed="its file")
    if structure is None:
        raise InputError("the structure itself is needed to understand the contigs", key="diffuser.partial_T",
                         found=found.data["motif"], allowed="its file, with --pdb if it lies elsewhere")  # fmt: skip
    residues = structure().residues
    _check_places(contigs, residues)
    held = [segment.name for segment in contigs.fixed]
    if held:
        found.data["hold"] = held
    sigma = partial_noise({key: float(given.get(f"diffuser.{key}", usual)) for key, usual in _DIFFUSER.items()},
                          _whole(given["diffuser.partial_T"], "diffuser.partial_T"))  # fmt: skip
    found.data["contigs"], found.data["noise"] = "*", f"{sigma:.2g}"
    found.notes.append(f"partial_T {given['diffuser.partial_T']} of RFdiffusion is noise of {sigma:.2g} Å")
    if "contigmap.provide_seq" in given:
        found.data["keep_sequence"] = _provided(given["contigmap.provide_seq"], residues)


def _check_places(contigs: Contigs, residues: Sequence[ResidueId]) -> None:
    """Partial diffusion goes by places: the contigs must be as long as the structure, held stretches where they are."""
    place = 0
    for segment in contigs.segments:
        count = segment.minimum if isinstance(segment, FreeSegment) else len(segment.residues)
        if isinstance(segment, FixedSegment) and tuple(residues[place : place + count]) != segment.residues:
            raise InputError("in partial diffusion every stretch stays in its place", key="contigmap.contigs",
                             found=str(segment), allowed=str(residues[min(place, len(residues) - 1)]))  # fmt: skip
        if isinstance(segment, FreeSegment) and segment.minimum != segment.maximum:
            raise InputError("partial diffusion keeps the number of residues", key="contigmap.contigs",
                             found=str(segment), allowed="a number")  # fmt: skip
        place += count
    if place != len(residues):
        raise InputError("partial diffusion keeps the number of residues", key="contigmap.contigs",
                         found=f"{contigs}: {place} residues", allowed=f"{len(residues)} residues")  # fmt: skip


def partial_noise(schedule: Mapping[str, float], steps: int) -> float:
    """The noise (Å per coordinate) that RFdiffusion has after ``steps`` of its T, on coordinates that are not shrunk.

    Its linear schedule from b_0 to b_T (both times 200 / T) shrinks coordinates by the root of alpha bar and adds noise
    of variance 1 - alpha bar, in units of 1 / crd_scale Å. Raises InputError for steps that it does not have.
    """
    total = round(schedule["T"])
    if not 1 <= steps <= total:
        raise InputError("no step of the schedule", key="diffuser.partial_T", found=steps, allowed=f"1 to {total}")
    betas = np.linspace(schedule["b_0"] * 200 / total, schedule["b_T"] * 200 / total, total)
    kept = float(np.prod(1 - betas[:steps]))
    return math.sqrt((1 - kept) / kept) / schedule["crd_scale"]


def _provided(text: str, residues: Sequence[ResidueId]) -> list[str]:
    """Places in the design, from 0, as residues of the structure."""
    found = []
    for item in list_items(text):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", item)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not low <= high < len(residues):
            raise InputError("no places in the design, counted from 0", key="contigmap.provide_seq", found=item,
                             allowed=f"0 to {len(residues) - 1}")  # fmt: skip
        found += [str(residue) for residue in residues[low : high + 1]]
    return found


def _residues(given: Mapping[str, str], found: Imported) -> None:
    if "contigmap.inpaint_seq" in given:
        found.data["redesign"] = [
            part for item in list_items(given["contigmap.inpaint_seq"]) for part in item.split("/")
        ]
    if "ppi.hotspot_res" in given:
        found.data["hotspots"] = list_items(given["ppi.hotspot_res"])


def _cyclic(given: Mapping[str, str], contigs: Contigs, found: Imported) -> None:
    if not _true(given.get("inference.cyclic")):
        return
    designed = contigs.designed_chain_ids
    asked = given.get("inference.cyc_chains", "a").strip("'\"").upper()
    # RFdiffusion counts the chains of the contigs as A, B, C ...; ours keep the names of targets.
    chains = [
        contigs.chain_ids[ord(letter) - ord("A")] for letter in asked if ord(letter) - ord("A") < len(contigs.chains)
    ]
    wrong = [chain for chain in chains if chain not in designed]
    if wrong or len(chains) != len(asked):
        raise InputError("only chains with new residues can be made cyclic", key="inference.cyc_chains", found=asked)
    found.data["cyclic"] = chains


def _sampling(given: Mapping[str, str], found: Imported) -> None:
    scales = {given[key] for key in _NOISE_SCALES if key in given} - {"1", "1.0"}
    if len(scales) > 1:
        raise InputError("structdiff has one noise scale", key=_NOISE_SCALES[0], found=", ".join(sorted(scales)))
    for key in _OTHER_NOISE:
        if key in given and given[key] not in ("1", "1.0", "constant"):
            raise InputError("structdiff's noise scale does not change on the way", key=key, found=given[key])
    if scales:
        found.options["--noise-scale"] = scales.pop()
    _told(given, found)


def _told(given: Mapping[str, str], found: Imported) -> None:
    """Notes on what is let pass without a counterpart."""
    unread = [*INERT, *(f"diffuser.{key}" for key in _INERT_DIFFUSER)]
    if "diffuser.partial_T" not in given:  # whose noise is that of the schedule
        unread += [f"diffuser.{key}" for key in _DIFFUSER if key != "T"]
        if "diffuser.T" in given:
            found.notes.append(f"diffuser.T {given['diffuser.T']} counts RFdiffusion's steps: the weights recommend "
                               "how many structdiff takes, --steps says another number")  # fmt: skip
    inert = {key for key in given if key in unread}
    inert |= {f"{group}*" for group in _INERT_GROUPS for key in given if key.startswith(group)}
    if inert:
        found.notes.append(f"says how RFdiffusion computes, and has no counterpart: {', '.join(sorted(inert))}")
    idle = [key for key in ("inference.cyc_chains",) if key in given and not found.data.get("cyclic")]
    if not list_items(given.get("potentials.guiding_potentials", "[]")):
        idle += [key for key in _OF_POTENTIALS if key in given]
    if idle:
        found.notes.append(f"asks nothing by itself, and is left out: {', '.join(idle)}")
    if "--config-name" in given:
        found.notes.append(f"--config-name {given['--config-name']}: this file of RFdiffusion is not read; only what "
                           "is given beside it counts")  # fmt: skip


def _true(value: str | None) -> bool:
    return value is not None and value.strip().lower() in ("true", "1", "yes")


def _whole(text: str, key: str) -> int:
    if not text.strip().isdigit():
        raise InputError("must be a whole number", key=key, found=text)
    return int(text)
