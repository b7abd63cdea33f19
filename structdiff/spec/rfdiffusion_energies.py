"""RFdiffusion's guiding potentials as energies of structdiff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from structdiff.errors import InputError
from structdiff.spec.contigs import Contigs
from structdiff.spec.imported import Imported
from structdiff.spec.rfdiffusion_command import list_items
from structdiff.spec.symmetry import Symmetry

_FIELDS = {
    "monomer_ROG": ("weight", "min_dist"),
    "binder_ROG": ("weight", "min_dist", "binderlen"),
    "monomer_contacts": ("weight", "r_0", "d_0", "eps"),
    "binder_ncontacts": ("weight", "r_0", "d_0", "binderlen"),
    "interface_ncontacts": ("weight", "r_0", "d_0", "binderlen"),
    "olig_contacts": ("weight", "weight_intra", "weight_inter", "r_0", "d_0"),
    "substrate_contacts": ("weight", "r_0", "d_0", "s", "eps", "rep_r_0", "rep_s", "rep_r_min"),
}
#: Those that say how a potential is weighed or smoothed, or what the contigs tell already.
_UNREAD = ("d_0", "eps", "s", "rep_r_0", "rep_s", "rep_r_min", "binderlen")
_CONTACT = "8"
_NOT_COMPARABLE = (
    "weights of RFdiffusion's potentials mean nothing here: all energies have weight 1, change them as needed"
)


def energies_from_potentials(
    given: Mapping[str, str], contigs: Contigs, symmetry: Symmetry | None, found: Imported
) -> None:
    """Writes energies, and ligands of a substrate, into a design; raises InputError for what has no counterpart."""
    if "potentials.olig_custom_contact" in given:
        raise InputError("structdiff cannot choose which copies touch", key="potentials.olig_custom_contact",
                         found=given["potentials.olig_custom_contact"], allowed="energies between chains")  # fmt: skip
    energies: list[dict[str, Any]] = []
    for text in list_items(given.get("potentials.guiding_potentials", "[]")):
        kind, fields = _parsed(text)
        energies += _energies(kind, fields, given, contigs, symmetry, found)
        unread = [name for name in fields if name in _UNREAD]
        if unread:
            found.notes.append(f"{', '.join(unread)} of {kind}: no counterpart")
    if "potentials.substrate" in given:
        found.data["ligands"] = list_items(given["potentials.substrate"])
    if energies:
        decay = given.get("potentials.guide_decay", "constant").strip("'\"")
        if decay != "constant":
            # A decay makes potentials weak towards the end, where ours act below 2 Å of noise.
            energies = [{kind: {**fields, "schedule": "early"}} for each in energies for kind, fields in each.items()]
        found.data["energies"] = energies
        found.notes.append(_NOT_COMPARABLE)


def _parsed(text: str) -> tuple[str, dict[str, str]]:
    fields = dict((part.split(":", 1) + [""])[:2] for part in text.split(","))
    kind = fields.pop("type", "")
    if kind not in _FIELDS:
        raise InputError("structdiff has no counterpart of this potential", key="potentials.guiding_potentials",
                         found=kind or text, allowed=list(_FIELDS), suggest_from=_FIELDS)  # fmt: skip
    for name in fields:
        if name not in _FIELDS[kind]:
            raise InputError(f"{kind} has no such setting", key="potentials.guiding_potentials", found=name,
                             allowed=_FIELDS[kind], suggest_from=_FIELDS[kind])  # fmt: skip
    return kind, fields


def _energies(
    kind: str,
    fields: Mapping[str, str],
    given: Mapping[str, str],
    contigs: Contigs,
    symmetry: Symmetry | None,
    found: Imported,
) -> list[dict[str, Any]]:
    designed, every = contigs.designed_chain_ids, contigs.chain_ids
    distance = float(fields.get("r_0", _CONTACT))
    if kind in ("monomer_ROG", "binder_ROG"):
        chains = {} if kind == "monomer_ROG" else {"chains": list(designed)}
        if "min_dist" in fields:
            found.notes.append(f"min_dist of {kind} has no counterpart: give radius_of_gyration a target instead")
        return [{"radius_of_gyration": chains}]
    if kind in ("monomer_contacts", "binder_ncontacts"):
        return [{"contacts": {"chains": [chain], "distance": distance}} for chain in designed]
    if kind == "interface_ncontacts":
        targets = [chain for chain in every if chain not in designed]
        if not targets:
            raise InputError("there is no target to touch", key="potentials.guiding_potentials", found=kind)
        return [{"contacts": {"chains": [one, other], "distance": distance}} for one in designed for other in targets]
    if kind == "substrate_contacts":
        if "potentials.substrate" not in given:
            raise InputError("the substrate is not named", key="potentials.substrate", allowed="its code in the file")
        found.notes.append("substrate_contacts: the ligand is held, and the design keeps off it and beside it")
        return []
    if symmetry is not None:
        found.notes.append("olig_contacts: copies of a symmetric design are always brought into contact, without clash")
        return []
    pairs = [[one] for one in designed]
    pairs += [[one, other] for place, one in enumerate(designed) for other in designed[place + 1 :]]
    return [{"contacts": {"chains": pair, "distance": distance}} for pair in pairs]
