"""A virtual environment with the packages of a bare GPU machine and no others: no pooch, no ruff, not this package."""

import re
import sys
import sysconfig
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

PACKAGES = "numpy pytest hypothesis scipy safetensors matplotlib pillow tqdm threadpoolctl".split()  # noqa: SIM905


def make_bare_environment(folder):
    """Path of its Python. The packages are links to those of the running one, as far as they are there."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    packages = folder / "packages"
    packages.mkdir()
    for name in with_requirements(PACKAGES):
        found = distribution(name)
        for top in {file.parts[0] for file in found.files} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(found.locate_file(top)).resolve())
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "installed_base": str(folder)}))
    (site / "selected.pth").write_text(f"{packages}\n")
    return folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def with_requirements(names):
    """These packages and what they need, as far as it is installed here."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        if name not in found:
            found.add(name)
            waiting += [re.match(r"[\w.-]+", need).group() for need in needs if "extra ==" not in need]
    return found
