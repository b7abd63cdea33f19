"""RFdiffusion's settings as a design of structdiff: what it asks, in our words; what we cannot do is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from string import ascii_uppercase

from structdiff.errors import InputError
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.contigs import Contigs
from structdiff.spec.imported import Imported, KnownStructure
from structdiff.spec.rfdiffusion_command import is_unset, list_items
from structdiff.spec.rfdiffusion_copies import of_one_copy
from structdiff.spec.rfdiffusion_energies import energies_from_potentials
from structdiff.spec.rfdiffusion_partial import partial_diffusion
from structdiff.spec.rfdiffusion_settings import (
    DIFFUSER,
    INERT,
    INERT_DIFFUSER,
    INERT_GROUPS,
    NOISE_SCALES,
    OF_POTENTIALS,
    OTHER_NOISE,
    check_settings,
    is_true,
    whole_number,
)
from structdiff.spec.symmetry import Symmetry, parse_symmetry


def design_from_rfdiffusion(
    settings: Mapping[str, str], *, structure: Callable[[], KnownStructure] | None = None
) -> Imported:
    """The design that RFdiffusion's settings ask for.

    ``structure`` reads the input structure; it is called only where the settings cannot be understood without it.
    Raises InputError for unknown settings and for what structdiff cannot do.
    """
    check_settings(settings)
    given = {key: value for key, value in settings.items() if not is_unset(value)}
    found = Imported(data={"version": 1, "name": Path(given.get("inference.output_prefix", "design")).name or "design"})
    if "inference.input_pdb" in given:
        found.data["motif"] = given["inference.input_pdb"]
    contigs, symmetry = _contigs(given, found, structure)
    if "diffuser.partial_T" in given:
        partial_diffusion(given, contigs, found, structure)
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
    found.data["num_designs"] = whole_number(given.get("inference.num_designs", "10"), "inference.num_designs")
    _sampling(given, found)
    return found


def _contigs(
    given: Mapping[str, str], found: Imported, structure: Callable[[], KnownStructure] | None
) -> tuple[Contigs, Symmetry | None]:
    if "contigmap.contigs" not in given:
        raise InputError("there are no contigs", key="contigmap.contigs", allowed="[10-40/A163-181/10-40], say")
    contigs = parse_contigs(" ".join(list_items(given["contigmap.contigs"])))
    if "inference.symmetry" not in given:
        return contigs, None
    symmetry = parse_symmetry(given["inference.symmetry"].strip("'\""))
    contigs, placed = of_one_copy(contigs, symmetry, structure)
    if placed:
        symmetry = parse_symmetry(f"{symmetry}:motif=placed")
        found.notes.append("the motif stays where its file has it: axis along z, through the origin, as in RFdiffusion")
    found.data["symmetry"] = str(symmetry)
    found.notes.append(f"contigs are those of one of {len(symmetry.operators)} copies")
    return contigs, symmetry


def _residues(given: Mapping[str, str], found: Imported) -> None:
    if "contigmap.inpaint_seq" in given:
        found.data["redesign"] = [
            part for item in list_items(given["contigmap.inpaint_seq"]) for part in item.split("/")
        ]
    if "ppi.hotspot_res" in given:
        found.data["hotspots"] = list_items(given["ppi.hotspot_res"])


def _cyclic(given: Mapping[str, str], contigs: Contigs, found: Imported) -> None:
    if not is_true(given.get("inference.cyclic")):
        return
    designed = contigs.designed_chain_ids
    asked = given.get("inference.cyc_chains", "a").strip("'\"").upper()
    # RFdiffusion counts the chains of the contigs as A, B, C ...; ours keep the names of targets.
    called = dict(zip(ascii_uppercase, contigs.chain_ids, strict=False))
    chains = [called[letter] for letter in asked if letter in called]
    wrong = [chain for chain in chains if chain not in designed]
    if wrong or len(chains) != len(asked):
        raise InputError("only chains with new residues can be made cyclic", key="inference.cyc_chains", found=asked,
                         allowed="their letters in the contigs: a for the first chain, ab for two")  # fmt: skip
    found.data["cyclic"] = chains


def _sampling(given: Mapping[str, str], found: Imported) -> None:
    asked = {key: given.get(key, "1") for key in NOISE_SCALES}  # RFdiffusion's own are 1
    scales = set(asked.values()) - {"1", "1.0"}
    if len(scales) > 1:
        raise InputError("structdiff has one noise scale", key=NOISE_SCALES[0], found=", ".join(sorted(scales)))
    if scales and len(set(map(_as_one, asked.values()))) > 1:
        told = ", ".join(f"{key.removeprefix('denoiser.')} {value}" for key, value in asked.items())
        found.notes.append(f"{told}: structdiff has one noise scale for both, and {min(scales)} is taken")
    for key in OTHER_NOISE:
        if key in given and given[key] not in ("1", "1.0", "constant"):
            raise InputError("structdiff's noise scale does not change on the way", key=key, found=given[key])
    if scales:
        found.options["--noise-scale"] = scales.pop()
    _told(given, found)


def _as_one(scale: str) -> str:
    return "1" if scale == "1.0" else scale


def _told(given: Mapping[str, str], found: Imported) -> None:
    """Notes on what is let pass without a counterpart."""
    unread = [*INERT, *(f"diffuser.{key}" for key in INERT_DIFFUSER)]
    if "diffuser.partial_T" not in given:  # whose noise is that of the schedule
        unread += [f"diffuser.{key}" for key in DIFFUSER if key != "T"]
        if "diffuser.T" in given:
            found.notes.append(f"diffuser.T {given['diffuser.T']} counts RFdiffusion's steps: the weights recommend "
                               "how many structdiff takes, --steps says another number")  # fmt: skip
    inert = {key for key in given if key in unread}
    inert |= {f"{group}*" for group in INERT_GROUPS for key in given if key.startswith(group)}
    if inert:
        found.notes.append(f"says how RFdiffusion computes, and has no counterpart: {', '.join(sorted(inert))}")
    idle = [key for key in ("inference.cyc_chains",) if key in given and not found.data.get("cyclic")]
    if not list_items(given.get("potentials.guiding_potentials", "[]")):
        idle += [key for key in OF_POTENTIALS if key in given]
    if idle:
        found.notes.append(f"asks nothing by itself, and is left out: {', '.join(idle)}")
    if "--config-name" in given:
        found.notes.append(f"--config-name {given['--config-name']}: this file of RFdiffusion is not read; only what "
                           "is given beside it counts")  # fmt: skip
