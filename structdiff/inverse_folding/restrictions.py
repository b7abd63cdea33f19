"""What is asked of a sequence: what stays, what is banned, what is the same in several places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from structdiff.arguments import check_kind, checked_names, shown
from structdiff.errors import InputError
from structdiff.inverse_folding.alphabet import LETTERS, NUM_AMINO_ACIDS, UNKNOWN, residue_letter
from structdiff.inverse_folding.backbone import Backbone, protein_backbone
from structdiff.inverse_folding.columns import flags, membrane_labels
from structdiff.structure.selection import select_residues
from structdiff.structure.tables import ChainKind, Structure

#: How much the amino acid that a residue has can be favoured.
MOST_FAVOUR = 20.0
_AMINO_ACIDS = LETTERS[:NUM_AMINO_ACIDS]


@checked_names
@dataclass(frozen=True, kw_only=True)
class Restrictions:
    """What is asked of the sequences of one structure; rows are those of its residue table.

    fixed: residues that keep their amino acid, (residue,) bool. banned: letters that are not used anywhere. banned_at:
    letters that are not used in these rows. allowed: letters that may be used, everywhere, or by row. tied: groups of
    rows that get the same amino acid. bias: added to the logits, by letter, or (residue, 20) in the order
    ACDEFGHIKLMNPQRSTVWY. order: rows in the order they are decoded, at random if None. membrane: 0 outside, 1 at the
    interface, 2 buried, (residue,); to membrane_mpnn_global only whether there is any.
    """

    fixed: np.ndarray | None = None
    banned: str = ""
    banned_at: Mapping[int, str] | None = None
    allowed: str | Mapping[int, str] | None = None
    tied: Sequence[Sequence[int]] | None = None
    bias: Mapping[str, float] | np.ndarray | None = None
    order: Sequence[int] | None = None
    membrane: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_kind(self.banned, (str, list, tuple), "banned", "letters of amino acids, such as CM")
        by_row = "letters by row, such as {10: 'DE'}"
        check_kind(self.banned_at, (Mapping, type(None)), "banned_at", by_row)
        check_kind(self.allowed, (str, Mapping, type(None)), "allowed", f"letters, or {by_row}")
        for key in ("tied", "order"):
            check_kind(getattr(self, key), (list, tuple, np.ndarray, type(None)), key, "rows of the residue table")
        for group in self.tied if self.tied is not None else ():
            check_kind(group, (list, tuple, np.ndarray), "tied", "groups of rows, such as tied_rows gives")
        check_kind(self.bias, (Mapping, np.ndarray, list, tuple, type(None)), "bias", "numbers by letter, or an array")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked, for the rows of a backbone.

    designed: rows whose amino acid is drawn. taken: rows that take another one from a fixed row that they are tied to.
    letters: those given. groups: of rows, each with all its designed rows. bias: (residue, 20), -inf where banned.
    order: places of the groups in it, or None. membrane: label of each row. followers: rows of the structure without a
    backbone, each with the row of the backbone that it is tied to.
    """

    designed: np.ndarray
    taken: np.ndarray
    letters: np.ndarray
    groups: list[np.ndarray]
    bias: np.ndarray
    order: list[int] | None
    membrane: np.ndarray
    followers: Mapping[int, int]

    @property
    def new(self) -> np.ndarray:
        """Rows that get a new amino acid, with a side chain of its own."""
        return self.designed | self.taken


def plan_of(structure: Structure, backbone: Backbone, asked: Restrictions) -> Plan:
    """What is asked, for the rows of a backbone. Raises InputError for what cannot be."""
    place = {int(row): number for number, row in enumerate(backbone.rows)}
    count = len(structure.residues)
    _check_rows(structure, asked)
    fixed = flags(asked.fixed, count, "fixed")
    designed = backbone.standard & ~fixed[backbone.rows]
    letters = backbone.letters.copy()
    groups = _groups(structure, place, asked.tied, designed, letters)
    if not designed.any():
        message = "every residue is fixed, no standard amino acid or not seen, so there is nothing to design"
        raise InputError(message, key="fixed")
    bias = _bias(asked.bias, count)[backbone.rows] + _bans(structure, asked)[backbone.rows]
    for group in groups:
        if not np.isfinite(bias[group].sum(0)).any():
            named = _named(structure, int(backbone.rows[group[0]]))
            raise InputError(f"no amino acid is left for residue {named}", key="banned")
    return Plan(
        designed=designed,
        taken=letters != backbone.letters,
        letters=letters,
        groups=groups,
        bias=bias,
        order=_order(asked.order, place, groups),
        membrane=membrane_labels(asked.membrane, count)[backbone.rows],
        followers=_followers(structure, place, asked.tied),
    )


def checked_favour(favour: object) -> float:
    """What is added to the logits of the amino acids that residues have; raises InputError for what cannot be.

    A float whatever kind of number it was: those of numpy are no JSON, and equal requests must be equal as text.
    """
    if isinstance(favour, bool) or not isinstance(favour, Real) or not abs(float(favour)) <= MOST_FAVOUR:
        raise InputError("what is added to the logit of the amino acid that a residue has", key="favour_present",
                         found=shown(favour), allowed=f"a number from -{MOST_FAVOUR:g} to {MOST_FAVOUR:g}; 0 favours "
                         "none")  # fmt: skip
    return float(favour)


def favouring(letters: np.ndarray, favour: float) -> np.ndarray:
    """What is added to the logits (residue, 20) where these letters (residue,), as numbers, are favoured; X is not."""
    known = np.flatnonzero(letters != UNKNOWN)
    found = np.zeros((len(letters), NUM_AMINO_ACIDS), np.float32)
    found[known, letters[known]] = favour
    return found


def favoured(plan: Plan, backbone: Backbone, favour: float) -> Plan:
    """The same, but with the amino acid that each residue has already favoured, by so much of the logits."""
    return replace(plan, bias=plan.bias + favouring(backbone.letters, favour))


def designed_residues(structure: Structure, asked: Restrictions) -> np.ndarray:
    """Which residues get a new amino acid if their CA is enough, (residue,) bool. Raises InputError as `plan_of`."""
    backbone = protein_backbone(structure, ca_only=True)
    designed = np.zeros(len(structure.residues), bool)
    designed[backbone.rows] = plan_of(structure, backbone, asked).designed
    return designed


def rows_in(structure: Structure, selection: str) -> np.ndarray:
    """Which residues a selection such as ``A10-20,B`` names, (residue,) bool. Raises InputError."""
    chosen = np.zeros(len(structure.residues), bool)
    chosen[select_residues(structure, selection)] = True
    return chosen


def tied_rows(structure: Structure, *selections: str) -> list[list[int]]:
    """Groups of rows that stand at the same place of several stretches: ``tied_rows(structure, "A", "B", "C")``.

    Raises InputError when the stretches are not equally long, and where a residue is missing in one and not in another.
    """
    parts = [_protein_rows(structure, each) for each in selections]
    if len({len(part) for part in parts}) != 1 or len(parts) < 2:
        lengths = ", ".join(f"{text} {len(part)}" for text, part in zip(selections, parts, strict=True))
        raise InputError("tied stretches must be two or more, equally long", key="tie", found=lengths)
    for part in parts[1:]:
        _check_steps(structure, parts[0], part)
    return [list(group) for group in zip(*(part.tolist() for part in parts), strict=True)]


def _protein_rows(structure: Structure, selection: str) -> np.ndarray:
    rows = select_residues(structure, selection)
    return rows[structure.chains.kind[structure.residues.chain[rows]] == ChainKind.PROTEIN]


def _check_steps(structure: Structure, first: np.ndarray, other: np.ndarray) -> None:
    """Raises InputError where the numbers of two stretches do not go on alike: what follows would be tied wrongly."""
    numbers = structure.residues.author_seq_id
    apart = numbers[other] - numbers[first]
    off = np.flatnonzero(apart != apart[:1])
    if len(off):
        pair = f"{_named(structure, int(first[off[0]]))} with {_named(structure, int(other[off[0]]))}"
        message = "the numbers of tied stretches do not go on alike, so that wrong residues would be tied"
        raise InputError(message, key="tie", found=pair, allowed="each stretch up to there and from there by itself")


def _check_rows(structure: Structure, asked: Restrictions) -> None:
    """Raises InputError for rows that the structure does not have."""
    allowed = asked.allowed if isinstance(asked.allowed, Mapping) else {}
    tied = [row for group in (asked.tied if asked.tied is not None else ()) for row in group]
    order = asked.order if asked.order is not None else ()
    by_key: dict[str, Iterable[object]] = {
        "banned_at": asked.banned_at or {}, "allowed": allowed, "tied": tied, "order": order,
    }  # fmt: skip
    count = len(structure.residues)
    for key, rows in by_key.items():
        for row in rows:
            if isinstance(row, bool) or not isinstance(row, Integral) or not 0 <= int(row) < count:
                raise InputError("not a row of the residues", key=key, found=shown(row), allowed=f"0 to {count - 1}")


def _groups(
    structure: Structure,
    place: Mapping[int, int],
    tied: Sequence[Sequence[int]] | None,
    designed: np.ndarray,
    letters: np.ndarray,
) -> list[np.ndarray]:
    """Designed rows by group. A group with a fixed residue is fixed altogether: designed and letters are changed."""
    groups, seen = [], np.zeros(len(designed), bool)
    for rows in tied or ():
        members = np.array([place[int(row)] for row in rows if int(row) in place], np.int64)
        if seen[members].any() or len(set(members.tolist())) < len(members):
            again = _named(structure, next(int(row) for row in rows if int(row) in place))
            raise InputError(f"a residue is tied twice, in the group of {again}", key="tied")
        seen[members] = True
        given = np.unique(letters[members[~designed[members]]])
        if len(given) > 1:
            found = ", ".join(f"{_named(structure, int(row))}" for row in rows)
            raise InputError("tied residues are fixed to different amino acids", key="tied", found=found)
        if len(given) == 1:
            if given[0] == UNKNOWN and designed[members].any():
                found = ", ".join(_named(structure, int(row)) for row in rows)
                raise InputError("a residue is tied to one that is no amino acid", key="tied", found=found)
            letters[members], designed[members] = given[0], False
        elif len(members):
            groups.append(members)
    return groups + [np.array([row]) for row in np.flatnonzero(designed & ~seen)]


def _followers(structure: Structure, place: Mapping[int, int], tied: Sequence[Sequence[int]] | None) -> dict[int, int]:
    """Amino acids that were not seen in one chain and were in another that it is tied to: copies stay copies."""
    found: dict[int, int] = {}
    for rows in tied if tied is not None else ():
        seen = [place[int(row)] for row in rows if int(row) in place]
        unseen = [int(row) for row in rows if int(row) not in place]
        names = structure.residues.name[unseen].tolist()
        known = [row for row, name in zip(unseen, names, strict=True) if residue_letter(name, "") != "X"]
        found |= dict.fromkeys(known, seen[0]) if seen else {}
    return found


def _bias(bias: Mapping[str, float] | np.ndarray | None, count: int) -> np.ndarray:
    values = np.zeros((count, NUM_AMINO_ACIDS), np.float32)
    if isinstance(bias, Mapping):
        for letter, value in bias.items():
            check_kind(value, Real, "bias", "a number for each letter")
            values[:, amino_acid_index(letter, "bias")] = _float32(value)
    elif bias is not None:
        values += _checked_shape(_float32(bias), values.shape)
    if np.isnan(values).any() or (values == np.inf).any():
        raise InputError("the bias holds values that are no numbers, or infinite", key="bias",
                         allowed="numbers, or -inf for what is not to be used")  # fmt: skip
    return values


def _float32(values: object) -> np.ndarray:
    """Numbers as the network takes them: too large ones are infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)


def _checked_shape(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if values.shape != shape:
        raise InputError(f"a bias by residue has the shape {shape}", key="bias", found=values.shape)
    return values


def _bans(structure: Structure, asked: Restrictions) -> np.ndarray:
    """(residue, 20): 0 for what may be used, -inf for what may not."""
    values = np.zeros((len(structure.residues), NUM_AMINO_ACIDS), np.float32)
    values[:, [amino_acid_index(letter, "banned") for letter in asked.banned]] = -np.inf
    for row, letters in (asked.banned_at or {}).items():
        values[row, [amino_acid_index(letter, "banned_at") for letter in letters]] = -np.inf
    if isinstance(asked.allowed, str):
        values[:, _others(asked.allowed)] = -np.inf
    elif asked.allowed is not None:
        for row, letters in asked.allowed.items():
            values[row, _others(letters)] = -np.inf
    return values


def checked_letters(text: str, key: str) -> frozenset[str]:
    """The letters of a text, as capitals. Raises InputError for what is no amino acid."""
    return frozenset(_AMINO_ACIDS[amino_acid_index(letter, key)] for letter in text)


def _others(letters: str) -> list[int]:
    wanted = {amino_acid_index(letter, "allowed") for letter in letters}
    return [index for index in range(NUM_AMINO_ACIDS) if index not in wanted]


def amino_acid_index(letter: str, key: str) -> int:
    """The place of an amino acid's letter in ACDEFGHIKLMNPQRSTVWY. Raises InputError for what is none."""
    index = _AMINO_ACIDS.find(letter.upper()) if isinstance(letter, str) and len(letter) == 1 else -1
    if index < 0:
        raise InputError("not the letter of an amino acid", key=key, found=shown(letter), allowed=_AMINO_ACIDS)
    return index


def _order(order: Sequence[int] | None, place: Mapping[int, int], groups: list[np.ndarray]) -> list[int] | None:
    """The groups in the order in which the first of each is named."""
    if order is None:
        return None
    group_of = {int(member): number for number, group in enumerate(groups) for member in group}
    named = [group_of[place[int(row)]] for row in order if int(row) in place and place[int(row)] in group_of]
    found = list(dict.fromkeys(named))
    if len(found) < len(groups):
        raise InputError(
            "the order must name every designed residue", key="order", found=f"{len(found)} of {len(groups)}"
        )
    return found


def _named(structure: Structure, row: int) -> str:
    residues = structure.residues
    chain = structure.chains.name[residues.chain[row]]
    return f"{chain}{residues.author_seq_id[row]}{residues.insertion_code[row]}"
