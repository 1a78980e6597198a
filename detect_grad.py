"""The game along the detector's own gradient, by the published command's options; docs/reference.md lists them."""

from dfgame.cli.reference.training import main

if __name__ == "__main__":
    main("grad")
