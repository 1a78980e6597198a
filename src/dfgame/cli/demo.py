"""dfgame demo."""

from typing import Annotated

from cyclopts import Parameter

from dfgame.config import DemoConfig


def demo(*, settings: Annotated[DemoConfig, Parameter(name="*")] = DemoConfig()) -> int:
    """The whole road on real faces in a few minutes: forge, extract, train with each player, evaluate.

    Examples:

        dfgame demo

        dfgame demo --faces my_photographs --out my_demo

    Parameters
    ----------
    settings: DemoConfig
        All settings.
    """
    from dfgame.demo import run_demo

    seconds = run_demo(settings)
    for stage, taken in seconds.items():
        print(f"{stage:>20}  {taken:7.1f} s")
    print(f"{'together':>20}  {sum(seconds.values()):7.1f} s")
    out = settings.out
    print(f"\nOpen {out / 'report.html'} in a browser. The figures are in {out / 'results.json'}.")
    print(f"Curves of the training: tensorboard --logdir {out / 'runs'}")
    return 0
