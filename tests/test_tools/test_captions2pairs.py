"""Captions of images without boxes to pairs."""

from __future__ import annotations

import io
import json
import tarfile

import pytest
from PIL import Image

from glip.utils.errors import USER_ERRORS
from tests.test_tools.commands import tool
from tests.test_tools.converting import draw, read_lines


def gather(*args):
    """Run the tool with ``--out`` last; return the pairs."""
    tool("dataset_converters/captions2pairs.py").main([str(each) for each in args])
    return read_lines(args[-1])


@pytest.fixture
def images(tmp_path):
    """An image, a truncated one, and a file that is not an image."""
    folder = tmp_path / "images"
    whole = draw(folder / "a b.jpg", 64, 48).read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "none.jpg").write_text("404 Not Found")
    return folder


def test_tsv(images, tmp_path, capsys):
    rows = [
        "a very typical  bus station\thttp://lh6.ggpht.com/x/a%20b.jpg?w=3",
        "sierra \u00a1looks!\ta b.jpg",
        "by its third column\thttp://a.com/other.jpg\ta b.jpg",
        "gone\thttp://a.com/gone.jpg",
        "broken\thttp://a.com/none.jpg",
        "cut off\tcut.jpg",
        "no name\thttp://a.com/",
        "no address\thttp://[a.com/a.jpg",
        f"too long a name\thttp://a.com/{'a' * 5000}.jpg",
        "a zero byte\ta\0.jpg",
        "no tab",
        "\ta b.jpg",
        "...\ta b.jpg",
    ]
    source = tmp_path / "Train_GCC-training.tsv"
    source.write_bytes("\n".join(rows).encode() + b"\n\xff\xfe\ta b.jpg\n")
    pairs = gather(source, "--img-root", images, "--out", tmp_path / "o.jsonl")
    size = dict(height=48, width=64)
    assert pairs == [
        dict(filename="a b.jpg", **size, caption="a very typical bus station"),
        dict(filename="a b.jpg", **size, caption="sierra \u00a1looks!"),
        dict(filename="a b.jpg", **size, caption="by its third column"),
        dict(filename="cut.jpg", **size, caption="cut off"),
    ]
    printed = capsys.readouterr().out
    assert "o.jsonl: 4 pairs" in printed
    for reason in (
        "3 pairs not in --img-root (gone.jpg, ",
        "1 pair with a broken image (none.jpg)",
        "2 pairs with a URL that names no file (http://a.com/, http://[a.com/a.jpg)",
        "1 pair without a tab and a file ('no tab')",
        "2 pairs without a caption (a b.jpg, a b.jpg)",
        "1 pair not in UTF-8",
    ):
        assert reason in printed
    pairs = gather(
        source, "--img-root", images, "--decode", "--overwrite", "--out", tmp_path / "o.jsonl"
    )
    assert len(pairs) == 3
    assert "2 pairs with a broken image (none.jpg, cut.jpg)" in capsys.readouterr().out


def test_json_lines(images, tmp_path, capsys):
    source = tmp_path / "a.jsonl"
    lines = [
        dict(image="a b.jpg", text="a bus"),
        dict(text="a bus"),
        dict(image="a b.jpg", text=5),
        dict(image="a b.jpg", text="half \ud800 a pair"),
    ]
    source.write_text("\n".join(map(json.dumps, lines)) + "\n{\n[1]\n")
    pairs = gather(
        *(source, "--img-root", images, "--caption-key", "text", "--file-key", "image"),
        *("--out", tmp_path / "o.jsonl"),
    )
    assert pairs == [dict(filename="a b.jpg", height=48, width=64, caption="a bus")]
    printed = capsys.readouterr().out
    assert "3 pairs without 'image' in a JSON object" in printed
    assert "1 pair without a caption" in printed
    assert "1 record because 'caption' is not valid Unicode" in printed


def write_shard(path, members):
    """Write a tar file of names and contents, in this order."""
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_shards(images, tmp_path, capsys):
    picture = (images / "a b.jpg").read_bytes()
    first = write_shard(
        tmp_path / "00000.tar",
        {
            "000000000.jpg": picture,
            "000000000.json": json.dumps(dict(caption="of JSON", width=1, height=1)).encode(),
            "000000001.json": json.dumps(dict(caption="JSON")).encode(),
            "000000001.txt": "of the text \u00fc".encode(),
            "000000001.PNG": draw(tmp_path / "a.png", 20, 10).read_bytes(),
            "000000002.jpg": b"none",
            "000000002.txt": b"broken",
            "000000003.txt": b"no image",
            "000000004.jpg": picture,
            "sub/000000004.jpg": picture,
            "sub/000000004.txt": b"in a folder",
            "../../evil.jpg": picture,
        },
    )
    more = {
        f"{at}.{kind}": content
        for at in range(9)
        for kind, content in (("jpg", picture), ("txt", b"a bus"))
    }
    second = write_shard(tmp_path / "00001.tar", more)
    second.write_bytes(second.read_bytes()[: 2 * (len(picture) // 512 + 4) * 512 + 900])
    third = tmp_path / "00002.tar"
    third.write_bytes(b"no shard at all")
    root = tmp_path / "new" / "pictures"
    pairs = gather(first, second, third, "--img-root", root, "--out", tmp_path / "o.jsonl")
    expected = [
        ("000000000.jpg", 48, 64, "of JSON"),
        ("000000001.PNG", 10, 20, "of the text \u00fc"),
        ("sub/000000004.jpg", 48, 64, "in a folder"),
    ]
    assert pairs[:3] == [
        dict(filename=f"00000/{name}", height=height, width=width, caption=caption)
        for name, height, width, caption in expected
    ]
    # What a shard that is cut off had before that.
    assert [pair["filename"] for pair in pairs[3:]] == ["00001/0.jpg", "00001/1.jpg"]
    for pair in pairs:
        width, height = Image.open(root / pair["filename"]).size
        assert (width, height) == (pair["width"], pair["height"])
    assert not (tmp_path / "new" / "evil.jpg").exists()
    printed = capsys.readouterr().out
    for reason in (
        "1 pair with a broken image (00000/000000002.jpg)",
        "1 pair with a path out of the shard (../../evil.jpg)",
        "1 pair without an image in the shard (000000003.txt)",
        "1 pair without a caption (00000/000000004.jpg)",
        "2 shards truncated or not a tar file",
    ):
        assert reason in printed


def test_sources_that_are_wrong(images, tmp_path):
    out = tmp_path / "o.jsonl"
    (tmp_path / "a.csv").touch()
    (tmp_path / "a.tsv").touch()
    with pytest.raises(USER_ERRORS, match=r"expected a \.tsv, \.jsonl or \.tar file"):
        gather(tmp_path / "a.csv", "--img-root", images, "--out", out)
    shards = [write_shard(tmp_path / name / "0.tar", {}) for name in ("images", "..")]
    with pytest.raises(USER_ERRORS, match="have the same name"):
        gather(*shards, "--img-root", images, "--out", out)
    with pytest.raises(USER_ERRORS, match=r"there is no folder .*--img-root"):
        gather(tmp_path / "a.tsv", "--img-root", tmp_path / "none", "--out", out)
    with pytest.raises(USER_ERRORS, match=r"nothing of .* can be used: it is empty"):
        gather(tmp_path / "a.tsv", "--img-root", images, "--out", out)
    with pytest.raises(USER_ERRORS, match="there is no annotation file"):
        gather(tmp_path / "b.tsv", "--img-root", images, "--out", out)
    assert not out.exists()


@pytest.mark.parametrize("name", ["...tar", "..tar", ". .tar"])
def test_shards_without_a_name(images, tmp_path, name):
    """Their images would be unpacked to the image folder itself, or above it."""
    shard = write_shard(tmp_path / name, {"a.jpg": b"x", "a.txt": b"a dog"})
    with pytest.raises(USER_ERRORS, match="names no folder"):
        gather(shard, "--img-root", images, "--out", tmp_path / "o.jsonl")
    assert not (tmp_path / "a.jpg").exists()
