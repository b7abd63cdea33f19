from pathlib import Path

import numpy as np
import pytest

from structdiff.evaluation.backbone import Backbone
from structdiff.structure.files import read_structure

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def ubiquitin():
    return read_structure(DATA / "1ubi.pdb")


@pytest.fixture(scope="session")
def crambin():
    return read_structure(DATA / "1crn.pdb")


@pytest.fixture(scope="session")
def coiled_coil():
    return read_structure(DATA / "2zta.pdb")


@pytest.fixture(scope="session")
def protein_g():
    return read_structure(DATA / "2igd.pdb")


@pytest.fixture(scope="session")
def ubiquitin_backbone(ubiquitin):
    return Backbone.from_structure(ubiquitin)


@pytest.fixture
def generator():
    return np.random.default_rng(7)
