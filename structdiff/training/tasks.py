"""Training examples: a crop of a structure, and what of it the network is told in each of the tasks it learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.features.build import build_features
from structdiff.features.condition import (
    ADJACENT,
    APART,
    BURIED,
    EXPOSED,
    HELIX,
    HOTSPOT,
    KEEP_AWAY,
    LOOP,
    MAY_TOUCH,
    NO_HOTSPOT,
    PARTLY_BURIED,
    STRAND,
    Condition,
)
from structdiff.features.crop import crop_contiguous, crop_spatial
from structdiff.features.schema import Features
from structdiff.features.tokens import TokenTable, tokenise
from structdiff.structure.tables import ChainKind, Structure
from structdiff.training.step_settings import require_ranges

#: Distances (Å) between centre atoms: an interface, a residue's surroundings, touching fold elements.
_INTERFACE, _SURROUNDINGS, _TOUCHING = 8.0, 10.0, 8.0
#: Neighbours within the surroundings from which a residue counts as buried, and below which as exposed.
_MANY, _FEW = 20, 12
#: Motif groups that an example may have at most.
MOTIF_GROUPS = 3


@dataclass(frozen=True, kw_only=True)
class TaskMix:
    """How often each task is drawn, and how often each further condition is told.

    nothing_told: how often every condition is dropped at once, the motif too, so that guidance can compare; which
    residues are known stays. partial_sequence: how often half of the free residues change sides, known or hidden.
    redesigned: how often a prediction is learnt from a sequence designed for the backbone in place of nature's
    (``structdiff.training.redesign``); never in validation.
    """

    weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "predict": 0.2,
            "unconditional": 0.3,
            "motif": 0.3,
            "inpaint": 0.1,
            "binder": 0.1,
        }
    )
    partial_sequence: float = 0.1
    redesigned: float = 0.0
    nothing_told: float = 0.1
    secondary_structure: float = 0.15
    burial: float = 0.1
    contacts: float = 0.1
    fold_adjacency: float = 0.1
    hotspots: float = 0.7
    contiguous_crop: float = 0.6

    def __post_init__(self) -> None:
        require_ranges(self, {field.name: (0, 1) for field in fields(self) if field.name != "weights"})
        for name, weight in self.weights.items():
            if name not in _TASKS:
                raise InputError("no such task", key="weights", found=name, allowed=_TASKS, suggest_from=_TASKS)
            if isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0:
                raise InputError("must be how often the task is drawn", key=f"weights.{name}", found=weight,
                                 allowed="0 or more")  # fmt: skip
        if not sum(self.weights.values()):
            raise InputError("no task is drawn", key="weights", found=dict(self.weights), allowed=_TASKS)


def drawn_task(mix: TaskMix, rng: np.random.Generator) -> str:
    """One of the tasks of the mix, by its weight."""
    return str(rng.choice(list(mix.weights), p=np.array(list(mix.weights.values())) / sum(mix.weights.values())))


def training_example(
    structure: Structure, max_tokens: int, mix: TaskMix, rng: np.random.Generator, task: str, *, nucleic: bool = False
) -> Features:
    """One example: a crop of at most max_tokens tokens under the conditions of a task.

    nucleic: the crop is the neighbourhood of a nucleotide, of a structure that has some.
    """
    proteins = int((structure.chains.kind == ChainKind.PROTEIN).sum())
    if task == "binder" and proteins < 2:
        task = "motif"
    if nucleic:
        crop = crop_spatial(structure, max_tokens, rng, _nucleotide(structure, rng))
    else:
        contiguous = task != "binder" and rng.random() < mix.contiguous_crop
        crop = (crop_contiguous if contiguous else crop_spatial)(structure, max_tokens, rng)
    tokens = tokenise(crop)
    condition = draw_condition(crop, tokens, task, mix, rng)
    return build_features(crop, condition, tokens=tokens, only_resolved=True)


def _nucleotide(structure: Structure, rng: np.random.Generator) -> int:
    """The row of a nucleotide of which something was seen."""
    nucleic = np.isin(structure.chains.kind[structure.residues.chain], (ChainKind.DNA, ChainKind.RNA))
    seen = np.bincount(structure.atoms.residue[structure.atoms.resolved], minlength=len(nucleic)) > 0
    return int(rng.choice(np.flatnonzero(nucleic & seen)))


def draw_condition(crop: Structure, tokens: TokenTable, task: str, mix: TaskMix, rng: np.random.Generator) -> Condition:
    """What the network is told of a crop: everything the task fixes, and other conditions now and then."""
    protein = crop.chains.kind[tokens.chain] == ChainKind.PROTEIN
    resolved = crop.atoms.resolved[tokens.atoms[np.arange(len(tokens)), tokens.centre]]
    known, group = _TASKS[task](tokens, protein & tokens.standard, resolved, rng)
    if rng.random() < mix.partial_sequence:
        known = known ^ (rng.random(len(tokens)) < 0.5) & protein & (group == 0)
    condition = Condition.unknown(len(tokens)).replace(
        sequence_known=known, motif_group=group.astype(np.int32), structure_fixed=group > 0
    )
    if rng.random() < mix.nothing_told:
        return Condition.unknown(len(tokens)).replace(sequence_known=known)
    centre = crop.atoms.positions[tokens.atoms[np.arange(len(tokens)), tokens.centre]]
    distance = np.linalg.norm(centre[:, None] - centre[None], axis=-1)
    distance[~resolved] = distance[:, ~resolved] = np.inf
    return _tell_more(condition, crop, tokens, distance, task, mix, rng)


def _predict(tokens: TokenTable, protein: np.ndarray, resolved: np.ndarray, rng: np.random.Generator) -> tuple:
    return np.ones(len(tokens), bool), np.zeros(len(tokens), np.int32)


def _unconditional(tokens: TokenTable, protein: np.ndarray, resolved: np.ndarray, rng: np.random.Generator) -> tuple:
    return ~protein, np.zeros(len(tokens), np.int32)


def _motif(tokens: TokenTable, protein: np.ndarray, resolved: np.ndarray, rng: np.random.Generator) -> tuple:
    """Some stretches, or scattered residues, of 5 to 50 %, in one group or several whose relative pose is free."""
    count = len(tokens)
    wanted = max(3, int(rng.uniform(0.05, 0.5) * count))
    chosen = np.zeros(count, bool)
    if rng.random() < 0.25:
        chosen[rng.permutation(count)[:wanted]] = True
    else:
        pieces = int(rng.integers(1, 4))
        for size in np.diff(np.sort(rng.integers(0, wanted + 1, pieces - 1)), prepend=0, append=wanted):
            start = int(rng.integers(0, max(1, count - size)))
            chosen[start : start + size] = True
    chosen &= resolved
    group = chosen.astype(np.int32)
    if rng.random() < 0.25:
        group[chosen] = 1 + np.cumsum(np.diff(np.flatnonzero(chosen), prepend=-1) > 1)[: chosen.sum()] % MOTIF_GROUPS
    keep_sequence = chosen if rng.random() < 0.85 else np.zeros(count, bool)
    return keep_sequence | ~protein, group


def _inpaint(tokens: TokenTable, protein: np.ndarray, resolved: np.ndarray, rng: np.random.Generator) -> tuple:
    """All is given but one or two loops."""
    count = len(tokens)
    free = np.zeros(count, bool)
    for _ in range(int(rng.integers(1, 3))):
        size = int(rng.integers(4, max(5, count // 3)))
        start = int(rng.integers(0, max(1, count - size)))
        free[start : start + size] = True
    group = (~free & resolved).astype(np.int32)
    sequence = ~free | ~protein if rng.random() < 0.7 else np.ones(count, bool)
    return sequence, group


def _binder(tokens: TokenTable, protein: np.ndarray, resolved: np.ndarray, rng: np.random.Generator) -> tuple:
    """One protein chain is designed against all the others, which are given."""
    chains = np.unique(tokens.chain[protein])
    designed = protein & (tokens.chain == rng.choice(chains)) if len(chains) else protein
    return ~designed, (~designed & resolved).astype(np.int32)


_TASKS = {
    "predict": _predict,
    "unconditional": _unconditional,
    "motif": _motif,
    "inpaint": _inpaint,
    "binder": _binder,
}


def _tell_more(
    condition: Condition,
    crop: Structure,
    tokens: TokenTable,
    distance: np.ndarray,
    task: str,
    mix: TaskMix,
    rng: np.random.Generator,
) -> Condition:
    """Hotspots, secondary structure, burial, contacts and the fold, each with its own probability."""
    channels: dict[str, np.ndarray] = {}
    classes = token_secondary_structure(crop, tokens)
    if task == "binder" and rng.random() < mix.hotspots:
        channels["hotspot"], channels["keep_away"] = _hotspots(condition, tokens, distance, rng)
    if rng.random() < mix.secondary_structure:
        channels["secondary_structure"] = np.where(_told(len(tokens), rng), classes, 0)
    if rng.random() < mix.burial:
        neighbours = (distance < _SURROUNDINGS).sum(1) - 1
        burial = np.where(neighbours >= _MANY, BURIED, np.where(neighbours < _FEW, EXPOSED, PARTLY_BURIED))
        channels["burial"] = np.where(_told(len(tokens), rng), burial, 0)
    if rng.random() < mix.contacts:
        channels["contact_bound"] = _contacts(tokens, distance, rng)
    if rng.random() < mix.fold_adjacency:
        channels["fold_adjacency"] = _fold(classes, tokens, distance)
    return condition.replace(**channels)


def _told(count: int, rng: np.random.Generator) -> np.ndarray:
    """Which tokens a condition speaks of: all of them, or a random share."""
    return rng.random(count) < (1.0 if rng.random() < 0.5 else rng.random())


def _hotspots(
    condition: Condition, tokens: TokenTable, distance: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    target = condition.motif_group > 0
    nearest = distance[:, ~target].min(1, initial=np.inf)
    touching = np.flatnonzero(target & (nearest < _INTERFACE))
    far = np.flatnonzero(target & (nearest > 2 * _INTERFACE))
    hotspot, keep_away = np.zeros((2, len(tokens)), np.int8)
    picked = rng.permutation(touching)[: rng.integers(1, 7)]
    avoided = rng.permutation(far)[: rng.integers(0, 7)]
    hotspot[picked], keep_away[avoided] = HOTSPOT, KEEP_AWAY
    if rng.random() < 0.3:
        hotspot[avoided], keep_away[picked] = NO_HOTSPOT, MAY_TOUCH
    return hotspot, keep_away


def _contacts(tokens: TokenTable, distance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Upper bounds for one to six pairs that are near in space and not neighbours in sequence."""
    bound = np.zeros_like(distance, dtype=np.float32)
    apart = np.abs(np.subtract.outer(np.arange(len(tokens)), np.arange(len(tokens)))) > 5
    rows, columns = np.nonzero((distance < 15.0) & apart)
    for pick in rng.permutation(len(rows))[: rng.integers(1, 7)]:
        i, j = rows[pick], columns[pick]
        bound[i, j] = bound[j, i] = min(30.0, float(distance[i, j]) + rng.uniform(0.5, 8.0))
    return bound


def _fold(classes: np.ndarray, tokens: TokenTable, distance: np.ndarray) -> np.ndarray:
    """Which helices and strands touch, as blocks over their tokens; loops stay unknown."""
    change = np.flatnonzero((np.diff(classes) != 0) | (np.diff(tokens.chain) != 0)) + 1
    block = np.zeros(len(classes), np.int64)
    block[change] = 1
    block = np.cumsum(block)
    count = int(block[-1]) + 1
    nearest = np.full((count, count), np.inf)
    np.minimum.at(nearest, (block[:, None], block[None]), distance)
    adjacency = np.where(nearest < _TOUCHING, ADJACENT, APART)[block[:, None], block[None]]
    element = (classes == HELIX) | (classes == STRAND)
    return np.where(element[:, None] & element, adjacency, 0).astype(np.int8)


def token_secondary_structure(crop: Structure, tokens: TokenTable) -> np.ndarray:
    """HELIX, STRAND or LOOP of each protein residue with a complete backbone, 0 for every other token."""
    classes = np.zeros(len(tokens), np.int8)
    protein = np.flatnonzero(tokens.standard & (crop.chains.kind[tokens.chain] == ChainKind.PROTEIN))
    if not len(protein):
        return classes
    atoms = tokens.atoms[protein, :4]
    complete = crop.atoms.resolved[atoms].all(1)
    protein, atoms = protein[complete], atoms[complete]
    if len(protein) < 4:
        return classes
    backbone = Backbone.from_arrays(
        crop.atoms.positions[atoms],
        tokens.chain[protein],
        residue_index=crop.residues.label_seq_id[tokens.residue[protein]],
    )
    codes = {"H": HELIX, "E": STRAND, "L": LOOP}
    classes[protein] = [codes[letter] for letter in secondary_structure(backbone)]
    return classes
