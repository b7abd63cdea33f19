"""Prediction and design of biomolecular structures with one program: proteins, DNA, RNA, ligands, ions.

    import structdiff
    from structdiff.spec import DesignSpec, parse_contigs

    spec = DesignSpec(motif="motif.pdb", contigs=parse_contigs("10-40/A163-181/10-40"), num_designs=4)
    designs = list(structdiff.design(spec))

Everything named here is loaded when it is first used: ``import structdiff`` is quick and starts no GPU.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from structdiff.version import __version__

if TYPE_CHECKING:
    from structdiff.diffusion.sampler import SamplingConfig
    from structdiff.drawing import Progress, Results
    from structdiff.errors import InputError, ResourceError, StructdiffError
    from structdiff.evaluation.accuracy import accuracy
    from structdiff.evaluation.evaluation import Evaluation, evaluate
    from structdiff.options import RunOptions
    from structdiff.output.files import write_design, write_prediction
    from structdiff.output.prediction import Design, Prediction
    from structdiff.output.view import view, write_view_html
    from structdiff.pipeline import design, layouts, predict, score
    from structdiff.spec.complex import ComplexSpec
    from structdiff.spec.compose import Fold, Hotspots, KeepAway, Motif, Problem, Ring
    from structdiff.spec.contig_grammar import parse_contigs
    from structdiff.spec.design import DesignSpec, read_design
    from structdiff.spec.energies import (
        Angle,
        Clash,
        Contacts,
        Distance,
        Function,
        RadiusOfGyration,
        Shape,
    )
    from structdiff.spec.read import read_complex
    from structdiff.spec.symmetry import Symmetry
    from structdiff.structure.files import read_structure, write_structure
    from structdiff.structure.tables import Structure

__all__ = [
    "Angle", "Clash", "ComplexSpec", "Contacts", "Design", "DesignSpec", "Distance", "Evaluation", "Fold", "Function",
    "Hotspots", "InputError", "KeepAway", "Motif", "Prediction", "Problem", "Progress", "RadiusOfGyration",
    "ResourceError", "Results", "Ring", "RunOptions", "SamplingConfig", "Shape", "StructdiffError", "Structure",
    "Symmetry", "__version__", "accuracy", "design", "evaluate", "layouts", "parse_contigs", "predict", "read_complex",
    "read_design", "read_structure", "score", "view", "write_design", "write_prediction", "write_structure",
    "write_view_html",
]  # fmt: skip

_HOMES = {
    "diffusion.sampler": ("SamplingConfig",),
    "errors": ("InputError", "ResourceError", "StructdiffError"),
    "output.files": ("write_design", "write_prediction"),
    "output.prediction": ("Design", "Prediction"),
    "output.view": ("view", "write_view_html"),
    "drawing": ("Progress", "Results"),
    "evaluation.accuracy": ("accuracy",),
    "evaluation.evaluation": ("Evaluation", "evaluate"),
    "options": ("RunOptions",),
    "pipeline": ("design", "layouts", "predict", "score"),
    "spec.complex": ("ComplexSpec",),
    "spec.compose": ("Fold", "Hotspots", "KeepAway", "Motif", "Problem", "Ring"),
    "spec.contig_grammar": ("parse_contigs",),
    "spec.design": ("DesignSpec", "read_design"),
    "spec.energies": ("Angle", "Clash", "Contacts", "Distance", "Function", "RadiusOfGyration", "Shape"),
    "spec.read": ("read_complex",),
    "spec.symmetry": ("Symmetry",),
    "structure.files": ("read_structure", "write_structure"),
    "structure.tables": ("Structure",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
