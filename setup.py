"""Puts the default weights, which lie in ``weights/`` beside the package, inside it; all else is in pyproject.toml."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

WEIGHTS_FILES = ("config.json", "model.safetensors", "MODEL_CARD.md")

packages = find_packages(include=["structdiff", "structdiff.*"])
package_data = {"": ["*.json.gz", "data/*"]}
package_dir = {}
if any(Path("weights").glob("*/config.json")):
    packages.append("structdiff.weights")
    package_dir["structdiff.weights"] = "weights"
    package_data["structdiff.weights"] = [f"*/{name}" for name in WEIGHTS_FILES]

setup(packages=packages, package_dir=package_dir, package_data=package_data, include_package_data=False)
