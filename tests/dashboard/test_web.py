"""The page's bundle: made of the sources beside it, and small. What needs Node says so and is left out without it."""

import gzip
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

DASHBOARD = Path(__file__).parents[2] / "dashboard"
WEB = DASHBOARD / "web"
LARGEST_KB = 120


def test_the_bundle_was_built_from_these_sources() -> None:
    digest = hashlib.sha256()
    files = [*(path.relative_to(WEB).as_posix() for path in (WEB / "src").iterdir()), "package.json", "vite.config.ts"]
    for name in sorted(files):
        digest.update(f"{name}\n".encode())
        digest.update((WEB / name).read_bytes())

    bundle = (DASHBOARD / "static" / "dashboard.js").read_text(encoding="utf-8")

    assert f"/* sources: {digest.hexdigest()} */" in bundle, "run `make web` and commit dashboard/static"


def test_the_bundle_is_small() -> None:
    packed = gzip.compress((DASHBOARD / "static" / "dashboard.js").read_bytes())

    assert len(packed) <= LARGEST_KB * 1000


def test_no_file_of_the_page_names_a_registry() -> None:
    assert not list(WEB.glob("*lock*"))
    assert "http" not in (WEB / "package.json").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_pages_own_tests() -> None:
    if shutil.which("node") is None or not (WEB / "node_modules" / "vitest").exists():
        pytest.skip("needs Node and dashboard/web/node_modules: run `make web`")

    done = subprocess.run(["npx", "vitest", "run"], cwd=WEB, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-3000:]
