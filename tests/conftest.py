"""What every test shares: no network, no settings from outside, samples where they are cached."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.settings import Settings
from knowledge.assets import Assets

_REAL_CACHE = Settings().cache_dir


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests reach loopback only; whoever calls further out fails."""
    for item in items:
        item.add_marker(pytest.mark.allow_hosts(["127.0.0.1", "localhost", "::1"]))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the person's environment, readings and report store out of the tests."""
    for name in list(os.environ):
        if name.startswith("READINGROOM_") or name == "OPENAI_API_KEY":
            monkeypatch.delenv(name)
    monkeypatch.setenv("READINGROOM_READINGS_DIR", str(tmp_path / "readings"))
    monkeypatch.setenv("READINGROOM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("READINGROOM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("READINGROOM_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture(scope="session")
def assets() -> Assets:
    """The real cache of samples and weights; tests that use it carry the mark `samples`."""
    return Assets(_REAL_CACHE)


@pytest.fixture(scope="session")
def sample(assets: Assets) -> SampleGetter:
    """Return the path of a cached sample, or skip with the command that fetches it."""
    return SampleGetter(assets)


class SampleGetter:
    """Calls give `path(asset, member)` or skip the test."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    def __call__(self, asset: str, member: str) -> Path:
        if not self._assets.present(asset):
            pytest.skip(f"sample {asset!r} is not cached; run 'make samples'")
        return self._assets.path(asset, member)
