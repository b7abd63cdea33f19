"""What a component's definition leaves to be found: hydrogens, positions, centres, and orders of aromatic bonds."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence

import gemmi
import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdCIPLabeler

from structdiff.chemistry.components import Component
from structdiff.chemistry.conformers import conformer
from structdiff.chemistry.open_stereo import has_like_oxygens, tell_open_stereo
from structdiff.chemistry.rdkit_molecules import perceived, to_rdkit
from structdiff.errors import InputError

_TRIES = 20  # labels depend on each other: each try turns over what is not yet as it is called


class ContraryStereoWarning(UserWarning):
    """A component whose centres lie otherwise than its definition calls them."""


def completed(
    whole: Component, *, hands: Mapping[str, str], forms: Mapping[tuple[str, str], str], hydrogens_told: bool
) -> Component:
    """A component with all that its definition does not say.

    Hydrogens, where it names none at all, are as many as the bonds leave room for. Positions that are NaN become
    RDKit's, with the hands (R, S) and forms (E, Z) that the definition has for atoms and bonds. Centres are those that
    it names, else those that its positions show. Raises InputError for bonds that an atom cannot have, where this
    depends on them, and for hands that no molecule has.
    """
    with rdBase.BlockLogs():
        if not hydrogens_told:
            whole = _with_hydrogens(whole)
        if not np.isfinite(whole.ideal_positions).all():
            return _drawn(whole, hands, forms)
        shown = _shown(whole)
        if not hands:
            return dataclasses.replace(whole, stereo=_centres(shown))
        _tell_contrary(whole, shown, hands)
        return whole


def alternating(
    names: Sequence[str], elements: Sequence[int], charges: Sequence[int], aromatic: Sequence[tuple[str, str]],
    others: Sequence[tuple[tuple[str, str], int]],
) -> list[int]:  # fmt: skip
    """Orders 1 and 2 of aromatic bonds, by the names of their atoms. others: the other bonds with their orders.

    Raises InputError where there are none.
    """
    mol, row_of = Chem.RWMol(), {name: row for row, name in enumerate(names)}
    for element, charge in zip(elements, charges, strict=True):
        atom = Chem.Atom(element)
        atom.SetFormalCharge(charge)
        mol.AddAtom(atom)
    for (first, second), order in others:
        mol.AddBond(row_of[first], row_of[second], Chem.BondType.values[order])
    for first, second in aromatic:
        mol.AddBond(row_of[first], row_of[second], Chem.BondType.AROMATIC)
        for name in (first, second):
            mol.GetAtomWithIdx(row_of[name]).SetIsAromatic(True)
    with rdBase.BlockLogs():
        try:
            mol.UpdatePropertyCache(strict=False)
            Chem.Kekulize(mol, clearAromaticFlags=True)
        except Chem.MolSanitizeException:
            raise InputError("the aromatic bonds (AROM) have no single and double bonds in turn: give these") from None
    return [int(mol.GetBondBetweenAtoms(row_of[a], row_of[b]).GetBondTypeAsDouble()) for a, b in aromatic]


def _with_hydrogens(whole: Component) -> Component:
    mol = Chem.RWMol(to_rdkit(whole, with_positions=False))
    metals = np.array([gemmi.Element(int(number)).is_metal for number in whole.elements], bool)
    # What a metal binds has no hydrogen there, and more bonds than its valence: these are no ordinary bonds.
    for first, second in whole.bonds[metals[whole.bonds].any(axis=1)].tolist():
        mol.RemoveBond(first, second)
        metals[[first, second]] = True
    for row in np.flatnonzero(~metals).tolist():
        mol.GetAtomWithIdx(row).SetNoImplicit(False)
    problems = Chem.DetectChemistryProblems(mol)
    if problems:
        raise InputError(f"no hydrogens are given, and {whole.name} is not a possible molecule without: "
                         f"{problems[0].Message()}")  # fmt: skip
    Chem.SanitizeMol(mol)
    counts = [atom.GetTotalNumHs() for atom in mol.GetAtoms()]
    return dataclasses.replace(whole, hydrogens=np.array(counts, np.uint8))


def _drawn(whole: Component, hands: Mapping[str, str], forms: Mapping[tuple[str, str], str]) -> Component:
    """The component at RDKit's positions, with the stereochemistry that it names; what it leaves open is told."""
    mol, names = perceived(whole), whole.atom_names.tolist()
    _take_stereo(mol, names, hands, forms)
    positions = conformer(mol, whole.name)
    tell_open_stereo(mol, names, positions, whole.name)
    placed = dataclasses.replace(whole, ideal_positions=np.asarray(positions, np.float32))
    return placed if hands else dataclasses.replace(placed, stereo=_centres(_shown(placed)))


def _shown(whole: Component) -> Chem.Mol:
    """The molecule with the stereochemistry that its positions show."""
    mol, points = perceived(whole), Chem.Conformer(len(whole))
    for row, point in enumerate(whole.ideal_positions.tolist()):
        points.SetAtomPosition(row, point)
    mol.AddConformer(points)
    Chem.AssignStereochemistryFrom3D(mol)
    return mol


def _centres(mol: Chem.Mol) -> np.ndarray:
    tags = (Chem.ChiralType.CHI_TETRAHEDRAL_CW, Chem.ChiralType.CHI_TETRAHEDRAL_CCW)
    return np.array([atom.GetChiralTag() in tags and not has_like_oxygens(atom) for atom in mol.GetAtoms()], bool)


def _labels(mol: Chem.Mol) -> tuple[dict[int, str], dict[int, str]]:
    """R and S by the rows of atoms, E and Z by those of bonds."""
    rdCIPLabeler.AssignCIPLabels(mol)
    return tuple(
        {each.GetIdx(): each.GetProp("_CIPCode") for each in parts if each.HasProp("_CIPCode")}
        for parts in (mol.GetAtoms(), mol.GetBonds())
    )  # type: ignore[return-value]


def _tell_contrary(whole: Component, shown: Chem.Mol, hands: Mapping[str, str]) -> None:
    labels, names = _labels(shown)[0], whole.atom_names.tolist()
    contrary = [
        f"{name} is {labels[names.index(name)]}, not {hand}"
        for name, hand in hands.items()
        if name in names and labels.get(names.index(name), hand) != hand
    ]
    if contrary:
        warnings.warn(
            f"component {whole.name}: at its positions {', '.join(contrary)}, as pdbx_stereo_config says; its "
            "positions are followed", ContraryStereoWarning, stacklevel=4,
        )  # fmt: skip


def _take_stereo(
    mol: Chem.Mol, names: Sequence[str], hands: Mapping[str, str], forms: Mapping[tuple[str, str], str]
) -> None:
    """Gives centres and double bonds of a molecule the stereochemistry by which they are called."""
    rows = {names.index(name): hand for name, hand in hands.items() if name in names}
    bonds = {}
    for (first, second), form in forms.items():
        if first in names and second in names:
            bonds[mol.GetBondBetweenAtoms(names.index(first), names.index(second)).GetIdx()] = form
    for row in rows:
        mol.GetAtomWithIdx(row).SetChiralTag(Chem.ChiralType.CHI_TETRAHEDRAL_CW)
    for row in bonds:
        bond = mol.GetBondWithIdx(row)
        ends = [(bond.GetBeginAtom(), bond.GetEndAtom()), (bond.GetEndAtom(), bond.GetBeginAtom())]
        outer = [min((n.GetIdx() for n in a.GetNeighbors() if n.GetIdx() != b.GetIdx()), default=-1) for a, b in ends]
        if min(outer) >= 0:
            bond.SetStereoAtoms(*outer)
            bond.SetStereo(Chem.BondStereo.STEREOCIS)
    for _ in range(_TRIES):
        found, shapes = _labels(mol)
        wrong = [row for row, hand in rows.items() if found.get(row) != hand]
        turned = [row for row, form in bonds.items() if shapes.get(row) != form]
        if not wrong and not turned:
            Chem.AssignStereochemistry(mol, cleanIt=False, force=True)
            return
        for row in wrong:
            mol.GetAtomWithIdx(row).InvertChirality()
        for row in turned:
            other = mol.GetBondWithIdx(row)
            other.SetStereo(
                Chem.BondStereo.STEREOTRANS if other.GetStereo() == Chem.BondStereo.STEREOCIS
                else Chem.BondStereo.STEREOCIS
            )  # fmt: skip
    called = [f"{names[row]} {rows[row]}" for row in wrong] + [
        f"{names[mol.GetBondWithIdx(row).GetBeginAtomIdx()]}={names[mol.GetBondWithIdx(row).GetEndAtomIdx()]} "
        f"{bonds[row]}" for row in turned
    ]  # fmt: skip
    raise InputError("no molecule with these bonds has the stereochemistry that pdbx_stereo_config tells",
                     found=", ".join(called))  # fmt: skip
