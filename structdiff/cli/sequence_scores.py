"""``structdiff sequence --score-only``: how likely the sequences of structures are, without designing any."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from structdiff.campaign.work import difference
from structdiff.cli.console import table_console
from structdiff.cli.progress import counted_progress
from structdiff.cli.sequence_asked import Asked
from structdiff.cli.sequence_run import ELSEWHERE, names_of, refuse_other_spellings
from structdiff.errors import InputError, StructdiffError
from structdiff.spec.input_files import file_sha256, read_text

if TYPE_CHECKING:
    from structdiff.inverse_folding import SequenceScore
    from structdiff.structure.tables import Structure

TABLE, RECORD_SUFFIX = "scores.csv", ".scores.json"
_COLUMNS = (
    "name", "source", "header", "negative_log_likelihood", "perplexity", "spread", "chains", "scored_residues", "model",
    "orders", "seed", "sequence",
)  # fmt: skip
_SHOWN_AT_MOST = 40
#: Random orders in which each sequence is read, unless it is said.
ORDERS = 4
#: What is asked of designs and says nothing of a sequence that is given.
_OF_DESIGNS = ("ban", "ban_at", "allow_at", "tie", "bias", "bias_at")


@dataclass(frozen=True, kw_only=True)
class ScoreRun:
    """What all structures of one call share. rows: of the table, of the sequences that are scored. said: errors.

    fasta: sequences that are scored in place of the structures' own. probabilities: all amino acids' are written too.
    """

    model: str
    seed: int
    orders: int
    asked: Asked
    fasta: Path | None
    probabilities: bool
    out: Path
    device: str
    overwrite: bool
    quiet: bool
    rows: list[dict[str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for key in _OF_DESIGNS:
            if getattr(self.asked, key):
                raise InputError("nothing is designed with --score-only", key=key, found=getattr(self.asked, key),
                                 allowed="fix, design, buried, interface")  # fmt: skip

    def all(self, files: Sequence[Path]) -> None:
        """Scores file after file; what fails is said, and the others go on."""
        names = names_of(files)
        if self.fasta is not None:
            read_text(self.fasta)  # what is not there is said once
        refuse_other_spellings(self.out, names, RECORD_SUFFIX)
        if (self.out / TABLE).exists() and not self.overwrite and not any(self.out.glob(f"*{RECORD_SUFFIX}")):
            raise InputError(f"this file would be replaced, and is not from structdiff sequence; {ELSEWHERE}",
                             path=self.out / TABLE)  # fmt: skip
        with counted_progress("scoring sequences", len(names), quiet=self.quiet) as report:
            for number, (name, file) in enumerate(names.items(), start=1):
                try:
                    self.rows.extend(self._one(name, file)["rows"])
                except StructdiffError as error:
                    self.said.append(str(error))
                    print(f"error: {error}", file=sys.stderr, flush=True)
                report(number)
        if self.rows:
            self._write_table()

    def _one(self, name: str, file: Path) -> dict[str, Any]:
        """The record of a structure: what is there of this run, or made now."""
        from structdiff.structure.files import read_structure, write_atomically
        from structdiff.structure.keys import residue_keys

        structure = read_structure(file)
        provenance = self._provenance(file)
        there = None if self.overwrite else _read_record(self.out / f"{name}{RECORD_SUFFIX}")
        if there is not None:
            changed = difference(there["provenance"], provenance)
            if changed is not None:
                raise InputError(f"{name} is here from another run ({changed}); {ELSEWHERE}", path=self.out)
            return there
        rows, entries = [], []
        for own, header, score in self._scores(name, file, structure):
            rows.append(self._row(own, name, header, score))
            entries.append(_entry(own, header, score, probabilities=self.probabilities))
        residues = ["{}{}{}".format(*key) for key in residue_keys(structure)]
        record = {"name": name, "provenance": provenance, "rows": rows, "residues": residues, "scores": entries}
        self.out.mkdir(parents=True, exist_ok=True)
        write_atomically(self.out / f"{name}{RECORD_SUFFIX}", json.dumps(record, indent=1) + "\n")
        return record

    def _scores(self, name: str, file: Path, structure: Structure) -> Iterator[tuple[str, str, SequenceScore]]:
        """Each sequence of a structure: what it is called, its header, and its score."""
        from structdiff.inverse_folding import score_sequence
        from structdiff.inverse_folding.given_sequences import read_given_sequences

        asked = self.asked.of(structure)
        given = [(name, "", None)]
        if self.fasta is not None:
            found = read_given_sequences(self.fasta, structure)
            given = [(f"{name}_{number}", each.header, each.sequences) for number, each in enumerate(found, start=1)]
        for own, header, sequences in given:
            try:
                score = score_sequence(
                    structure, model=self.model, seed=self.seed, num_orders=self.orders, sequences=sequences,
                    given=asked.fixed, membrane=asked.membrane, device=self.device,
                )  # fmt: skip
            except InputError as error:
                where = f"{self.fasta}: {header}: " if header else ""
                raise InputError(f"{where}{error}", path=file) from None
            yield own, header, score

    def _row(self, name: str, source: str, header: str, score: SequenceScore) -> dict[str, str]:
        return {
            "name": name,
            "source": source,
            "header": header,
            "negative_log_likelihood": f"{score.negative_log_likelihood:.4f}",
            "perplexity": f"{score.perplexity:.3f}",
            "spread": "" if math.isnan(score.spread) else f"{score.spread:.4f}",
            "chains": _by_chain(
                {chain: f"{value:.4f}" for chain, value in score.chain_negative_log_likelihood.items()}
            ),
            "scored_residues": str(
                sum(not math.isnan(each) for each in score.residue_negative_log_likelihood.tolist())
            ),
            "model": score.model,
            "orders": str(self.orders),
            "seed": str(self.seed),
            "sequence": _by_chain(score.sequences),
        }

    def _provenance(self, file: Path) -> dict[str, Any]:
        from structdiff.inverse_folding.library import model_name
        from structdiff.published_weights.catalogue import CATALOGUE
        from structdiff.version import __version__

        weights = CATALOGUE.weights[model_name(self.model)]
        facts = {
            "structdiff": __version__,
            "model": weights.name,
            "model_sha256": weights.sha256,
            "seed": self.seed,
            "orders": self.orders,
            "probabilities": self.probabilities,
            "asked": {key: value for key, value in asdict(self.asked).items() if key not in _OF_DESIGNS},
            "source_sha256": file_sha256(str(file)),
            "fasta_sha256": None if self.fasta is None else file_sha256(str(self.fasta)),
        }
        return json.loads(json.dumps(facts))

    def _write_table(self) -> None:
        """Writes scores.csv anew, of all records in the folder."""
        from structdiff.structure.files import write_atomically

        text = io.StringIO()
        table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        table.writeheader()
        for path in sorted(self.out.glob(f"*{RECORD_SUFFIX}")):
            table.writerows((_read_record(path) or {"rows": []})["rows"])
        write_atomically(self.out / TABLE, text.getvalue())

    def show(self) -> None:
        """Prints the table of what was scored."""
        several = any("/" in row["chains"] for row in self.rows)
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("name")
        table.add_column("NLL", justify="right")
        for heading in (["by chain"] if several else []) + ["sequence"]:
            table.add_column(heading, overflow="fold")
        for row in self.rows[:_SHOWN_AT_MOST]:
            chains = [row["chains"].replace("/", " ")] if several else []
            table.add_row(row["name"], row["negative_log_likelihood"], *chains, row["sequence"])
        table_console().print(table)
        if len(self.rows) > _SHOWN_AT_MOST:
            print(f"... and {len(self.rows) - _SHOWN_AT_MOST} more; the table lists all", file=sys.stderr)
        print(f"{len(self.rows)} sequence{'s' if len(self.rows) != 1 else ''} scored in {self.out}")


def _entry(name: str, header: str, score: SequenceScore, *, probabilities: bool) -> dict[str, Any]:
    from structdiff.inverse_folding.alphabet import LETTERS, NUM_AMINO_ACIDS

    entry: dict[str, Any] = {
        "name": name,
        "header": header,
        "chains": dict(score.sequences),
        "negative_log_likelihood": round(score.negative_log_likelihood, 5),
        "chain_negative_log_likelihood": {
            chain: round(value, 5) for chain, value in score.chain_negative_log_likelihood.items()
        },
        "residue_negative_log_likelihood": _plain(score.residue_negative_log_likelihood.tolist()),
    }
    if probabilities:
        entry["amino_acids"] = LETTERS[:NUM_AMINO_ACIDS]
        entry["log_probabilities"] = [_plain(row) for row in score.log_probabilities[:, :NUM_AMINO_ACIDS].tolist()]
    return entry


def _plain(values: Sequence[float]) -> list[float | None]:
    return [None if math.isnan(value) else round(value, 4) for value in values]


def _by_chain(texts: Mapping[str, str]) -> str:
    return "/".join(f"{chain}:{text}" for chain, text in texts.items())


def _read_record(path: Path) -> dict[str, Any] | None:
    """What NAME.scores.json holds; None where it is not there. Raises InputError when it is damaged."""
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(record["provenance"], dict) and isinstance(record["rows"], list):
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InputError("this file was damaged; delete it, or use --overwrite", path=path)
