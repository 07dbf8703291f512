import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from app.cli.main import cli
from app.cli.selection import select_images
from app.cli.synthetic_images import write_folders
from vtt_core.adapter.files import save_adapter
from vtt_core.adapter.strip import strip
from vtt_core.backbones.load import load_backbone
from vtt_core.bench.speed.synthetic_adapters import synthetic_adapter
from vtt_core.contract.errors import ImageError, InputError
from vtt_core.contract.recipe import make_recipe
from vtt_core.training.finetune import Finetune

TINY = "tests/fixtures/tiny_clip.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    write_folders(folder, num_images=4)
    return folder


@pytest.fixture(scope="module")
def bad_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bad") / "bad.png"
    file.write_bytes(b"not an image")
    return file


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    save_adapter(synthetic_adapter(load_backbone("mini"), seed=1), folder)
    return folder


def diagnose(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["diagnose", *arguments])


def lost_layers(folder: Path, out: Path, *options: str) -> Result:
    asked = ["--way", "3", "--shot", "1", "--query", "2", "--episodes", "2", "--threads", "1", "--device", "cpu"]
    return diagnose("lost-layers", "--data", str(folder), "--backbone", TINY, *asked, "--out", str(out), *options)


def is_png(file: Path) -> bool:
    with Image.open(file) as picture:
        picture.load()
        return picture.format == "PNG"


@pytest.mark.slow
class TestLostLayers:
    @pytest.mark.slow
    def test_before_and_after_go_into_json_and_picture(self, folder: Path, tmp_path: Path) -> None:
        result = lost_layers(folder, tmp_path / "new" / "out", "--iterations", "2", "--weight", "2", "--json")
        assert result.exit_code == 0, result.output
        printed = json.loads(result.stdout)
        assert printed == json.loads((tmp_path / "new" / "out" / "lost-layers.json").read_text(encoding="utf-8"))
        assert is_png(tmp_path / "new" / "out" / "lost-layers.png")
        assert (printed["chance"], printed["weight"], printed["text_layers"], printed["iterations"]) == (1 / 3, 2, 3, 2)
        assert printed["labels"] == ["chessboard", "polka dots", "rings", "star", "stripes"]
        assert list(printed["states"]) == ["before", "clip-lora", "clip-lora+vtt"]
        every = printed["all_images"]
        assert (every.pop("images"), every.pop("chance")) == (20, 0.2)
        for found in (*printed["states"].values(), every):
            assert list(found) == ["full", "removed", "best_removed", "emphasised", "best_emphasised"]
            for kind in ("removed", "emphasised"):
                assert [row["layer"] for row in found[kind]] == [1, 2, 3]
                assert found[f"best_{kind}"]["gain"] == max(row["gain"] for row in found[kind])
        assert "6/6  episode 1  clip-lora+vtt" in result.stderr

    def test_other_fine_tunings_can_be_named(self, folder: Path, tmp_path: Path) -> None:
        result = lost_layers(folder, tmp_path, "--iterations", "2", "--methods", "clip-lora@released,clip-lora@paper", "--json")
        assert result.exit_code == 0, result.output
        assert list(json.loads(result.stdout)["states"]) == ["before", "clip-lora@released", "clip-lora@paper"]

    def test_what_a_killed_run_has_done_is_not_done_again(self, folder: Path, tmp_path: Path) -> None:
        whole = lost_layers(folder, tmp_path, "--iterations", "2", "--json")
        log = tmp_path / "episodes.jsonl"
        lines = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(lines[:4]) + lines[4][:20])
        resumed = lost_layers(folder, tmp_path, "--iterations", "2", "--json")
        assert "4 of 6 done" in resumed.stderr
        assert resumed.stdout == whole.stdout
        assert log.read_bytes().startswith(b"".join(lines[:4]))
        assert log.read_bytes().count(b"\n") == 6

    def test_before_alone_prints_a_table(self, folder: Path, tmp_path: Path) -> None:
        result = lost_layers(folder, tmp_path, "--before-only")
        assert result.exit_code == 0, result.output
        assert "chance 33.3" in result.stdout
        assert "emphasised" in result.stdout
        assert "each of 20 once, before, 5-way, chance 20.0" in result.stdout
        written = json.loads((tmp_path / "lost-layers.json").read_text(encoding="utf-8"))
        assert list(written["states"]) == ["before"]
        assert written["iterations"] is None

    def test_a_weight_of_one_is_refused(self, folder: Path, tmp_path: Path) -> None:
        result = lost_layers(folder, tmp_path, "--weight", "1")
        assert isinstance(result.exception, InputError)
        assert "above 1" in str(result.exception)

    def test_an_image_that_cannot_be_used_is_named(self, folder: Path, bad_image: Path, tmp_path: Path) -> None:
        copied = shutil.copytree(folder, tmp_path / "copied")
        shutil.copy(bad_image, copied / "rings" / "bad.png")
        result = lost_layers(copied, tmp_path / "out", "--before-only")
        assert isinstance(result.exception, ImageError)
        assert "'rings/bad.png'" in str(result.exception)
        assert not (tmp_path / "out").exists()


class TestAttention:
    @pytest.mark.slow
    def test_maps_before_and_after_become_a_picture(self, folder: Path, adapter: Path, tmp_path: Path) -> None:
        images = [str(folder / "rings" / "000.png"), str(folder / "star" / "001.png")]
        result = diagnose("attention", *images, "--adapter", str(adapter), "--out", str(tmp_path / "maps.png"), "--json")
        assert result.exit_code == 0, result.output
        printed = json.loads(result.stdout)
        assert is_png(tmp_path / "maps.png")
        assert (printed["layer"], printed["rollout"]) == (12, False)
        assert [facts["image"] for facts in printed["images"]] == images
        for facts in printed["images"]:
            assert 0 < facts["patch_share"]["before"] < 1
            assert 0 < facts["patch_share"]["after"] < 1
            assert 0 < facts["moved"] < 1

    @pytest.mark.slow
    @pytest.mark.parametrize(("host", "has_moved"), [("maple", True), ("coop", False)])
    def test_hosts_without_a_vision_lora_are_drawn_too(self, folder: Path, tmp_path: Path, host: str, has_moved: bool) -> None:
        support_set = select_images(folder, shot=1, query=0).support_set
        finetune = Finetune(load_backbone("mini"), support_set, make_recipe(host, changes={"iterations": 1}), seed=0)
        assert [report.step for report in finetune.steps()] == [1]
        save_adapter(strip(finetune), tmp_path / host)
        image, out = str(folder / "rings" / "000.png"), str(tmp_path / "maps.png")
        result = diagnose("attention", image, "--adapter", str(tmp_path / host), "--out", out, "--json")
        assert result.exit_code == 0, result.output
        # CoOp trains nothing that the vision tower reads.
        assert (json.loads(result.stdout)["images"][0]["moved"] > 0) is has_moved

    @pytest.mark.slow
    def test_an_image_that_cannot_be_used_is_named_and_the_others_drawn(
        self, folder: Path, bad_image: Path, adapter: Path, tmp_path: Path
    ) -> None:
        images = [str(bad_image), str(folder / "rings" / "001.png")]
        options = ["--adapter", str(adapter), "--out", str(tmp_path / "maps.png"), "--layer", "3", "--rollout"]
        result = diagnose("attention", *images, *options)
        assert result.exit_code == 2
        assert "bad.png" in result.stderr
        assert "moved" in result.stdout
        assert is_png(tmp_path / "maps.png")

    @pytest.mark.slow
    def test_without_a_usable_image_nothing_is_drawn(self, bad_image: Path, adapter: Path, tmp_path: Path) -> None:
        out = tmp_path / "maps.png"
        result = diagnose("attention", str(bad_image), "--adapter", str(adapter), "--out", str(out))
        assert isinstance(result.exception, InputError)
        assert not out.exists()

    @pytest.mark.slow
    def test_a_layer_that_is_not_there_is_refused(self, folder: Path, adapter: Path, tmp_path: Path) -> None:
        image, out = str(folder / "rings" / "000.png"), str(tmp_path / "maps.png")
        result = diagnose("attention", image, "--adapter", str(adapter), "--out", out, "--layer", "13")
        assert isinstance(result.exception, InputError)
        assert "from 1 to 12" in str(result.exception)
