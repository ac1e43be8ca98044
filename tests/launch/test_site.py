"""A site is found by name, read with all its mistakes told, and says what it does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from labwright.launch.site import Queue, Site, load_site, need, shown, sites, unknowns
from labwright.runs.errors import LabwrightError, MissingError, StudyError
from labwright.study.resources import Resources


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without sites of their own, in an empty folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def test_one_of_ones_own_goes_before_one_that_comes_with_labwright(home: Path) -> None:
    places = [home / "here" / "sites", home / "study" / "sites", home / "config" / "labwright" / "sites"]
    for place in reversed(places):
        write(place, "horeka", f"kind: slurm\nabout: {place}\n")
        assert load_site("horeka", home / "study").about == str(place)


def test_a_launcher_stands_for_its_generic_site_and_a_path_for_itself(home: Path) -> None:
    assert load_site("slurm").name == "generic-slurm"
    assert load_site("local").kind == "local"
    path = write(home, "mine", "kind: htcondor\n")
    assert (load_site(str(path)).name, load_site(str(path)).file) == ("mine", str(path))


def test_a_site_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(MissingError, match=r"no site 'horeca'.*chtc.*horeka.*labwright site probe"):
        load_site("horeca")


def test_all_mistakes_are_told_at_once(home: Path) -> None:
    path = write(home, "bad", "kind: slurn\nslotz: 3\nqueues: {gpu: {partition: a, resources: {gpus: -1}}}\n")
    with pytest.raises(StudyError) as caught:
        load_site(str(path))
    for told in ("slurm", "slots", "queues.gpu.resources.gpus"):
        assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind: local\nabuot: x\n", "did you mean 'about'"),
        ("kind: local\ncolour: red\n", "there is no such option; a site has kind, about, login"),
        ("kind: local\nname: x\nfile: y\n", "file: there is no such option"),
        ("kind: local\nslots: true\n", ": slots: 'true' does not fit"),
        ("kind: !!str local\n", "a site holds plain values only"),
        ("- local\n", "Begin with a line such as 'kind: slurm'"),
        ("", "Begin with a line such as 'kind: slurm'"),
        ("kind: local\n---\nkind: local\n", "a site file holds one"),
        (None, "there is no such site file. `labwright site probe"),
    ],
)
def test_messages_for_a_site_do_not_speak_of_studies(home: Path, text: str | None, told: str) -> None:
    path = home / "bad.yaml" if text is None else write(home, "bad", text)
    with pytest.raises(LabwrightError) as caught:
        load_site(str(path))
    assert told in str(caught.value)
    assert "study" not in str(caught.value)
    assert "recipe" not in str(caught.value)


def test_a_step_goes_to_its_own_queue_else_to_that_of_its_kind() -> None:
    site = Site(kind="slurm", queues={name: Queue(partition=name) for name in ("cpu", "gpu", "train")})
    assert site.queue("train", gpu=True).partition == "train"
    assert site.queue("predict", gpu=True).partition == "gpu"
    assert site.queue("pack", gpu=False).partition == "cpu"
    only = Site(kind="slurm", queues={"cpu": Queue(partition="all")})
    assert only.queue("predict", gpu=True).partition == "all"
    assert Site(kind="slurm").queue("pack", gpu=False) == Queue()


def test_what_is_unknown_is_told_by_its_path_and_refused_where_it_is_needed() -> None:
    site = Site(kind="slurm", name="x", env={"A": "unknown"}, setup=("unknown",), queues={"gpu": Queue(account="unknown")})
    assert unknowns(site) == ["queues.gpu.account", "setup[0]", "env.A"]
    assert need("lab", "account", site) == "lab"
    with pytest.raises(StudyError, match=r"queues\.gpu\.account of site x is marked as unknown\. Copy that file to sites/x\.yaml"):
        need(site.queues["gpu"].account, "queues.gpu.account", site)


def test_a_site_that_is_shown_can_be_read_again(home: Path) -> None:
    path = write(
        home,
        "mine",
        "kind: slurm\nabout: 'it: is'\n"
        "queues: {gpu: {partition: a, account: unknown, attributes: {licenses: 'x:1'}, resources: {gpus: 4}}}\n"
        "setup: [module load x, unknown]\ngpus: [1, 3]\n",
    )
    site = load_site(str(path))
    text = shown(site)
    assert text.startswith(f"# mine: {path}\nkind: slurm\n")
    assert "account: unknown  # not known" in text
    assert "- unknown  # not known" in text
    again = load_site(str(write(home / "again", "mine", text)))
    assert again.model_copy(update={"file": site.file}) == site
    assert again.queues["gpu"].resources == Resources(gpus=4)


def test_every_site_that_can_be_named_is_listed_once(home: Path) -> None:
    write(home / "here" / "sites", "chtc", "kind: htcondor\n")
    write(home / "here" / "sites", "lab", "kind: local\n")
    found = sites()
    assert found["chtc"].parent.name == found["lab"].parent.name == "sites"
    assert not found["chtc"].is_absolute()
    assert {"horeka", "lpc", "generic-slurm", "generic-htcondor", "generic-server"} <= set(found)
