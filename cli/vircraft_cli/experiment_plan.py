"""`vircraft experiment plan`: a plan to fill in."""

from __future__ import annotations

import click


@click.command("plan")
@click.argument("name", type=click.Choice(["paper", "example"]))
def command(name: str) -> int:
    """Print a plan: 'paper' is all of the paper's Tab. 2 to 5, 'example' a small one for a dataset here.

    \b
    Example:
      vircraft experiment plan paper > plan.toml
    """
    from fgfusion_model.experiments.plan_texts import PLANS

    click.echo(PLANS[name], nl=False)
    return 0
