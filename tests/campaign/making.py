"""Runs of tiny campaigns for tests, and what they record."""

from __future__ import annotations

import json
from pathlib import Path

from structdiff.campaign.manifest import Manifest
from structdiff.campaign.run import Listener, Run, Selection, folder_results, write_tables

MOTIF = Path(__file__).parents[2] / "examples" / "5tpn_site_v.pdb"


def made(campaign, folder: Path, selection: Selection | None = None, failures: list | None = None) -> list:
    run = Run(campaign, folder, selection or Selection(), range(campaign.spec.num_designs))
    listener = Listener(on_failure=lambda work, error: (failures if failures is not None else []).append(str(error)))
    with Manifest(folder) as manifest:
        run.prepare(manifest)
        run.work(manifest, listener)
        write_tables(folder_results(manifest), folder)
        return run.results(manifest)


def recorded_of(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.confidence.json").read_text())["provenance"]
