"""Packages of PyPI for a test: an environment in a folder that an environment variable names, made once."""

import os
import subprocess
import venv


class Missing(Exception):
    """They cannot be had; the text says why."""


def interpreter(variable, wanted, *options, **venv_options):
    """The interpreter of the folder that the variable names, with the wanted packages. Raises Missing."""
    folder = os.environ.get(variable)
    if not folder:
        raise Missing(f"{variable} names no folder for PyPI's {wanted[0]} and what it needs")
    python, ready = os.path.join(folder, "bin", "python"), os.path.join(folder, "ready")
    if os.path.exists(ready):
        with open(ready, encoding="utf-8") as f:
            if f.read().split("\n") == wanted:
                return python
    try:
        venv.create(folder, with_pip=True, **venv_options)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *options, *wanted], check=True, capture_output=True,
                       text=True, timeout=500)
    except (OSError, subprocess.SubprocessError) as error:
        raise Missing(f"{wanted[0]} cannot be had: {error}: {str(getattr(error, 'stderr', ''))[-300:]}") from error
    with open(ready, "w", encoding="utf-8") as f:
        f.write("\n".join(wanted))
    return python
