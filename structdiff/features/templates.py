"""Templates of a prediction: chains of known structures, told to the network, or held."""

from __future__ import annotations

import dataclasses
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from structdiff.errors import InputError
from structdiff.features.condition import Condition
from structdiff.features.template_residues import (
    FEWEST,
    FRAME,
    SAME,
    mirrored_residues,
    same_atoms,
    same_letter,
    same_residues,
)
from structdiff.features.tokens import TokenTable
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.template import TemplateSpec
from structdiff.spec.text_source import is_json, source_parts, text_in_json
from structdiff.structure.files import read_structure, structure_in
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Bool, Int

_FEWEST_MORE = 10  # residues that a further template of a chain tells of


class TemplateWarning(UserWarning):
    """A template is not made use of, or is hardly what was meant."""


@dataclass(frozen=True, kw_only=True)
class Templates:
    """Where templates have the atoms of a complex, row by row.

    asked: what the complex says of each, of one that serves more chains than it has once for each copy. positions
    (atom, 3): Å, in the frame of each atom's own template. group (atom): the template, counted from 1; 0 for atoms that
    none has. fixed (atom): held as the template has them, not merely told. of_fold (atom): from the fold of the chain's
    alignment, which is in the template's frame. alike (residue): has the template's letter.
    """

    asked: tuple[TemplateSpec, ...]
    positions: np.ndarray
    group: np.ndarray
    fixed: np.ndarray
    of_fold: np.ndarray
    alike: np.ndarray

    @classmethod
    def none(cls, atoms: int, residues: int, asked: tuple[TemplateSpec, ...] = ()) -> Templates:
        """Nothing is known of so many atoms of so many residues."""
        nothing = np.zeros(atoms, bool)
        return cls(asked=asked, positions=np.zeros((atoms, 3), np.float32), group=nothing.astype(np.int32),
                   fixed=nothing, of_fold=nothing.copy(), alike=np.zeros(residues, bool))  # fmt: skip

    def select(self, visible: Bool[np.ndarray, " atom"]) -> Templates:
        """Those of some of the atoms, all residues."""
        return Templates(asked=self.asked, positions=self.positions[visible], group=self.group[visible],
                         fixed=self.fixed[visible], of_fold=self.of_fold[visible], alike=self.alike)  # fmt: skip

    @property
    def told_only(self) -> Bool[np.ndarray, " atom"]:
        """Atoms that a template which was asked for tells of, without holding them."""
        return (self.group > 0) & (self.group <= len(self.asked)) & ~self.fixed & ~self.of_fold

    def told(self, condition: Condition, tokens: TokenTable) -> Condition:
        """The condition with each template as a group of tokens that keep their distances."""
        there = tokens.atoms >= 0
        group = np.where(there, self.group[tokens.atoms], 0).max(1)
        fixed: np.ndarray = np.any(there & self.fixed[tokens.atoms], axis=1)
        return condition.replace(motif_group=group.astype(np.int32), structure_fixed=fixed)


def read_templates(spec: ComplexSpec, structure: Structure) -> Templates:
    """The templates of a complex laid on its atoms: as residue maps say, or by an alignment of the chains' letters.

    Of residues that differ the main chain and CB are taken, of others all atoms. Of several templates of a chain the
    one with the most residues of the same letter comes first (those that are held before others), and the next have
    what is left: a stretch of residues of which nothing is known yet, and nothing of a chain that has an alignment,
    which folds what is left. A TemplateWarning says what is not made use of. Raises InputError for chains that are not
    there, that are no proteins, or that are too unlike.
    """
    laid = list(_all_laid(spec, structure))
    bodies = {each.group: each.body for each in laid}
    found = Templates.none(len(structure.atoms), len(structure.residues), tuple(bodies.values()))
    unused: dict[tuple[str, str], list[_Laid]] = defaultdict(list)
    for each in sorted(laid, key=lambda each: (not each.held, -len(each.alike))):
        residue, own = structure.atoms.residue[each.rows], structure.atom_chain == structure.atom_chain[each.rows[0]]
        known = np.isin(residue, structure.atoms.residue[found.group > 0])
        left = len(np.unique(residue[~known]))
        why = _unused(each, left, bool(found.group[own].any()), spec.chain(each.chain).has_alignment)
        if why:
            unused[each.body.path, why].append(each)
            continue
        rows = each.rows[~known]
        found.positions[rows] = each.positions[~known]
        found.group[rows], found.fixed[rows] = each.group, each.held
        found.alike[np.intersect1d(each.alike, residue[~known])] = True
    for (path, why), own in unused.items():
        own = sorted(own, key=lambda each: each.number)
        numbers = _listed("template", list(dict.fromkeys(str(each.number) for each in own)))
        chains = _listed("chain", list(dict.fromkeys(each.chain for each in own)))
        verb = "are" if len(own) > 1 else "is"
        warnings.warn(f"{numbers} ({path}) of {chains} {verb} not made use of: {why}", TemplateWarning, stacklevel=2)
    return found


def _listed(what: str, names: list[str]) -> str:
    return f"{what}{'s' if len(names) > 1 else ''} {', '.join(names)}"


@dataclass(frozen=True, kw_only=True)
class _Laid:
    """A template on one chain.

    number: of the template among all that are asked for. group, body: number of the piece that it is part of, and what
    is asked of that. rows: of the chain's atoms that it has. positions: where (Å). alike: rows of residues that have
    its letter; share: of all that it has. framed: residues whose N, CA and C it has.
    """

    number: int
    group: int
    body: TemplateSpec
    chain: str
    rows: np.ndarray
    positions: np.ndarray
    alike: np.ndarray
    share: float
    framed: int

    @property
    def held(self) -> bool:
        """Whether it is not merely told."""
        return self.body.force


def _all_laid(spec: ComplexSpec, structure: Structure) -> Iterator[_Laid]:
    read, group = cache(template_structure), 0  # templates of copies of a chain are of one file
    for number, asked in enumerate(spec.templates, start=1):
        given, key = read(asked.path), f"templates[{number}]"
        for pairs in _bodies(_pairs(asked, structure, given, key)):
            matches = [_matched(asked, structure, given, pair, key) for pair in pairs]
            if asked.residues and len(matches[0]) < FEWEST:
                _warn_of_few(asked, number, pairs[0][0], len(matches[0]))
                continue
            group += 1
            chains, sources = (tuple(names) for names in zip(*pairs, strict=True))
            body = dataclasses.replace(asked, chains=chains, template_chains=sources)
            for (chain, source), residues in zip(pairs, matches, strict=True):
                same = same_letter(structure, given, residues)
                rows, places = same_atoms(structure, given, residues, same)
                framed = np.bincount(structure.atoms.residue[rows[np.isin(structure.atoms.name[rows], FRAME)]])
                _warn_of_mirror(given, residues[:, 1], number, asked.path, source)
                yield _Laid(number=number, group=group, body=body, chain=chain, rows=rows,
                            positions=given.atoms.positions[places], alike=residues[same, 0],
                            share=float(same.mean()), framed=int((framed == len(FRAME)).sum()))  # fmt: skip


def _matched(
    asked: TemplateSpec, structure: Structure, given: Structure, pair: tuple[str, str], key: str
) -> Int[np.ndarray, "pair 2"]:
    """Rows of the residues of a chain and of the template's chain that belong together."""
    own, theirs = _row(structure, pair[0], key), _row(given, pair[1], key, path=asked.path)
    return same_residues(asked, structure, own, given, theirs, key)


def _warn_of_few(asked: TemplateSpec, number: int, chain: str, known: int) -> None:
    """Says that a map leads to hardly any residue that the template's file resolves, as those of a search may."""
    warnings.warn(
        f"template {number} ({asked.path}) of chain {chain} is not made use of: its file has places of {known} of the "
        f"{len(asked.residues)} residues of its map, and at least {FEWEST} are wanted", TemplateWarning, stacklevel=2,
    )  # fmt: skip


def _warn_of_mirror(given: Structure, rows: Int[np.ndarray, " residue"], number: int, path: str, chain: str) -> None:
    mirrored, told = mirrored_residues(given, rows)
    if mirrored >= FEWEST and 2 * mirrored > told:
        warnings.warn(f"template {number} ({path}): {mirrored} of {told} residues of its chain {chain} are D amino "
                      "acids under the names of L ones: is the file a mirror image?", TemplateWarning,
                      stacklevel=2)  # fmt: skip


def _bodies(pairs: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Chains that have one pose: a template's chain that serves several of them begins another copy of the template.

    >>> _bodies([("A", "X"), ("B", "Y"), ("C", "X")])
    [[('A', 'X'), ('B', 'Y')], [('C', 'X')]]
    """
    used: dict[str, int] = defaultdict(int)
    found: list[list[tuple[str, str]]] = []
    for chain, source in pairs:
        if used[source] == len(found):
            found.append([])
        found[used[source]].append((chain, source))
        used[source] += 1
    return found


def _unused(each: _Laid, left: int, follows: bool, aligned: bool) -> str:
    """Why a template is not made use of, "" if it is.

    left: residues of which nothing is known yet. follows: the chain has a better template. aligned: an alignment.
    """
    if aligned and not each.held and each.share < SAME:
        return (f"the alignment knows more than a template of which {100 * each.share:.0f} % of the residues are alike "
                f"({100 * SAME:.0f} % wanted, or 'force')")  # fmt: skip
    if aligned and each.framed < FEWEST:
        return (f"beside an alignment residues with N, CA and C count, which {each.framed or 'none'} of its residues "
                f"{'have' if each.framed > 1 else 'has'}")  # fmt: skip
    if follows and left < _FEWEST_MORE:
        return f"better ones know all {f'but {left} ' if left else ''}of its residues"
    if follows and aligned:
        return "beside an alignment one template of a chain counts, the one with the most residues of the same letter"
    return ""


def template_structure(source: str) -> Structure:
    """The structure of a template: a file, or a text inside a JSON file. Raises InputError."""
    file, part = source_parts(source)
    if not is_json(Path(file)):
        return read_structure(source)
    node = text_in_json(Path(file), part, ending=".mmcif", what="template")
    try:
        return structure_in(node.text(), "template")
    except InputError as error:
        raise InputError(f"this template: {error}", path=node.path, line=node.line, key=part) from None


def _pairs(template: TemplateSpec, structure: Structure, given: Structure, key: str) -> list[tuple[str, str]]:
    """Each chain with the template's chain that serves it: as named, of its own name, or the only one."""
    own, theirs = _proteins(structure), _proteins(given)
    chains = template.chains or tuple(own)
    if template.template_chains:
        return list(zip(chains, template.template_chains, strict=True))
    if not theirs:
        raise InputError("this template has no protein", path=template.path, key=key)
    if len(theirs) == 1 and len(chains) == 1:
        return [(chains[0], theirs[0])]
    for chain in chains:
        if chain not in theirs:
            raise InputError("say which of the template's chains serves this one", path=template.path,
                             key=f"{key}.template_id", found=chain, allowed=theirs)  # fmt: skip
    return [(chain, chain) for chain in chains]


def _proteins(structure: Structure) -> list[str]:
    return structure.chains.name[structure.chains.kind == ChainKind.PROTEIN].tolist()


def _row(structure: Structure, name: str, key: str, *, path: str | None = None) -> int:
    proteins = _proteins(structure)
    if name not in proteins:
        raise InputError("there is no protein chain of that name", path=path, key=key, found=name, allowed=proteins,
                         suggest_from=proteins)  # fmt: skip
    rows = np.flatnonzero((structure.chains.name == name) & (structure.chains.kind == ChainKind.PROTEIN))
    return int(rows[0])
