"""Read files of every kind: valid, damaged and malicious."""

import builtins
import functools
import io
import os
import pickle
import subprocess
import tarfile
import threading
import warnings
from collections import OrderedDict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.logging.history_buffer import HistoryBuffer
from safetensors.torch import save_file

from glip.checkpoint import read_checkpoint
from glip.checkpoint.formats import find_state_dict
from glip.checkpoint.pickle_stand_ins import history_buffer_getattr
from glip.checkpoint.restricted_pickle import RestrictedUnpickler
from glip.utils.errors import CheckpointError
from tests.test_checkpoint.conftest import same_tensors

TENSORS = {
    "a.weight": torch.arange(12.0).view(3, 4),
    "a.half": torch.ones(3, dtype=torch.float16),
    "a.brain": torch.ones(2, dtype=torch.bfloat16),
    "a.count": torch.tensor(7),
    "a.flags": torch.tensor([True, False]),
    "a.empty": torch.empty(0, 3),
}


def refusal(path):
    """Return the error message for a file; it is one line."""
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert "Traceback" not in message
    return message


# --- readable files -------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files(zipped, tmp_path):
    path = tmp_path / "x.pth"
    checkpoint = {
        "model": OrderedDict(TENSORS),
        "view": TENSORS["a.weight"].t(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "iteration": 3,
        "lr": [1e-4, 1e-5],
        "meta": {"name": "x", "size": torch.Size([2, 3]), "none": None, "pair": (1, True)},
    }
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(path)
    same_tensors(read["model"], TENSORS)
    assert torch.equal(read["view"], TENSORS["a.weight"].t())
    assert torch.equal(read["parameter"], torch.ones(2))
    assert [read[key] for key in ("iteration", "lr", "meta")] == [
        checkpoint[key] for key in ("iteration", "lr", "meta")
    ]


def test_tensors_are_memory_mapped(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"model": {"a": torch.arange(1000.0)}}, path)
    tensor = read_checkpoint(path)["model"]["a"]
    with open("/proc/self/maps") as maps:
        assert str(path) in maps.read()
    assert torch.equal(tensor, torch.arange(1000.0))


def test_safetensors(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file(TENSORS, path, {"config": "some"})
    read = read_checkpoint(str(path))
    same_tensors(read["state_dict"], TENSORS)
    assert read["meta"] == {"config": "some"}
    save_file(TENSORS, path)
    assert read_checkpoint(path)["meta"] == {}


def test_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    torch.save(TENSORS, tmp_path / "x.pth")
    same_tensors(read_checkpoint("~/x.pth"), TENSORS)


@pytest.mark.parametrize("zipped", [True, False])
def test_training_checkpoints_of_mmengine(zipped, tmp_path):
    hub = MessageHub("test_training_checkpoints_of_mmengine")
    for step in range(5):
        hub.update_scalar("train/loss", np.float64(step), count=2)
        hub.update_scalar("train/lr", 0.1)
    hub.update_info("iter", 5)
    checkpoint = {
        "state_dict": OrderedDict(TENSORS),
        "message_hub": hub.state_dict(),
        "optimizer": {"state": {0: {"step": torch.tensor(5.0)}}, "param_groups": [{"lr": 0.1}]},
        "param_schedulers": [{"last_step": 5, "_last_lr": [0.1]}],
        "meta": {"epoch": 1, "iter": 5, "dataset_meta": {"classes": ("a", "b")}},
    }
    path = tmp_path / "epoch_1.pth"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(path)
    same_tensors(read["state_dict"], TENSORS)
    assert read["meta"] == checkpoint["meta"]
    assert read["optimizer"]["state"][0]["step"] == 5
    loss = read["message_hub"]["log_scalars"]["train/loss"]
    assert isinstance(loss, HistoryBuffer)
    assert (loss.mean(), loss.current(), loss.min(), loss.max()) == (1, 4, 0, 4)
    assert loss.data[1].tolist() == [2] * 5
    restored = MessageHub("test_training_checkpoints_of_mmengine_restored")
    restored.load_state_dict(read["message_hub"])
    assert restored.get_scalar("train/loss").mean() == 1
    assert restored.get_info("iter") == 5


# --- missing and damaged files -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["missing.pth", "no/such/folder.safetensors", "x" * 300 + ".pth"])
def test_missing_file(name, tmp_path):
    message = refusal(tmp_path / name)
    assert "does not exist: expected the path of a .pth or .safetensors file" in message


def test_folder(tmp_path):
    assert "is a folder: expected the path" in refusal(tmp_path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The bytes of a good file of each kind."""
    folder = tmp_path_factory.mktemp("files")
    tensors = {f"layer{index}.weight": torch.rand(64, 64) for index in range(20)}
    torch.save({"model": tensors}, folder / "zip")
    torch.save({"model": tensors}, folder / "legacy", _use_new_zipfile_serialization=False)
    save_file(tensors, folder / "safetensors")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("end", [1, 5, 100_000, 300_000, -5, -1])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated_files(kind, end, files, tmp_path):
    path = tmp_path / ("x.safetensors" if kind == "safetensors" else "x.pth")
    assert len(files[kind]) > 320_000
    path.write_bytes(files[kind][:end])
    message = refusal(path)
    assert "cannot be read as" in message
    assert "It may be truncated or damaged: copy it again" in message


@pytest.mark.parametrize("suffix", [".pth", ".pt", "", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"These are the release notes of the model, not the model.\n" * 20,
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3700000000\n",
        b"\x00" * 1000,
        b"\x89PNG\r\n\x1a\n" + b"\x00" * 100,
    ],
)
def test_other_files(content, suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    assert "cannot be read as" in refusal(path)


@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes(files, tmp_path):
    random = np.random.default_rng(0)
    path = tmp_path / "x.pth"
    refused = 0
    for _ in range(150):
        data = bytearray(files["zip"])
        for position in random.integers(0, 4000, 5):  # where the pickle is
            data[position] = random.integers(256)
        path.write_bytes(data)
        try:
            read_checkpoint(path)  # some damage cannot be detected
        except CheckpointError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    ("content", "kind"), [([torch.ones(2)], "list"), (torch.ones(2), "Tensor"), (3, "int")]
)
def test_other_contents(content, kind, tmp_path):
    torch.save(content, tmp_path / "x.pth")
    assert f"holds a {kind}: expected a dict of parameters" in refusal(tmp_path / "x.pth")


# --- files that could run code --------------------------------------------------------------------


class Call:
    """Calls something when it is unpickled."""

    def __init__(self, function, *arguments):
        self.reduction = function, arguments

    def __reduce__(self):
        return self.reduction


def hostile(marker):
    """Pickles that would leave a file at ``marker``, each by another way."""
    command = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w')"
    return {
        "system": Call(os.system, command),
        "eval": Call(eval, code),
        "exec": Call(exec, code),
        "Popen": Call(subprocess.Popen, ["touch", str(marker)]),
        "open": Call(open, str(marker), "w"),
        "import": Call(getattr, Call(__import__, "os"), "system"),
        "getattr of a class": Call(getattr, HistoryBuffer, "__init__"),
        "getattr of a method": Call(
            getattr, Call(getattr, Call(getattr, HistoryBuffer, "min"), "__globals__"), "get"
        ),
        "getattr of a container": Call(getattr, OrderedDict(), "update"),
        "setattr": Call(setattr, OrderedDict(), "x", 1),
        "partial": Call(functools.partial, os.system, command),
        "map": Call(map, eval, [code]),
        "numpy.load": Call(np.load, str(marker), None, True),
        "numpy's exec": Call(np.testing.rundocs, str(marker)),
        "torch.load": Call(torch.load, str(marker)),
        "torch.save": Call(torch.save, 1, str(marker)),
        "a module": torch.nn.Linear(2, 2),
        "a function": read_checkpoint,
        "a builtin": builtins.eval,
    }


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("way", hostile(""))
def test_hostile_pickles(way, zipped, tmp_path):
    marker = tmp_path / "executed"
    path = tmp_path / "x.pth"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # legacy files keep the source of modules
        torch.save(
            {"model": {**TENSORS, "evil": hostile(marker)[way]}},
            path,
            _use_new_zipfile_serialization=zipped,
        )
    message = refusal(path)
    assert not marker.exists()
    assert "holds more than parameters and was not loaded, because loading it could run" in message
    assert "weights_only" not in message  # torch's advice to trust the file


def test_the_message_names_the_refused_object(tmp_path):
    torch.save({"model": Call(os.system, "true")}, tmp_path / "x.pth")
    assert f"it names {os.system.__module__}.system. Expected" in refusal(tmp_path / "x.pth")
    torch.save({"model": torch.nn.Linear(2, 2)}, tmp_path / "x.pth")
    assert "it names torch.nn.modules.linear.Linear. Expected" in refusal(tmp_path / "x.pth")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("way", sorted(set(hostile("")) - {"a module"}))
def test_plain_pickles(way, protocol, tmp_path):
    marker = tmp_path / "executed"
    path = tmp_path / "x.pth"
    path.write_bytes(pickle.dumps(hostile(marker)[way], protocol))
    refusal(path)
    # The unpickler that replaces torch's own before torch 2.6, tested with any torch.
    with pytest.raises(pickle.UnpicklingError, match=r"it (names|requests)"):
        RestrictedUnpickler(io.BytesIO(path.read_bytes())).load()
    assert not marker.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch", "serialization.os.system"),
        ("torch", "hub.os.system.Storage"),
        ("torch", "float32.__class__"),
        ("torch", "load"),
        ("torch.serialization", "StorageType"),
        ("collections.OrderedDict", "update"),
        ("__builtin__", "eval"),
        ("numpy", "ndarray.tofile"),
    ],
)
def test_names_outside_the_list_are_refused(module, name):
    with pytest.raises(pickle.UnpicklingError, match="it names"):
        RestrictedUnpickler(io.BytesIO()).find_class(module, name)


@pytest.mark.filterwarnings("ignore:.*TorchScript", "ignore:.*torch.jit.script")
def test_torchscript_is_not_run(tmp_path):
    class Hello(torch.nn.Module):
        def forward(self):
            return 1

    path = tmp_path / "x.pth"
    torch.jit.script(Hello()).save(str(path))
    assert "it is a TorchScript program" in refusal(path)


def test_old_archives_are_not_unpacked(tmp_path):
    path = tmp_path / "x.pth"
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps(0)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    assert "cannot be read as a checkpoint" in refusal(path)


def test_modules_of_old_files_are_not_compared(tmp_path, monkeypatch):
    # Before 2.6 torch writes NAME.patch if the source of NAME differs from the one in the file. A
    # file can set attributes of an object that it gets, here of the replacement for getattr.
    monkeypatch.setattr(history_buffer_getattr, "dump_patches", False, raising=False)
    monkeypatch.chdir(tmp_path)
    function = b"cbuiltins\ngetattr\n"
    text = b"X\x06\x00\x00\x00"
    build = b"N}X\x0c\x00\x00\x00dump_patches\x88s\x86b"  # (None, {"dump_patches": True})
    module = (
        b"(" + text + b"module" + function + build + text + b"x.file" + text + b"source" + b"tQ"
    )
    path = tmp_path / "x.pth"
    with path.open("wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(value, file, protocol=2)
        file.write(b"\x80\x02}" + text + b"source" + module + b"s.")
        pickle.dump([], file, protocol=2)
    assert "was not loaded, because loading it could run code" in refusal(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.pth"]


# --- URLs -----------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path):
    """A folder on a local web server: its URL, the folder, and the requested paths."""
    requests = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            requests.append(self.path)

    folder = tmp_path / "served"
    folder.mkdir()
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}", folder, requests
    http.shutdown()
    http.server_close()


@pytest.fixture
def hub_folder(tmp_path, monkeypatch):
    """Where downloads go."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def test_urls_are_downloaded_once(server, hub_folder):
    url, folder, requests = server
    torch.save(TENSORS, folder / "x.pth")
    for _ in range(2):
        same_tensors(read_checkpoint(f"{url}/x.pth?download=true"), TENSORS)
    assert len(requests) == 1
    assert (hub_folder / "x.pth").is_file()


def test_a_url_without_a_file(server, hub_folder):
    url = f"{server[0]}/x.pth"
    message = refusal(url)
    assert "cannot be downloaded (HTTPError: HTTP Error 404: File not found)" in message
    assert f"or put it at {hub_folder / 'x.pth'}" in message
    assert list(hub_folder.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"Ihello\n.",
        b"{}",
        b"\x89PNG\r\n",
        b"GIF89a",
        b"<html></html>",
        b"version https://",
    ],
)
def test_files_of_another_kind(tmp_path, content):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="it is neither a zip archive nor a pickle"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize("keys", [[1], [1, 2], ["a", 5], [None], [2.5], [b"a"], [True]])
@pytest.mark.parametrize("container", [None, "state_dict", "model"])
def test_keys_that_are_no_names(tmp_path, keys, container):
    content = {key: torch.zeros(2) for key in keys}
    torch.save(content if container is None else {container: content}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"[12] tensors") as caught:
        find_state_dict(read_checkpoint(tmp_path / "a.pth"))
    assert "whose keys are not texts" in str(caught.value)
