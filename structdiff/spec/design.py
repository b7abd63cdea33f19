"""What is asked of a design: a motif, contigs, hotspots, secondary structure, and how many designs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.errors import InputError
from structdiff.spec.contigs import (
    Contigs,
    ResidueId,
    is_fixed,
    parse_contigs,
    parse_residues,
)
from structdiff.spec.document import (
    Node,
    document_from_data,
    name_from,
    parse_json_document,
    parse_yaml_document,
    read_text,
)
from structdiff.spec.layout import Layout, sample_layout
from structdiff.spec.lengths import LengthRange, format_length, parse_length
from structdiff.spec.yaml import relative_to_folder, write_yaml_data

#: Helix, strand, loop; "?" leaves the residue open.
SECONDARY_STRUCTURE_LETTERS = "HEL?"
#: Buried, partly buried, exposed; "?" leaves the residue open.
BURIAL_LETTERS = "BPE?"
_KEYS = (
    "version", "name", "motif", "contigs", "length", "hotspots", "keep_away", "secondary_structure", "burial",
    "fixed_sequence", "cyclic", "num_designs", "seed",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DesignSpec:
    """A design to make: which stretches of a known structure to keep and what to build around them.

    ``motif`` is the path of that structure (none for unconditional design). ``length`` bounds the total of the chains
    that hold new residues. ``hotspots`` are residues of the motif to be touched, ``keep_away`` those not to be touched.
    ``secondary_structure`` (H, E, L, ?) and ``burial`` (B, P, E, ?) give one letter for each residue of the chains
    that hold new residues, with '/' between chains, and so fix the chains' lengths. ``fixed_sequence`` keeps the
    motif's residue types. ``cyclic`` names chains of the design whose ends are joined. Raises InputError.
    """

    name: str = "design"
    contigs: Contigs
    motif: str | None = None
    length: LengthRange | None = None
    hotspots: tuple[ResidueId, ...] = ()
    keep_away: tuple[ResidueId, ...] = ()
    secondary_structure: str | None = None
    burial: str | None = None
    fixed_sequence: bool = True
    cyclic: tuple[str, ...] = ()
    num_designs: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.name.strip() or re.search(r"[/\\\x00-\x1f]", self.name) or self.name.startswith("."):
            raise InputError("the name must do as the name of a file", key="name", found=self.name)
        if self.contigs.fixed and self.motif is None:
            first = self.contigs.fixed[0].name
            raise InputError(f"the contigs name {first}, but no structure is given to take it from", key="motif")
        if self.motif is not None and not self.contigs.fixed:
            raise InputError("a structure is given, but the contigs take nothing from it", key="contigs",
                             found=str(self.contigs), allowed="stretches such as A163-181")  # fmt: skip
        if self.fixed_sequence and all(is_fixed(chain) for chain in self.contigs.chains):
            raise InputError("there is nothing to design: the contigs hold no new residues", key="contigs",
                             found=str(self.contigs))  # fmt: skip
        if self.num_designs < 1:
            raise InputError("there must be at least one design", key="num_designs", found=self.num_designs)
        if not 0 <= self.seed < 2**32:
            raise InputError("a seed is a whole number", key="seed", found=self.seed, allowed="0 to 4294967295")
        for chain in self.cyclic:
            designed = self.contigs.designed_chain_ids
            if chain not in designed:
                raise InputError("only a chain with new residues can be made cyclic", key="cyclic", found=chain,
                                 allowed=designed)  # fmt: skip
        for key, letters in (("secondary_structure", SECONDARY_STRUCTURE_LETTERS), ("burial", BURIAL_LETTERS)):
            if getattr(self, key) is not None:
                object.__setattr__(self, key, _expanded(getattr(self, key), letters, key))
        both = set(self.hotspots) & set(self.keep_away)
        if both:
            raise InputError("the residue is a hotspot too", key="keep_away", found=str(min(both)))
        if all(segment.residues for segment in self.contigs.fixed):
            self._check_against_contigs()

    def _check_against_contigs(self) -> None:
        """What can be checked only when every stretch of the contigs knows its residues."""
        known = {residue for segment in self.contigs.fixed for residue in segment.residues}
        for key in ("hotspots", "keep_away"):
            for residue in getattr(self, key):
                if residue not in known:
                    raise InputError("the residue is not part of the contigs", key=key, found=str(residue),
                                     allowed="residues that the contigs keep")  # fmt: skip
        low, high = self.contigs.length_range()
        if self.length is not None and (self.length[1] < low or self.length[0] > high):
            raise InputError("the contigs cannot reach this length", key="length", found=format_length(self.length),
                             allowed=f"{format_length((low, high))} residues in the designed chains")  # fmt: skip
        lengths = self.chain_lengths
        if lengths is None:
            return
        key = "secondary_structure" if self.secondary_structure is not None else "burial"
        designed = [chain for chain in self.contigs.chains if not is_fixed(chain)]
        if len(designed) != len(lengths):
            raise InputError("every chain with new residues needs its letters, with '/' between chains", key=key,
                             found=f"{len(lengths)} chains", allowed=f"{len(designed)} chains")  # fmt: skip
        for name, chain, given in zip(self.contigs.designed_chain_ids, designed, lengths, strict=True):
            least, most = Contigs(chains=(chain,)).length_range()
            if not least <= given <= most:
                raise InputError(f"the number of letters does not fit chain {name}", key=key, found=given,
                                 allowed=format_length((least, most)))  # fmt: skip
        if self.length is not None and not self.length[0] <= sum(lengths) <= self.length[1]:
            raise InputError("the number of letters does not fit the length", key=key, found=sum(lengths),
                             allowed=format_length(self.length))  # fmt: skip
        if self.burial is not None and tuple(map(len, self.burial.split("/"))) != lengths:
            raise InputError("burial and secondary_structure must have the same lengths", key="burial")

    @property
    def chain_lengths(self) -> tuple[int, ...] | None:
        """The lengths of the designed chains where the per-residue letters fix them, else None."""
        letters = self.secondary_structure if self.secondary_structure is not None else self.burial
        return None if letters is None else tuple(map(len, letters.split("/")))

    def resolve(self, residues: Iterable[ResidueId]) -> DesignSpec:
        """The same request after every stretch was looked up in the motif's residues, given in the file's order.

        Raises InputError for residues that are not there, gaps inside a stretch, and what then does not fit.
        """
        return replace(self, contigs=self.contigs.resolve(residues))

    def sample_layout(self, rng: np.random.Generator) -> Layout:
        """Draws the layout of one design; raises InputError when lengths cannot be met or the motif is not resolved."""
        return sample_layout(self.contigs, rng, self.length, self.chain_lengths)

    def secondary_structure_of(self, layout: Layout) -> str:
        """One letter H, E, L or ? for each residue of a layout; chains taken over whole are left open."""
        return _spread(self.secondary_structure, layout)

    def burial_of(self, layout: Layout) -> str:
        """One letter B, P, E or ? for each residue of a layout; chains taken over whole are left open."""
        return _spread(self.burial, layout)


def _expanded(text: str, letters: str, key: str) -> str:
    """Per-residue letters with repeats written out: ``H3L/E2`` is ``HHHL/EE``."""
    parts: list[str] = []
    compact = re.sub(r"\s+", "", text).upper()
    place = 0
    for match in re.finditer(rf"([{re.escape(letters)}])(\d*)|/", compact):
        if match.start() != place:
            break
        place = match.end()
        repeats = int(match[2]) if match[2] else 1
        if repeats > 100_000:
            raise InputError("more than 100000 residues", key=key, found=match[0])
        parts.append("/" if match[1] is None else match[1] * repeats)
    if place < len(compact):
        raise InputError(f"letter {place + 1} is unknown", key=key, found=compact[place],
                         allowed=f"{', '.join(letters)}, a number to repeat one, / between chains")  # fmt: skip
    expanded = "".join(parts)
    if not all(expanded.split("/")):
        raise InputError("a chain has no letters", key=key, found=text)
    return expanded


def _spread(letters: str | None, layout: Layout) -> str:
    rows = iter([] if letters is None else letters.split("/"))
    return "".join(
        "?" * len(chain) if letters is None or chain[0].chain_is_fixed else next(rows)
        for chain in layout.chains.values()
    )


def read_design(path: str | Path) -> DesignSpec:
    """Reads a design from a YAML or JSON file; paths in it are relative to the file.

    Raises InputError with file, line and key for anything that is unclear.
    """
    path = Path(path)
    parse = parse_json_document if path.suffix.lower() == ".json" else parse_yaml_document
    return parse_design(parse(read_text(path), path), name=name_from(path))


def design_from_dict(data: Mapping[str, Any]) -> DesignSpec:
    """A design from plain data of the YAML schema; raises InputError with the key that is wrong."""
    return parse_design(document_from_data(data), name="design")


def parse_design(root: Node, *, name: str) -> DesignSpec:
    """A design from the tree of an input file; ``name`` is used when the file gives none. Raises InputError."""
    fields = root.fields(_KEYS, required=("contigs",))
    if "version" in fields and fields["version"].text() != "1":
        fields["version"].fail("unknown version of the input", found=fields["version"].text(), allowed=("1",))
    given: dict[str, Any] = {"name": name}
    with root.located(fields):
        given["contigs"] = parse_contigs(" ".join(each.text() for each in fields["contigs"].one_or_more()))
        if "motif" in fields:
            given["motif"] = fields["motif"].file()
        if "length" in fields:
            given["length"] = parse_length(fields["length"].text())
        for key in ("hotspots", "keep_away"):
            if key in fields:
                given[key] = parse_residues(",".join(each.text() for each in fields[key].one_or_more()), key)
        for key in ("name", "secondary_structure", "burial"):
            if key in fields:
                given[key] = fields[key].text()
        if "cyclic" in fields:
            given["cyclic"] = tuple(each.text() for each in fields["cyclic"].one_or_more())
        if "fixed_sequence" in fields:
            given["fixed_sequence"] = fields["fixed_sequence"].boolean()
        for key in ("num_designs", "seed"):
            if key in fields:
                given[key] = fields[key].integer()
        return DesignSpec(**given)


def design_to_dict(spec: DesignSpec) -> dict[str, Any]:
    """A design as plain data of the YAML schema; `design_from_dict` gives an equal request back.

    Residues that `DesignSpec.resolve` looked up are not written: they are looked up again.
    """
    found: dict[str, Any] = {"version": 1, "name": spec.name}
    if spec.motif is not None:
        found["motif"] = spec.motif
    found["contigs"] = str(spec.contigs)
    if spec.length is not None:
        found["length"] = format_length(spec.length)
    for key in ("hotspots", "keep_away"):
        if getattr(spec, key):
            found[key] = [str(residue) for residue in getattr(spec, key)]
    for key in ("secondary_structure", "burial"):
        if getattr(spec, key) is not None:
            found[key] = getattr(spec, key)
    found["fixed_sequence"] = spec.fixed_sequence
    if spec.cyclic:
        found["cyclic"] = list(spec.cyclic)
    return {**found, "num_designs": spec.num_designs, "seed": spec.seed}


def design_to_json(spec: DesignSpec) -> str:
    """A design as JSON of the YAML schema."""
    return json.dumps(design_to_dict(spec), indent=2, ensure_ascii=False)


def write_design(spec: DesignSpec, path: str | Path) -> None:
    """Writes a design as YAML, whole or not at all; paths in it become relative to the file. Raises InputError."""
    path = Path(path)
    data = design_to_dict(spec)
    if spec.motif is not None:
        data["motif"] = relative_to_folder(spec.motif, path.parent)
    write_yaml_data(data, path)
