"""What a picture of a structure is made of: atoms, how each residue is drawn, and its colours; data for 3Dmol.js."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import gemmi
import numpy as np
from scipy.spatial import KDTree

from structdiff.errors import InputError
from structdiff.structure.files import parsed_file
from structdiff.structure.tables import ChainKind, Structure

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

_SIDES = {"a": "h", "b": "s"}  # P-SEA's letters to 3Dmol.js's
_NUCLEOTIDES = frozenset(("A", "C", "G", "U", "T", "DA", "DC", "DG", "DT"))  # those 3Dmol.js knows how to draw
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


def build_scene(
    source: str | Path | Structure,
    *,
    residue_map: Mapping[str, object] | None = None,
    trajectory: str | Path | np.ndarray | Sequence[np.ndarray] | None = None,
) -> Scene:
    """Prepares a structure for drawing: heavy atoms without water, secondary structure, roles, frames.

    residue_map: as ``Layout.residue_map`` writes it; the residues it lists are the motif's, and chains of which it
    lists all are the given ones.

    A file with several models becomes an animation of the atoms that all models share. ``trajectory`` adds frames to a
    single structure: a multi-model file, or positions (frame, atom, 3) in Å of the atoms drawn.

    Raises InputError for files that cannot be read, hold no atoms, or do not fit the trajectory.
    """
    scene = _from_structure(source) if isinstance(source, Structure) else _from_file(Path(source))
    if trajectory is not None:
        scene = replace(scene, frames=_trajectory_frames(scene, trajectory))
    residues = _with_roles(scene, residue_map) if residue_map is not None else scene.residues
    residues = _with_drawing(replace(scene, residues=residues))
    return replace(scene, residues=residues)


def _from_structure(structure: Structure) -> Scene:
    water = structure.chains.kind[structure.atom_chain] == ChainKind.WATER
    shown = structure.select(structure.atoms.resolved & ~water & (structure.atoms.element > 1))
    if len(shown.atoms) == 0:
        raise InputError("the structure has no resolved atoms to draw")
    table, residues = shown.residues, shown.residues.chain
    rows = [
        SceneResidue(
            chain=int(residues[i]), kind=ChainKind(int(shown.chains.kind[residues[i]])), name=str(table.name[i]),
            number=int(table.author_seq_id[i]), insertion_code=str(table.insertion_code[i]).strip(),
        )
        for i in range(len(table))
    ]  # fmt: skip
    bonds = np.stack([shown.bonds.atom_1, shown.bonds.atom_2, np.minimum(shown.bonds.order, 3)], 1).astype(int)
    b_factor = shown.atoms.b_factor.astype(float)
    return Scene(
        name=shown.name,
        chains=tuple(map(str, shown.chains.name)),
        residues=tuple(rows),
        atom_residue=shown.atoms.residue.astype(int),
        atom_name=tuple(map(str, shown.atoms.name)),
        element=tuple(gemmi.Element(int(number)).name for number in shown.atoms.element),
        b_factor=b_factor,
        bonds=bonds,
        frames=shown.atoms.positions[None].astype(np.float32),
        confident=not shown.metadata.get("method") and _looks_like_confidence(b_factor, shown.atoms.residue),
    )


def _from_file(path: Path) -> Scene:
    models, confident = _read_models(path)
    last, frames = models[-1], []
    shared = set(last).intersection(*models[:-1])
    if not shared:
        raise InputError("the models have no atoms in common", path=path)
    keys = [key for key in last if key in shared]
    frames = np.array([[model[key][1] for key in keys] for model in models], np.float32)
    residue_keys = list(dict.fromkeys(key[:4] for key in keys))
    row = {key: i for i, key in enumerate(residue_keys)}
    chains = list(dict.fromkeys(key[0] for key in residue_keys))
    kinds = {key[:4]: last[key][0] for key in keys}
    residues = [
        SceneResidue(chain=chains.index(chain), kind=kinds[chain, number, icode, name], name=name, number=number,
                     insertion_code=icode)
        for chain, number, icode, name in residue_keys
    ]  # fmt: skip
    atom_residue = np.array([row[key[:4]] for key in keys])
    element = tuple(last[key][2] for key in keys)
    b_factor = np.array([last[key][3] for key in keys])
    return Scene(
        name=path.name.removesuffix(".gz").rsplit(".", 1)[0],
        chains=tuple(chains),
        residues=tuple(residues),
        atom_residue=atom_residue,
        atom_name=tuple(key[4] for key in keys),
        element=element,
        b_factor=b_factor,
        bonds=_bonds_from_distances(frames[-1], element),
        frames=frames,
        confident=confident or (confident is None and _looks_like_confidence(b_factor, atom_residue)),
    )


_AtomKey = tuple[str, int, str, str, str]  # chain, number, insertion code, residue name, atom name
_AtomRecord = tuple[ChainKind, list[float], str, float]  # kind, position, element, B-factor


def _read_models(path: Path) -> tuple[list[dict[_AtomKey, _AtomRecord]], bool | None]:
    """Atoms of each model, and whether the B-factors are confidences (None: the file does not say)."""
    parsed = parsed_file(path)
    structure = parsed.structure
    structure.remove_alternative_conformations()
    structure.remove_waters()
    models = [_model_atoms(model) for model in structure]
    if not any(models):
        raise InputError("the file holds no atoms to draw", path=path)
    measured = "_exptl.method" in structure.info
    return [model for model in models if model], parsed.confident or (False if measured else None)


def _model_atoms(model: gemmi.Model) -> dict[_AtomKey, _AtomRecord]:
    atoms: dict[_AtomKey, _AtomRecord] = {}
    for chain in model:
        kind = _polymer_kind(chain)
        for residue in chain:
            polymer = residue.entity_type == gemmi.EntityType.Polymer and len(chain.get_polymer()) > 1
            residue_kind = kind if polymer and kind is not None else ChainKind.LIGAND
            number, icode = residue.seqid.num, residue.seqid.icode.strip()
            for atom in residue:
                if not np.isfinite(atom.pos.tolist()).all():
                    continue
                key = (chain.name, number if number is not None else 0, icode, residue.name, atom.name)
                atoms.setdefault(key, (residue_kind, atom.pos.tolist(), atom.element.name, atom.b_iso))
    return atoms


def _polymer_kind(chain: gemmi.Chain) -> ChainKind | None:
    kind = chain.get_polymer().check_polymer_type()
    if kind in (gemmi.PolymerType.PeptideL, gemmi.PolymerType.PeptideD):
        return ChainKind.PROTEIN
    if kind in (gemmi.PolymerType.Dna, gemmi.PolymerType.DnaRnaHybrid):
        return ChainKind.DNA
    return ChainKind.RNA if kind == gemmi.PolymerType.Rna else None


def _looks_like_confidence(b_factor: np.ndarray, atom_residue: np.ndarray) -> bool:
    """Values in 0..100 that differ between residues but not within them, as prediction programs write them."""
    if b_factor.size == 0 or b_factor.min() < 0 or b_factor.max() > 100 or np.ptp(b_factor) == 0:
        return False
    if np.isin(b_factor, (0, 1)).all():  # RFdiffusion marks what it has drawn with 0, what it was given with 1
        return False
    several = np.bincount(atom_residue)[atom_residue] > 1
    first = np.searchsorted(atom_residue, atom_residue)
    return bool(several.any()) and bool(np.allclose(b_factor, b_factor[first], atol=0.011))


def _bonds_from_distances(positions: np.ndarray, element: Sequence[str]) -> np.ndarray:
    """Single bonds between atoms nearer than their covalent radii and 0.4 Å."""
    radius = np.array([gemmi.Element(name).covalent_r for name in element])
    metal = np.array([gemmi.Element(name).is_metal for name in element])
    pairs = KDTree(positions).query_pairs(3.0, output_type="ndarray")
    length = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
    bonded = (length < radius[pairs].sum(1) + 0.4) & (length > 0.4) & ~metal[pairs].any(1)
    return np.concatenate([pairs[bonded], np.ones((int(bonded.sum()), 1), int)], 1)


def _trajectory_frames(scene: Scene, trajectory: str | Path | np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    if isinstance(trajectory, (str, Path)):
        models, _ = _read_models(Path(trajectory))
        owners = [scene.residues[row] for row in scene.atom_residue]
        keys = [
            (scene.chains[r.chain], r.number, r.insertion_code, r.name, name)
            for r, name in zip(owners, scene.atom_name, strict=True)
        ]
        missing = next((key for model in models for key in keys if key not in model), None)
        if missing is not None:
            label = f"{missing[0]}/{missing[3]}{missing[1]}{missing[2]}/{missing[4]}"
            raise InputError(f"the trajectory lacks atom {label} of the structure", path=trajectory)
        return np.array([[model[key][1] for key in keys] for model in models], np.float32)
    frames = np.asarray(trajectory, np.float32)
    if frames.ndim != 3 or frames.shape[1:] != (len(scene.atom_name), 3) or len(frames) == 0:
        wanted = f"(frames, {len(scene.atom_name)}, 3)"
        raise InputError("the trajectory does not fit the structure", found=frames.shape, allowed=wanted)
    return frames


def _with_roles(scene: Scene, residue_map: Mapping[str, object]) -> tuple[SceneResidue, ...]:
    records = residue_map.get("residues")
    if not isinstance(records, Sequence) or not all(isinstance(record, Mapping) for record in records):
        found = type(records).__name__
        raise InputError("a residue map is an object with the list 'residues'", key="residues", found=found)
    ends = [record.get("design") for record in records]
    if not all(isinstance(end, Mapping) and {"chain", "number"} <= end.keys() for end in ends):
        raise InputError("each residue of a residue map needs 'design' with 'chain' and 'number'", key="residues")
    given = {(str(end["chain"]), end["number"], end.get("insertion_code") or "") for end in ends}
    kept = [(scene.chains[r.chain], r.number, r.insertion_code) in given for r in scene.residues]
    polymer = [r.kind != ChainKind.LIGAND for r in scene.residues]
    designed = {r.chain for r, k, p in zip(scene.residues, kept, polymer, strict=True) if p and not k}
    return tuple(
        replace(r, role="scaffold" if not k else "motif" if r.chain in designed or not designed else "target")
        for r, k in zip(scene.residues, kept, strict=True)
    )


def _with_drawing(scene: Scene) -> tuple[SceneResidue, ...]:
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
