"""What is asked of a design: a motif, contigs, hotspots, secondary structure, and how many designs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.arguments import as_path, checked_names
from structdiff.errors import InputError
from structdiff.spec.contigs import Contigs, every_chain, one_chain
from structdiff.spec.design_checks import check_design
from structdiff.spec.design_grammar import Disulfide, HeldAtoms
from structdiff.spec.design_keys import FILES, KEYS
from structdiff.spec.design_values import as_value
from structdiff.spec.document import Node, document_from_data
from structdiff.spec.document_text import parse_json_document, parse_yaml_document
from structdiff.spec.energies import Energy
from structdiff.spec.fold import BlockPair, Register, Sketch
from structdiff.spec.foreign_inputs import refuse_fasta, refuse_foreign
from structdiff.spec.input_files import name_from, read_text
from structdiff.spec.layout import Layout, sample_layout, with_ligands
from structdiff.spec.lengths import LengthRange
from structdiff.spec.letters import BURIAL_LETTERS, SECONDARY_STRUCTURE_LETTERS, expanded, spread
from structdiff.spec.rebuilding import Loop, Noise, begun, check_kept, inside, without_loops
from structdiff.spec.segment_residues import with_insertions
from structdiff.spec.segments import FixedSegment, ResidueId
from structdiff.spec.symmetry import Symmetry
from structdiff.spec.unindexed import place_unindexed
from structdiff.spec.yaml_writing import relative_to_folder, write_yaml_data

_MAY_BE_NONE = ("motif", "contigs", "length", "secondary_structure", "burial", "fold_of", "noise", "symmetry")
#: Keys that name residues, singly or in stretches.
_NAMED_IN_STRETCHES = ("hotspots", "keep_away", "tip", "backbone_only", "redesign")


@checked_names
@dataclass(frozen=True, kw_only=True, repr=False)
class DesignSpec:
    """A design to make: which parts of a known structure to keep and what to build around them. Raises InputError.

    Every key may also be given as the text of the command line or as a file has it: contigs "10/A5-9/10", hotspots
    ["A5", "A7-8"], length 45. It is kept as its type says.

    Without ``contigs`` it is one new chain of that ``length``, or what ``inpaint`` and ``noise`` begin with.

    From the structure, ``motif`` (its file; of a Structure in memory one is kept in the user's cache): ``contigs`` keep
    stretches at their places in the chain, ``unindexed`` ones in any order at any place; ``ligands`` (component codes
    or residues) stay beside them. All their atoms are held, of ``backbone_only`` residues N, CA, C and O, of ``tip``
    residues the functional group alone, of ``held_atoms`` residues the atoms named. ``fixed_sequence`` keeps their
    types, but for those of ``redesign``. ``length`` bounds the total of the chains that hold new residues.

    Contacts: ``hotspots`` are residues of the motif to be touched, ``keep_away`` those not to be touched; ``epitope``
    names chains of the motif's file whose place is to be taken. ``target_crop`` says how much of a target is drawn.

    Fold: ``secondary_structure`` (H, E, L, ?) and ``burial`` (B, P, E, ?) give one letter for each residue of the
    chains that hold new residues, with '/' between chains, and so fix the chains' lengths; ``adjacent`` and ``apart``
    are pairs of helices and strands, counted from 1, that touch or do not, ``parallel`` those adjacent strands that run
    the same way; ``fold_of`` takes all that from a structure.
    Where none of it is said, ``fold_plan`` draws a fold for each chain that is all new or holds a motif in one piece:
    "ideal" a sheet with helices, a helix bundle or two sheets (`structdiff.spec.ideal_folds`), "designable" one of
    these whose loops have little to bridge, "natural" the helices, strands and pairing of a natural chain of its length
    (`structdiff.spec.fold_plans`), "hallucinated" one of a sequence that trRosetta is sure of; "none" leaves the fold
    to the network, and "auto" is "none" for networks that have learnt folds (BoltzGen's) and "ideal" for others.

    Chemistry: ``cyclic`` names chains of the design whose ends are joined, ``disulfides`` pairs of its residues.
    Parts built anew: ``inpaint`` names loops of the structure that new residues replace. With ``noise`` everything
    begins where the structure has it (partial diffusion): what ``hold`` names stays, the rest changes, and what
    ``keep_sequence`` names of it keeps its residue types.

    With ``symmetry`` all this is said of one copy, and the design is the assembly of all.
    ``energies`` are followed while the design is drawn (`structdiff.spec.energies`).
    """

    name: str = "design"
    #: Of a length, noise or loops alone what they say; never None once the request is made.
    contigs: Contigs = None  # type: ignore[assignment]
    motif: str | None = None
    length: LengthRange | None = None
    unindexed: tuple[FixedSegment, ...] = ()
    ligands: tuple[str, ...] = ()
    backbone_only: tuple[ResidueId, ...] = ()
    tip: tuple[ResidueId, ...] = ()
    held_atoms: tuple[HeldAtoms, ...] = ()
    redesign: tuple[ResidueId, ...] = ()
    fixed_sequence: bool = True
    hotspots: tuple[ResidueId, ...] = ()
    keep_away: tuple[ResidueId, ...] = ()
    epitope: tuple[str, ...] = ()
    target_crop: str = "auto"
    secondary_structure: str | None = None
    burial: str | None = None
    fold_of: str | None = None
    fold_plan: str = "auto"
    adjacent: tuple[BlockPair, ...] = ()
    apart: tuple[BlockPair, ...] = ()
    parallel: tuple[BlockPair, ...] = ()
    cyclic: tuple[str, ...] = ()
    disulfides: tuple[Disulfide, ...] = ()
    inpaint: tuple[Loop | str, ...] = ()
    noise: Noise | None = None
    hold: tuple[FixedSegment, ...] = ()
    keep_sequence: tuple[FixedSegment, ...] | str = ()
    symmetry: Symmetry | None = None
    energies: tuple[Energy, ...] = ()
    num_designs: int = 1
    draws: int = 1
    seed: int = 0
    #: What only the motif tells, where stretches are unindexed: the fewest residues from the last residue of each
    #: stretch to the first of each other.
    unindexed_gaps: Mapping[tuple[ResidueId, ResidueId], int] = field(default_factory=dict, compare=False, repr=False)
    #: The structure that the letters were taken from.
    fold_from: str | None = field(default=None, compare=False, repr=False)
    #: Residues of the target that a crop leaves out, and the contigs with them.
    left_out: tuple[ResidueId, ...] = field(default=(), compare=False, repr=False)
    whole_contigs: Contigs | None = field(default=None, compare=False, repr=False)
    #: Where drawn fold plans have their helices and strands, for each plan.
    sketches: tuple[Sketch, ...] = field(default=(), compare=False, repr=False)
    #: How drawn fold plans have pairs of strands shifted against each other, and bonded.
    registers: tuple[tuple[BlockPair, Register], ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        for key in KEYS:
            if getattr(self, key) is not None or key not in _MAY_BE_NONE:
                object.__setattr__(self, key, as_value(key, getattr(self, key)))
        for key, letters in (("secondary_structure", SECONDARY_STRUCTURE_LETTERS), ("burial", BURIAL_LETTERS)):
            if getattr(self, key) is not None:
                object.__setattr__(self, key, expanded(getattr(self, key), letters, key))
        if self.contigs is None:
            object.__setattr__(self, "contigs", _usual_contigs(self))
        check_design(self)

    def __repr__(self) -> str:
        asked = {key: value for key, value in design_to_dict(self).items() if key in KEYS}
        return f"DesignSpec({', '.join(f'{key}={value!r}' for key, value in asked.items())})"

    @property
    def chain_lengths(self) -> tuple[int, ...] | None:
        """The lengths of the designed chains where the per-residue letters fix them, else None."""
        letters = self.secondary_structure if self.secondary_structure is not None else self.burial
        return None if letters is None else tuple(map(len, letters.split("/")))

    def resolve(self, residues: Iterable[ResidueId]) -> DesignSpec:
        """The same request after every stretch was looked up in the motif's residues, given in the file's order.

        Raises InputError for residues that are not there, gaps inside a stretch, and what then does not fit.
        """
        present = list(residues)
        unindexed = self.unindexed
        if unindexed:
            found = Contigs(chains=(*self.contigs.chains, unindexed)).resolve(present).fixed
            unindexed = found[len(found) - len(unindexed) :]
        contigs = self.contigs
        if self.inpaint:
            contigs = without_loops(contigs.expanded(present), self.inpaint, present)
        contigs = contigs.resolve(present)
        if self.noise is not None:
            contigs = begun(contigs, self.hold)
            check_kept(contigs, self.keep_sequence)
        named = {key: with_insertions(getattr(self, key), present) for key in _NAMED_IN_STRETCHES}
        return replace(self, contigs=contigs, unindexed=unindexed, **named)

    @property
    def rebuilds(self) -> bool:
        """Whether parts of the structure are built anew, which ones only the structure tells."""
        return bool(self.inpaint) or self.noise is not None

    def sample_layout(self, rng: np.random.Generator) -> Layout:
        """Draws the layout of one design; raises InputError when lengths cannot be met or the motif is not resolved."""
        layout = sample_layout(self.contigs, rng, self.length, self.chain_lengths)
        layout = layout.keeping_types(lambda residue: inside(residue, self.keep_sequence))
        if self.unindexed:
            layout = place_unindexed(layout, self.unindexed, self.unindexed_gaps, rng)
        return with_ligands(layout, self.ligands, self.contigs.reserved) if self.ligands else layout

    def secondary_structure_of(self, layout: Layout) -> str:
        """One letter H, E, L or ? for each residue of a layout; chains taken over whole are left open."""
        return spread(self.secondary_structure, layout)

    def burial_of(self, layout: Layout) -> str:
        """One letter B, P, E or ? for each residue of a layout; chains taken over whole are left open."""
        return spread(self.burial, layout)


def _usual_contigs(spec: DesignSpec) -> Contigs:
    """What a design is made of where nothing says it.

    Loops are cut from the whole structure, and partial diffusion begins with it; else the length is that of one new
    chain. Raises InputError where nothing says that either.
    """
    if spec.rebuilds:
        return every_chain()
    if spec.length is None:
        raise InputError("say what to design: contigs or a length", key="contigs", allowed="70-90, say")
    if spec.motif is not None and not spec.unindexed and not spec.ligands:
        raise InputError("say with contigs which residues of the motif to keep", key="contigs",
                         allowed="10-40/A163-181/10-40, say")  # fmt: skip
    return one_chain(spec.length)


def changed_design(spec: DesignSpec, changes: Mapping[str, Any]) -> DesignSpec:
    """A design with other values, as `DesignSpec` has them, in place of its own. Raises InputError.

    Contigs that say no more than the length does follow another length.
    """
    follows = spec.length is not None and "length" in changes and spec.contigs == one_chain(spec.length)
    return replace(spec, **({"contigs": None} if follows else {}) | dict(changes)) if changes else spec


#: What the request in a design's provenance holds beside the keys: which files it was made with.
_RECORDED = ("motif_sha256", "energies_sha256")


@checked_names
def read_design(path: str | Path, changes: Mapping[str, Any] | None = None) -> DesignSpec:
    """Reads a design from a YAML or JSON file; paths in it are relative to the file.

    changes: values, as `DesignSpec` has them, that take the place of those of the file. Raises InputError with file,
    line and key for anything that is unclear.
    """
    path = as_path(path, "path", "the path of a design's YAML or JSON file")
    parse = parse_json_document if path.suffix.lower() == ".json" else parse_yaml_document
    refuse_fasta(path)
    root = parse(read_text(path), path)
    refuse_foreign(root)
    return parse_design(root, name=name_from(path), changes=changes or {})


def design_from_dict(data: Mapping[str, Any]) -> DesignSpec:
    """A design from plain data of the YAML schema; raises InputError with the key that is wrong."""
    return parse_design(document_from_data(data), name="design")


def parse_design(root: Node, *, name: str, changes: Mapping[str, Any] | None = None) -> DesignSpec:
    """A design from the tree of an input file; ``name`` is used when the file gives none. Raises InputError.

    changes: values that take the place of those of the file.
    """
    changes = changes or {}
    found = root.fields(("version", *KEYS), unlisted=_RECORDED)
    if "version" in found and found["version"].text() != "1":
        found["version"].fail("unknown version of the input", found=found["version"].text(), allowed=("1",))
    with root.located(found):
        given = {key: reader.read(found[key]) for key, reader in KEYS.items() if key in found}
        # Without contigs the file need not be a whole request: the changes may say what is to be designed.
        spec = DesignSpec(**{"name": name, **given, **(changes if "contigs" not in given else {})})
    if "motif_sha256" in found and "motif" not in changes:
        found["motif_sha256"].check_file(spec.motif or "")
    if "energies_sha256" in found:
        found["energies_sha256"].check_files()
    return changed_design(spec, changes)


def design_to_dict(spec: DesignSpec) -> dict[str, Any]:
    """A design as plain data of the YAML schema; `design_from_dict` gives an equal request back.

    Residues that `DesignSpec.resolve` looked up are not written: they are looked up again.
    """
    usual = {each.name: each.default for each in fields(DesignSpec) if each.default is not MISSING}
    always = ("name", "contigs", "fixed_sequence", "num_designs", "seed")
    return {"version": 1} | {
        key: reader.write(getattr(spec, key))
        for key, reader in KEYS.items()
        if key in always or getattr(spec, key) != usual[key]
    }


def design_to_json(spec: DesignSpec) -> str:
    """A design as JSON of the YAML schema."""
    return json.dumps(design_to_dict(spec), indent=2, ensure_ascii=False)


def write_design(spec: DesignSpec, path: str | Path) -> None:
    """Writes a design as YAML, whole or not at all; paths in it become relative to the file. Raises InputError."""
    path = Path(path)
    data = design_to_dict(spec)
    for key in FILES:
        if key in data:
            data[key] = relative_to_folder(data[key], path.parent)
    for energy in data.get("energies", []):
        for settings in energy.values():
            if "file" in settings:
                settings["file"] = relative_to_folder(settings["file"], path.parent)
    write_yaml_data(data, path)
