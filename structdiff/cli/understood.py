"""What was understood of a complex, in words: ``structdiff predict --dry-run``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from structdiff.spec.chain import SEQUENCE_ALONE
from structdiff.structure.tables import ChainKind

if TYPE_CHECKING:
    from structdiff.features.helices import PairsOfComplex
    from structdiff.spec.complex import ComplexSpec
    from structdiff.spec.template import TemplateSpec
    from structdiff.structure.tables import Structure


def understood(spec: ComplexSpec, structure: Structure, pairs: PairsOfComplex | None) -> str:
    """Chain by chain what a complex is made of, by the names that constraints take, and what is asked of it.

    structure: what was built of it; pairs: its base pairs, None where they are not known.
    """
    lines = (*_chains(spec, structure), *_asked(spec, structure, pairs))
    return "\n".join([spec.name, *(f"  {line}" for line in lines)])


def _chains(spec: ComplexSpec, structure: Structure) -> Iterator[str]:
    for row, name in enumerate(structure.chains.name.tolist()):
        span = structure.chain_residues(row)
        components = structure.residues.name[span].tolist()
        if structure.chains.kind[row] == ChainKind.LIGAND:
            for number, component in enumerate(components, start=1):
                atoms = structure.atoms.name[structure.residue_atoms(span.start + number - 1)].tolist()
                place = name if len(components) == 1 else f"{name}/{number}"
                yield f"{place}  ligand {component}, atoms {' '.join(atoms)}"
            continue
        chain = spec.chain(name)
        modified = [f"{each.ccd} {each.position}" for each in chain.modifications]
        more = [*([f"modified: {', '.join(modified)}"] if modified else []), *(["cyclic"] if chain.cyclic else [])]
        if chain.msa == (SEQUENCE_ALONE,):
            more.append("folded by trRosetta from its sequence alone")
        elif chain.has_alignment:
            more.append(f"folded by the alignment {' and '.join(chain.msa)}")
        yield ", ".join([f"{name}  {chain.kind} of {len(components)} residues", *more])


def _asked(spec: ComplexSpec, structure: Structure, pairs: PairsOfComplex | None) -> Iterator[str]:
    from structdiff.features.requests import complex_bonds, complex_proximities
    from structdiff.structure.complex import used_components

    yield from (f"{', '.join(codes)} as {source} defines" for source, codes in used_components(spec).items())
    yield from (name for name, _ in complex_bonds(spec, structure) if name.startswith("bond "))
    yield from (f"{each.name}, within {each.bound:g} Å" for each in complex_proximities(spec, structure) if each.told)
    yield from map(_template, spec.templates)
    if spec.affinity is not None:
        yield f"affinity of {spec.affinity}, by the weights that are for it"
    if pairs is not None and len(pairs.every):
        yield f"{len(pairs.asked)} base pairs asked for, {len(pairs.predicted)} predicted from the sequences"


def _template(template: TemplateSpec) -> str:
    sources = template.template_chains or ("",) * len(template.chains)
    pairs = zip(template.chains, sources, strict=True)
    served = [f"{chain} (its chain {source})" if source else chain for chain, source in pairs]
    chains = f" for {', '.join(served)}" if served else ""
    mapped = f", {len(template.residues)} residues as mapped" if template.residues else ""
    held = f", held within {template.threshold:g} Å" if template.force else ""
    return f"template {template.path}{chains}{mapped}{held}"


def folding_note(spec: ComplexSpec) -> str:
    """How long it takes until chains with alignments are folded, "" where there are none."""
    from structdiff.features.chain_folds import folding_seconds

    times = folding_seconds(spec)
    chains = f"chain{'s' if len(times) > 1 else ''} {', '.join(times)}"
    return f"folding {chains} by alignment first: some {sum(times.values()):.0f} s" if times else ""
