"""dfgame completion."""

from typing import Literal

from dfgame.cli import app


def completion(shell: Literal["bash", "zsh", "fish"], /, *, install: bool = False) -> int:
    """Print the script by which SHELL completes dfgame's verbs, flags and their values.

    For example:

        dfgame completion fish > ~/.config/fish/completions/dfgame.fish

        dfgame completion bash --install

    Parameters
    ----------
    shell: str
        The shell.
    install: bool
        Put the script where the shell looks for it, replacing an older one, and for bash and zsh a line into
        ~/.bashrc or ~/.zshrc that reads it, instead of printing it.
    """
    if install:
        print(f"{app.install_completion(shell=shell)}: new shells complete dfgame")
    else:
        print(app.generate_completion(shell=shell))
    return 0
