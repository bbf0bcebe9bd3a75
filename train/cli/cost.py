"""`python -m train cost`: what models cost."""

from typing import Annotated

import typer


def cost(
    models: Annotated[list[str], typer.Argument(metavar="NAME|FILE...", help="Shipped models, or ONNX files.")],
    repeats: Annotated[int, typer.Option(min=1, help="Batches of each model that are timed, in turns.")] = 25,
    batch: Annotated[int, typer.Option(min=1, help="Pictures in a batch.")] = 16,
) -> None:
    """Print a table of what models cost in one thread of the CPU, and of their cards' figures."""
    from train.cost import costs, to_markdown

    typer.echo(to_markdown(costs(models, repeats, batch)))
