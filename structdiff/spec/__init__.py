"""What is asked: complexes to predict and designs to make, as plain data, and the files they are written in."""

from structdiff.spec.base_pairs import BasePairsSpec
from structdiff.spec.chain import ChainSpec, Modification
from structdiff.spec.complex import BondSpec, ComplexSpec, ContactSpec, PocketSpec, Site
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.contigs import Contigs
from structdiff.spec.design import DesignSpec, read_design, write_design
from structdiff.spec.fasta import parse_fasta, read_fasta
from structdiff.spec.layout import Layout, sample_layout
from structdiff.spec.layout_residue import LayoutResidue
from structdiff.spec.lengths import parse_length
from structdiff.spec.read import read_complex, read_complexes
from structdiff.spec.segments import FixedSegment, FreeSegment, ResidueId
from structdiff.spec.template import TemplateSpec
from structdiff.spec.yaml import read_yaml
from structdiff.spec.yaml_writing import write_yaml

__all__ = [
    "BasePairsSpec", "BondSpec", "ChainSpec", "ComplexSpec", "ContactSpec", "Contigs", "DesignSpec", "FixedSegment",
    "FreeSegment", "Layout", "LayoutResidue", "Modification", "PocketSpec", "ResidueId", "Site", "TemplateSpec",
    "parse_contigs", "parse_fasta", "parse_length", "read_complex", "read_complexes", "read_design", "read_fasta",
    "read_yaml", "sample_layout", "write_design", "write_yaml",
]  # fmt: skip
