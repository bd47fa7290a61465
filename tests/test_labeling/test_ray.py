"""Shards on a local Ray cluster give the bytes of one process, also if a worker is killed."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path
from unittest import mock

import pytest

from glip.cli import label
from glip.labeling import ray_run
from glip.labeling.output import read_state
from glip.utils.errors import ConfigError, DependencyError, GLIPError, LabelingMismatchError
from tests.test_labeling.generated import write_pairs

NAMES = "red star . ring . blue circle ."
OPTIONS = ["--device", "cpu", "--num-workers", "0", "--batch-size", "1"]
RAY = ["--ray", "--ray-workers", "2"]


def content(folder: Path) -> dict[str, bytes]:
    """Return the files of an output without those of its shards."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "-of-" not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def kill_a_worker(out: Path, killed: list[int]) -> None:
    """Kill the process of a worker when it has finished a batch of a shard, but not the shard."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not killed:
        for state_file in out.parent.glob(f"{out.name}.*-of-*.state.json"):
            state = read_state(state_file.with_name(state_file.name[: -len(".state.json")]))
            if state is None or state["finished"] or not state["done"]:
                continue
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    is_worker = (folder / "cmdline").read_bytes().startswith(b"ray::_Worker.label")
                except OSError:
                    continue
                if is_worker:
                    os.kill(int(folder.name), signal.SIGKILL)
                    killed.append(int(folder.name))
                    return
        time.sleep(0.002)


def deadly_run(path: Path):
    """Return a run of which each shard kills its process."""

    class Run:  # local, so that it is sent to the workers by value
        batch_size, num_images, settings, overwrite = 1, 1, {}, False

        def build(self, device):
            return device

        def label_shard(self, part, labeler):
            os._exit(1)

    run = Run()
    run.path = path
    return run


@pytest.fixture
def one_thread(monkeypatch):
    """One thread per process, as the test's own: the number changes the last digits."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.ray
def test_a_worker_is_killed(images, tmp_path, one_thread):
    pytest.importorskip("ray")
    command = [str(images), NAMES, *OPTIONS]
    label.main([*command, "--out", str(tmp_path / "one")])
    out = tmp_path / "ray"
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_worker, args=(out / "detections.jsonl", killed))
    killer.start()
    with (
        mock.patch.object(ray_run, "SHARDS_PER_WORKER", 1),
        mock.patch.object(ray_run, "print_log") as log,
    ):
        label.main([*command, "--out", str(out), *RAY])
    killer.join()
    assert killed
    assert "died; the shard is resumed" in log.call_args.args[0]
    assert content(out) == content(tmp_path / "one")
    # Finished: nothing is started.
    with mock.patch.object(ray_run, "import_ray", wraps=ray_run.import_ray):
        label.main([*command, "--out", str(out), *RAY, "--format", "coco", "yolo"])
    assert (out / "labels").is_dir()


@pytest.mark.ray
def test_captions_and_errors_of_workers(images, captions, tmp_path, one_thread):
    ray = pytest.importorskip("ray")
    ray.init(address="local", num_cpus=2, log_to_driver=False, logging_level="error")
    try:
        entries = [dict(filename=each["filename"], caption=each["caption"]) for each in captions]
        pairs = write_pairs(tmp_path / "pairs.jsonl", entries)
        command = [str(images), "--captions", str(pairs), *OPTIONS, "--samples", "2"]
        for name, more in (("one", []), ("ray", RAY)):
            label.main([*command, "--out", str(tmp_path / name / "labels.jsonl"), *more])
        one, other = content(tmp_path / "one"), content(tmp_path / "ray")
        assert one.pop("labels.jsonl.report.txt")
        assert other.pop("labels.jsonl.report.txt")
        assert one == other  # the report begins with the path
        # Files of another run: the worker's error is that of one process.
        out = tmp_path / "taken"
        out.mkdir()
        (out / "annotations.json").write_text("mine")
        with pytest.raises(LabelingMismatchError, match="exists already and is not of this run"):
            label.main([str(images), NAMES, *OPTIONS, "--out", str(out), *RAY])
        with (
            mock.patch.object(ray_run, "MAX_STARTS", 2),
            pytest.raises(GLIPError, match="was started 2 times and its worker died each time"),
        ):
            ray_run.label_with_ray(deadly_run(tmp_path / "dies"), num_workers=1)
    finally:
        ray.shutdown()


def test_without_ray(images, tmp_path):
    command = [str(images), NAMES, "--out", str(tmp_path / "out"), "--ray"]
    with (
        mock.patch.dict("sys.modules", {"ray": None}),
        pytest.raises(DependencyError, match=r"pip install 'glip\[ray\]'"),
    ):
        label.main(command)


@pytest.mark.parametrize("address", ["nowhere", "host:port", "host:99999999", "ray://", ":1"])
def test_no_address(address):
    with pytest.raises(ConfigError, match="expected --ray as HOST:PORT"):
        ray_run.check_address(address)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_nothing_answers(scheme):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(ConfigError, match="no Ray cluster answers"):
        ray_run.check_address(f"{scheme}127.0.0.1:{port}")


def test_workers_without_ray(images, tmp_path, capsys):
    with pytest.raises(SystemExit):
        label.main([str(images), NAMES, "--out", str(tmp_path / "o"), "--ray-workers", "2"])
    assert "goes with --ray" in capsys.readouterr().err
