"""dfgame demo."""

from typing import Annotated

from cyclopts import Parameter

from dfgame.config import DemoConfig


def demo(*, settings: Annotated[DemoConfig, Parameter(name="*")] = DemoConfig()) -> int:
    """The whole road on real faces, 8 to 25 minutes on two cores: forge, extract, train with each player, evaluate.

    For example:

        dfgame demo

        dfgame demo --faces my_photographs --out my_demo

    Parameters
    ----------
    settings: DemoConfig
        All settings.
    """
    from dfgame.demo import run_demo
    from dfgame.jobs import stdout
    from dfgame.report.terminal import terminal_tables
    from dfgame.report.words import findings

    shown = run_demo(settings)
    evaluation, seconds = shown.evaluation, shown.seconds
    for table in terminal_tables(evaluation):
        stdout.print(table)
    for finding in findings(evaluation):
        stdout.print(finding)
    print()
    for stage, taken in seconds.items():
        print(f"{stage:>20}  {taken:7.1f} s")
    print(f"{'together':>20}  {sum(seconds.values()):7.1f} s")
    out = settings.out
    print(f"\nOpen {out / 'report.html'} in a browser. The figures are in {out / 'results.json'}.")
    print(f"Curves of the training: tensorboard --logdir {out / 'runs'}")
    return 1 if shown.failures else 0
