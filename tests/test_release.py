"""The files of a release name one version and one date."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from glip import __version__

ROOT = Path(__file__).parents[1]


def test_version_and_date():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, date = re.findall(r"^## \[([\d.]+)\] - (\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)[0]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert version == __version__ == citation["version"]
    assert date == str(citation["date-released"])
    assert changelog.index("## [Unreleased]") < changelog.index(f"## [{version}]")


def test_issue_forms():
    """A form has what a code host requires of one: a name, a description and fields with ids."""
    for file in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(file.read_text(encoding="utf-8"))
        if file.name == "config.yml":
            continue
        assert form["name"]
        assert form["description"]
        ids = [field["id"] for field in form["body"]]
        assert len(ids) == len(set(ids))
        assert all(field["attributes"]["label"] for field in form["body"])
