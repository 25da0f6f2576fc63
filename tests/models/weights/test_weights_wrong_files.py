"""Ways to hand in a wrong file: each is a sentence, and the harmless ones load."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from networks import lively_model, save_pyslowfast
from weights_files import A_KEY, renamed, same_state, write_caffe2, write_family

from ava_detect.errors import WeightsError
from ava_detect.models.weights import inspect_file, load_weights, save_weights


class RunsCode:
    def __reduce__(self):
        return (exec, ("print('this must never be printed')",))


class SetsState:
    def __reduce__(self):
        return (np.ndarray, ((1,),), {"__reduce__": RunsCode()})


def edited(source, path, change):
    content = torch.load(save_pyslowfast(source, path), weights_only=True)
    change(content["model_state"])
    torch.save(content, path)


def truncated(family):
    def make(source, path):
        data = write_family(source, family, path).read_bytes()
        path.write_bytes(data[: len(data) * 2 // 3])

    return make


def truncated_ours(source, path):
    data = save_weights(source, path).read_bytes()
    path.write_bytes(data[:-100])


def zip_of_text(source, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/readme.txt", "hello")


def zip_bomb(source, path):
    save_pyslowfast(source, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
        archive.writestr("archive/data/9999", bytes(50_000_000))


def torchscript(source, path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)


def other_network(source, path):
    torch.save(
        {"model_state": lively_model(model={"backbone": {"depths": [2, 1, 1, 1], "width": 16}}).state_dict()}, path
    )


def classes_81(source, path):
    state = renamed(source, "mmaction2")
    state["roi_head.bbox_head.fc_cls.weight"] = torch.zeros(81, 576)
    state["roi_head.bbox_head.fc_cls.bias"] = torch.zeros(81)
    torch.save({"state_dict": state}, path)


def old_format_that_declares_much(source, path):
    torch.save({"a": torch.zeros(1000)}, path, _use_new_zipfile_serialization=False)
    # 1000 as BININT2, after the device "cpu"; 2**31 - 1 numbers as BININT: 8 GB.
    data = path.read_bytes()
    assert data.count(b"M\xe8\x03") >= 1
    path.write_bytes(data.replace(b"M\xe8\x03", b"J\xff\xff\xff\x7f", 1))


def zip_that_declares_much(source, path):
    torch.save({"a": torch.zeros(1000)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            big = data.replace(b"M\xe8\x03", b"J\xff\xff\xff\x7f") if name.endswith("data.pkl") else data
            archive.writestr(name, big)


def expanded(source, path):
    """A tensor of stride 0: 4 bytes that declare terabytes."""
    torch.save({"a": torch.zeros(1).expand(1 << 40)}, path)


def safetensors_of(header: dict, body: bytes = b"", length: int | None = None):
    def make(source, path):
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", length or len(text)) + text + body)

    return make


def huge(shape):
    return {"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * shape[0]]}}


def pickle_of(content, **options):
    return lambda source, path: path.write_bytes(pickle.dumps(content, **options))


def raw(data: bytes):
    return lambda source, path: path.write_bytes(data)


def array_that_declares_much(source, path):
    write_caffe2(path, {"conv1_w": np.zeros(1000, np.float32)}, protocol=2)
    data = path.read_bytes()
    assert b"M\xe8\x03" in data
    path.write_bytes(data.replace(b"M\xe8\x03", b"J\xff\xff\xff\x7f"))


WRONG = {
    "not there": (lambda source, path: None, "there is no such weights file"),
    "a folder": (lambda source, path: path.mkdir(), "is a folder"),
    "empty": (raw(b""), "is empty"),
    "truncated zip": (truncated("pyslowfast"), "is not a readable torch checkpoint (File is not a zip file)"),
    "truncated caffe2": (truncated("caffe2"), "damaged or incomplete pickle data"),
    "truncated safetensors": (truncated_ours, "is not a readable safetensors file"),
    "login page": (raw(b"<!DOCTYPE html><html>please log in</html>"), "a web page"),
    "LFS pointer": (raw(b"version https://git-lfs.github.com/spec/v1\noid"), "a Git LFS pointer"),
    "gzip": (raw(b"\x1f\x8b\x08rest"), "a gzip archive; unpack it first"),
    "HDF5": (raw(b"\x89HDF\r\n\x1a\n"), "an HDF5 file"),
    "a text": (raw(b"these are my weights"), "of an unknown kind"),
    "zip of text": (zip_of_text, "a zip archive, but not one of torch.save"),
    "zip bomb": (zip_bomb, "its parts are compressed"),
    "TorchScript": (torchscript, "a TorchScript program"),
    "no state": (lambda source, path: torch.save({"model_state": 5}, path), "holds no state dict"),
    "a whole list": (lambda source, path: torch.save([torch.zeros(1)], path), "holds no state dict"),
    "other names": (
        lambda s, path: torch.save({"encoder.weight": torch.zeros(1)}, path),
        "none is named as in a layout",
    ),
    "other architecture": (other_network, "unknown to the model: backbone.res2.slow.block1"),
    "81 classes for 80": (classes_81, "roi_head.bbox_head.fc_cls.bias (file [81], model [80])"),
    "NaN": (lambda s, p: edited(s, p, lambda state: state[A_KEY].view(-1)[3].fill_(torch.nan)), f"{A_KEY} holds NaN"),
    "infinite": (lambda s, p: edited(s, p, lambda state: state[A_KEY].fill_(torch.inf)), f"{A_KEY} holds NaN or inf"),
    "integers": (
        lambda s, p: edited(s, p, lambda st: st.update({A_KEY: st[A_KEY].to(torch.int8)})),
        "holds int8 numbers",
    ),
    "sparse": (
        lambda s, p: torch.save({A_KEY: torch.eye(3).to_sparse()}, p),
        "is not a plain tensor of numbers (it is sparse",
    ),
    "malicious pickle": (pickle_of({"blobs": {"a": RunsCode()}}), "it names builtins.exec"),
    "malicious torch": (lambda s, p: torch.save({"model_state": RunsCode()}, p), "other than tensors and plain values"),
    "malicious state": (pickle_of({"blobs": {"a": SetsState()}}), "it would call numpy.ndarray"),
    "eval by codecs": (raw(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00echo\x85R."), "it names os.system"),
    "nested name": (raw(b"\x80\x04\x8c\x05numpy\x8c\x09f2py.main\x93."), "it names numpy.f2py.main"),
    "instance": (raw(b"\x80\x02(cnumpy\nndarray\no."), "the pickle operation OBJ"),
    "calls a value": (raw(b"\x80\x02K\x01)R."), "it would call something that is not a function"),
    "object array": (pickle_of({"blobs": {"a": np.array([{}], object)}}), "an array of type 'O8'"),
    "blob of text": (pickle_of({"blobs": {"pred_w": "hello"}}), "the caffe2 blob 'pred_w' is not an array"),
    "pickle of a list": (pickle_of([1, 2]), "a pickle without caffe2 'blobs'"),
    "only momentum": (pickle_of({"blobs": {"w_momentum": np.zeros(1)}}), "a pickle without caffe2 weights"),
    "huge memo": (raw(b"\x80\x02Nr\xff\xff\xff\x0f."), "a pickle without caffe2 'blobs'"),
    "huge string": (raw(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"a."), "damaged or incomplete pickle data"),
    "endless objects": (raw(b"\x80\x02" + b"}" * 3_000_000 + b"."), "more than 2000000 operations"),
    "huge array": (array_that_declares_much, "damaged or incomplete pickle data"),
    "huge old torch": (old_format_that_declares_much, "it declares 8589934588 bytes"),
    "huge zip": (zip_that_declares_much, "it declares a storage of 8589934588 bytes that has 4000"),
    "stride 0": (expanded, "a tensor of shape [1099511627776] is declared over 1 numbers"),
    "huge safetensors": (safetensors_of(huge([1 << 40])), "is not a readable safetensors file"),
    "huge header": (safetensors_of({}, length=1 << 50), "is not a readable safetensors file"),
    "empty safetensors": (safetensors_of({}), "a safetensors file without tensors"),
    "newer format": (
        safetensors_of(huge([1]) | {"__metadata__": {"format": "ava_detect", "version": "9"}}, bytes(4)),
        "has version '9' of our format",
    ),
}


@pytest.mark.parametrize("way", WRONG)
def test_a_wrong_file_is_refused_in_a_sentence(source, tmp_path, way, capfd):
    make, message = WRONG[way]
    path = tmp_path / "model.pyth"
    make(source, path)
    model = lively_model()
    with pytest.raises(WeightsError) as error:
        load_weights(model, path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert "model.pyth" in str(error.value)
    assert "weights_only" not in str(error.value)
    assert same_state(model, lively_model())
    assert "never be printed" not in capfd.readouterr().out


def half(source, path):
    state = {n: t.half() if t.is_floating_point() else t for n, t in renamed(source, "pyslowfast").items()}
    torch.save({"model_state": state}, path)


def double(source, path):
    edited(source, path, lambda state: state.update({A_KEY: state[A_KEY].double()}))


def wrapped(source, path):
    torch.save({"model_state": {f"module.{n}": t for n, t in renamed(source, "pyslowfast").items()}}, path)


def full_training_checkpoint(source, path):
    optimizer = torch.optim.SGD(source.parameters(), lr=0.1, momentum=0.9)
    buffers = {i: {"momentum_buffer": torch.ones_like(p)} for i, p in enumerate(source.parameters())}
    state = {**optimizer.state_dict(), "state": buffers}
    content = {"epoch": 3, "optimizer_state": state, "scaler_state": {"scale": 65536.0}, "cfg": "TRAIN: {}"}
    torch.save({**content, "model_state": renamed(source, "pyslowfast")}, path)


def old_format(source, path):
    torch.save({"model_state": renamed(source, "pyslowfast")}, path, _use_new_zipfile_serialization=False)


HARMLESS = {
    "fp16": (half, "float16 numbers were converted to float32"),
    "float64 among others": (double, "float64 numbers were converted to float32"),
    "module. prefix": (wrapped, "the prefix 'module.' was removed"),
    "full training checkpoint": (full_training_checkpoint, "it also holds epoch, optimizer_state"),
    "old torch format": (old_format, "PySlowFast layout"),
    "bare state dict": (lambda s, p: torch.save(renamed(s, "pytorchvideo"), p), "pytorchvideo layout"),
    "ordered dict": (lambda s, p: torch.save(OrderedDict(renamed(s, "mmaction2")), p), "mmaction2 layout"),
    "a torch file called .pkl": (lambda s, p: save_pyslowfast(s, p), "PySlowFast layout"),
}


@pytest.mark.parametrize("way", HARMLESS)
def test_a_harmless_file_loads_and_says_what_was_odd(source, tmp_path, way):
    make, message = HARMLESS[way]
    path = tmp_path / "model.pkl"
    make(source, path)
    model = lively_model()
    report = load_weights(model, path)
    assert report.complete
    assert message in str(report)
    if way == "fp16":
        assert all(
            torch.equal(p.half(), q.half()) for p, q in zip(model.parameters(), source.parameters(), strict=True)
        )
    else:
        assert same_state(model, source)


def test_a_last_layer_without_rows_is_another_shape(source, tmp_path):
    state = {**renamed(source, "pyslowfast"), "head.projection.weight": torch.tensor(1.0)}
    torch.save({"model_state": state}, tmp_path / "w.pyth")
    assert inspect_file(tmp_path / "w.pyth").head_rows is None
    with pytest.raises(WeightsError, match=r"of another shape: head\.projection\.weight \(file \[\]"):
        load_weights(lively_model(), tmp_path / "w.pyth")
