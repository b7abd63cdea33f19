"""Options of ``structdiff design`` for single design problems; each is a key of a design's file too."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from structdiff.errors import InputError

Option = inspect.Parameter

_PANEL = "Motif, target, fold"
_HELP = {
    "unindexed": "Stretches of the motif's file whose order and place in the chain are free: A45/A60-62.",
    "ligands": "Ligands and ions of the motif's file that stay where they are: HEM, or A301.",
    "backbone_only": "Motif residues of which only the backbone is held: A163-170.",
    "tip": "Motif residues of which only the functional group is held: A57,A102.",
    "held_atoms": "Motif residues of which only some atoms are held: A108=ND2/CG,A139=OG.",
    "redesign": "Motif residues that get a new amino acid: A165,A170.",
    "epitope": "Chains of the motif's file whose place the binder takes: the residues they touch become hotspots.",
    "target_crop": "How much of a large target is drawn: auto, none (all of it), or a number of residues.",
    "fold_plan": "Where the fold of new chains comes from when nothing is said of it: ideal (a sheet with "
    "helices, a helix bundle or two sheets), designable (one of these that is easier to find sequences for), "
    "natural (that of a natural chain), hallucinated (that of a sequence made up until trRosetta is sure of it; needs "
    "weights fetch trrosetta, and a minute and more), none (the network's own), or auto (none for weights that have "
    "learnt folds, else ideal).",
    "fold_of": "Structure whose helices, strands and their neighbourhood the design takes over.",
    "adjacent": "Helices and strands that lie side by side, counted from 1: 1-2,2-4.",
    "apart": "Helices and strands that do not touch: 1-3.",
    "parallel": "Adjacent strands that run the same way; two with one helix between them are taken to: 1-4.",
    "inpaint": "Loops of the motif's file to build anew: A20-30, A20-30:8-14 for another length, gaps for what is "
    "missing.",
    "noise": "Partial diffusion: the noise added to the motif's file, in Å or as a share of the steps: 8, or 40%.",
    "hold": "What partial diffusion leaves as it is: A20-35,B.",
    "keep_sequence": "What keeps its amino acids in partial diffusion: A1-20, or all.",
    "symmetry": "Copies that the design is one of: C3, D2, T, O, I, or helical:copies=8,rise=10,twist=45.",
    "disulfides": "Residues of the design joined by disulfides: A2-A14; A-1 is the last one of chain A.",
}

#: Noise (Å) at which the fold of a structure is still to be seen.
_USUAL_NOISE = "4"
_PARTIAL_HELP = f"Structure to vary by partial diffusion: as --motif with --noise ({_USUAL_NOISE} unless said)."


def problem_options() -> list[Option]:
    """The options in the order of their help."""
    found = []
    for name, text in _HELP.items():
        info = typer.Option(f"--{name.replace('_', '-')}", help=text, rich_help_panel=_PANEL, show_default=False)
        found.append(Option(name, Option.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, info]))
    info = typer.Option("--partial", help=_PARTIAL_HELP, rich_help_panel=_PANEL, show_default=False)
    found.append(Option("partial", Option.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, info]))
    help_text = "An energy to follow, several times if need be: 'radius_of_gyration target=14 weight=2'."
    info = typer.Option("--energy", help=help_text, rich_help_panel=_PANEL, show_default=False)
    found.append(Option("energy", Option.KEYWORD_ONLY, default=None, annotation=Annotated[list[str] | None, info]))
    return found


def asked_problem(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the options of this file ask, by the keys of a design; None where nothing was given. Raises InputError."""
    asked = {name: given.get(name) for name in _HELP}
    if given.get("partial") is not None:
        if given.get("motif") is not None:
            raise InputError("is a second structure beside that of --motif", key=f"--partial {given['partial']}",
                             found=f"--motif {given['motif']}",
                             allowed="one of them: --partial, or --motif with --noise")  # fmt: skip
        asked |= {"motif": given["partial"], "noise": asked["noise"] or _USUAL_NOISE}
    return {**asked, "energies": given.get("energy") or None}


def read_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a design from the texts of options. Raises InputError."""
    from structdiff.spec.design_keys import KEYS
    from structdiff.spec.energy_text import parse_energy

    found = {}
    for key, value in given.items():
        if key == "energies":
            found[key] = tuple(parse_energy(text) for text in value)
        else:
            found[key] = KEYS[key].text(str(value)) if isinstance(value, str) or key == "motif" else value
    return found
