"""``structdiff predict``: structures of complexes."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from structdiff.arguments import check_seed
from structdiff.campaign.finished_files import damage_note
from structdiff.cli.examples import example_lines
from structdiff.cli.failures import Interrupted, described, warn_of_size
from structdiff.cli.options import build_run_options, message_options, run_options, sampling_options, with_options
from structdiff.cli.progress import shown_progress
from structdiff.cli.results import (
    Result,
    check_folder,
    clear_folder,
    damaged_files,
    finished_before,
    names_there,
    read_result,
    show_results,
)
from structdiff.errors import InputError, ResourceError, StructdiffError, disk_is_full

if TYPE_CHECKING:
    from structdiff.alignment_server import AlignmentServer
    from structdiff.engine import Engine
    from structdiff.jobs import Job
    from structdiff.model.checkpoint import Weights
    from structdiff.options import RunOptions
    from structdiff.spec.complex import ComplexSpec

#: Names of complexes with the files they are of, by what is one file on disks that ignore case.
_Taken: TypeAlias = dict[str, tuple[str, Path]]
_FORMATS = {"both": ("cif", "pdb"), "cif": ("cif",), "pdb": ("pdb",)}


@with_options(sampling_options(), run_options(predictions=True), message_options())
def predict(
    inputs: Annotated[list[Path], typer.Argument(help="FASTA, YAML, A3M; JSON of AlphaFold 3, Protenix, OpenFold 3.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the predictions.")] = Path("predictions"),
    samples: Annotated[int, typer.Option("--samples", "-n", help="Structures for each seed.")] = 1,
    seed: Annotated[
        int | None,
        typer.Option(help="The same seed gives the same structures.", show_default="those of the input, else 0"),
    ] = None,
    restraints: Annotated[
        Path | None, typer.Option("--restraints", help="Chai's table of bonds, contacts and pockets of the one input.")
    ] = None,
    msa_server: Annotated[
        str | None,
        typer.Option("--msa-server", metavar="URL|colabfold",
                     help="Ask this server (of the MMseqs2 API) for alignments of proteins without msa: their "
                     "sequences are sent there.", show_default="none is asked"),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what was understood, atom names of ligands too, and what it will need; "
                     "compute nothing."),
    ] = False,
    file_format: Annotated[str, typer.Option("--format", help="both, cif or pdb.")] = "both",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace predictions of another run in the same folder.")
    ] = False,
    **given: Any,
) -> int:  # fmt: skip
    """Predict the structures of complexes of proteins, DNA, RNA and ligands.

    An input that fails is reported and the others go on. Finished predictions in the folder are kept.
    """
    if file_format not in _FORMATS:
        raise InputError("unknown format", key="format", found=file_format, allowed=_FORMATS, suggest_from=_FORMATS)
    if restraints is not None and len(inputs) > 1:
        raise InputError("a table of restraints is of one input", key="restraints", found=f"{len(inputs)} inputs")
    if samples < 1:
        raise InputError("at least one sample is needed", key="samples", found=samples, allowed="1 or more")
    if seed is not None:
        check_seed(seed)
    from structdiff.alignment_server import AlignmentServer
    from structdiff.device import choose_device
    from structdiff.engine import Engine
    from structdiff.model.abilities import check_predictions

    server = AlignmentServer(msa_server) if msa_server is not None else None
    check_folder(out)
    options, weights = build_run_options(given)
    check_predictions(weights.network.abilities, weights.name)
    engine = Engine(weights, device=choose_device(options.device))
    run = _Run(
        weights=weights, engine=engine, options=options, out=out, samples=samples, seed=seed, restraints=restraints,
        formats=_FORMATS[file_format], overwrite=overwrite, quiet=given["quiet"], debug=given["debug"],
        dry_run=dry_run, server=server,
    )  # fmt: skip
    if not dry_run:
        clear_folder(out)
    results, failed, asked = run.all(inputs)
    if dry_run:
        print("nothing was computed or written")
    elif not given["quiet"]:
        if results:
            show_results(results)
        whole = f"{asked - len(failed)} of {_counted(asked, 'input')} predicted"
        print(f"{whole}: {_counted(len(results), 'structure')} in {out}")
    if failed and asked > 1 and not given["quiet"]:
        print(f"failed: {', '.join(dict.fromkeys(failed))}")
    return 2 if failed else 0


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What all inputs of one call share."""

    weights: Weights
    engine: Engine
    options: RunOptions
    out: Path
    samples: int
    seed: int | None
    restraints: Path | None
    formats: Sequence[str]
    overwrite: bool
    quiet: bool
    debug: bool
    dry_run: bool
    server: AlignmentServer | None

    def all(self, inputs: Sequence[Path]) -> tuple[list[Result], list[str], int]:
        """Predicts complex after complex, of which a file may hold several.

        All results, the best of each complex first, the files of what failed, once for each complex, and how many
        complexes were asked for; a file that cannot be read is one.
        """
        results: list[Result] = []
        failed: list[str] = []
        taken: _Taken = {}
        # All are read first, so that what is wrong is told before hours of work and not between.
        read = [(path, place, found) for path, place in _places(inputs) for found in self._read(path, taken)]
        for path, _, found in read:
            if isinstance(found, Exception):
                self._say(found, path)
                failed.append(str(path))
        ready = [(path, place, found) for path, place, found in read if not isinstance(found, Exception)]
        if self.server is not None and not self.dry_run:
            ready = list(self._aligned(ready, self.server, failed))
        for path, place, found in ready:
            made: list[Result] = []
            with _warnings_named(path):
                work = self._told(found) if self.dry_run else self._complex(found, place)
                if not self._succeeds(work, path, made, results):
                    failed.append(str(path))
            results += sorted(made, key=lambda result: result.merit, reverse=True)
        return results, failed, len(read)

    def _read(self, path: Path, taken: _Taken) -> list[ComplexSpec | Exception]:
        """The complexes of a file, or why it, or one of them, cannot be read or has no name of its own."""
        from structdiff.spec.read import read_complex, read_each_complex

        with _warnings_named(path):
            try:
                if self.restraints is not None:
                    read: list[ComplexSpec | InputError] = [read_complex(path, restraints=self.restraints)]
                else:
                    read = list(read_each_complex(path))
                return [self._affinity_checked(_with_own_name(found, path, taken)) for found in read]
            except Exception as error:
                return [error]

    def _affinity_checked(self, found: ComplexSpec | InputError) -> ComplexSpec | InputError:
        """What was found, or an error where an affinity is asked for that these weights cannot say."""
        if isinstance(found, InputError) or found.affinity is None:
            return found
        try:
            _ = self.engine.affinity_weights
        except InputError as error:
            return error
        return found

    def _aligned(
        self, ready: Sequence[tuple[Path, str, ComplexSpec]], server: AlignmentServer, failed: list[str]
    ) -> Iterator[tuple[Path, str, ComplexSpec]]:
        """Those that get their alignments from a server, before hours of work too; the others count as failed."""
        from structdiff.cli.server_alignments import aligned

        for path, place, spec in ready:
            with _warnings_named(path):
                try:
                    found = aligned(spec, server, quiet=self.quiet, check=self._checked)
                except Interrupted:
                    raise
                except Exception as error:
                    self._say(error, path)
                    failed.append(str(path))
                else:
                    yield path, place, found

    def _checked(self, spec: ComplexSpec) -> Job:
        """The job of a complex with alignments that are not folded yet; whatever is refused is refused here."""
        from structdiff.complex_jobs import complex_job

        return complex_job(spec, self.engine.check_size, folded=False, abilities=self.engine.network.abilities)

    def _told(self, spec: ComplexSpec) -> Iterator[Result]:
        """Says what was understood of a complex; makes nothing."""
        from structdiff.cli.server_alignments import aligned, as_if_aligned, sending_note
        from structdiff.cli.understood import folding_note, understood
        from structdiff.structure.complex import build_complex

        asked = self.server and sending_note(spec, self.server)
        if self.server is not None and not asked:
            spec = aligned(spec, self.server, quiet=True)
        try:
            if asked:
                self._checked(as_if_aligned(spec))
            job = self._checked(spec)
            needs = self._estimate(job, len(self._seeds(spec)) * self.samples)
            folds = "" if job.abilities.alignments else folding_note(spec)
            folding = [f"  {each}" for each in [asked, folds] if each]
            print(understood(spec, job.structure, job.base_pairs), *folding, needs, "", sep="\n")
        except ResourceError as error:
            print(understood(spec, build_complex(spec), None), "", sep="\n")
            warn_of_size(error)
        yield from ()

    def _estimate(self, job: Job, count: int) -> str:
        from structdiff.campaign.estimate import estimate_prediction

        return f"  {estimate_prediction(job, self.engine, self.options, count).text}"

    def _seeds(self, spec: ComplexSpec) -> tuple[int, ...]:
        return (self.seed,) if self.seed is not None else spec.seeds or (0,)

    def _succeeds(self, job: Iterator[Result], path: Path, made: list[Result], before: Sequence[Result]) -> bool:
        """Does a piece of work after those before, collects what is made, and says why if it fails."""
        try:
            for result in job:
                made.append(result)
        except KeyboardInterrupt:
            finished = _counted(len(before) + len(made), "finished structure")
            raise Interrupted(f"interrupted: {finished} in {self.out}") from None
        except Exception as error:
            if disk_is_full(error):  # none of those that follow could be kept
                raise ResourceError(f"{self.out}: the disk is full; what is finished is safe") from None
            self._say(error, path)
            return False
        return True

    def _say(self, error: Exception, path: Path) -> None:
        if self.debug:
            traceback.print_exception(error)
        print(f"error: {_named(error, path)}", file=sys.stderr, flush=True)

    def _complex(self, spec: ComplexSpec, place: str) -> Iterator[Result]:
        from structdiff.output.files import check_spellings
        from structdiff.output.trajectory import without_trajectory

        seeds = self._seeds(spec)
        names = [f"{spec.name}_{number + 1}" for number in range(len(seeds) * self.samples)]
        check_spellings(self.out, names)
        kept = set() if self.overwrite else self._finished(names, seeds, spec)
        if kept and not self.quiet:
            part = f"{len(kept)} of {len(names)} structures of {spec.name} are in {self.out} already and are kept"
            whole = f"{spec.name} is in {self.out} already and is kept"
            print(whole if len(kept) == len(names) else part, file=sys.stderr)
        if self.options.trajectory:
            self._tell(without_trajectory(self.out, sorted(kept)))
        drawn = self._drawn(spec, names, [row for row, name in enumerate(names) if name not in kept], place)
        for name in names:
            if name not in kept:
                next(drawn)
            yield from self._results([name])

    def _drawn(self, spec: ComplexSpec, names: Sequence[str], left: Sequence[int], place: str) -> Iterator[None]:
        """Makes and writes those of the structures that are not there yet, one a step."""
        from structdiff import pipeline
        from structdiff.output.files import remove_structures, write_prediction
        from structdiff.output.trajectory import write_trajectory

        def on_job(job: Job) -> None:
            if left and not self.quiet:
                print(spec.name, self._estimate(job, len(left)), sep="\n")

        if left:
            self._fold(spec)
        there = names_there(self.out, spec.name) if self.overwrite else []
        with shown_progress(f"predicting {spec.name}{place}", quiet=self.quiet) as report:
            drawn = pipeline.predict(
                spec, samples=self.samples, seed=self.seed, options=self.options, engine=self.engine, places=left,
                on_job=on_job, on_progress=report,
            )  # fmt: skip
            for row, prediction in zip(left, drawn, strict=True):
                remove_structures(self.out, there)
                there = []
                if self.options.trajectory:
                    write_trajectory(prediction, self.out, names[row])
                written = write_prediction(prediction, self.out, names[row], formats=self.formats)
                self._tell(written.note)
                yield

    def _fold(self, spec: ComplexSpec) -> None:
        """Folds chains with alignments, which are kept, before the clock of what is drawn starts."""
        from structdiff.cli.understood import folding_note
        from structdiff.features.chain_folds import fold_chains

        note = folding_note(spec)
        if note:
            job = self._checked(spec)
            self._tell(note)
            assert job.templates is not None
            fold_chains(spec, job.structure, job.templates)

    def _finished(self, names: Sequence[str], seeds: Sequence[int], spec: ComplexSpec) -> set[str]:
        from structdiff.affinity import affinity_record
        from structdiff.assembly import provenance_of
        from structdiff.complex_jobs import complex_request

        finished: set[str] = set()
        damaged = damaged_files(self.out, names)
        if damaged:
            self._tell(damage_note([path for paths in damaged.values() for path in paths]))
        for place, seed in enumerate(seeds):
            own = [name for name in names[place * self.samples : (place + 1) * self.samples] if name not in damaged]
            request = complex_request(spec)
            wanted = provenance_of(request, self.weights, self.options, seed=seed, index=0, device="", prediction=True)
            if spec.affinity is not None:
                wanted = replace(wanted, affinity=affinity_record(self.engine))
            finished |= finished_before(self.out, own, wanted.as_data())
        kept = {name for name in finished if (self.out / f"{name}.{self.formats[0]}").is_file()}
        for name in names:
            if name in kept:
                self._tell(self._with_all_formats(name))
        return kept

    def _with_all_formats(self, name: str) -> str:
        """Adds the format that an earlier run was not asked for; why it cannot be had, in words."""
        from structdiff.output.files import finish_formats

        result = read_result(self.out, name)
        return "" if result is None else finish_formats(self.out, name, result.provenance, self.formats)

    def _tell(self, note: str) -> None:
        if note and not self.quiet:
            print(f"note: {note}", file=sys.stderr)

    def _results(self, names: Sequence[str]) -> Iterator[Result]:
        for name in names:
            result = read_result(self.out, name)
            if result is None:
                raise StructdiffError(
                    f"{self.out}: {name} was written but is not there; is another run using the folder?"
                )
            yield result


def _places(inputs: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Each input, and the how manieth of several it is, in words."""
    for number, path in enumerate(inputs, start=1):
        yield path, f" ({number} of {len(inputs)})" if len(inputs) > 1 else ""


def _with_own_name(found: ComplexSpec | InputError, path: Path, taken: _Taken) -> ComplexSpec | InputError:
    """What was found in a file, or an error where another input has its name, which is counted among the taken ones."""
    from structdiff.spec.file_name import check_spelling, folded

    if isinstance(found, InputError):
        return found
    own = folded(found.name)
    if own not in taken:
        taken[own] = (found.name, path)
        return found
    name, file = taken[own]
    try:
        check_spelling(found.name, [name], path)
    except InputError as error:
        return error
    return InputError(f"two inputs have this name, the other is in {file}", path=path, key="name", found=name)


def _named(error: Exception, path: Path) -> str:
    """The error's line, beginning with the input unless it names one itself."""
    line = described(error)
    return line if str(path) in line else f"{path}: {line}"


@contextmanager
def _warnings_named(path: Path) -> Iterator[None]:
    """Warnings begin with the input that they are of, unless they name it themselves."""
    show = warnings.showwarning

    def show_named(message: Warning | str, *rest: Any, **more: Any) -> None:
        show(str(message) if str(path) in str(message) else f"{path}: {message}", *rest, **more)

    warnings.showwarning = show_named
    try:
        yield
    finally:
        warnings.showwarning = show


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog=example_lines(
            "structdiff predict complex.fasta",
            "structdiff predict *.yaml --samples 5 --seed 7 --out predictions --format cif",
            "structdiff predict job.json --steps 100 --device cuda --batch-size 8 --no-relax",
        )
    )(predict)
