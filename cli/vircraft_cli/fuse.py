"""`vircraft fuse`: the commands around FGFusion; a command's module, and torch, load when it runs."""

from __future__ import annotations

import importlib

import click

# name -> (module, one line of help), so that `vircraft fuse --help` imports none of them
COMMANDS = {
    "train": ("vircraft_cli.fuse_train", "Train the network on registered pairs."),
    "run": ("vircraft_cli.fuse_run", "Fuse pictures, folders, datasets or videos."),
    "score": ("vircraft_cli.fuse_score", "Score fused pictures on the field's metrics."),
    "export": ("vircraft_cli.fuse_export", "Export the network for other programs."),
}


class LazyGroup(click.Group):
    """A group that imports the module of a command when it is run or asked for its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None when there is no such name."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group("fuse", cls=LazyGroup)
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
