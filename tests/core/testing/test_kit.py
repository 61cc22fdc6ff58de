"""What the kit is made of: its catalogue, no network, running without pytest, the command."""

from __future__ import annotations

import json
import os
import pkgutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ducho_core import ItemError, Media, UsageError, __version__, extract
from ducho_core.testing import ExtractorCase, all_checks, draw_catalogue, no_network, run_checks
from ducho_core.testing import resolve_checks as resolving
from ducho_core.testing.checks import KINDS, check
from ducho_core.testing.items import broken_images, broken_sounds, catalogue_items, pictures


def test_importing_the_kit_imports_nothing_heavy():
    code = "import sys, ducho_core.testing; print(sorted({'numpy', 'pyarrow', 'pytest', 'msgspec'}"
    done = subprocess.run(
        [sys.executable, "-c", f"{code} & set(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_kit_exports_what_it_says():
    from ducho_core import testing

    for name in testing.__all__:
        assert getattr(testing, name) is not None
    assert dir(testing) == sorted(testing.__all__)
    modules = {one.name for one in pkgutil.iter_modules(testing.__path__)}
    assert not modules & set(testing.__all__), "a module would hide what is exported"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = testing.nothing


@pytest.mark.parametrize("kind", KINDS)
def test_checks_are_named_for_people(kind):
    for name, one in all_checks(kind).items():
        assert name == one.name == name.lower()
        assert one.kind == kind
        assert "_" not in name
        assert one.rule
        assert "\n" not in one.rule
        assert one.run.__doc__


def test_two_checks_of_one_name_are_an_error():
    all_checks("extractor")

    def deterministic(case):
        raise AssertionError

    with pytest.raises(ValueError, match="two extractor checks called deterministic"):
        check("again", "extractor")(deterministic)


def test_the_catalogue_is_extracted_as_it_says(tmp_path):
    catalogue = draw_catalogue(tmp_path / "catalogue")
    items = catalogue.items.read_text("utf-8").splitlines()
    assert [line.partition("\t")[0] for line in items[1:]] == list(catalogue.every)
    (report,) = extract(catalogue.items, "core/hash", store=tmp_path / "features", text=["title"])
    assert report.stored == len(catalogue.every) - len(catalogue.absent)
    assert report.absent == len(catalogue.absent)


def test_the_catalogue_has_slots_and_reviews(tmp_path):
    catalogue = draw_catalogue(tmp_path / "catalogue")
    slots = {
        key: len(list((catalogue.folder / "images" / key).iterdir())) for key in catalogue.sound
    }
    assert set(slots.values()) == {1, 3}
    header, *rows = catalogue.reviews.read_text("utf-8").splitlines()
    assert header == "user_id\titem_id\ttext"
    pairs = [tuple(row.split("\t")[:2]) for row in rows]
    assert len(set(pairs)) == len(pairs) > len({item for _, item in pairs})


def test_the_catalogue_is_the_same_every_time(tmp_path):
    first, second = (draw_catalogue(tmp_path / name).folder for name in ("a", "b"))
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) > 30
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)


def test_sound_items_decode_and_broken_ones_do_not():
    for item in catalogue_items(("image",)):
        assert item["image"].image().mode == "RGB"
    for content in broken_images().values():
        with pytest.raises(ItemError):
            Media(content).image()


def test_sounds_decode_and_broken_ones_do_not():
    pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    for item in catalogue_items(("audio",)):
        samples, rate = item["audio"].audio(16_000)
        assert rate == 16_000
        assert len(samples) > 1000
        assert abs(samples).max() > 0.1
    for content in broken_sounds().values():
        with pytest.raises(ItemError):
            Media(content).audio()


def test_pictures_without_pillow_decode_with_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    files = pictures()
    monkeypatch.undo()
    assert all(file.startswith(b"\x89PNG") for file in files)
    assert {Media(file).image().size for file in files[:2]} == {(96, 72), (64, 64)}


def test_no_network_lets_the_machine_talk_to_itself():
    with socket.create_server(("127.0.0.1", 0)) as server, no_network() as tried:
        with socket.create_connection(server.getsockname()):
            pass
        assert socket.getaddrinfo("localhost", 80)
    assert tried == []


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
        lambda: socket.getaddrinfo("example.invalid", 443),
        lambda: socket.gethostbyname("example.invalid"),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 9)),
    ],
)
def test_no_network_refuses_and_remembers_everything_else(attempt):
    with no_network() as tried, pytest.raises(OSError, match="there is no network here"):
        attempt()
    assert len(tried) == 1


def test_no_network_ends():
    before = socket.socket.connect, socket.getaddrinfo
    with no_network():
        assert socket.getaddrinfo is not before[1]
    assert (socket.socket.connect, socket.getaddrinfo) == before


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("resnet50/layer4.1:mean", ""),
        ("a/b of c", ""),
        ("https://example.org/models/resnet", ""),
        ("weights on build-host-17", "this machine"),
        ("trained by ada_l", "the user"),
        ("sha256 ada_l7", ""),
        (os.path.expanduser("~/models"), "the home folder"),
        (f"in {os.getcwd()}", "the working folder"),
        ("/srv/models/resnet.pt", "an absolute path"),
    ],
)
def test_places_are_told_from_names(monkeypatch, text, what):
    monkeypatch.setattr(resolving.socket, "gethostname", lambda: "build-host-17")
    monkeypatch.setattr(resolving.getpass, "getuser", lambda: "ada_l")
    assert resolving.place_in(text) == what


@pytest.mark.usefixtures("wrong")
def test_checks_run_without_pytest():
    case = ExtractorCase("wrong/size-is-positive")
    outcomes = {one.name: one for one in run_checks(case, "size_is", {})}
    case.close()
    assert list(outcomes) == ["size-is-positive"]
    assert outcomes["size-is-positive"].state == "failed"
    assert "the size of item 0 is 0" in outcomes["size-is-positive"].reason


@pytest.mark.usefixtures("wrong")
def test_what_a_plugin_raises_is_a_failure_with_its_traceback():
    case = ExtractorCase("wrong/two-instances")
    (outcome,) = run_checks(case, "two-instances")
    assert outcome.state == "failed"
    assert "in vectors" in outcome.traceback


@pytest.mark.usefixtures("wrong")
class TestCommand:
    """``ducho plugins check``."""

    @pytest.fixture
    def check(self, ducho, tmp_path):
        def run(*arguments: str):
            return ducho("plugins", "check", *arguments, cwd=tmp_path)

        return run

    def test_a_line_a_check_and_status_0(self, check):
        found = check("core/hash", "-o", "dim=3", "-k", "order")
        assert (found.returncode, found.stderr) == (0, "")
        assert found.stdout.splitlines() == [
            f"core/hash  extractor, ducho-core {__version__}",
            "  passed   keeps-order-and-count",
        ]

    def test_a_failure_gives_its_reason_and_status_1(self, check):
        found = check("wrong/size-is-positive", "-k", "size")
        assert found.returncode == 1
        assert "  failed   size-is-positive\n" in found.stdout
        assert "the size of item 0 is 0" in " ".join(found.stdout.split())

    def test_an_expected_failure_is_none(self, check):
        reason = "size-is-positive=it has no sizes"
        found = check("wrong/size-is-positive", "-k", "size", "--expect", reason)
        assert found.returncode == 0
        assert "  expected size-is-positive\n           it has no sizes" in found.stdout

    def test_an_expected_failure_that_passes_is_one(self, check):
        found = check("core/hash", "-k", "size", "--expect", "size-is-positive=long mended")
        assert found.returncode == 1

    def test_json_has_every_outcome(self, check):
        found = check("core/hash", "-k", "s*-pickle*", "--json")
        (report,) = json.loads(found.stdout)
        assert report["name"] == "core/hash"
        assert [(one["name"], one["state"]) for one in report["checks"]] == [
            ("samples-pickle", "passed")
        ]

    def test_all_parts_of_a_plugin(self, check):
        found = check("core", "-k", "light-modules")
        assert found.returncode == 0
        assert found.stdout.count("passed   light-modules") >= 4
        assert "core/set was not checked: core/set needs something to read" in found.stderr

    def test_a_loader_reads_what_it_is_given(self, check, tmp_path):
        (tmp_path / "lines.txt").write_text("001\ta text\n", "utf-8")
        found = check("wrong/keys-are-strings", "--source", "lines.txt", "-k", "keys-are-s")
        assert found.returncode == 1
        assert "key 'item_id' is int64" in found.stdout

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["core/hash", "-k", "nothing"], "no check is called like 'nothing'"),
            (["core/hash", "-o", "dimm=3"], "did you mean 'dim'?"),
            (["core/hash", "--expect", "x"], "--expect is written --expect NAME=VALUE"),
            (
                ["core/hash", "-k", "order", "--expect", "size-is-positiv=odd"],
                "did you mean 'size-is-positive'?",
            ),
            (["core/npy", "-k", "zzz"], "; there are fits-its-spec, light-modules"),
            (["core/local"], "there are no checks for one"),
            (["nothing"], "nothing"),
        ],
    )
    def test_wrong_usage_is_2(self, check, arguments, message):
        found = check(*arguments)
        assert found.returncode == 2, found
        assert message in found.stderr
        assert "Traceback" not in found.stderr


def test_a_source_is_asked_for_only_where_none_can_be_drawn():
    from ducho_core.cli.plugin_check import Wanted, check_plugin
    from ducho_core.registry import Registry

    with pytest.raises(UsageError, match="give --source PATH"):
        check_plugin(Registry.discover(), Wanted(name="core/set"), as_json=False)


def test_the_command_needs_no_pytest(tmp_path):
    code = "import sys; sys.modules['pytest'] = None; from ducho_core.cli import main; main({})"
    arguments = ["plugins", "check", "core/hash", "-k", "deterministic"]
    done = subprocess.run(
        [sys.executable, "-c", code.format(arguments)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "passed   deterministic" in done.stdout


def test_the_fixtures_work_together(ducho, small_catalogue, store_folder):
    assert not store_folder.exists()
    sounds = ("--audio", "audio", "--image", "image")
    command = ("extract", small_catalogue.items, "--plugin", "core/hash", *sounds, "--json")
    done = ducho(*command, "--store", store_folder)
    assert done.returncode == 0, done.stderr
    assert store_folder.is_dir()
    broken = len(small_catalogue.broken_images) + len(small_catalogue.broken_sounds)
    assert json.loads(done.stdout)[0]["stored"] == len(small_catalogue.sound) + broken


def test_the_shared_catalogue_is_the_same(small_catalogue, small_catalogue_read_only):
    assert small_catalogue.folder != small_catalogue_read_only.folder
    assert small_catalogue.every == small_catalogue_read_only.every


def test_the_wheel_has_the_kit():
    from ducho_core import testing

    assert (Path(testing.__file__).parent / "conformance.py").is_file()
