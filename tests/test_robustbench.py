"""RobustBench's networks load through our reference, whatever state the installed package is in."""

import hashlib
import subprocess
import sys
from pathlib import Path

import gdown
import pytest
import torch
from troubles import BODY, Troubles, serving

from energylens import downloads, models
from energylens.errors import Note, UserError
from energylens.models import published, robustbench
from energylens.models.robustbench_import import zoo

SMALL = "robustbench:cifar10/Linf/Rade2021Helper_R18_ddpm"  # a ResNet-18 of 11 million parameters
ENGSTROM = "robustbench:cifar10/Linf/Engstrom2019Robustness"


def place(reference: str, model_dir, change=lambda state: state):
    """Random weights in RobustBench's own class, saved where a user would place the real file."""
    dataset, threat, name, entry = robustbench._entry(reference)
    torch.manual_seed(0)
    net = entry["model"]().eval()
    path = model_dir / dataset / threat / f"{name}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(change(net.state_dict()), path)
    return net, path


def test_loads_random_weights_with_equal_logits(tmp_path):
    net, _ = place(SMALL, tmp_path)
    loaded = models.load(SMALL, model_dir=tmp_path)
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), net(x), rtol=0, atol=1e-6)
    assert not loaded.training


def test_a_note_says_which_of_several_sets_is_read(tmp_path):
    net, path = place(SMALL, tmp_path)
    state = net.state_dict()
    torch.save({"model": {key: 0 * value for key, value in state.items()}, "model_ema": state}, path)
    with pytest.warns(Note, match="holds model and averaged weights, model_ema, which are read"):
        loaded = models.load(SMALL, model_dir=tmp_path)
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(x), net(x))


def test_names_are_case_insensitive_in_the_norm(tmp_path):
    _, path = place(SMALL, tmp_path)
    assert robustbench.missing(SMALL.replace("Linf", "LINF"), tmp_path) == {}
    path.unlink()
    assert list(robustbench.missing(SMALL, tmp_path)) == [path]


@pytest.mark.parametrize("reference", [SMALL, ENGSTROM])
def test_a_missing_key_is_an_error(tmp_path, reference):
    """Engstrom2019Robustness is one of the names for which RobustBench itself forgives some."""
    lost = "layer4.1.conv1.weight" if "Engstrom" in reference else "layer_3.1.conv_2d_1.weight"
    place(reference, tmp_path, lambda state: {key: value for key, value in state.items() if key != lost})
    with pytest.raises(UserError, match=rf"\.pt lacks {lost}; is it the file of"):
        models.load(reference, model_dir=tmp_path)


def test_constants_may_be_missing_where_robustbench_allows_it(tmp_path):
    net, _ = place(ENGSTROM, tmp_path, lambda state: {k: v for k, v in state.items() if k not in ("mu", "sigma")})
    loaded = models.load(ENGSTROM, model_dir=tmp_path)
    assert torch.equal(loaded.mu, net.mu)


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"<html>", "is a web page"), (b"", "is empty"), (b"PK\x03\x04", r"is it whole\?")],
)
def test_broken_files_are_named(tmp_path, content, text):
    _, path = place(SMALL, tmp_path)
    path.write_bytes(content)
    with pytest.raises(UserError, match=text):
        models.load(SMALL, model_dir=tmp_path)


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("robustbench:cifar10/Linf/Engstrom2019Robustnes", "did you mean 'Engstrom2019Robustness'?"),
        (
            "robustbench:cifar11/Linf/Standard",
            "unknown RobustBench data set 'cifar11'; did you mean 'cifar10'?",
        ),
        ("robustbench:cifar10/L3/Standard", "unknown RobustBench threat model 'L3'"),
        ("robustbench:Standard", "write robustbench:cifar10/Linf/Standard, say"),
    ],
)
def test_unknown_names_show_the_closest(reference, text):
    with pytest.raises(UserError) as error:
        models.prepare((reference,))
    assert text in str(error.value)


def test_a_missing_checkpoint_says_which_file_goes_where_and_where_it_comes_from(tmp_path, monkeypatch):
    def offline(**_):
        raise ConnectionError("a screenful of addresses")

    monkeypatch.setattr(gdown, "download", offline)
    with pytest.raises(UserError) as error:
        models.prepare((SMALL, ENGSTROM), tmp_path)
    with zoo() as utils:
        drive = utils.all_models[utils.BenchmarkDataset.cifar_10][utils.ThreatModel.Linf]["Rade2021Helper_R18_ddpm"]
    where = tmp_path / "cifar10" / "Linf" / "Rade2021Helper_R18_ddpm.pt"
    for part in (
        str(where),
        drive["gdrive_id"],
        "--model-dir",
        f"missing too: {where.with_name('Engstrom2019Robustness.pt')}",
        "ConnectionError",
    ):
        assert part in str(error.value)
    assert not list(tmp_path.rglob("*.p*t*"))


def test_a_downloaded_web_page_is_not_kept(tmp_path, monkeypatch):
    def quota_page(id, output, **_):
        output.write(b"<html>Quota exceeded")

    monkeypatch.setattr(gdown, "download", quota_page)
    with pytest.raises(UserError, match="is a web page"):
        models.prepare((SMALL,), tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_download_that_succeeds_is_whole_under_its_name(tmp_path, monkeypatch):
    _, path = place(SMALL, tmp_path)
    content = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(gdown, "download", lambda id, output, **_: output.write(content))
    models.prepare((SMALL,), tmp_path)
    assert path.read_bytes() == content
    assert {file.name for file in path.parent.iterdir()} == {path.name, f"{path.name}.sha256"}


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_a_users_own_import_is_as_it_would_have_been():
    """Whether robustbench imports or not, it does so in the same way after our use of it."""
    alone = run("""
try:
    import robustbench; print("imported", len([k for k in __import__("sys").modules if k.startswith("robustbench")]))
except Exception as error: print(type(error).__name__, error)
""")
    after = run("""
import sys
from energylens.models.robustbench_import import zoo
works = False
with zoo() as utils: assert utils.load_model
left = [key for key in sys.modules if key.split(".")[0] == "robustbench"]
with zoo() as again: assert again is utils
try:
    import robustbench; works = True
    print("imported", len([k for k in sys.modules if k.startswith("robustbench")]))
except Exception as error: print(type(error).__name__, error)
assert works or not left, left
""")
    assert alone == after


def test_everything_else_works_without_robustbench():
    out = run("""
import sys
sys.modules["robustbench"] = None  # as if it were not installed
from energylens import models
print(models.load("demo:sat").linear.out_features)
""")
    assert out == "10"


@pytest.mark.parametrize("name", ["Bai2024MixedNUTS", "Chen2020Adversarial"])
def test_models_that_return_no_logits_are_refused_before_they_are_fetched(name, tmp_path):
    with pytest.raises(UserError, match=r"returns .*probabilities, no logits, so its energies mean nothing"):
        models.prepare((f"robustbench:cifar10/Linf/{name}",), tmp_path)


def test_fetch_tells_what_came_and_that_it_fits(tmp_path, capsys):
    _, path = place(SMALL, tmp_path)
    lines = robustbench.obtain(SMALL, tmp_path)
    assert lines[0] == f"{path}  sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert lines[1].endswith("parameters, every key in its place")


def test_a_listed_model_without_checkpoint_is_not_called_unknown():
    with pytest.raises(UserError, match=r"^robustbench:cifar10/Linf/Xiao2020Enhancing is listed, .* see https://"):
        robustbench.sources("robustbench:cifar10/linf/xiao2020enhancing", Path("models"))


@pytest.mark.slow
def test_every_model_of_robustbench_has_an_address(tmp_path):
    listed = published.select(weights=True)["reference"]
    found = [url for reference in listed for url in robustbench.sources(reference, tmp_path).values()]
    assert len(listed) == 206
    assert all(url.startswith(("https://drive.google.com/uc?id=", "https://github.com/", "https://download.pytorch"))
               for url in found)  # fmt: skip


def test_a_download_that_is_no_checkpoint_is_not_kept_and_a_mirror_serves_any_model_dir(tmp_path, monkeypatch):
    with serving() as address:
        monkeypatch.setenv("ENERGYLENS_MIRROR", address)
        monkeypatch.setattr(downloads, "WAIT", 0.01)
        monkeypatch.setattr(Troubles, "Engstrom2019Robustness", Troubles.cut_without_length, raising=False)
        monkeypatch.setattr(gdown, "download", lambda **_: pytest.fail("the mirror has it"))
        with pytest.raises(UserError, match="what came is not the whole file"):
            robustbench.fetch(dict.fromkeys(robustbench.sources(ENGSTROM, tmp_path), f"{address}/cut"))
        monkeypatch.setattr(Troubles, "Engstrom2019Robustness", Troubles.good)
        robustbench.fetch(robustbench.sources(ENGSTROM, tmp_path))
    assert (tmp_path / "cifar10" / "Linf" / "Engstrom2019Robustness.pt").read_bytes() == BODY
