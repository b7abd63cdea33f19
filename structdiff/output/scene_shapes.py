"""How each residue of a scene is drawn: as cartoon, trace, sticks or sphere, helices and strands told apart."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from structdiff.output.scene import CARTOON, SPHERES, STICKS, TRACE, Scene, SceneResidue
from structdiff.structure.tables import ChainKind

_SIDES = {"a": "h", "b": "s"}  # P-SEA's letters to 3Dmol.js's
_NUCLEOTIDES = frozenset(("A", "C", "G", "U", "T", "DA", "DC", "DG", "DT"))  # those 3Dmol.js knows how to draw


def shaped_residues(scene: Scene) -> tuple[SceneResidue, ...]:
    """Chooses cartoon, trace, sticks or sphere for each residue, and finds helices and strands."""
    names: list[set[str]] = [set() for _ in scene.residues]
    for row, name in zip(scene.atom_residue, scene.atom_name, strict=True):
        names[row].add(name)
    drawn = list(scene.residues)
    for chain in range(len(scene.chains)):
        polymer = [i for i, r in enumerate(drawn) if r.chain == chain and r.kind != ChainKind.LIGAND]
        protein = [i for i in polymer if drawn[i].kind == ChainKind.PROTEIN and "CA" in names[i]]
        for i, state in zip(protein, _secondary_structure(scene, protein), strict=True):
            drawn[i] = replace(drawn[i], secondary_structure=state)
        whole = sum(_has_cartoon_atoms(drawn[i].kind, names[i]) for i in polymer)
        for i in polymer:
            single = len(polymer) < 3 or (drawn[i].kind != ChainKind.PROTEIN and drawn[i].name not in _NUCLEOTIDES)
            shape = CARTOON if 2 * whole > len(polymer) else TRACE
            drawn[i] = replace(drawn[i], draw=STICKS if single and len(names[i]) > 1 else shape)
    lone = [i for i, r in enumerate(drawn) if r.kind == ChainKind.LIGAND and len(names[i]) == 1]
    for i in lone:
        drawn[i] = replace(drawn[i], draw=SPHERES)
    return tuple(drawn)


def _has_cartoon_atoms(kind: ChainKind, names: set[str]) -> bool:
    return {"CA", "O"} <= names if kind == ChainKind.PROTEIN else {"O5'", "C5'"} <= names


def _secondary_structure(scene: Scene, residues: list[int]) -> list[str]:
    """Helix, strand or coil from the alpha carbons alone (P-SEA, Labesse et al. 1997), so traces have it too."""
    from biotite import structure as biotite_structure  # slow to import

    alpha = {int(scene.atom_residue[i]): i for i, name in enumerate(scene.atom_name) if name == "CA"}
    positions = scene.frames[-1][[alpha[i] for i in residues]]
    states = ["c"] * len(residues)
    breaks = np.flatnonzero(np.linalg.norm(np.diff(positions, axis=0), axis=1) > 4.5) + 1
    for segment in np.split(np.arange(len(residues)), breaks):
        if len(segment) < 6:
            continue
        # P-SEA looks at positions only, but biotite skips residue names it does not know
        array = biotite_structure.array(
            [
                biotite_structure.Atom(positions[i], res_id=place, res_name="GLY", atom_name="CA", element="C")
                for place, i in enumerate(segment)
            ]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            letters = biotite_structure.annotate_sse(array)
        for i, letter in zip(segment, letters, strict=True):
            states[i] = _SIDES.get(str(letter), "c")
    return states
