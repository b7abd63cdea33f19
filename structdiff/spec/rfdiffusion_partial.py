"""RFdiffusion's partial diffusion: how much noise its steps are, and what of the structure is kept."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from structdiff.errors import InputError
from structdiff.spec.contigs import Contigs
from structdiff.spec.imported import Imported, KnownStructure
from structdiff.spec.rfdiffusion_command import list_items
from structdiff.spec.rfdiffusion_settings import DIFFUSER, whole_number
from structdiff.spec.segments import FixedSegment, FreeSegment, ResidueId


def partial_diffusion(
    given: Mapping[str, str], contigs: Contigs, found: Imported, structure: Callable[[], KnownStructure] | None
) -> None:
    """Adds what partial diffusion asks to what was found. Raises InputError where the contigs change the structure."""
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
    sigma = partial_noise(_schedule(given), whole_number(given["diffuser.partial_T"], "diffuser.partial_T"))
    found.data["contigs"], found.data["noise"] = "*", f"{sigma:.2g}"
    found.notes.append(f"partial_T {given['diffuser.partial_T']} of RFdiffusion is noise of {sigma:.2g} Å")
    if "contigmap.provide_seq" in given:
        found.data["keep_sequence"] = _provided(given["contigmap.provide_seq"], residues)


def _schedule(given: Mapping[str, str]) -> dict[str, float]:
    """The numbers of the noise schedule; raises InputError for what is none."""
    found = {}
    for key, usual in DIFFUSER.items():
        text = given.get(f"diffuser.{key}", str(usual))
        try:
            found[key] = float(text)
        except ValueError:
            found[key] = math.nan
        if not 0 < found[key] < math.inf:
            raise InputError("must be a number above 0", key=f"diffuser.{key}", found=text)
    return found


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
    of variance 1 - alpha bar, in units of 1 / crd_scale Å. Raises InputError for steps that it does not have, and for
    a schedule that shrinks coordinates to nothing.
    """
    total = round(schedule["T"])
    if not 1 <= steps <= total:
        raise InputError("no step of the schedule", key="diffuser.partial_T", found=steps, allowed=f"1 to {total}")
    betas = np.linspace(schedule["b_0"] * 200 / total, schedule["b_T"] * 200 / total, total)
    if betas[:steps].max() >= 1:
        raise InputError("so much noise leaves nothing of the structure", key="diffuser.b_T", found=schedule["b_T"],
                         allowed=f"below {total / 200:g} for {total} steps")  # fmt: skip
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
