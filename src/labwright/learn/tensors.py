"""Networks and optimisers as flat, named tensors in safetensors files: no file that can run code.

``torch.save`` is a pickle and is not used. Tensors are written contiguous; tied ones are written once and named in the
file's metadata. Loading is strict: names and shapes must agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from labwright.runs.errors import DataError, StudyError
from labwright.runs.patience import gone

Named = Mapping[str, Tensor]


def write(path: Path, tensors: Named, tied: Mapping[str, str] | None = None) -> None:
    """Write tensors from any device; ``tied`` maps the name of a tensor that is not written to the one it equals."""
    host = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Through memory, not save_file: a full disk then is an OSError with its number.
    path.write_bytes(safetensors.torch.save(host, metadata={"format": "pt", **(tied or {})}))


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, tied ones under each of their names.

    Raises:
        DataError: the file is not a readable safetensors file.
        OSError: its file system went away.
    """
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            tied = file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        if gone(error):
            raise
        raise DataError(f"this is not a readable safetensors file ({error})", where=str(path)) from error
    # Foreign files keep other things in their metadata ("format": "pt").
    return tensors | {name: tensors[first] for name, first in tied.items() if first in tensors}


def of_module(module: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Parameters and buffers by name, each once, and the names of tied ones → the name they are kept under."""
    tensors: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name, tensor in module.state_dict().items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype) if tensor.numel() else (name,)
        if place in seen:
            tied[name] = seen[place]
        else:
            seen[place] = name
            tensors[name] = tensor
    return tensors, tied


def into_module(module: nn.Module, tensors: Named, where: str) -> None:
    """Copy tensors into a module of the same names and shapes, in place.

    Raises:
        StudyError: they are of another network; the first tensors that differ are named.
    """
    own = module.state_dict()
    problems = [
        f"{name} has the shape {_shape(tensors[name])}, the network wants {_shape(own[name])}"
        for name in own
        if _differs(name, own, tensors)
    ]
    problems += [f"{name} is missing" for name in own if name not in tensors]
    problems += [f"{name} is not in the network" for name in tensors if name not in own]
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        todo = "Give the network the same options as where the weights come from."
        raise StudyError(f"the weights are of another network: {'; '.join(problems[:3])}{more}", where=where, todo=todo)
    module.load_state_dict(dict(tensors), strict=True)


def of_optimizer(optimizer: torch.optim.Optimizer, module: nn.Module) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The optimiser's tensors as ``parameter:quantity``, and what is not a tensor, as JSON."""
    names = _names(optimizer, module)
    content = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    for index, quantities in content["state"].items():
        for quantity, value in quantities.items():
            (tensors if isinstance(value, Tensor) else scalars)[f"{names[index]}:{quantity}"] = value
    groups = [{key: value for key, value in group.items() if key != "params"} for group in content["param_groups"]]
    return tensors, {"kind": type(optimizer).__name__, "scalars": scalars, "groups": groups}


def into_optimizer(optimizer: torch.optim.Optimizer, module: nn.Module, tensors: Named, rest: Mapping[str, Any]) -> None:
    """Give an optimiser over the same parameters the saved state.

    Raises:
        StudyError: the state is of another kind of optimiser, or of other parameters.
    """
    own = optimizer.state_dict()
    if rest["kind"] != type(optimizer).__name__ or len(rest["groups"]) != len(own["param_groups"]):
        todo = "Take the same optimizer, or start_from, which takes the weights alone."
        raise StudyError(
            f"the saved state is of the optimiser {rest['kind']}, not {type(optimizer).__name__}", where="optimizer", todo=todo
        )
    names = _names(optimizer, module)
    numbers = {name: index for index, name in enumerate(names)}
    parameters = dict(module.named_parameters())
    state: dict[int, dict[str, Any]] = {}
    for key, value in (*tensors.items(), *rest["scalars"].items()):
        name, _, quantity = key.rpartition(":")
        if name not in numbers:
            todo = "Give the network the same options as where the state comes from."
            raise StudyError(f"the optimiser's state has {name}, which is not trained here", where="optimizer", todo=todo)
        if isinstance(value, Tensor) and value.shape == parameters[name].shape:
            # In the parameter's own memory layout, as the optimiser made it.
            value = torch.empty_like(parameters[name], dtype=value.dtype, device="cpu").copy_(value)
        state.setdefault(numbers[name], {})[quantity] = value
    groups = [{**saved, "params": group["params"]} for saved, group in zip(rest["groups"], own["param_groups"], strict=True)]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _names(optimizer: torch.optim.Optimizer, module: nn.Module) -> list[str]:
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    return [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]


def _differs(name: str, own: Named, tensors: Named) -> bool:
    return name in tensors and tensors[name].shape != own[name].shape


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"
