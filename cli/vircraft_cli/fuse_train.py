"""`vircraft fuse train`: a network from registered pairs, with everything to go on after an interruption."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fgfusion_model.data import CacheMode
    from fgfusion_model.settings import AblationName
    from fgfusion_model.training.runtime import DeviceName
    from fgfusion_model.training.settings import RecipeName

FINISHED_WITH_FAILURES = 3


@click.command("train")
@click.argument("dataset", nargs=-1, metavar="[DATASET[=WEIGHT]]...")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="RUN", help="Folder of the run."
)
@click.option(
    "--preset", type=click.Choice(["paper", "fast", "bundled"]), help="The recipe.  [default: paper]"
)
@click.option(
    "--network",
    type=click.Choice(["paper", "base", "lite"]),
    help="Size of the network.  [default: the recipe's]",
)
@click.option(
    "--ablation",
    type=click.Choice(["baseline", "without_foreground", "without_interaction", "without_mask_weight"]),
    help="Take a part of the method out.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="How often each pair is shown.")
@click.option("--steps", type=click.IntRange(min=1), help="Number of steps, instead of epochs.")
@click.option("--batch", type=click.IntRange(min=1), help="Crops of a step, over all devices.")
@click.option(
    "--accumulate", type=click.IntRange(min=1), metavar="N", help="Divide a step into N parts to save memory."
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to train.",
)
@click.option("--devices", type=click.IntRange(min=1), default=1, show_default=True, help="How many GPUs.")
@click.option("--precision", type=click.Choice(["32", "bf16"]), help="Of the network.  [default: 32]")
@click.option("--compile", "compile_", is_flag=True, help="Let torch.compile make steps quicker.")
@click.option(
    "--cache",
    type=click.Choice(["auto", "ram", "gpu", "none"]),
    default="auto",
    show_default=True,
    help="Where decoded pictures wait; 'none' reads them each time.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Readers of pictures.  [default: one per core]")
@click.option("--seed", type=click.IntRange(min=0), help="Of everything random.  [default: 0]")
@click.option(
    "--val-ratio", type=click.FloatRange(0, 0.9), help="Share of the clips kept aside.  [default: 0.1]"
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.toml",
    help="Settings of all parts; options overrule it.",
)
@click.option(
    "--checkpoint-every",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="0: after every step.",
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in RUN; without one, begin.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
@click.option("-v", "--verbose", count=True, help="Say more: every pair that is left out; checkpoints.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors and the path of the weights only.")
def command(
    dataset: tuple[str, ...],
    output: Path,
    preset: RecipeName | None,
    network: str | None,
    ablation: AblationName | None,
    epochs: int | None,
    steps: int | None,
    batch: int | None,
    accumulate: int | None,
    device: DeviceName,
    devices: int,
    precision: str | None,
    compile_: bool,
    cache: CacheMode,
    threads: int | None,
    seed: int | None,
    val_ratio: float | None,
    config: Path | None,
    checkpoint_every: float,
    resume: bool,
    as_json: bool,
    verbose: int,
    quiet: bool,
) -> int:
    """Train FGFusion on the registered pairs of one or several DATASETs.

    A DATASET is one of vircraft, a folder as MSRS (ir, vi, Segmentation_labels) or M3FD (Ir, Vis, Annotation)
    have it, or any folder with infrared and visible in it. Foreground comes from its labels; without labels,
    infrared saliency stands in, and the run says so. DATASET=2 shows its pairs twice as often.

    A training that was stopped or killed goes on with --resume as if nothing had happened.

    \b
    Example:
      vircraft fuse train dataset -o run --preset fast
      vircraft fuse train MSRS M3FD dataset=4 -o run --devices 4 --precision bf16
      vircraft fuse train -o run --resume

    \b
    Writes (below RUN):
      weights.safetensors   for 'vircraft fuse run --weights' and FGFusion.from_pretrained
      log.csv               the loss at every step; validation.csv: scores of the pairs kept aside
      samples/              sheets of fused pictures
      checkpoints/          the last state, and the best weights
      settings.toml         all settings; data.csv: every pair; tensorboard/: curves

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 finished but some pairs were left out, 130 stopped by Ctrl-C,
    143 stopped by SIGTERM; after the last two, --resume goes on.
    """
    if epochs is not None and steps is not None:
        raise click.UsageError("--epochs and --steps exclude each other")
    from fgfusion_model.training.loop import train
    from fgfusion_model.training.runtime import Runtime
    from vircraft_cli.fuse_train_options import TrainOptions, choose_settings
    from vircraft_cli.fuse_train_progress import TrainProgress, print_summary
    from vircraft_cli.stopper import Stopper

    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):  # which tell every setting
        logging.getLogger(name).setLevel(logging.WARNING)
    options = TrainOptions(
        dataset, output, preset, network, ablation, epochs, steps, batch, accumulate, precision, seed,
        val_ratio, config, resume,
    )  # fmt: skip
    settings = choose_settings(options)
    runtime = Runtime(device, devices, cache, compile_, threads or 0, checkpoint_every)
    first = os.environ.get("LOCAL_RANK", "0") == "0"  # others are started by the first, and stay silent
    with Stopper() as stopper, TrainProgress(stopper, quiet or not first, as_json, verbose) as progress:
        summary = train(settings, output, runtime, resume=resume, on_event=progress, stop=stopper.asked)
    code = FINISHED_WITH_FAILURES if summary.left_out else 0
    if summary.stopped:
        code = stopper.exit_code
    if first:
        print_summary(summary, code, as_json, verbose, quiet)
    return code
