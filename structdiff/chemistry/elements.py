"""The chemical elements: symbol to atomic number and back."""

from __future__ import annotations

from structdiff.errors import InputError

_TABLE = (
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb "
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au "
    "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts "
    "Og"
)
#: Symbol of each element by atomic number; 0 is an unknown element (CCD symbol X).
SYMBOLS = tuple(_TABLE.split())
NUM_ELEMENTS = len(SYMBOLS)
_NUMBERS = {symbol.upper(): number for number, symbol in enumerate(SYMBOLS)} | {"D": 1, "T": 1}


def atomic_number(symbol: str) -> int:
    """Atomic number of an element symbol in any case; deuterium and tritium are hydrogen.

    >>> atomic_number("SE"), atomic_number("d")
    (34, 1)
    """
    try:
        return _NUMBERS[symbol.strip().upper()]
    except KeyError:
        raise InputError("unknown chemical element", found=symbol, suggest_from=SYMBOLS) from None


def element_symbol(number: int) -> str:
    """Symbol of an atomic number; X for an unknown element.

    >>> element_symbol(6), element_symbol(0)
    ('C', 'X')
    """
    return SYMBOLS[number] if 0 <= number < NUM_ELEMENTS else "X"
