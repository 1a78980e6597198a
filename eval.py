"""Test a checkpoint of detect_gen.py or detect_grad.py, by the published command's options; see docs/reference.md."""

from dfgame.cli.reference.evaluation import main

if __name__ == "__main__":
    main()
