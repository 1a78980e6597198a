"""`python -m dfgame` is the command `dfgame`."""

from dfgame.cli import main

if __name__ == "__main__":
    main()
