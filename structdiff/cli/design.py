"""``structdiff design``: proteins around a motif, onto a target, or from nothing."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from structdiff.cli.design_run import campaign_options, caution, estimated, plan_run, run_design
from structdiff.cli.examples import example_lines
from structdiff.cli.failures import warn_of_size
from structdiff.cli.options import message_options, run_options, sampling_options, with_options
from structdiff.cli.problem import asked_problem, problem_options, read_values
from structdiff.errors import InputError, ResourceError

if TYPE_CHECKING:
    from structdiff.spec.design import DesignSpec

_DRAWN_AT_MOST = 5
_ASKED = "What is asked"
_YAML = "as in SPEC, else "
#: Options that are keys of a design under their own names.
_OWN = ("motif", "contigs", "length", "hotspots", "keep_away", "secondary_structure", "burial", "cyclic",
        "num_designs", "draws", "name", "seed")  # fmt: skip


def _option(*names: str, help: str, **details: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=_ASKED, **details)


@with_options(problem_options(), campaign_options(), sampling_options(), run_options(), message_options())
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
    draws: Annotated[
        int | None, _option("--draws", help="How often each design is drawn; what meets most of what is asked is kept, "
                            "and of these what the network trusts most (pLDDT).", show_default=_YAML + "1")
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
        bool, typer.Option("--dry-run", help="Draw the layout that was understood, say what it needs, compute nothing.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace designs of another run in the same folder.")
    ] = False,
    **given: Any,
) -> int:  # fmt: skip
    """Design proteins around a motif, onto a target, or from nothing.

    Finished designs in the folder are kept: the same command again goes on where it was stopped.
    """
    spec = asked_by(
        {
            "spec_file": spec_file, "motif": motif, "contigs": contigs, "length": length, "hotspots": hotspots,
            "keep_away": keep_away, "secondary_structure": secondary_structure, "burial": burial, "cyclic": cyclic,
            "redesign_motif_sequence": redesign_motif_sequence, "num_designs": num_designs, "draws": draws,
            "name": name, "seed": seed, **given,
        }
    )  # fmt: skip
    if dry_run:
        planned = plan_run(spec, given)  # an option that the run would refuse is refused here
        _draw(spec)
        try:
            print(estimated(planned.campaign, planned.weights, planned.numbers).text)
        except ResourceError as error:
            warn_of_size(error)
        print("nothing was computed or written")
        caution(planned.campaign, quiet=given["quiet"])
        return 0
    return run_design(spec, out, given, overwrite=overwrite)


def asked_by(given: Mapping[str, Any]) -> DesignSpec:
    """The design that the options of the command ask for, each by its name. Raises InputError."""
    own = {name: given[name] for name in _OWN}
    fixed = {"fixed_sequence": False if given["redesign_motif_sequence"] else None}
    return asked_design(given["spec_file"], {**own, **fixed, **asked_problem(given)})


def asked_design(path: Path | None, options: Mapping[str, Any]) -> DesignSpec:
    """The design of a file, of options, or of a file with some of its keys replaced by options. Raises InputError."""
    from structdiff.spec.design import DesignSpec, read_design

    changes = read_values({key: value for key, value in options.items() if value is not None})
    if path is None and not {"contigs", "length", "noise", "inpaint"} & changes.keys():
        raise InputError("say what to design: --contigs, --length, or a file", key="contigs", allowed="100, say")
    if path is None:
        return DesignSpec(**changes)
    return read_design(path, changes)


def _draw(spec: DesignSpec) -> None:
    """Prints the layouts of the first designs."""
    from structdiff.pipeline import layouts

    drawn = layouts(dataclasses.replace(spec, num_designs=min(spec.num_designs, _DRAWN_AT_MOST)))
    width = max(40, min(shutil.get_terminal_size((100, 24)).columns, 120))
    for number, layout in enumerate(drawn, start=1):
        print(f"{spec.name}_{number}", layout.draw(width), "", sep="\n")
    if spec.num_designs > len(drawn):
        print(f"... and {spec.num_designs - len(drawn)} more", "", sep="\n")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog=example_lines(
            "structdiff design --motif 5tpn.pdb --contigs 10-40/A163-181/10-40 --length 55-65 -n 4",
            "structdiff design --motif target.cif --contigs '70-90 B1-100' --hotspots B45,B67 --name binder",
            "structdiff design --length 80-120 -n 10 --out unconditional",
            "structdiff design --contigs 42 --secondary-structure '?2H14L4E6L4E6?6' --cyclic A",
            "structdiff design --length 60 --symmetry C3 --name trimer",
            "structdiff design --partial 1orc.pdb --noise 4 --hold A20-35",
            "structdiff design --motif 1orc.pdb --inpaint A20-25:5-8",
            "structdiff design binder.yaml -n 100 --steps 100 --guidance motif=1,hotspots=2",
            "structdiff design --motif 5tpn.pdb --contigs 10-40/A163-181/10-40 --dry-run",
        )
    )(design)
