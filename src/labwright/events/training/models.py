"""Trained members as a folder: weights of each, the fold rule that says which events it has seen, and what it wants as input.

``model.json`` describes all; ``best/`` and ``last/`` hold a safetensors file for each member, under the names of a single network.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from labwright.events.folds import Member, member
from labwright.events.network_options import Network
from labwright.events.networks.build import build
from labwright.events.train_options import TrainOptions
from labwright.learn import tensors
from labwright.learn.model import MODEL, counted, load_weights, read_model
from labwright.runs.errors import DataError
from labwright.study.step import RawFile

Which = Literal["best", "last"]
UNITS = {"can_jets": ["GeV", "1", "rad", "GeV"], "other_jets": ["GeV", "1", "rad", "GeV", "1 selected, 0 not, -1 no jet"]}
_NETWORK: TypeAdapter[Any] = TypeAdapter(Network)


class Models(NamedTuple):
    """What a training left."""

    members: list[Member]
    networks: list[nn.Module]
    """In evaluation mode, on the CPU, in the order of the members."""
    description: dict[str, Any]
    """``model.json``: objective, classes, ancillary, other_jets, network, members, inputs."""


def description(
    options: TrainOptions, models: Iterable[Member], classes: Iterable[str], ancillary: Iterable[str], others: int
) -> dict[str, Any]:
    """What ``model.json`` says: all that is needed to use the weights."""
    names = list(ancillary)
    return {
        "objective": options.objective,
        "classes": list(classes),
        "ancillary": names,
        "other_jets": others,
        "network": options.network.model_dump(mode="json"),
        "inputs": [
            {
                "name": "can_jets",
                "dtype": "float32",
                "shape": ["batch", 4, 4],
                "columns": ["pt", "eta", "phi", "mass"],
                "units": UNITS["can_jets"],
            },
            {
                "name": "other_jets",
                "dtype": "float32",
                "shape": ["batch", others, 5],
                "columns": ["pt", "eta", "phi", "mass", "is_selected"],
                "units": UNITS["other_jets"],
            },
            {"name": "ancillary", "dtype": "float32", "shape": ["batch", len(names)], "columns": names},
        ],
        "members": [one.as_json() for one in models],
    }


def write_models(folder: Path, told: Mapping[str, Any], weights: Mapping[Which, Mapping[str, Mapping[str, Tensor]]]) -> None:
    """Write a model folder: ``told`` as ``model.json``, ``weights`` by best or last, then by member."""
    folder.mkdir(parents=True)
    for which, members in weights.items():
        (folder / which).mkdir()
        for name, content in members.items():
            tensors.write(folder / which / f"{name}.safetensors", content)
    (folder / "model.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def model_folder(path: Path) -> Path:
    """The model folder that ``start_from`` names: itself, or that of a run."""
    return path / "output" / MODEL if (path / "step.json").is_file() else path


def model_files(path: Path) -> list[RawFile]:
    """The best weights of a model folder or run, and what describes them, for a step's ``sources``.

    Raises:
        MissingError: there is no ``model.json``.
    """
    folder = model_folder(path)
    read_model(folder)
    return counted([folder / "model.json", *sorted(folder.glob("best/*.safetensors"))])


def load_models(folder: Path, which: Which = "best") -> Models:
    """The members of a model folder.

    Raises:
        MissingError: there is no ``model.json``.
        DataError: it, or a file of weights, is damaged.
        StudyError: weights are of another network.
    """
    told = read_model(folder)
    try:
        models = [member(one) for one in told["members"]]
        network = _NETWORK.validate_python(told["network"])
        shape = len(told["classes"]), tuple(told["ancillary"])
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise DataError("model.json does not describe a network and its members", where=str(folder)) from error
    networks = []
    for one in models:
        made = build(network, *shape)
        load_weights(made, folder / which / f"{one.name}.safetensors")
        networks.append(made.eval())
    return Models(models, networks, told)
