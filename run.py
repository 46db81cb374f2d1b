"""Set up and run the project without make: `python run.py TASK`, such as demo, test or lint.

Only the standard library is used, so that it starts on a bare machine. The virtual environment lives in
`.venv`; it is made once and installed again only when setup.cfg or pyproject.toml changed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
READERS_VENV = ROOT / ".venv-readers"
OLDEST = (3, 11)


def main(argv: list[str] | None = None) -> int:
    """Run one task and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=sorted(TASKS), help="what to do")
    parser.add_argument(
        "rest", nargs=argparse.REMAINDER, help="passed on to pytest (test, test-slow, test-readers)"
    )
    options = parser.parse_args(argv)
    os.chdir(ROOT)
    try:
        return TASKS[options.task](options.rest)
    except subprocess.CalledProcessError as error:
        command = " ".join(str(part) for part in error.cmd)
        print(f"run.py: '{command}' ended with exit code {error.returncode}", file=sys.stderr)
        return 1


def demo(_: list[str]) -> int:
    """Install the core, register the bundled samples and export their labels; paths come last."""
    setup("core")
    code = run(BIN / "vircraft", "register", "samples", "-o", "demo/dataset")
    return code or run(BIN / "vircraft", "export", "coco", "demo/dataset")


def test(rest: list[str]) -> int:
    """Install everything and run the tests that take a few seconds each at most."""
    setup("all")
    return run(PYTHON, "-m", "pytest", *parallel(), *rest)


def test_slow(rest: list[str]) -> int:
    """Install everything and run the slow tests only."""
    setup("all")
    return run(PYTHON, "-m", "pytest", "-m", "slow", *parallel(), *rest)


def test_readers(rest: list[str]) -> int:
    """Let independent programs read our COCO export and compare what they see with the truth."""
    base = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if base is None:  # xtcocotools has binaries for no newer one
        print("run.py: the readers need Python 3.11 (python3.11 on the PATH)", file=sys.stderr)
        return 1
    setup("core")
    python = setup_readers(base)
    if not (ROOT / "demo/dataset/labels").is_dir():
        run(BIN / "vircraft", "register", "samples", "-o", "demo/dataset", "-q")
    return run(python, "-m", "pytest", "-c", "tests/readers/pytest.ini", "tests/readers", *rest)


def lint(_: list[str]) -> int:
    """Check style, format and types; run all three even when one complains."""
    setup("all")
    codes = [
        run(PYTHON, "-m", "ruff", "check", "."),
        run(PYTHON, "-m", "ruff", "format", "--check", "."),
        run(PYTHON, "-m", "mypy"),
    ]
    return max(codes)


def bench(_: list[str]) -> int:
    """Measure the whole job on a generated pair of 20 s, stage by stage."""
    setup("core")
    return run(PYTHON, "benchmarks/pipeline.py")


def clean(_: list[str]) -> int:
    """Remove the environment, the caches and the demo."""
    for name in (
        ".venv",
        ".venv-readers",
        "demo",
        "build",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".hypothesis",
    ):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    return 0


def setup(extras: str) -> None:
    """Create `.venv` and install the project into it, unless that was done with the same metadata."""
    stamp = VENV / f"installed-{extras}"
    state = hashlib.sha256(
        b"".join((ROOT / name).read_bytes() for name in ("setup.cfg", "pyproject.toml"))
    ).hexdigest()
    if stamp.is_file() and stamp.read_text() == state and PYTHON.exists():
        return
    if not PYTHON.exists() or not has_pip():
        print(f"run.py: creating {VENV.relative_to(ROOT)} with Python {sys.version.split()[0]}", flush=True)
        venv.create(VENV, with_pip=True, clear=VENV.exists())
    target = "." if extras == "core" else f".[{extras}]"
    print(f"run.py: installing {target} (a minute or two the first time)", flush=True)
    install = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable"]
    subprocess.run([*map(str, install), target], check=True)
    for name in ("core",) if extras == "core" else ("core", extras):
        (VENV / f"installed-{name}").write_text(state)


def setup_readers(base: str) -> Path:
    """Create `.venv-readers`, which holds other people's readers (1.4 GB) and nothing of ours."""
    python = READERS_VENV / BIN.name / PYTHON.name
    lists = [ROOT / "tests/readers" / name for name in ("requirements.txt", "requirements-no-deps.txt")]
    stamp = READERS_VENV / "installed"
    state = hashlib.sha256(b"".join(path.read_bytes() for path in lists)).hexdigest()
    if stamp.is_file() and stamp.read_text() == state and python.exists():
        return python
    print("run.py: installing the readers into .venv-readers (about a minute, 1.4 GB)", flush=True)
    subprocess.run([base, "-m", "venv", "--clear", str(READERS_VENV)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--requirement", str(lists[0])], check=True)
    subprocess.run([*install, "--no-deps", "--requirement", str(lists[1])], check=True)
    stamp.write_text(state)
    return python


def has_pip() -> bool:
    """Say whether the environment is whole (a creation that was interrupted leaves it without pip)."""
    found = subprocess.run(
        [str(PYTHON), "-m", "pip", "--version"],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return found.returncode == 0


def parallel() -> list[str]:
    """Spread the tests over the cores when there is more than one."""
    cores = os.cpu_count() or 1
    return ["-n", str(min(cores, 8))] if cores > 1 else []


def run(*command: str | Path) -> int:
    """Run a command and return its exit code; our own output comes first."""
    sys.stdout.flush()
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    return subprocess.run([str(part) for part in command], check=False, env=environment).returncode


TASKS = {
    "demo": demo,
    "test": test,
    "test-slow": test_slow,
    "test-readers": test_readers,
    "lint": lint,
    "bench": bench,
    "clean": clean,
}

if __name__ == "__main__":
    if sys.version_info < OLDEST:
        sys.exit(
            f"run.py: vircraft needs Python {OLDEST[0]}.{OLDEST[1]} or newer, this is "
            f"{sys.version.split()[0]}; start it as 'python3.11 run.py ...' or 'make PYTHON=python3.11 ...'"
        )
    sys.exit(main())
