"""Metrics of one structure by itself: could it exist, what does it look like.

The natural ranges are the 5th and 95th percentile of 64 chains at 2.0 Å or better of the validation and test splits,
by ``benchmarks/natural_reference.py``.
"""

from __future__ import annotations

from structdiff.evaluation.metrics.metric import Metric

_ENGH_HUBER = "Engh & Huber, International Tables for Crystallography F (2001), 18.3"
_IDEAL = "ideal conformers of the Chemical Component Dictionary; side chains: medians of chains at 1.5 Å or better"
_RAMACHANDRAN = "densities of training chains at 2.0 Å or better; classes and contours as Lovell et al. 2003"
_PROBE = "after Word et al., J. Mol. Biol. 285, 1711 (1999), without hydrogens"
_DSSP = "Kabsch & Sander, Biopolymers 22, 2577 (1983)"
_SIZE, _BONDS, _TORSIONS, _PACKING, _SHAPE = "Size", "Bonds and angles", "Backbone torsions", "Packing", "Shape"

METRICS = (
    Metric(name="residues", label="residues", group=_SIZE, formula="protein residues with N, CA and C"),
    Metric(name="bond_rms", label="bond lengths, RMS deviation", group=_BONDS, unit="Å", better="lower",
           formula="root mean square of backbone bond lengths (CA-CB and the peptide bond too) less their targets",
           natural=(0.007, 0.019), source=_ENGH_HUBER),
    Metric(name="bond_over_4_sigma", label="bond lengths over 4 sigma", group=_BONDS, unit="%", better="lower",
           formula="share of backbone bonds more than four standard deviations from their target",
           natural=(0.0, 0.0013), source=_ENGH_HUBER),
    Metric(name="angle_rms", label="bond angles, RMS deviation", group=_BONDS, unit="°", better="lower",
           formula="root mean square of backbone bond angles less their targets",
           natural=(1.19, 2.45), source=_ENGH_HUBER),
    Metric(name="angle_over_4_sigma", label="bond angles over 4 sigma", group=_BONDS, unit="%", better="lower",
           formula="share of backbone bond angles more than four standard deviations from their target",
           natural=(0.0, 0.0053), source=_ENGH_HUBER),
    Metric(name="component_bonds_over_4_sigma", label="bonds of side chains, ligands ... over 4 sigma", group=_BONDS,
           unit="%", better="lower", formula="share of bonds inside side chains, nucleotides and ligands more than "
           "four standard deviations (0.02 Å, 0.03 Å outside proteins) from the component's", natural=(0.0, 0.0074),
           source=_IDEAL),
    Metric(name="component_angles_over_4_sigma", label="angles of side chains, ligands ... over 4 sigma", group=_BONDS,
           unit="%", better="lower", formula="share of angles inside side chains, nucleotides and ligands more than "
           "four standard deviations (2.5°, 3.0° outside proteins) from the component's", natural=(0.0, 0.0062),
           source=_IDEAL),
    Metric(name="ca_neighbours", label="CA-CA neighbours 3.8 ± 0.1 Å", group=_BONDS, unit="%", better="higher",
           formula="share of neighbours in sequence whose CA are 3.8 ± 0.1 Å apart (2.94 ± 0.2 Å before proline too)",
           natural=(0.974, 1.0)),
    Metric(name="chain_breaks", label="chain breaks (C-N > 2 Å)", group=_BONDS, better="lower",
           formula="number of neighbours in sequence whose C and N are over 2.0 Å apart; unresolved residues are none",
           natural=(0.0, 0.0)),
    Metric(name="stereocentres_right", label="stereocentres right", group=_BONDS, unit="%", better="higher",
           formula="share of stereocentres of all components with the hand of their dictionary entry",
           natural=(1.0, 1.0), source=_IDEAL),
    Metric(name="share_l", label="L residues", group=_BONDS, unit="%", better="higher",
           formula="share of residues with CB whose alpha carbon has the hand of an L amino acid", natural=(1.0, 1.0)),
    Metric(name="omega_rms", label="omega, RMS off plane", group=_TORSIONS, unit="°", better="none",
           formula="root mean square of the angle of each peptide bond to the nearest plane (0° or 180°)",
           natural=(1.4, 7.2), source="planarity: MacArthur & Thornton, J. Mol. Biol. 264, 1180 (1996)"),
    Metric(name="twisted_peptides", label="omega over 30° off plane", group=_TORSIONS, unit="%", better="lower",
           formula="share of peptide bonds more than 30° from either plane", natural=(0.0, 0.0017)),
    Metric(name="cis_other", label="cis peptides, not proline", group=_TORSIONS, unit="%", better="lower",
           formula="share of cis bonds among peptide bonds that do not precede proline", natural=(0.0, 0.0035)),
    Metric(name="rama_favoured", label="Ramachandran favoured", group=_TORSIONS, unit="%", better="higher",
           formula="share of residues whose (phi, psi) lies in the contour that holds 98 % of well-resolved residues",
           natural=(0.953, 1.0), source=_RAMACHANDRAN),
    Metric(name="rama_allowed", label="Ramachandran allowed", group=_TORSIONS, unit="%",
           formula="share of residues outside the favoured contour and inside the allowed one", natural=(0.0, 0.0385),
           source=_RAMACHANDRAN),
    Metric(name="rama_outlier", label="Ramachandran outliers", group=_TORSIONS, unit="%", better="lower",
           formula="share of residues outside the contour of 99.95 % (99.8 % for glycine, proline, before proline)",
           natural=(0.0, 0.0092), source=_RAMACHANDRAN),
    Metric(name="mirror_log_odds", label="log odds against the mirror image", group=_TORSIONS, better="higher",
           formula="mean over residues but glycine of log p(phi, psi) - log p(-phi, -psi): negative for a mirror image",
           natural=(5.1, 7.9), source=_RAMACHANDRAN),
    Metric(name="helices_right_handed", label="helical torsions right-handed", group=_TORSIONS, unit="%",
           better="higher", formula="share of right-handed CA torsions among stretches of four or more helical ones",
           natural=(1.0, 1.0)),
    Metric(name="clashes_per_100", label="clashes per 100 residues, all atoms", group=_PACKING, better="lower",
           formula="pairs of heavy atoms more than three bonds apart whose van der Waals spheres overlap by 0.4 Å or "
           "more (1.0 Å between two of N, O, S), a hundred residues", natural=(0.0, 2.6), source=_PROBE),
    Metric(name="backbone_clashes_per_100", label="clashes per 100 residues, backbone", group=_PACKING, better="lower",
           formula="as for all atoms, among N, CA, C, O and CB (put where an L residue has it if absent)",
           natural=(0.0, 1.1), source=_PROBE),
    Metric(name="contacts_per_residue", label="CB contacts per residue", group=_PACKING, better="none",
           formula="CB within 8 Å, three or more residues apart, a residue", natural=(5.0, 7.2)),
    Metric(name="helix", label="helix", group=_SHAPE, unit="%", natural=(0.0, 0.69), source=_DSSP,
           formula="share of residues in alpha, 3-10 and pi helices by hydrogen bonds"),
    Metric(name="strand", label="strand", group=_SHAPE, unit="%", natural=(0.006, 0.69), source=_DSSP,
           formula="share of residues in ladders and bridges by hydrogen bonds"),
    Metric(name="loop", label="loop", group=_SHAPE, unit="%", natural=(0.23, 0.55), source=_DSSP,
           formula="share of residues in neither helix nor strand"),
    Metric(name="sheet", label="with a beta sheet", group=_SHAPE, unit="%", source=_DSSP,
           formula="whether at least six residues are in strands (74 % of the bundled natural chains of up to 128 do)"),
    Metric(name="rg", label="radius of gyration", group=_SHAPE, unit="Å",
           formula="root mean square distance of the CA atoms from their centre"),
    Metric(name="rg_score", label="radius of gyration, natural sd", group=_SHAPE, natural=(-1.1, 3.0),
           formula="log of the radius of gyration over that of a natural chain of the same length (a fitted power "
           "law), in natural standard deviations; 0 is typical, below is too compact; of several chains the mean"),
    Metric(name="contact_order", label="relative contact order", group=_SHAPE, natural=(0.11, 0.30),
           formula="mean separation in sequence of residues in contact (CB within 8 Å), over the chain length",
           source="Plaxco, Simons & Baker, J. Mol. Biol. 277, 985 (1998)"),
    Metric(name="knotted", label="knotted chains", group=_SHAPE, unit="%", better="lower", natural=(0.0, 0.0),
           formula="whether the Alexander polynomial at -1 of the CA trace, its ends joined far outside, is that of a "
           "knot in most of several directions of closing; about 1 % of natural chains are knotted",
           source="Koniaris & Muthukumar 1991; Taylor, Nature 406, 916 (2000); Virnau et al. 2006"),
)  # fmt: skip
