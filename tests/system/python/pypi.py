"""Packages of PyPI for a test: an environment in a folder that an environment variable names, made once. Few and small ones come
without being asked for, into a folder of the build."""

import os
import shutil
import subprocess
import sys
import venv

LARGE_WAIT_S, SMALL_WAIT_S = 500, 120


def skip(why):
    """Ends the test as one that could not be done here."""
    print(f"skipped: {why}")
    sys.exit(77)


class Missing(Exception):
    """They cannot be had; the text says why."""


def interpreter(variable, wanted, *options, otherwise=None, **venv_options):
    """The interpreter of the folder that the variable names, with the wanted packages. `otherwise`: the folder where the variable
    names none. Raises Missing."""
    folder = os.environ.get(variable) or otherwise
    if not folder:
        raise Missing(f"{variable} names no folder for PyPI's {wanted[0]} and what it needs")
    python, ready = os.path.join(folder, "bin", "python"), os.path.join(folder, "ready")
    if os.path.exists(ready):
        with open(ready, encoding="utf-8") as f:
            if f.read().split("\n") == wanted:
                return python
    if folder == otherwise: # nobody's but ours
        options = ("--retries", "1", "--timeout", "15", *options)
        shutil.rmtree(folder, ignore_errors=True)
    try:
        venv.create(folder, with_pip=True, **venv_options)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options, *wanted], check=True,
                       capture_output=True, text=True, timeout=SMALL_WAIT_S if folder == otherwise else LARGE_WAIT_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise Missing(f"{wanted[0]} cannot be had from PyPI: {error}: {str(getattr(error, 'stderr', ''))[-300:]}") from error
    with open(ready, "w", encoding="utf-8") as f:
        f.write("\n".join(wanted))
    return python
