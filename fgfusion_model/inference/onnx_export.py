"""Write a trained network for other programs: ONNX, or PyTorch's own `torch.export`; any size, any batch.

The graph takes luminance and pads inside, as `FGFusion.forward` does, so that nothing need be done outside
except turning colour into luminance and back (`fgfusion_model.colour`).
"""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from fgfusion_model.network import MIN_SIDE, STRIDE, FGFusion
from vircraft import __version__
from vircraft.errors import SettingsError, VircraftError
from vircraft.files import write_atomically
from vircraft.settings import plain

ExportFormat = Literal["onnx", "torch-export"]
OPSET = 20
OLDEST_OPSET = 18
INPUTS = ("infrared", "visible")
OUTPUTS = ("fused", "foreground")
CHECK_SIZES = ((1, 32, 32), (1, 480, 640), (2, 100, 75), (1, 257, 511))  # batch, height, width
TOLERANCE = 1e-4  # of the check, in units of the output's range [0, 1]
_NEEDED = ("onnx", "onnxscript", "onnxruntime")


class ExportError(VircraftError):
    """The network cannot be exported, or what was written does not compute the same."""


@dataclass(frozen=True)
class Agreement:
    """How far the exported network is from PyTorch's for one size of input.

    Attributes:
        shape: batch, height, width.
        most: the largest absolute difference over all outputs, which lie in [0, 1].
    """

    shape: tuple[int, int, int]
    most: float


class _Graph(nn.Module):
    """The network with plain tensors as outputs, the foreground as a probability.

    It pads as `FGFusion.forward` does, in words that hold for sizes left open.
    """

    def __init__(self, model: FGFusion) -> None:
        super().__init__()
        self.model = model

    def forward(self, infrared: Tensor, visible: Tensor) -> tuple[Tensor, ...]:
        """Map two (N, 1, H, W) in [0, 1] to fused luminance, and the foreground where there is a branch."""
        height, width = infrared.shape[2:]
        both = torch.cat([infrared, visible], 1)  # both of one size, also for the exporter
        both = both.index_select(2, _reflected(height, both)).index_select(3, _reflected(width, both))
        fused, logits = self.model.fuse_padded(both[:, :1], both[:, 1:])
        rows, columns = (torch.arange(side, device=both.device) for side in (height, width))
        maps = (fused,) if logits is None else (fused, torch.sigmoid(logits))
        return tuple(map_.index_select(2, rows).index_select(3, columns) for map_ in maps)


def _reflected(side: int, like: Tensor) -> Tensor:
    """Return which pixels make a side of the next multiple of 16: all, then back from the last but one."""
    index = torch.arange((side + STRIDE - 1) // STRIDE * STRIDE, device=like.device)
    return torch.where(index < side, index, 2 * (side - 1) - index)


def export_network(model: FGFusion, path: Path, format_: ExportFormat = "onnx", opset: int = OPSET) -> None:
    """Write a network with dynamic batch, height and width.

    Args:
        model: the network.
        path: the file; `.onnx`, or `.pt2` for torch.export.
        format_: of the file.
        opset: of ONNX.

    Raises:
        SettingsError: packages are missing, or the opset is too old.
        ExportError: this PyTorch cannot export it.
        DatasetError: the disk is full or read-only.
    """
    if format_ == "onnx":
        check_packages()
        if opset < OLDEST_OPSET:
            raise SettingsError(f"opset is {opset}; it is {OLDEST_OPSET} or newer")
    content = _onnx_bytes(model, opset) if format_ == "onnx" else _torch_bytes(model)
    write_atomically(path, content)


def check_packages() -> None:
    """Refuse when a package that ONNX needs is not installed.

    Raises:
        SettingsError: it names them.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise SettingsError(f"{', '.join(missing)} not installed; run: pip install {' '.join(missing)}")


def compare(
    model: FGFusion, path: Path, format_: ExportFormat, shapes: Sequence[tuple[int, int, int]] = CHECK_SIZES
) -> Iterator[Agreement]:
    """Run the exported network and PyTorch's on noise of several sizes.

    Raises:
        ExportError: an output differs by more than `TOLERANCE`.
    """
    reference = _Graph(model).eval()
    exported = _onnx_runner(path) if format_ == "onnx" else _torch_runner(path)
    generator = np.random.default_rng(0)
    for shape in shapes:
        n, height, width = shape
        inputs = [generator.random((n, 1, height, width), np.float32) for _ in INPUTS]
        with torch.inference_mode():
            wanted = [o.numpy() for o in reference(*map(torch.from_numpy, inputs))]
        got = exported(inputs)
        most = max(float(np.abs(a - b).max()) for a, b in zip(got, wanted, strict=True))
        if not most <= TOLERANCE:  # also when it is NaN
            raise ExportError(
                f"{path}: differs from PyTorch by {most:.2g} at {width}x{height}, batch {n} (limit "
                f"{TOLERANCE:g}); do not use it: try another --opset or another version of torch"
            )
        yield Agreement(shape, most)


def _program(model: FGFusion) -> torch.export.ExportedProgram:
    """Trace the network with sizes left open."""
    batch, height, width = (
        torch.export.Dim("batch", min=1, max=1 << 12),
        torch.export.Dim("height", min=MIN_SIDE, max=1 << 15),
        torch.export.Dim("width", min=MIN_SIDE, max=1 << 15),
    )
    sizes = {0: batch, 2: height, 3: width}
    example = tuple(torch.rand(2, 1, 3 * STRIDE + 5, 4 * STRIDE + 7) for _ in INPUTS)
    try:
        graph = copy.deepcopy(_Graph(model)).eval()
        graph.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        with _quiet(), torch.no_grad():
            return torch.export.export(graph, example, dynamic_shapes=(sizes, sizes))
    except Exception as error:  # its errors have many types and no common base
        raise ExportError(
            f"torch {torch.__version__} cannot export the network: {str(error).splitlines()[0]}"
        ) from error


def _onnx_bytes(model: FGFusion, opset: int) -> bytes:
    import onnx

    program = _program(model)
    names = OUTPUTS if model.settings.foreground else OUTPUTS[:1]
    try:
        with _quiet():
            written = torch.onnx.export(
                program,
                input_names=INPUTS,
                output_names=names,
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:
        raise ExportError(
            f"torch {torch.__version__} cannot write ONNX: {str(error).splitlines()[0]}"
        ) from error
    assert written is not None
    proto = written.model_proto
    onnx.helper.set_model_props(proto, _notes(model))
    return bytes(proto.SerializeToString())


def _torch_bytes(model: FGFusion) -> bytes:
    buffer = io.BytesIO()
    notes = {f"{key}.txt": text for key, text in _notes(model).items()}
    torch.export.save(_program(model), buffer, extra_files=notes)
    return buffer.getvalue()


def _notes(model: FGFusion) -> dict[str, str]:
    """Return what a user of the file must know."""
    return {
        "made_by": f"vircraft {__version__}",
        "network": json.dumps(plain(model.settings), sort_keys=True),
        "inputs": "infrared, visible: (N, 1, H, W) float32 in [0, 1]; of colour 0.299 R + 0.587 G + 0.114 B",
        "outputs": "fused: luminance in [0, 1]; foreground: probability in [0, 1]; both (N, 1, H, W)",
        "sizes": f"any N; H and W from {MIN_SIDE} up; padding to multiples of {STRIDE} happens inside",
    }


def _onnx_runner(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, dict(zip(INPUTS, inputs, strict=True)))


def _torch_runner(path: Path) -> Any:
    with _quiet():
        module = torch.export.load(path).module()

    def run(inputs: Sequence[Any]) -> list[Any]:
        with torch.inference_mode():
            return [output.numpy() for output in module(*map(torch.from_numpy, inputs))]

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings and log lines of the exporter to itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
