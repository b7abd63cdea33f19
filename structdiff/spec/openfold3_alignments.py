"""How JSON of OpenFold 3 names the alignments of a chain: files, or folders of files that its own pipeline names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from structdiff.packed_files import PACKED_SUFFIXES
from structdiff.spec.chain import NO_ALIGNMENT
from structdiff.spec.document import Node
from structdiff.spec.input_files import relocated
from structdiff.spec.text_source import file_source

MAIN, PAIRED = "main_msa_file_paths", "paired_msa_file_paths"
#: Whether any alignment is used, the main ones, the paired ones. They stand beside the chains or in a chain.
USE_KEYS = _USE, _USE_MAIN, _USE_PAIRED = "use_msas", "use_main_msas", "use_paired_msas"
#: The names of files in a folder, without their suffix, in the order in which their rows are taken.
_NAMES = (
    "colabfold_paired", "uniref90_hits", "bfd_uniclust_hits", "bfd_uniref_hits", "cfdb_uniref30", "mgnify_hits",
    "concat_cfdb_uniref100_filtered", "colabfold_main", "dummy", "uniprot_hits",
)  # fmt: skip
_TEMPLATES = "hmm_output"  # alignments to templates, which OpenFold 3's pipeline writes into the same folder
_SUFFIXES = (".a3m", ".sto")


def alignments(kind: str, query: Mapping[str, Node], chain: Mapping[str, Node]) -> tuple[str, ...]:
    """The sources of a chain's alignment, paired rows before the others; one word where there is to be none.

    query, chain: the fields beside the chains, and those of the chain. Nothing is said where they are silent. Raises
    InputError for what is not there, for tables (.npz), and for alignments of RNA.
    """
    used = [key for key in (PAIRED, MAIN) if key in chain and _is_used(key, query, chain)]
    if used and kind == "rna":
        chain[used[0]].fail(f"alignments of RNA are not read: leave the key out, or set {_USE!r} to false")
    found = tuple(source for key in used for source in _sources(chain[key]))
    refused = not _is_used(MAIN, query, chain) and kind in ("protein", "rna")
    return found or ((NO_ALIGNMENT,) if refused else ())


def paired_alignments(sources: Sequence[str], query: Mapping[str, Node], chain: Mapping[str, Node]) -> tuple[str, ...]:
    """Those of a chain's sources whose rows belong to those of other chains."""
    named = _sources(chain[PAIRED]) if PAIRED in chain and _is_used(PAIRED, query, chain) else []
    return tuple(each for each in sources if each in named or _stem(Path(each)) == _NAMES[0])


def _is_used(key: str, query: Mapping[str, Node], chain: Mapping[str, Node]) -> bool:
    switches = (_USE, _USE_MAIN if key == MAIN else _USE_PAIRED)
    return all(fields[name].boolean() for fields in (query, chain) for name in switches if name in fields)


def _sources(node: Node) -> list[str]:
    found: list[str] = []
    for each in node.one_or_more():
        text = each.text()
        if text.lower().endswith(".npz"):
            each.fail("tables of OpenFold 3 (.npz) are not read: name the A3M or Stockholm files that they were made "
                      "of", found=text)  # fmt: skip
        folder = Path(text if each.path is None else relocated(text, each.path.parent))
        found += _folder_sources(each, folder) if folder.is_dir() else [file_source(each)]
    return found


def _folder_sources(node: Node, folder: Path) -> list[str]:
    """The alignments of a folder, by their names, so that none is taken for an alignment that is something else."""
    files = [path for path in sorted(folder.iterdir()) if _is_alignment(path) and _stem(path) != _TEMPLATES]
    for path in files:
        if _stem(path) not in _NAMES:
            node.fail("this folder has an alignment of a name that OpenFold 3 does not give: name the files themselves",
                      found=path.name, allowed=_NAMES)  # fmt: skip
    if not files:
        node.fail("there is no alignment in this folder", found=node.text(),
                  allowed=f"{', '.join(_NAMES)} ({' or '.join(_SUFFIXES)})")  # fmt: skip
    return [path.as_posix() for path in sorted(files, key=lambda path: _NAMES.index(_stem(path)))]


def _is_alignment(path: Path) -> bool:
    packed = path.suffix in PACKED_SUFFIXES
    return path.is_file() and (Path(path.stem) if packed else path).suffix in _SUFFIXES


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]
