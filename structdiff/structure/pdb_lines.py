"""Lines of atoms as programs write them, brought to the columns of the PDB format before a reader sees them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from structdiff.chemistry.components import OTHER, component, is_known
from structdiff.chemistry.elements import SYMBOLS, element_symbol
from structdiff.errors import InputError
from structdiff.structure.foreign_names import dictionary_code, ion_code, is_water

ATOM_RECORDS = ("ATOM  ", "HETATM")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ELEMENTS = frozenset(symbol.upper() for symbol in SYMBOLS[1:]) | {"D"}


def lines_in_columns(text: str) -> tuple[list[str], dict[str, str]]:
    """The lines of a PDB file, as many as it has; and names of residues of four letters, by what stands for them there.

    Elements that the file does not state come from the dictionary, where that has the residue and the atom, else from
    the atom's name. Residue numbers of five digits become hybrid ones, which are read as the numbers they are. Waters
    whose number did not fit its columns (``****``) are left out. Several structures of the same atoms that END lines
    part are models. Raises InputError, with the line, for tabs and letters that are not ASCII in lines of atoms, for
    coordinates and residue numbers that are no numbers, and for different structures after an END line.
    """
    lines = _records(text.splitlines())
    for row, line in enumerate(lines):
        if line.startswith((*ATOM_RECORDS, "ATOM\t", "HETATM\t")):
            lines[row] = _numbered(_checked(line, row), row)
    _join(lines)
    rows = [row for row, line in enumerate(lines) if line.startswith(ATOM_RECORDS)]
    names = _shorten_names(lines, rows)
    aligned = not any(lines[row][12:16] == "CA  " and _is_residue(lines[row][17:20].strip()) for row in rows)
    for row in rows:
        residue = lines[row][17:20].strip()
        lines[row] = _with_element(lines[row], names.get(residue, residue), aligned=aligned)
    return lines, names


def _records(lines: list[str]) -> list[str]:
    """Records are large letters, or small ones in the whole file; other words in small letters are scores (Rosetta)."""
    if any(line.startswith(("atom  ", "hetatm")) for line in lines):
        return [f"{line[:6].upper()}{line[6:]}" for line in lines]
    return ["REMARK" if line[:1].islower() else line for line in lines]


def _checked(line: str, row: int) -> str:
    if not line.isascii():  # it takes more than one byte, so that columns are not where they seem to be
        found = next(letter for letter in line if not letter.isascii())
        raise InputError("lines of atoms are plain ASCII", line=row + 1, found=found)
    if "\t" in line:
        raise InputError("lines of atoms have fixed columns", line=row + 1, found="a tab", allowed="blanks")
    if len(line) < 54:
        raise InputError("this is not a whole PDB file: the line of an atom is too short", line=row + 1, found=line)
    for start in (30, 38, 46):
        try:
            float(line[start : start + 8])
        except ValueError:
            raise InputError(
                "the coordinates of this atom are no numbers", line=row + 1, found=line[30:54].strip(),
                allowed="three numbers in columns 31-38, 39-46, 47-54",
            ) from None  # fmt: skip
    return line


def _numbered(line: str, row: int) -> str:
    """The line with a residue number that can be read. Five digits reach into the column of insertion codes."""
    number, code = line[22:26], line[26:27]
    if number.isdigit() and code.isdigit():
        return f"{line[:22]}{_hybrid(int(number + code))} {line[27:]}"
    text = number.strip()
    if text.removeprefix("-").isdigit() or (len(text) == 4 and text.isalnum()) or not (text or line[0] == "A"):
        return line
    if is_water(line[17:21].strip()):
        return "REMARK"
    raise InputError(
        "the residue of this atom has no number", line=row + 1, found=text,
        allowed="a whole number in columns 23-26, or a hybrid-36 one beyond 9999",
    )  # fmt: skip


def _hybrid(number: int) -> str:
    """A residue number above 9999 in four columns: hybrid-36, which counts on from A000."""
    value, text = number - 10_000 + 10 * 36**3, ""
    while value:
        value, digit = divmod(value, 36)
        text = _DIGITS[digit] + text
    return text


def _join(lines: list[str]) -> None:
    """Makes models of the structures that END lines part; one structure stays as it is."""
    parts: list[list[int]] = [[]]
    ends = []
    for row, line in enumerate(lines):
        if line.rstrip().upper() == "END" and parts[-1]:
            parts.append([])
            ends.append(row)
        elif line.startswith(ATOM_RECORDS):
            parts[-1].append(row)
    later = [(end, part) for end, part in zip(ends, parts[1:], strict=True) if part]
    if not later:
        return
    first = _first_model(lines, parts[0])
    for end, part in later:
        if _first_model(lines, part) != first:
            raise InputError(
                "another structure follows after END", line=end + 1, found=lines[part[0]][:27].strip(),
                allowed="one structure in a file; one complex without this END line; models, which have the same atoms",
            )  # fmt: skip
    number = 0
    for row, line in enumerate(lines):
        if row in ends:
            lines[row] = "REMARK" if lines[row - 1].startswith("ENDMDL") else "ENDMDL"
        elif line.startswith("MODEL "):
            number += 1
            lines[row] = f"MODEL     {number:4d}"


def _first_model(lines: Sequence[str], rows: Sequence[int]) -> list[str]:
    """Names of the atoms and residues of the first model among these lines."""
    stop = next((row for row in range(rows[0], rows[-1]) if lines[row].startswith("ENDMDL")), rows[-1] + 1)
    return [lines[row][12:27] for row in rows if row < stop]


def _shorten_names(lines: list[str], rows: Iterable[int]) -> dict[str, str]:
    """Puts three characters in the place of names of four letters, which reach into the columns of chain ids."""
    wide: dict[str, set[str]] = defaultdict(set)  # names of four letters, were they such, by what may be a chain id
    for row in rows:
        if lines[row][20:21].strip():
            wide[lines[row][20:22]].add(lines[row][17:21].strip())
    own = any(id_[1:].strip() and _are_residues_of_chain(names) for id_, names in wide.items())
    shorter: dict[str, str] = {}
    for row in rows:
        id_ = lines[row][20:22]
        if id_ in wide and not (own and id_[1:].strip()):
            name = lines[row][17:21].strip()
            short = shorter.setdefault(name, f"^{_DIGITS[len(shorter) // 36 % 36]}{_DIGITS[len(shorter) % 36]}")
            lines[row] = f"{lines[row][:17]}{short} {lines[row][21:]}"
    return {short: name for name, short in shorter.items()}


def _are_residues_of_chain(names: Iterable[str]) -> bool:
    """Whether chain ids have two letters: residues of polymers stand beside one, and not for names of four letters."""
    return any(_is_residue(name[:3]) for name in names) and not all(
        _is_residue(name) or is_water(name) for name in names
    )


def _is_residue(name: str) -> bool:
    code = dictionary_code(name)
    return is_known(code) and component(code).kind != OTHER


def _with_element(line: str, residue: str, *, aligned: bool) -> str:
    """The line with its element in columns 77-78.

    aligned: names begin in the second of their columns where the element has one letter, which a reader understands.
    """
    stated = line[76:78].strip().upper()
    element = _element(line[12:16].strip(), residue, stated if stated in _ELEMENTS else "", aligned)
    return f"{line[:76]:<76}{element:>2}{line[78:]}" if element != stated else line


@lru_cache(maxsize=4096)
def _element(name: str, residue: str, stated: str, aligned: bool) -> str:
    if is_water(residue):  # most lines of a simulation, which need no dictionary
        return stated or _element_of_name(name, residue)
    element = _polymer_element(residue, name) or stated or _dictionary_element(residue, name)
    if not element and (not aligned or _letters(name) == _letters(residue)):
        element = _element_of_name(name, residue)
    return element


def _polymer_element(residue: str, name: str) -> str:
    """The element of an atom of an amino acid or a nucleotide; atoms that the dictionary lacks may be hydrogens."""
    code = dictionary_code(residue)
    if not is_known(code) or component(code).kind == OTHER:
        return ""
    return _dictionary_element(code, name) or ("H" if name.lstrip("0123456789")[:1] in ("H", "D") else "")


def _dictionary_element(residue: str, name: str) -> str:
    code = ion_code(residue, name) or dictionary_code(residue)
    whole = component(code) if is_known(code) else None
    row = whole.atom_index.get(code if ion_code(residue, name) else name) if whole is not None else None
    return "" if whole is None or row is None else element_symbol(int(whole.elements[row])).upper()


def _element_of_name(name: str, residue: str) -> str:
    """What a name that may begin in any column tells: an ion's is its residue's; Cl, Br and small second letters."""
    letters = _letters(name)
    two = letters[:2].upper()
    is_ion = letters == _letters(residue) and letters.upper() in _ELEMENTS
    if two in _ELEMENTS and len(letters) > 1 and (is_ion or letters[1].islower() or letters in ("CL", "BR")):
        return two
    return letters[:1].upper() if letters[:1].upper() in _ELEMENTS else ""


def _letters(name: str) -> str:
    return "".join(letter for letter in name if letter.isalpha())
