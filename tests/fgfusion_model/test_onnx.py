"""The exported network computes what PyTorch's does, at any size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

from fgfusion_model.inference.onnx_export import ExportError, compare, export_network
from fuse_inputs import TINY, random_network
from vircraft.errors import SettingsError

SHAPES = ((1, 32, 32), (3, 33, 100), (1, 160, 47), (2, 64, 64))


SPARE = pytest.param({"foreground": False, "interaction": False}, marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=[{}, SPARE])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    model = random_network(**request.param)
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_network(model, path)
    return model, path


def test_onnxruntime_gives_what_the_network_gives_at_any_batch_and_size(exported):
    model, path = exported
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for n, height, width in SHAPES:
        infrared, visible = rng.random((2, n, 1, height, width), np.float32)
        got = session.run(None, {"infrared": infrared, "visible": visible})
        with torch.inference_mode():
            wanted = model(torch.from_numpy(infrared), torch.from_numpy(visible))
        np.testing.assert_allclose(got[0], wanted.fused.numpy(), atol=1e-5)
        assert len(got) == (1 if wanted.foreground is None else 2)
        if wanted.foreground is not None:
            np.testing.assert_allclose(got[1], torch.sigmoid(wanted.foreground).numpy(), atol=1e-5)


def test_the_file_says_what_goes_in_and_out(exported):
    import onnx

    model, path = exported
    proto = onnx.load(path)
    onnx.checker.check_model(proto)
    notes = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(notes["network"])["channels"] == TINY.channels
    assert "[0, 1]" in notes["inputs"]
    assert [i.name for i in proto.graph.input] == ["infrared", "visible"]
    names = ["fused", "foreground"] if model.settings.foreground else ["fused"]
    assert [o.name for o in proto.graph.output] == names
    assert [d.dim_param for d in proto.graph.input[0].type.tensor_type.shape.dim if d.dim_param]


@pytest.mark.slow
def test_torch_export_gives_the_same(tmp_path: Path):
    model = random_network()
    path = tmp_path / "model.pt2"
    export_network(model, path, "torch-export")
    assert [a.shape for a in compare(model, path, "torch-export", SHAPES)] == list(SHAPES)
    assert max(a.most for a in compare(model, path, "torch-export", SHAPES)) < 1e-5


def test_a_file_that_computes_something_else_is_found_out(exported):
    model, path = exported
    torch.manual_seed(7)
    with torch.no_grad():
        model.reconstruction.out.bias.add_(0.1)
    try:
        with pytest.raises(ExportError, match="differs from PyTorch"):
            list(compare(model, path, "onnx", SHAPES))
    finally:
        with torch.no_grad():
            model.reconstruction.out.bias.sub_(0.1)


def test_an_opset_that_is_too_old_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="18"):
        export_network(random_network(), tmp_path / "m.onnx", opset=11)
