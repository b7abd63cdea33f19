"""Entities of BoltzGen that are written as sequences, lengths, components or SMILES, as chains of a plan."""

from __future__ import annotations

from structdiff.spec.boltzgen_plan import Chain, Item, Part, Plan, copied
from structdiff.spec.boltzgen_text import AMINO_ACIDS, amino_acids, items_at, parse_items, parse_letters
from structdiff.spec.document import Node

_SHARED = ("id", "binding_types", "secondary_structure", "symmetric_group", "residue_constraints", "cyclic", "fuse")
_KEYS = {
    **dict.fromkeys(("protein", "dna", "rna"), (*_SHARED, "sequence", "msa")),
    "ligand": (*_SHARED, "ccd", "smiles"),
}
_NO_STRUCTURE = "a file entity with its structure (structdiff predict makes one of a sequence)"


def add_sequence(plan: Plan, kind: str, node: Node) -> None:
    """Adds the chains of a protein, dna, rna or ligand entity to a plan; raises InputError."""
    given = node.fields(_KEYS[kind], required=("id",))
    ids = [each.text() for each in given["id"].one_or_more()]
    if not ids:
        given["id"].fail("expected the name of a chain", found="an empty list", allowed="a name, or a list of several")
    chain = _ligand(given, node) if kind == "ligand" else _polymer(kind, given, node)
    for key, field in (("binding_types", "binding"), ("secondary_structure", "fold")):
        if key in given:
            for item, letter in parse_letters(given[key], chain.items, key):
                setattr(item, field, letter)
    if "residue_constraints" in given and kind == "protein":
        _restrict(chain.items, given["residue_constraints"])
    if "msa" in given:
        plan.tell("msa has no counterpart: designs read no alignments")
    if len(ids) > 1 and any(item.least != item.most for item in chain.items):
        plan.tell(f"chains {', '.join(ids)}: a length is drawn for each, not one for all")
    twins = given["symmetric_group"].integer() if "symmetric_group" in given else 0
    for name in ids:
        part = Part(id=name, items=copied(chain.items), node=node)
        whole = Chain(id=name, kind=kind, parts=[part], cyclic=chain.cyclic, twins=twins, ccd=chain.ccd,
                      smiles=chain.smiles)  # fmt: skip
        join(plan, [whole], given.get("fuse"))


def join(plan: Plan, chains: list[Chain], fuse: Node | None) -> None:
    """Adds chains to a plan, or what the only one of them holds to the end of the chain that ``fuse`` names."""
    if fuse is None:
        plan.chains += chains
        return
    if len(chains) != 1:
        fuse.fail("one chain is fused to another", found=f"{len(chains)} chains", allowed="an include of one chain")
    target, added = plan.named(fuse.text(), fuse), chains[0]
    if target.kind != added.kind or added.kind == "ligand":
        fuse.fail("polymers of one kind are fused", found=f"a {added.kind} to a {target.kind}")
    if added.cyclic:
        fuse.fail("a ring is that of the whole chain", found="cyclic beside fuse",
                  allowed=f"to say it of {fuse.text()}, the chain that is fused to")  # fmt: skip
    if added.twins not in (0, target.twins):
        fuse.fail("a symmetric_group is that of the whole chain", found=f"{added.twins} beside fuse",
                  allowed=f"to say it of {fuse.text()}, the chain that is fused to")  # fmt: skip
    target.parts += added.parts


def _polymer(kind: str, given: dict[str, Node], node: Node) -> Chain:
    if "sequence" not in given:
        node.fail("the key 'sequence' is missing", allowed="sequence: 80..140, say")
    sequence = given["sequence"]
    if kind != "protein":
        sequence.fail("structdiff designs proteins, and keeps nucleic acids where a file has them", found=kind,
                      allowed=_NO_STRUCTURE)  # fmt: skip
    items = parse_items(sequence)
    if all(item.letter for item in items) and "fuse" not in given:
        sequence.fail("there is no structure for this sequence, and structdiff designs against structures",
                      found=sequence.text(), allowed=_NO_STRUCTURE)  # fmt: skip
    cyclic = "cyclic" in given and given["cyclic"].boolean()
    return Chain(id="", kind=kind, parts=[Part(id="", items=items, node=node)], cyclic=cyclic)


def _ligand(given: dict[str, Node], node: Node) -> Chain:
    if ("ccd" in given) == ("smiles" in given):
        node.fail("a ligand has either ccd or smiles", found=[key for key in ("ccd", "smiles") if key in given])
    for key in ("fuse", "cyclic", "residue_constraints"):
        if key in given and not (key == "cyclic" and not given[key].boolean()):
            given[key].fail(f"{key} is said of polymers, and this is a ligand")
    codes = [each.text().upper() for each in given["ccd"].one_or_more()] if "ccd" in given else []
    if len(codes) > 1:
        given["ccd"].fail("one component makes a free ligand here", found=codes, allowed="a file with the whole ligand")
    smiles = given["smiles"].text() if "smiles" in given else ""
    part = Part(id="", items=[Item()], node=node)
    return Chain(id="", kind="ligand", parts=[part], ccd="".join(codes), smiles=smiles)


def _restrict(items: list[Item], node: Node) -> None:
    """Has residues become only amino acids that all their constraints allow; those that are said stay."""
    for each in node.items():
        given = each.fields(("position", "allowed", "disallowed"), required=("position",))
        if ("allowed" in given) == ("disallowed" in given):
            each.fail("a constraint has either allowed or disallowed", found=list(given))
        named = amino_acids(given["allowed"] if "allowed" in given else given["disallowed"])
        may_be = named if "allowed" in given else "".join(sorted(set(AMINO_ACIDS) - set(named)))
        for item in items_at(given["position"], items):
            item.allowed = "".join(letter for letter in item.allowed or AMINO_ACIDS if letter in may_be)
            if not item.allowed:
                each.fail("no amino acid is left that may be here", found=given["position"].text())
