"""Public files: where they are looked for, what is said when they are wrong, fetching (with a fake), and the check."""

import shutil

import pooch
import pytest

from experiments.commands.data import main
from nas.core.errors import ZeronasError
from nas.truth.benchmarks import data
from nas.truth.benchmarks.check import check
from nas.truth.benchmarks.data import FILES, PublicFile, fetch, locate, read, sha256

SMALL = "flexibert/BERT_train_ablation.csv"


@pytest.fixture
def two_files(monkeypatch):
    """Two made-up public files in place of the published ones, and their contents."""
    contents = {"one/a.csv": b"a,b\n1,2\n", "two/b.json": b"[]"}
    files = {p: PublicFile(p, sha256(c), "CC0", f"https://example.org/{p}") for p, c in contents.items()}
    monkeypatch.setattr(data, "FILES", files)
    return contents


@pytest.fixture
def server(monkeypatch, two_files):
    """A fake of pooch.retrieve: writes the made-up files, and lists what it was asked for."""
    asked = []

    def retrieve(url, known_hash, fname, path, **_):
        content = two_files[url.removeprefix("https://example.org/")]
        assert known_hash == f"sha256:{sha256(content)}"
        asked.append(url)
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(content)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    return asked


def test_the_list_is_pinned():
    assert len(FILES) == 11
    for path, file in FILES.items():
        assert file.path == path and len(file.sha256) == 64
        assert "2d76e01b9586cad7340e8268dadba3056efd070b" in file.url or "a6d90a3b19e3966b1d009c0970b3761a" in file.url
        assert file.licence in ("CC BY 4.0", "Apache-2.0")


def test_a_given_folder_wins_over_the_environment(tmp_path, monkeypatch, two_files):
    for name in ("given", "environment"):
        (tmp_path / name / "one").mkdir(parents=True)
        (tmp_path / name / "one/a.csv").write_bytes(two_files["one/a.csv"])
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path / "environment"))
    assert locate("one/a.csv") == tmp_path / "environment/one/a.csv"
    assert locate("one/a.csv", tmp_path / "given") == tmp_path / "given/one/a.csv"
    assert read("one/a.csv", str(tmp_path / "given")) == two_files["one/a.csv"]


def test_without_a_folder_the_cache_is_filled_once(tmp_path, monkeypatch, server):
    monkeypatch.delenv("NAS_DATA_DIR", raising=False)
    monkeypatch.setattr(data, "cache_folder", lambda: tmp_path / "cache")
    assert locate("two/b.json") == tmp_path / "cache/two/b.json"
    assert locate("two/b.json").read_bytes() == b"[]"
    assert server == ["https://example.org/two/b.json"]
    (tmp_path / "cache/two/b.json").write_bytes(b"[")  # a damaged cache heals
    assert read("two/b.json") == b"[]"


def test_a_given_folder_is_never_downloaded_into(tmp_path, server):
    with pytest.raises(ZeronasError) as error:
        locate("two/b.json", tmp_path)
    assert str(error.value) == (
        f"The data folder '{tmp_path}' has no file 'two/b.json'; set NAS_DATA_DIR to a folder that holds the public "
        f"files, or get it with `zeronas data fetch data_dir={tmp_path}`."
    )
    with pytest.raises(ZeronasError, match=r"The data folder '.*/nowhere' does not exist; set NAS_DATA_DIR to .*fetch"):
        locate("two/b.json", tmp_path / "nowhere")
    assert server == []


def test_an_unknown_file_is_told_the_nearest():
    with pytest.raises(
        ZeronasError, match=r"'flexibert/BERT_benchmark.jso' is not one .* Did you mean 'flexibert/BERT_b"
    ):
        locate("flexibert/BERT_benchmark.jso")


@pytest.mark.parametrize("change", [lambda text: text[:-1], lambda text: text.replace(b"0", b"1", 1), lambda text: b""])
def test_an_altered_file_is_refused(data_dir, tmp_path, change):
    path = tmp_path / SMALL
    path.parent.mkdir()
    path.write_bytes(change((data_dir / SMALL).read_bytes()))
    with pytest.raises(ZeronasError) as error:
        locate(SMALL, tmp_path)
    assert str(error.value) == (
        f"The file '{path}' is not the published one: its SHA-256 is {sha256(path.read_bytes())[:12]}..., expected "
        f"{FILES[SMALL].sha256[:12]}...; get it again with `zeronas data fetch data_dir={tmp_path}`."
    )


def test_fetch_goes_on_where_it_stopped(tmp_path, server, two_files):
    lines = []
    assert fetch(tmp_path, lines.append) == tmp_path
    assert len(server) == 2 and lines[0].startswith("[1/2] one/a.csv: fetched")
    (tmp_path / "two/b.json").write_bytes(b"")
    del server[:], lines[:]
    fetch(tmp_path, lines.append)
    assert server == ["https://example.org/two/b.json"]
    assert lines[0].startswith("[1/2] one/a.csv: already there")
    assert locate("two/b.json", tmp_path)


@pytest.mark.parametrize(
    ("raised", "reason"),
    [(ConnectionError(), "ConnectionError"), (ValueError("hash"), "what came is not the published file")],
)
def test_a_failed_download_is_one_sentence(tmp_path, monkeypatch, two_files, raised, reason):
    def retrieve(*_, **__):
        raise raised

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(ZeronasError) as error:
        fetch(tmp_path)
    assert str(error.value) == (
        f"'one/a.csv' could not be fetched into '{tmp_path}' from https://example.org/one/a.csv ({reason}); check the "
        "network and the folder, or set NAS_DATA_DIR to a folder that holds the public files."
    )


def test_all_facts_hold(data_dir):
    results = {result.name: (result.found, result.expected, result.passed) for result in check(data_dir)}
    assert results == {
        "SHA-256 of the public files": (11, 11, True),
        "recipes of the WikiText-2 logs": (342, 342, True),
        "parameter counts of NAS-Bench-NLP": (12_341, 12_341, True),
        "parameter counts of FlexiBERT": (500, 500, True),
        "replay of the FlexiBERT sampler": (500, 500, True),
    }


def test_command_check(data_dir, tmp_path, capsys):
    assert main(["check", f"data_dir={data_dir}"]) == 0
    assert "recipes of the WikiText-2 logs: 342/342 ok" in capsys.readouterr().out
    folder = shutil.copytree(data_dir, tmp_path / "copy", copy_function=lambda a, b: shutil.copyfile(a, b))
    altered = tmp_path / "copy/flexibert/BERT_benchmark.json"
    altered.write_bytes(altered.read_bytes()[:-9])
    assert main(["check", "--data-dir", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "SHA-256 of the public files: 10/11 FAILED (The file" in out
    assert "replay of the FlexiBERT sampler: 0/500 FAILED" in out
    assert "recipes of the WikiText-2 logs: 342/342 ok" in out


def test_nothing_to_check_is_an_error(tmp_path):
    with pytest.raises(ZeronasError, match=r"The data folder '.*/nowhere' does not exist"):
        check(tmp_path / "nowhere")


def test_command_list(data_dir, capsys):
    assert main(["list", f"data_dir={data_dir}"]) == 0
    out = capsys.readouterr().out
    for text in (
        "12,451  8,794   2,499",
        "2,310 loss not finite",
        "Apache-2.0",
        "arXiv 2306.00288",
        "500    500     491",
    ):
        assert text in out


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty cache, no data folder, and no network."""

    def retrieve(*_, **__):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.delenv("NAS_DATA_DIR", raising=False)
    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache")
    return tmp_path


def test_the_list_without_data_and_network_is_what_there_is_and_how_to_get_the_rest(nowhere, capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    names = [line.split()[0] for line in out.split("\n\n")[0].splitlines()]
    assert names[:4] == ["benchmark", "mini_rnn", "mini_bert", "stack_table"]  # those of the packages first
    assert set(names[4:]) == {"nas_bench_nlp", "nas_bench_nlp_wikitext2", "flexibert"}
    table = {line.split()[0]: line.split()[1:6] for line in out.splitlines()[1:7]}
    assert table["mini_bert"][:2] == ["bert", "210"] and table["flexibert"] == ["bert", "-", "-", "-", "CC"]
    assert "\nmini_rnn: mini_rnn: word-level language models" in out and "\nflexibert: " not in out
    assert f"not in '{nowhere / 'cache'}': nas_bench_nlp, nas_bench_nlp_wikitext2, flexibert (nas-bench-nlp/RNN_" in out
    assert "`zeronas data fetch` downloads them" in out and "set NAS_DATA_DIR" in out and "benchmark=csv" in out
    assert not (nowhere / "cache").exists()


@pytest.mark.parametrize("name", ["nothing", "x" * 300])
def test_the_list_of_a_folder_that_is_not_there(nowhere, capsys, name):
    assert main(["list", f"data_dir={nowhere / name}"]) == 0
    out = capsys.readouterr().out
    assert f"`zeronas data fetch data_dir={nowhere / name}` downloads" in out and "\nmini_bert: " in out
    with pytest.raises(ZeronasError, match="does not exist; set NAS_DATA_DIR"):
        locate(SMALL, nowhere / name)


def test_an_altered_table_is_told_in_the_list(nowhere, capsys):
    for file in ("BERT_benchmark.json", "BERT_results_activation.csv"):
        (nowhere / "flexibert").mkdir(exist_ok=True)
        (nowhere / "flexibert" / file).write_bytes(b"[]")
    assert main(["list", f"data_dir={nowhere}"]) == 0
    out = capsys.readouterr().out
    assert "\nflexibert: The file '" in out and "is not the published one" in out
    assert ": nas_bench_nlp, nas_bench_nlp_wikitext2 (" in out


def test_command_fetch(tmp_path, server, capsys):
    assert main(["fetch", "--target", str(tmp_path / "x")]) == 0
    assert "[2/2] two/b.json: fetched" in capsys.readouterr().out
    assert (tmp_path / "x/one/a.csv").is_file()


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["lst"], "Unknown command 'data lst'. Did you mean 'list'"),
        ([], "`zeronas data` was called wrongly: the following arguments are required"),
        (["list", "folder=x"], "does not know the setting 'folder=x'; only data_dir=PATH is accepted"),
        (["check", "data_dir="], "does not know the setting 'data_dir='"),
    ],
)
def test_bad_arguments_are_one_sentence(argv, sentence):
    with pytest.raises(ZeronasError, match=sentence):
        main(argv)
