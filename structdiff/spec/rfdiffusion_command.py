"""RFdiffusion's settings as they are written down: command lines, shell scripts, and Hydra's YAML."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from structdiff.errors import InputError
from structdiff.spec.input_files import read_text

_PROGRAM = "run_inference.py"
_EMPTY = ("", "null", "none", "~")


def read_settings(path: Path) -> dict[str, str]:
    """The settings of a shell script or a Hydra YAML file by their dotted names; raises InputError."""
    text = read_text(path)
    try:
        if path.suffix.lower() in (".yaml", ".yml"):
            return _from_yaml(text)
        return parse_command(text)
    except InputError as error:
        raise error if error.path is not None else InputError(str(error), path=path) from None


def parse_command(text: str) -> dict[str, str]:
    """The settings of one call of run_inference.py, with the shell's comments, quotes and variables; raises InputError.

    >>> parse_command("run_inference.py 'contigmap.contigs=[10-40/A163-181/10-40]' inference.num_designs=10")
    {'contigmap.contigs': '[10-40/A163-181/10-40]', 'inference.num_designs': '10'}
    """
    lines = [line for line in text.replace("\\\n", " ").splitlines() if not line.lstrip().startswith("#")]
    try:
        words = [_words(line) for line in lines]
    except ValueError as error:
        raise InputError(f"this is no command line: {error}", key="command") from None
    calls = [row for row in words if any(word.endswith(_PROGRAM) for word in row)]
    if len(calls) != 1:
        raise InputError("expected one call of run_inference.py", key="command", found=f"{len(calls)} calls",
                         allowed="a file for each of them")  # fmt: skip
    variables = dict(word.split("=", 1) for row in words if row not in calls for word in row if "=" in word)
    call = calls[0]
    program = next(place for place, word in enumerate(call) if word.endswith(_PROGRAM))
    return parse_overrides([_filled(word, variables) for word in call[program + 1 :]])


def parse_overrides(words: Sequence[str]) -> dict[str, str]:
    """Hydra's ``name=value`` words; ``--config-name`` is kept under its name. Raises InputError."""
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("--config-name", "-cn") and rest:
            found["--config-name"] = rest.pop(0)
            continue
        name, sign, value = word.partition("=")
        name = name if name.startswith("--") else name.lstrip("+")
        if not sign or not re.fullmatch(r"(--)?[\w.-]+", name):
            raise InputError("expected name=value", key="command", found=word)
        if name in found and found[name] != value:
            raise InputError("is given twice", key=name, found=value)
        found[name] = value
    return found


def is_unset(value: str | None) -> bool:
    """Whether a value says that nothing is asked."""
    return value is None or value.strip().lower() in _EMPTY


def list_items(value: str) -> list[str]:
    """The items of a Hydra list, or the one item of a plain value, without their quotes.

    >>> list_items("['A51', 'A52']"), list_items('["type:olig_contacts,weight_intra:1"]')
    (['A51', 'A52'], ['type:olig_contacts,weight_intra:1'])
    """
    text = value.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    items = re.findall(r"\"[^\"]*\"|'[^']*'|[^,]+", text)
    return [item.strip().strip("'\"").strip() for item in items if item.strip()]


def _words(line: str) -> list[str]:
    return shlex.split(line, comments=True)


def _filled(word: str, variables: Mapping[str, str]) -> str:
    """A word with the script's own variables filled in."""
    return re.sub(r"\$\{?(\w+)\}?", lambda match: variables.get(match[1], match[0]), word)


def _from_yaml(text: str) -> dict[str, str]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"this is no YAML: {str(error).splitlines()[0]}") from None
    if isinstance(data, list):  # Hydra's overrides.yaml
        return parse_overrides([str(each) for each in data])
    if not isinstance(data, Mapping):
        raise InputError("expected RFdiffusion's settings", found=type(data).__name__)
    return dict(_flattened(data, ""))


def _flattened(data: Mapping, prefix: str) -> list[tuple[str, str]]:
    found = []
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found += _flattened(value, f"{name}.")
        elif isinstance(value, list):
            found.append((name, "[" + ",".join(f'"{each}"' for each in value) + "]"))
        else:
            found.append((name, "null" if value is None else str(value)))
    return found
