"""What a picture of a structure is made of: atoms, how each residue is drawn, and its colours; data for 3Dmol.js."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from structdiff.structure.tables import ChainKind

CARTOON, TRACE, STICKS, SPHERES = range(4)

CONFIDENCE_BANDS = (
    (90.0, "#0053d6", "Very high (above 90)"),
    (70.0, "#65cbf3", "Confident (70 to 90)"),
    (50.0, "#ffdb13", "Low (50 to 70)"),
    (-np.inf, "#ff7d45", "Very low (below 50)"),
)
"""Lower bound, colour and name of each pLDDT band, as the AlphaFold database draws them."""

CHAIN_COLORS = (
    "#3b7dd8", "#e69f00", "#009e73", "#cc79a7", "#8a6fd1", "#d55e00", "#56b4e9", "#b5a51c", "#7a8b99", "#a0522d",
)  # fmt: skip
MOTIF_COLOR, SCAFFOLD_COLOR, TARGET_COLOR, LIGAND_COLOR = "#e0662b", "#7f9bb8", "#5aa469", "#8d939b"

_KIND_WORDS = {
    ChainKind.PROTEIN: "protein",
    ChainKind.DNA: "DNA",
    ChainKind.RNA: "RNA",
    ChainKind.LIGAND: "ligand",
}


@dataclass(frozen=True, kw_only=True)
class SceneResidue:
    """One residue as drawn; roles are ``motif``, ``scaffold`` and ``target``, or "" when no residue map is at hand."""

    chain: int
    kind: ChainKind
    name: str
    number: int
    insertion_code: str
    draw: int = STICKS
    secondary_structure: str = "c"
    role: str = ""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything a viewer needs; ``frames`` (frame, atom, 3) in Å, the last frame is the one that is measured."""

    name: str
    chains: tuple[str, ...]
    residues: tuple[SceneResidue, ...]
    atom_residue: np.ndarray
    atom_name: tuple[str, ...]
    element: tuple[str, ...]
    b_factor: np.ndarray
    bonds: np.ndarray  # (bond, 3): two atoms and the order
    frames: np.ndarray
    confident: bool  # the B-factors are pLDDT

    @property
    def has_motif(self) -> bool:
        """Whether a residue map told motif from scaffold."""
        return any(residue.role for residue in self.residues)

    def confidence(self) -> np.ndarray:
        """Mean pLDDT (0 to 100) of each residue; files that count from 0 to 1 are brought to 100."""
        counts = np.bincount(self.atom_residue, minlength=len(self.residues))
        means = np.bincount(self.atom_residue, self.b_factor, len(self.residues)) / np.maximum(counts, 1)
        return means * (100 if self.b_factor.size and 0 < self.b_factor.max() <= 1 else 1)

    def colors(self) -> dict[str, list[str]]:
        """A colour for each residue, in every way of colouring that this scene allows."""
        bands = {"confidence": [confidence_color(value) for value in self.confidence()]}
        chain = {"chain": [self._molecule_color(r, CHAIN_COLORS[r.chain % len(CHAIN_COLORS)]) for r in self.residues]}
        by_role = {"motif": MOTIF_COLOR, "scaffold": SCAFFOLD_COLOR, "target": TARGET_COLOR}
        motif = {"motif": [self._molecule_color(r, by_role[r.role]) for r in self.residues]} if self.has_motif else {}
        return {**chain, **bands, **motif}

    @staticmethod
    def _molecule_color(residue: SceneResidue, color: str) -> str:
        """Ligands stay grey, so that they stand out from their chain; ``color`` for the rest."""
        return LIGAND_COLOR if residue.kind == ChainKind.LIGAND else color

    def to_json(self) -> dict[str, object]:
        """The scene as ``data/scene.js`` reads it."""
        return {
            "name": self.name,
            "chains": [{"name": name, "text": self._chain_text(row)} for row, name in enumerate(self.chains)],
            "residues": [
                {
                    "chain": r.chain, "name": r.name, "number": r.number, "icode": r.insertion_code, "draw": r.draw,
                    "ss": r.secondary_structure, "motif": r.role == "motif",
                }
                for r in self.residues
            ],
            "atoms": [
                [int(residue), name, element, round(float(b), 2)]
                for residue, name, element, b in zip(
                    self.atom_residue, self.atom_name, self.element, self.b_factor, strict=True
                )
            ],
            "bonds": self.bonds.tolist(),
            "frames": [base64.b64encode(frame.astype("<f4").tobytes()).decode("ascii") for frame in self.frames],
            "colors": self.colors(),
            "chainColors": [CHAIN_COLORS[row % len(CHAIN_COLORS)] for row in range(len(self.chains))],
            "legends": {
                "confidence": [[color, text] for _, color, text in CONFIDENCE_BANDS],
                "motif": [
                    [color, text]
                    for color, role, text in (
                        (MOTIF_COLOR, "motif", "Motif"),
                        (SCAFFOLD_COLOR, "scaffold", "Scaffold (designed)"),
                        (TARGET_COLOR, "target", "Given chain"),
                    )
                    if any(r.role == role for r in self.residues)
                ],
            },
        }  # fmt: skip

    def _chain_text(self, chain: int) -> str:
        members = [r for r in self.residues if r.chain == chain]
        parts = []
        for kind in (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA):
            count = sum(r.kind == kind for r in members)
            if count:
                parts.append(f"{_KIND_WORDS[kind]}, {count} {'residue' if count == 1 else 'residues'}")
        ligands = dict.fromkeys(r.name for r in members if r.kind == ChainKind.LIGAND)
        if ligands:
            names = list(ligands)
            parts.append(", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else ""))
        return "; ".join(parts)


def confidence_color(plddt: float) -> str:
    """Colour of a pLDDT value (0 to 100) in AlphaFold's four bands.

    >>> confidence_color(95.0), confidence_color(30.0)
    ('#0053d6', '#ff7d45')
    """
    return next(color for bound, color, _ in CONFIDENCE_BANDS if plddt >= bound)
