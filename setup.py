"""Builds the native kernels, and puts the default weights, which lie in ``weights/``, inside the package.

All else is in pyproject.toml. ``python setup.py build_kernels --inplace`` builds the kernels in a checkout, as
``pip install -e .`` does; csrc/README.md tells more.
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import Distribution, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build

# An isolated build does not have the folder of setup.py on its path.
sys.path.insert(0, str(Path(__file__).parent / "csrc"))

from build_kernels import BuildKernels, has_compiler

WEIGHTS_FILES = ("config.json", "model.safetensors", "MODEL_CARD.md")


class NativeDistribution(Distribution):
    """A distribution with compiled parts where there is a compiler."""

    def has_ext_modules(self) -> bool:
        """Decides between a wheel for any machine and one for this kind."""
        return has_compiler()


class NativeWheel(bdist_wheel):
    """A wheel for this kind of machine, but for every version of Python: the kernels do not use Python's headers."""

    def get_tag(self) -> tuple[str, str, str]:
        """The wheel's tag."""
        _, _, platform = super().get_tag()
        return "py3", "none", platform


build.sub_commands.append(("build_kernels", None))

packages = find_packages(include=["structdiff", "structdiff.*"])
package_data = {"": ["*.json.gz", "data/*"], "structdiff": ["py.typed"]}
package_dir = {}
if any(Path("weights").glob("*/config.json")):
    packages.append("structdiff.weights")
    package_dir["structdiff.weights"] = "weights"
    package_data["structdiff.weights"] = [f"*/{name}" for name in WEIGHTS_FILES]

setup(
    packages=packages,
    package_dir=package_dir,
    package_data=package_data,
    include_package_data=False,
    distclass=NativeDistribution,
    cmdclass={"build_kernels": BuildKernels, "bdist_wheel": NativeWheel},
)
