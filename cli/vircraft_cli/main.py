"""The `vircraft` group: loads a command's module only when that command is asked for."""

from __future__ import annotations

import os
import sys

import click

from vircraft import __version__
from vircraft.errors import VircraftError
from vircraft_cli.lazy import LazyGroup

# name -> (module, one line of help), so that `vircraft --help` imports none of them
COMMANDS = {
    "probe": ("vircraft_cli.probe", "List the clips of a folder and what is odd about them."),
    "register": ("vircraft_cli.register", "Turn binocular clips into a registered dataset with a report."),
    "align": ("vircraft_cli.align", "Register pairs of still pictures listed in a CSV file."),
    "annotate": ("vircraft_cli.annotate", "Draw keypoints, boxes and outlines in Labelme."),
    "check": ("vircraft_cli.check", "Find what is wrong or odd in label files."),
    "export": ("vircraft_cli.export", "Write labels as COCO (with masks) or YOLO."),
    "import": ("vircraft_cli.import_coco", "Turn COCO files into Labelme files."),
    "stats": ("vircraft_cli.stats", "Count keypoints by visibility, boxes by size and place."),
    "sigmas": ("vircraft_cli.sigmas", "Compare two annotators; OKS sigmas from their differences."),
    "fuse": ("vircraft_cli.fuse", "Fuse pictures with FGFusion; train, score and export it."),
    "task": ("vircraft_cli.task", "Train and judge keypoints, segmentation, detection."),
    "experiment": ("vircraft_cli.experiment", "Compare methods of fusion by what comes after; tables."),
    "show": ("vircraft_cli.show", "Draw pairs of a dataset, with their labels, as PNGs."),
    "simulate": ("vircraft_cli.simulate", "Film a simulated aircraft on approach, with exact truth."),
}

# packages of the extra `fuse`, which a server that registers clips does not need
FUSE_EXTRA = {
    *("torch", "safetensors", "lightning", "torchmetrics", "tensorboard"),
    *("onnx", "onnxruntime", "onnxscript"),
}
# packages of the extra `tasks`, which holds `fuse`, too
TASKS_EXTRA = {"timm", "segmentation_models_pytorch", "torchvision", "scipy"}


@click.group(cls=LazyGroup, modules=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vircraft")
def group() -> None:
    """Registered, annotated infrared-visible datasets from binocular video.

    \b
    Example:
      vircraft simulate -o clips              # or your own recordings
      vircraft register clips -o dataset
      open dataset/report/index.html
    """


def main() -> None:
    """Run the command line; exit 0 all good, 1 error, 2 usage, 3 finished with failures, 130 interrupted."""
    try:
        code = group.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except VircraftError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if error.name not in FUSE_EXTRA | TASKS_EXTRA:
            raise
        extra = "tasks" if error.name in TASKS_EXTRA or sys.argv[1:2] != ["fuse"] else "fuse"
        click.echo(f"Error: {error.name} is not installed; run: pip install 'vircraft[{extra}]'", err=True)
        sys.exit(1)
    except BrokenPipeError:  # such as `vircraft check --json | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # such as a full disk behind standard output
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted; run the same command again.", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)
