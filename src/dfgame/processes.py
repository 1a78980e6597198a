"""Several processes that train one detector together, through accelerate; and the one process of a laptop.

    accelerate launch --multi_gpu --num_processes 2 -m dfgame train ...
    torchrun --nproc-per-node 2 -m dfgame train ...

Every process plays the same rounds on its share of each batch. Before each optimiser's step the gradients are
averaged over the processes, so all of them keep the same weights; the first one alone writes. This is not DDP's
wrapper: two players that freeze each other in turn do not fit its one forward, one backward.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from dfgame.records import UserError

Result = TypeVar("Result")


class Processes:
    """Which of how many processes this is, and what they do together. With one process nothing is sent.

    Attributes:
        index: of this process, from 0.
        count: of all processes, on all machines.
        device: where this process computes.
    """

    def __init__(self, device: torch.device) -> None:
        from accelerate import PartialState

        state = PartialState(cpu=device.type == "cpu")
        self.index, self.count = state.process_index, state.num_processes
        self.device: torch.device = (state.device or device) if self.count > 1 else device

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes."""
        return self.index == 0

    def average_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        """From now on, average the gradients over the processes before each step of this optimiser."""
        if self.count > 1:
            optimizer.register_step_pre_hook(lambda stepping, *_: self._average(_gradients(stepping)))

    def same_buffers(self, module: nn.Module) -> None:
        """Give every process the first one's buffers: BatchNorm's statistics differ unless they are synchronised."""
        if self.count > 1:
            from accelerate.utils import broadcast

            buffers = list(module.buffers())
            for kind in dict.fromkeys(buffer.dtype for buffer in buffers):
                alike = [buffer for buffer in buffers if buffer.dtype == kind]
                flat: Any = broadcast(torch.cat([buffer.flatten() for buffer in alike]))  # type: ignore[arg-type]
                _share_out(flat, alike)

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Each value's mean over the processes."""
        if self.count == 1 or not values:
            return values
        together = torch.tensor(list(values.values()), dtype=torch.float32, device=self.device)
        self._average([together])
        return dict(zip(values, together.tolist(), strict=True))

    def shares(self, items: list[Any]) -> list[Any]:
        """This process's share of a list: every so-many-th item."""
        return items[self.index :: self.count]

    def gather(self, items: list[Any]) -> list[Any]:
        """The whole list again, in its order, in every process, from each one's share."""
        if self.count == 1:
            return items
        from accelerate.utils import gather_object

        together: list[Any] = gather_object([(self.index + self.count * k, item) for k, item in enumerate(items)])
        return [item for _, item in sorted(together, key=lambda pair: pair[0])]

    def first(self, action: Callable[[], Result]) -> Result:
        """Do something in the first process and have its result, or its UserError, in all of them."""
        if self.count == 1:
            return action()
        from accelerate.utils import broadcast_object_list

        outcome: list[Any] = [None, None]
        if self.is_main:
            try:
                outcome[0] = action()
            except UserError as error:
                outcome[1] = (error.problem, error.remedy)
        broadcast_object_list(outcome)
        if outcome[1] is not None:
            raise UserError(*outcome[1])
        return outcome[0]

    def _average(self, tensors: list[Tensor]) -> None:
        """In place, in one message."""
        from accelerate.utils import reduce

        if tensors:
            flat: Any = reduce(torch.cat([tensor.flatten() for tensor in tensors]), reduction="mean")
            _share_out(flat, tensors)


def _share_out(flat: Tensor, tensors: list[Tensor]) -> None:
    """Copy the parts of one long tensor into those that it was made from."""
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def _gradients(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    parameters: Iterable[nn.Parameter] = (p for group in optimizer.param_groups for p in group["params"])
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
