"""A changed file gives its content or an error of the library: no crash, no hang, no memory."""

import json
import subprocess
import sys
from pathlib import Path


def test_changed_files(tmp_path):
    script = Path(__file__).with_name("fuzz.py")
    result = subprocess.run(
        [sys.executable, script, tmp_path, "150"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr[-3000:]
    counts = json.loads(result.stdout.splitlines()[-1])
    assert counts["refused"] > 400
    assert counts["read"] > 50
