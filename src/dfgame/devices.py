"""Where to compute."""

import torch

from dfgame.records import UserError


def pick_device(name: str) -> torch.device:
    """`auto` is an accelerator where there is one, the processor otherwise.

    Raises:
        UserError: the device that was named is not there.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return accelerator or torch.device("cpu")
    if name != "cpu" and (accelerator is None or accelerator.type != name):
        raise UserError(f"--device {name}: there is none on this machine", "use --device auto or cpu")
    return torch.device(name)
