"""`vircraft fuse`: the commands around FGFusion; a command's module, and torch, load when it runs."""

from __future__ import annotations

import click

from vircraft_cli.lazy import LazyGroup

# name -> (module, one line of help), so that `vircraft fuse --help` imports none of them
COMMANDS = {
    "train": ("vircraft_cli.fuse_train", "Train the network on registered pairs."),
    "run": ("vircraft_cli.fuse_run", "Fuse pictures, folders, datasets or videos."),
    "score": ("vircraft_cli.fuse_score", "Score fused pictures on the field's metrics."),
    "export": ("vircraft_cli.fuse_export", "Export the network for other programs."),
}


@click.group("fuse", cls=LazyGroup, modules=COMMANDS)
def command() -> None:
    """Fuse registered infrared and visible pictures with FGFusion.

    Needs the extra 'fuse': pip install 'vircraft[fuse]'. Weights come with the package, so that 'run' works
    out of the box; 'train' makes your own.

    \b
    Example:
      vircraft fuse run dataset -o fused
      vircraft fuse score fused --dataset dataset
      vircraft fuse train dataset -o run --preset fast
      vircraft fuse export --weights run/weights.safetensors -o model.onnx
    """
