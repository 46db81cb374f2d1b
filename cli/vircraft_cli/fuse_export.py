"""`vircraft fuse export`: a trained network for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click


@click.command("export")
@click.option(
    "--weights", default="lite", show_default=True, metavar="NAME|PATH", help="Bundled ones, or a file."
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["onnx", "torch-export"]),
    help="[default: by the suffix: .onnx, else torch-export]",
)
@click.option("--opset", type=click.IntRange(min=18), default=20, show_default=True, help="Of ONNX.")
@click.option(
    "--check/--no-check",
    default=True,
    show_default=True,
    help="Compare with PyTorch at several sizes; a file that disagrees is an error.",
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def command(
    weights: str,
    output: Path,
    format_: Literal["onnx", "torch-export"] | None,
    opset: int,
    check: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Write a trained network as ONNX, or as PyTorch's own exported program.

    It takes infrared and visible luminance, (N, 1, H, W) in [0, 1], of any batch and any size from 32x32 up:
    padding happens inside. It gives fused luminance, and the foreground as a probability. The file's
    metadata say so, too.

    \b
    Example:
      vircraft fuse export -o fgfusion.onnx
      vircraft fuse export --weights run/weights.safetensors -o fgfusion.pt2 --format torch-export
    """
    from fgfusion_model.checkpoints import bundled_weights, load_weights
    from fgfusion_model.inference.onnx_export import compare, export_network

    kind: Literal["onnx", "torch-export"] = format_ or _by_suffix(output)
    model = load_weights(bundled_weights(weights))
    export_network(model, output, kind, opset)
    agreements = []
    for agreement in compare(model, output, kind) if check else ():
        agreements.append(agreement)
        batch, height, width = agreement.shape
        if not (quiet or as_json):
            click.echo(
                f"{width}x{height}, batch {batch}: differs from PyTorch by at most {agreement.most:.1e}"
            )
    if as_json:
        checks = [{"shape": list(a.shape), "most": a.most} for a in agreements]
        click.echo(json.dumps({"output": str(output), "format": kind, "checks": checks}, ensure_ascii=False))
    elif not quiet:
        click.echo(f"{output} ({output.stat().st_size / 1e6:.1f} MB)")
    return 0


def _by_suffix(output: Path) -> Literal["onnx", "torch-export"]:
    suffix = output.suffix.lower()
    if suffix == ".onnx":
        return "onnx"
    if suffix == ".pt2":
        return "torch-export"
    raise click.UsageError(f"{output}: name it .onnx or .pt2, or say --format onnx or torch-export")
