"""``structdiff design``: proteins around a motif, onto a target, or from nothing."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from structdiff.cli.examples import example_lines
from structdiff.cli.failures import Interrupted
from structdiff.cli.options import (
    build_run_options,
    message_options,
    run_options,
    sampling_options,
    with_options,
)
from structdiff.cli.progress import shown_progress
from structdiff.cli.results import Result, check_folder, finished_before, names_there, read_result, show_results
from structdiff.errors import InputError

if TYPE_CHECKING:
    from structdiff.model.checkpoint import Weights
    from structdiff.options import RunOptions
    from structdiff.spec.design import DesignSpec

_DRAWN_AT_MOST = 5
_ASKED = "What is asked"
_YAML = "as in SPEC, else "


def _option(*names: str, help: str, **details: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=_ASKED, **details)


@with_options(sampling_options(), run_options(), message_options())
def design(
    spec_file: Annotated[
        Path | None,
        typer.Argument(metavar="SPEC", help="YAML or JSON file of the design; options win over what it says.",
                       show_default=False),
    ] = None,
    motif: Annotated[
        Path | None, _option("--motif", help="mmCIF or PDB file that the contigs take residues from.")
    ] = None,
    contigs: Annotated[
        str | None,
        _option("--contigs", help="What a design is made of: 10-40/A163-181/10-40 is new residues, a stretch of the "
                "motif, new residues; a blank parts chains: '70-90 B1-100'; 100 alone is all new."),
    ] = None,
    length: Annotated[
        str | None, _option("--length", help="Total length of the chains with new residues: 80-120, or 100.")
    ] = None,
    hotspots: Annotated[
        str | None, _option("--hotspots", help="Residues of the motif's file to be touched: B45,B67-69.")
    ] = None,
    keep_away: Annotated[
        str | None, _option("--keep-away", help="Residues of the motif's file not to be touched: B12,B14.")
    ] = None,
    secondary_structure: Annotated[
        str | None,
        _option("--secondary-structure", help="H helix, E strand, L loop, ? open, for each residue of the chains with "
                "new ones: '?2H14L4E6', with / between chains."),
    ] = None,
    burial: Annotated[
        str | None, _option("--burial", help="The same with B buried, P partly, E exposed, ? open.")
    ] = None,
    cyclic: Annotated[
        str | None, _option("--cyclic", help="Chains of the design whose ends are joined: A, or A,B.")
    ] = None,
    redesign_motif_sequence: Annotated[
        bool, _option("--redesign-motif-sequence", help="Keep only the motif's backbone, not its residue types.")
    ] = False,
    num_designs: Annotated[
        int | None, _option("--num-designs", "-n", help="How many designs.", show_default=_YAML + "1")
    ] = None,
    name: Annotated[
        str | None, _option("--name", help="What the designs are called: NAME_1, NAME_2, ...",
                            show_default=_YAML + "design")
    ] = None,
    seed: Annotated[
        int | None, _option("--seed", help="The same seed gives the same designs.", show_default=_YAML + "0")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the designs.")] = Path("designs"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Draw the layout that was understood, and compute nothing.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace designs of another run in the same folder.")
    ] = False,
    **given: Any,
) -> None:  # fmt: skip
    """Design proteins around a motif, onto a target, or from nothing.

    Finished designs in the folder are kept: the same command again goes on where it was stopped.
    """
    spec = asked_design(
        spec_file,
        {
            "motif": motif, "contigs": contigs, "length": length, "hotspots": hotspots, "keep_away": keep_away,
            "secondary_structure": secondary_structure, "burial": burial, "cyclic": cyclic,
            "fixed_sequence": False if redesign_motif_sequence else None, "num_designs": num_designs, "name": name,
            "seed": seed,
        },
    )  # fmt: skip
    if dry_run:
        _draw(spec)
        return
    from structdiff.pipeline import resolve_design

    resolve_design(spec)
    check_folder(out)
    options, weights = build_run_options(given)
    results = _run(spec, weights, options, out, overwrite=overwrite, quiet=given["quiet"])
    if not given["quiet"]:
        show_results(results)


def asked_design(path: Path | None, options: Mapping[str, Any]) -> DesignSpec:
    """The design of a file, of options, or of a file with some of its keys replaced by options. Raises InputError."""
    from structdiff.spec.contigs import parse_contigs, parse_residues
    from structdiff.spec.design import DesignSpec, read_design
    from structdiff.spec.lengths import parse_length

    given = {key: value for key, value in options.items() if value is not None}
    readers: dict[str, Any] = {
        "motif": str,
        "contigs": parse_contigs,
        "length": parse_length,
        "hotspots": lambda text: parse_residues(text, "hotspots"),
        "keep_away": lambda text: parse_residues(text, "keep_away"),
        "cyclic": lambda text: tuple(part for part in text.replace(",", " ").split()),
    }
    if path is None and "contigs" not in given:
        if "length" not in given:
            raise InputError("say what to design: --contigs, --length, or a file", key="contigs", allowed="100, say")
        if "motif" in given:
            raise InputError("say with --contigs which residues of the motif to keep", key="contigs",
                             allowed="10-40/A163-181/10-40, say")  # fmt: skip
        given["contigs"] = given["length"]
    changes = {key: readers[key](value) if key in readers else value for key, value in given.items()}
    if path is None:
        return DesignSpec(**changes)
    return dataclasses.replace(read_design(path), **changes)


def _draw(spec: DesignSpec) -> None:
    """Prints the layouts of the first designs."""
    from structdiff.pipeline import layouts

    drawn = layouts(dataclasses.replace(spec, num_designs=min(spec.num_designs, _DRAWN_AT_MOST)))
    width = max(40, min(shutil.get_terminal_size((100, 24)).columns, 120))
    for number, layout in enumerate(drawn, start=1):
        print(f"{spec.name}_{number}", layout.draw(width), "", sep="\n")
    if spec.num_designs > len(drawn):
        print(f"... and {spec.num_designs - len(drawn)} more; nothing was computed or written")
    else:
        print("nothing was computed or written")


def _run(
    spec: DesignSpec, weights: Weights, options: RunOptions, out: Path, *, overwrite: bool, quiet: bool
) -> list[Result]:
    """Makes the designs that are not there yet; all results in order."""
    from structdiff import pipeline
    from structdiff.assembly import design_request, provenance_of
    from structdiff.output.files import remove_structures, write_design
    from structdiff.output.trajectory import write_trajectory

    names = [f"{spec.name}_{index + 1}" for index in range(spec.num_designs)]
    request = design_request(pipeline.resolve_design(spec)[0])
    wanted = provenance_of(request, weights, options, seed=spec.seed, index=0, device="").as_data()
    there = names_there(out, spec.name)
    finished = set() if overwrite else finished_before(out, there, wanted)
    kept = {index for index, name in enumerate(names) if name in finished}
    if kept and not quiet:
        print(f"{len(kept)} of {len(names)} designs are in {out} already and are kept", file=sys.stderr)
    batch = 1 if options.trajectory else options.batch_size
    try:
        with shown_progress(f"designing {spec.name}", batch_size=batch, quiet=quiet) as report:
            left = [index for index in range(len(names)) if index not in kept]
            for each in pipeline.design(spec, options=options, numbers=left, on_progress=report):
                if overwrite:
                    remove_structures(out, there)
                    there = []
                name = names[each.provenance.sample]
                if options.trajectory:
                    write_trajectory(each, out, name)
                written = write_design(each, out, name)
                if written.note and not quiet:
                    print(f"note: {written.note}", file=sys.stderr)
    except KeyboardInterrupt:
        count = sum(read_result(out, name) is not None for name in names)
        raise Interrupted(f"interrupted: {count} finished designs are in {out}") from None
    return [result for name in names if (result := read_result(out, name)) is not None]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog=example_lines(
            "structdiff design --motif 5tpn.pdb --contigs 10-40/A163-181/10-40 --length 55-65 -n 4",
            "structdiff design --motif target.cif --contigs '70-90 B1-100' --hotspots B45,B67 --name binder",
            "structdiff design --length 80-120 -n 10 --out unconditional",
            "structdiff design --contigs 42 --secondary-structure '?2H14L4E6L4E6?6' --cyclic A",
            "structdiff design binder.yaml -n 100 --steps 100 --guidance motif=1,hotspots=2",
            "structdiff design --motif 5tpn.pdb --contigs 10-40/A163-181/10-40 --dry-run",
        )
    )(design)
