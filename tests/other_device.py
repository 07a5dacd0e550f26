"""A device that is none: tensors lie in ordinary memory, but refuse to meet those of the CPU, as on a GPU.

Inside :func:`other_device`, ``tensor.to(OTHER)`` and ``device=OTHER`` give tensors that say they lie on a GPU. PyTorch
would let them take part only in operations whose tensors all lie there, and so does this: code that forgets to move
something fails here as it would on a GPU, on any computer. What it cannot show is another order of sums, or speed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
import torch._decomp.decompositions_for_jvp  # compiles functions when it is loaded: before they are replaced
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

OTHER = torch.device("cuda", 0)
WITHOUT_DOUBLE = torch.device("mps", 0)  # another one, which knows no double precision
DOUBLE = (torch.float64, torch.complex128)
CPU_INDICES = ("aten.index.Tensor", "aten.index_put_.default", "aten.index_put.default")  # may lie on the CPU
MAKERS = {
    torch: ("arange", "as_tensor", "empty", "eye", "full", "hann_window", "linspace", "ones", "tensor", "zeros"),
    torch.fft: ("fftfreq", "rfftfreq"),
}
BETWEEN = ("aten.copy_.default", "aten._to_copy.default")


class Elsewhere(Tensor):
    """A tensor on the other device.

    Attributes
    ----------
    held
        The same values in ordinary memory.
    """

    held: Tensor
    place = OTHER
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: Tensor) -> "Elsewhere":
        """Wrap what is held."""
        if cls.place == WITHOUT_DOUBLE and held.dtype in DOUBLE:
            raise TypeError(f"{held.dtype} on {cls.place}")
        made = Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype
        )
        made.held = held
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The other device."""
        return Elsewhere.place

    def __repr__(self) -> str:
        """Show the values."""
        return f"Elsewhere({self.held})"

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Compute in ordinary memory, and leave the result on the other device."""
        kwargs = dict(kwargs or {})
        _refuse_mixture(str(func), args, kwargs)
        owners = {id(x.held): x for x in _tensors((args, kwargs)) if isinstance(x, Elsewhere)}

        def lodged(value: Any) -> Any:
            """Give what was changed in place as it is, and new tensors their place."""
            if not isinstance(value, Tensor):
                return value
            return owners[id(value)] if id(value) in owners else Elsewhere(_plain(value))

        return tree_map(lodged, func(*_held(args), **_held(kwargs)))


def _plain(value: Tensor) -> Tensor:
    """Carry out a conjugation or negation that PyTorch has only noted, which a wrapper would lose."""
    return value.resolve_conj().resolve_neg() if value.is_conj() or value.is_neg() else value


def _tensors(tree: Any) -> list[Tensor]:
    found: list[Tensor] = []
    tree_map(lambda x: found.append(x) if isinstance(x, Tensor) else None, tree)
    return found


def _held(tree: Any) -> Any:
    return tree_map(lambda x: x.held if isinstance(x, Elsewhere) else x, tree)


def _refuse_mixture(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise where tensors of the CPU take part; single numbers may."""
    strict: Any = (args, kwargs)
    if name in CPU_INDICES:
        strict = (args[0], args[2:], kwargs)
    if name in BETWEEN:
        return
    if any(x.dim() > 0 and not isinstance(x, Elsewhere) for x in _tensors(strict)):
        raise RuntimeError(f"expected all tensors to be on the same device: {name}")


class _Moves(TorchFunctionMode):
    """Takes tensors to the other device and back."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Do as a GPU would."""
        kwargs = dict(kwargs or {})
        first = args[0] if args else None
        if func in (Tensor.to, Tensor.cpu):
            return _moved(func, args, kwargs)
        if func is Tensor.tolist and isinstance(first, Elsewhere):
            return first.held.tolist()
        if func is Tensor.new_tensor and isinstance(first, Elsewhere):
            return Elsewhere(first.held.new_tensor(*args[1:], **kwargs))
        return func(*args, **kwargs)


def _is_other(device: Any) -> bool:
    return device is not None and torch.device(device).type == Elsewhere.place.type


def _moved(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
    """Run ``Tensor.to`` or ``Tensor.cpu``, whose target is a device, a type, or another tensor."""
    tensor, rest = args[0], list(args[1:])
    target = torch.device("cpu") if func is Tensor.cpu else None
    for place, value in enumerate(rest):
        if isinstance(value, torch.device | str):
            target, rest[place] = torch.device(value), torch.device("cpu")
        elif isinstance(value, Tensor):
            target, rest[place : place + 1] = value.device, [torch.device("cpu"), value.dtype]
    if "device" in kwargs:
        target, kwargs["device"] = torch.device(kwargs["device"]), torch.device("cpu")
    there = target if target is not None else tensor.device
    if isinstance(tensor, Elsewhere):
        done = func(tensor.held, *rest, **kwargs)
        if not _is_other(there):
            return done.clone() if done is tensor.held else done
        return tensor if done is tensor.held else Elsewhere(done)
    done = func(tensor, *rest, **kwargs)
    return Elsewhere(done.clone()) if _is_other(there) else done


def _there(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let a function that makes tensors know the other device."""

    def made(*args: Any, **kwargs: Any) -> Tensor:
        if not _is_other(kwargs.get("device")):
            return make(*args, **kwargs)
        return Elsewhere(make(*_held(args), **kwargs | {"device": "cpu"}))

    return made


@contextmanager
def other_device(place: torch.device = OTHER) -> Iterator[torch.device]:
    """Let tensors be made on the other device, and moved there, inside the block."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(Elsewhere, "place", place))
        for module, names in MAKERS.items():
            for name in names:
                stack.enter_context(mock.patch.object(module, name, _there(getattr(module, name))))
        stack.enter_context(mock.patch.object(Tensor, "pin_memory", lambda held: held))  # has no use here
        stack.enter_context(_Moves())
        yield place


class OtherStrategy(SingleDeviceStrategy):
    """Lets Lightning run a module there."""

    def __init__(self) -> None:
        super().__init__(device=torch.device("cpu"))

    @property
    def root_device(self) -> torch.device:
        """The other device."""
        return Elsewhere.place

    def setup_environment(self) -> None:
        """Look for no GPU."""
