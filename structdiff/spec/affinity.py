"""Which ligand's affinity may be asked for: one that is there once, of one component, beside a protein."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structdiff.errors import InputError

if TYPE_CHECKING:
    from structdiff.spec.complex import ComplexSpec

KEY = "affinity"


def check_affinity(spec: ComplexSpec, binder: str) -> None:
    """Raises InputError unless there is a chain of that name whose affinity to a protein can be asked for.

    What is refused is what Boltz-2 was not made for, and Boltz's own program refuses too.
    """
    if binder not in spec.chain_ids:
        raise InputError("there is no such chain", key=KEY, found=binder, allowed=spec.chain_ids,
                         suggest_from=spec.chain_ids)  # fmt: skip
    chain = spec.chain(binder)
    ligands = [name for each in spec.chains if each.kind == "ligand" for name in each.ids]
    if chain.kind != "ligand":
        raise InputError("affinities are those of ligands", key=KEY, found=f"{binder}, a {chain.kind}", allowed=ligands)
    if len(chain) > 1:
        raise InputError("affinities are those of ligands of one component", key=KEY,
                         found=f"{binder}, of {len(chain)}")  # fmt: skip
    own = spec.component_names(binder)
    copies = [name for name in ligands if spec.component_names(name) == own]
    if len(copies) > 1:
        raise InputError("affinities are those of ligands that are there once", key=KEY,
                         found=f"{', '.join(copies)} are the same")  # fmt: skip
    if not any(each.kind == "protein" for each in spec.chains):
        raise InputError("affinities are those to proteins, and there is none", key=KEY, found=binder)
