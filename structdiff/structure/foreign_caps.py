"""Caps of chains as force fields call them: residues of their own, by the dictionary's names."""

from __future__ import annotations

from collections.abc import Mapping

import gemmi

#: Amber's and Maestro's, whose names are other molecules' in the dictionary, or whose atoms it calls otherwise.
_CAPS = {"NHE": ("NH2", {"N": "N"}), "NMA": ("NME", {"N": "N", "CA": "C"}), "NME": ("NME", {"N": "N", "CH3": "C"})}
#: CHARMM's, which are atoms of the first residue and the last (patches ACE, CT3, CT2 of top_all36_prot.rtf).
_FIRST = {"CY": "C", "OY": "O", "CAY": "CH3"}
_LAST = {"NT": "N", "CAT": "C"}


def rename_caps(chain: gemmi.Chain) -> None:
    """Renames caps and their atoms; those that are atoms of another residue become residues beside it."""
    for residue in chain:
        code, new = _CAPS.get(residue.name, ("", {}))
        if code and {atom.name for atom in residue} == new.keys():
            residue.name = code
            for atom in residue:
                atom.name = new[atom.name]
    for row in reversed(range(len(chain))):
        names = {atom.name for atom in chain[row]}
        if {"N", "CA", "C", "NT"} <= names:
            _set_apart(chain, row, "NME" if "CAT" in names else "NH2", _LAST, 1)
        if {"N", "CA", "C"} | _FIRST.keys() <= names:
            _set_apart(chain, row, "ACE", _FIRST, -1)


def _set_apart(chain: gemmi.Chain, row: int, code: str, new: Mapping[str, str], step: int) -> None:
    """Makes a residue of some atoms of another one, beside it; its number is the next or the one before."""
    whole = chain[row]
    number = (whole.seqid.num or 0) + step
    if number in {residue.seqid.num for residue in chain}:
        return
    cap = whole.clone()
    cap.name, cap.seqid, cap.label_seq = code, gemmi.SeqId(number, " "), None
    for residue, are_caps in ((cap, False), (whole, True)):
        for at in reversed(range(len(residue))):
            if (residue[at].name in new) == are_caps:
                del residue[at]
    for atom in cap:
        atom.name = new[atom.name]
    chain.add_residue(cap, row + (step > 0))
