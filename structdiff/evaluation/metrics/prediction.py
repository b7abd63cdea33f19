"""Metrics of a model beside the true structure, and of its ligands by themselves."""

from __future__ import annotations

from structdiff.evaluation.metrics.metric import Metric

_FOLD, _INTERFACE, _LIGAND = "Against the reference", "Interface against the reference", "Ligand against the reference"
_POSE = "Ligand by itself"
_LDDT = "Mariani et al., Bioinformatics 29, 2722 (2013)"
_DOCKQ = "Basu & Wallner, PLoS ONE 11, e0161879 (2016)"
_GNINA = "McNutt et al., J. Cheminform. 13, 43 (2021)"

METRICS = (
    Metric(name="lddt", label="lDDT", group=_FOLD, better="higher", source=_LDDT,
           formula="share of distances under 15 Å between atoms of different residues kept within 0.5, 1, 2 and 4 Å"),
    Metric(name="lddt_ca", label="lDDT, CA", group=_FOLD, better="higher", source=_LDDT,
           formula="lDDT of CA atoms alone (C1' in nucleic acids)"),
    Metric(name="tm", label="TM-score", group=_FOLD, better="higher", natural=None,
           formula="best mean of 1 / (1 + (d / d0)²) over residues of the reference, all chains together",
           source="Zhang & Skolnick, Proteins 57, 702 (2004)"),
    Metric(name="gdt_ts", label="GDT_TS", group=_FOLD, better="higher",
           formula="mean of the largest shares of CA atoms within 1, 2, 4 and 8 Å, each under its best superposition",
           source="Zemla, Nucleic Acids Res. 31, 3370 (2003)"),
    Metric(name="gdt_ha", label="GDT_HA", group=_FOLD, better="higher",
           formula="as GDT_TS, with 0.5, 1, 2 and 4 Å", source="Zemla, Nucleic Acids Res. 31, 3370 (2003)"),
    Metric(name="rmsd_ca", label="RMSD, CA", group=_FOLD, unit="Å", better="lower",
           formula="root mean square distance of CA atoms (C1' in nucleic acids) after the best superposition"),
    Metric(name="coverage", label="residues found", group=_FOLD, unit="%", better="higher",
           formula="share of the reference's residues that the model has"),
    Metric(name="lddt_interface", label="lDDT between chains", group=_INTERFACE, better="higher", source=_LDDT,
           formula="lDDT of distances between atoms of different chains"),
    Metric(name="dockq", label="DockQ", group=_INTERFACE, better="higher", source=_DOCKQ,
           formula="mean of fnat, 1 / (1 + (iRMSD / 1.5)²) and 1 / (1 + (LRMSD / 8.5)²); mean over interfaces"),
    Metric(name="fnat", label="native contacts kept", group=_INTERFACE, unit="%", better="higher", source=_DOCKQ,
           formula="share of the reference's residue contacts (heavy atoms within 5 Å) across an interface"),
    Metric(name="interface_rmsd", label="interface RMSD", group=_INTERFACE, unit="Å", better="lower", source=_DOCKQ,
           formula="RMSD of backbone atoms of residues within 10 Å of the other chain in the reference"),
    Metric(name="partner_rmsd", label="ligand chain RMSD", group=_INTERFACE, unit="Å", better="lower", source=_DOCKQ,
           formula="RMSD of the smaller chain's backbone after superposing the larger"),
    Metric(name="ligands_found", label="ligands found", group=_LIGAND, unit="%", better="higher",
           formula="share of the reference's ligands of four heavy atoms or more that the model has; without what "
           "crystals are grown in (EDO, GOL, SO4, ...), where there are others"),
    Metric(name="ligand_rmsd", label="ligand RMSD", group=_LIGAND, unit="Å", better="lower",
           formula="RMSD of a ligand's heavy atoms after superposing the pocket's CA, over its symmetric namings; mean "
           "over those of the ligands that the model has",
           source="symmetry by graph isomorphism, as Meli & Biggin, J. Cheminform. 12, 49 (2020)"),
    Metric(name="lddt_pli", label="lDDT-PLI", group=_LIGAND, better="higher",
           formula="lDDT of distances under 6 Å between ligand atoms and polymer atoms, best symmetric naming; "
           "0 for a ligand that the model lacks; mean over ligands",
           source="Robin et al., Proteins 91, 1811 (2023)"),
    Metric(name="ligand_score", label="ligand score, Vinardo", group=_POSE, unit="kcal/mol", better="lower",
           formula="energy between a free ligand of five heavy atoms or more and all else, over 1 + 0.05846 x "
           "torsions; mean over ligands", source="Quiroga & Villarreal, PLoS ONE 11, e0155183 (2016)"),
    Metric(name="gnina_pose_probability", label="pose probability, GNINA", group=_POSE, unit="%", better="higher",
           formula="probability that a free ligand of five heavy atoms or more lies within 2 Å of the truth, mean over "
           "five networks; mean over ligands", source=_GNINA),
    Metric(name="gnina_affinity_pk", label="affinity, GNINA", group=_POSE, unit="pK", better="higher",
           formula="-log10 of the molar Ki, Kd or IC50 of a free ligand, mean over five networks; mean over ligands",
           source=_GNINA),
    Metric(name="posebusters", label="PoseBusters checks passed", group=_POSE, unit="%", better="higher",
           formula="share of the checks of the configuration `mol` or `dock` that a ligand passes; mean over ligands",
           source="Buttenschoen, Morris & Deane, Chem. Sci. 15, 3130 (2024)"),
)  # fmt: skip
