"""Which bonds RDKit takes for aromatic, which are more than the dictionary's: those of guanine's six-membered ring."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, islice

from rdkit import Chem, rdBase

from structdiff.chemistry.components import AROMATIC

#: The order of bonds of any other kind, as those from an atom to a metal that RDKit calls dative.
OTHER = 0
_MOST_TRIES = 500
_NITROGEN = 7
_ORDERS = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE, AROMATIC: Chem.BondType.AROMATIC}
_NUMBERS = {bond: number for number, bond in _ORDERS.items()}


@lru_cache(maxsize=512)
def rdkit_bond_orders(
    elements: tuple[int, ...], charges: tuple[int, ...], bonds: tuple[tuple[int, int], ...], orders: tuple[int, ...]
) -> tuple[int, ...]:
    """The orders (1, 2, 3, 4 aromatic, 0 other) of a molecule's bonds between its heavy atoms as RDKit perceives them.

    Aromatic nitrogens whose hydrogens nobody tells get as few as will do, where most bonds are aromatic then. Molecules
    that RDKit cannot make sense of, as many with metals, keep their orders.
    """
    mol = _molecule(elements, charges, bonds, orders)
    open_ = [atom.GetIdx() for atom in mol.GetAtoms() if _may_hold_hydrogen(atom)]
    with rdBase.BlockLogs():
        for size in range(len(open_) + 1):
            found = [_perceived(mol, chosen) for chosen in islice(combinations(open_, size), _MOST_TRIES)]
            kept = [each for each in found if each is not None]
            if kept:
                return max(kept, key=lambda each: each.count(AROMATIC))
    return orders


def _may_hold_hydrogen(atom: Chem.Atom) -> bool:
    """Whether an atom is an aromatic nitrogen that the dictionary's flags leave open: [nH] or n."""
    aromatic = all(bond.GetIsAromatic() for bond in atom.GetBonds())
    return aromatic and atom.GetAtomicNum() == _NITROGEN and atom.GetDegree() == 2 and not atom.GetFormalCharge()


def _perceived(mol: Chem.Mol, with_hydrogen: tuple[int, ...]) -> tuple[int, ...] | None:
    """The orders where these atoms hold a hydrogen; None where the molecule does not allow that."""
    tried = Chem.RWMol(mol)
    for row in with_hydrogen:
        tried.GetAtomWithIdx(row).SetNumExplicitHs(1)
    try:
        Chem.SanitizeMol(tried)
    except Chem.MolSanitizeException:
        return None
    return tuple(_NUMBERS.get(bond.GetBondType(), OTHER) for bond in tried.GetBonds())


def _molecule(
    elements: tuple[int, ...], charges: tuple[int, ...], bonds: tuple[tuple[int, int], ...], orders: tuple[int, ...]
) -> Chem.RWMol:
    mol = Chem.RWMol()
    for element, charge in zip(elements, charges, strict=True):
        atom = Chem.Atom(element)
        atom.SetFormalCharge(charge)
        mol.AddAtom(atom)
    for (first, second), order in zip(bonds, orders, strict=True):
        mol.AddBond(first, second, _ORDERS[order])
        if order == AROMATIC:
            mol.GetBondBetweenAtoms(first, second).SetIsAromatic(True)
            for row in (first, second):
                mol.GetAtomWithIdx(row).SetIsAromatic(True)
    return mol
