"""The page says what the CSV files say, needs no other file, and lets no name from a file do harm."""

import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console
from run_files import CONFIG, read_csv, write_run

from fer_model.tables import write_results_page

LOSSES = [1.0 / (1 + step / 20) for step in range(60)]


class Parsed(HTMLParser):
    """Tags with their attributes, and the cells of each table by its label."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._rows: list[list[str]] = []
        self._in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        label = dict(attrs).get("aria-label")
        if tag == "div" and label:
            self._rows = self.tables.setdefault(label, [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            self._rows[-1][-1] = " ".join(f"{self._rows[-1][-1]} {data}".split())


def page_of(runs: Path, out: Path) -> tuple[Parsed, str]:
    """The page, and what the terminal said."""
    log = io.StringIO()
    write_results_page(runs, out=out, console=Console(file=log, width=80))
    return Parsed(out.read_text()), log.getvalue()


def mostly_right(subject: int, recording: int, label: int) -> int:
    """Wrong for some of the subjects' recordings."""
    return (label + ((subject + recording) % 4 == 0)) % 3


def test_the_page_the_csv_files_and_the_terminal_say_the_same(tmp_path: Path) -> None:
    for fold in (1, 2, 3):
        subjects = range(5 * fold, 5 * fold + 5)
        gradients = [(1, "rgb", layer, t, 0.1 * (t + 1)) for layer in (1, 2) for t in range(4)]
        write_run(
            tmp_path / "r", name="convlstm", fold=fold, subjects=subjects, decide=mostly_right, losses=LOSSES,
            gradients=gradients,
        )  # fmt: skip
        if fold < 3:
            write_run(tmp_path / "r", name="enhanced", fold=fold, subjects=subjects, losses=LOSSES[:10])
    page, screen = page_of(tmp_path / "r", tmp_path / "results.html")
    files = tmp_path / "results"
    first, second = read_csv(files / "results.csv")
    for name, row in {"convlstm": first, "enhanced": second}.items():
        cells = next(cells for cells in page.tables["Accuracy"] if cells[0] == name)
        assert cells[1] == f"{row['runs']} of {row['expected']}"
        interval = f"{share(row, 'accuracy_low')}, {share(row, 'accuracy_high')}" if row["accuracy_low"] else "–"
        assert cells[2] == f"{share(row, 'accuracy')} [{interval}]"
        assert cells[3] == f"{share(row, 'accuracy_fold_mean')} ± {share(row, 'accuracy_fold_sd')}"
        assert cells[4].startswith(share(row, "uar"))
        assert cells[6:] == [f"{int(row['parameters']):,}", "0.0123", "12.5 s"]
        assert re.search(rf"{name} +{row['runs']} of {row['expected']} +{share(row, 'accuracy')} ", screen)
    assert (second["missing"], second["accuracy"], second["accuracy_low"]) == ("seed0/fold3", "1.0", "")
    folds = {(row["network"], row["fold"]): row["accuracy_mean_over_seeds"] for row in read_csv(files / "folds.csv")}
    assert page.tables["Accuracy by fold"][3] == ["3", f"{100 * float(folds['convlstm', '3']):.1f}", "missing"]
    assert folds["enhanced", "3"] == "missing"
    assert "missing: enhanced: seed 0 fold 3" in screen
    assert "Below 20 subjects" in page.text
    (pair,) = read_csv(files / "pairs.csv")
    assert page.tables["Pairs"][1][3:5] == [pair["only_second_right_n01"], pair["only_first_right_n10"]]
    counts = sum(int(row["decisions"]) for row in read_csv(files / "confusion.csv") if row["network"] == "convlstm")
    assert counts == int(first["recordings"]) == 45
    steps = {(row["network"], row["share_of_guessing"]): row for row in read_csv(files / "steps.csv")}
    assert page.tables["Steps to reach a loss"][1][1].startswith(f"{float(steps['convlstm', '0.5']['mean']):,.0f}")
    assert "fewer than 20 steps" in page.tables["Steps to reach a loss"][2][1]
    names = ("accuracy", "confusion", "loss", "gradients")
    pictures = [(files / f"section1-{name}.png").read_bytes() for name in names]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert [tag for tag, _ in page.tags].count("img") == 4


def share(row: dict[str, str], name: str) -> str:
    """A share of results.csv as per cent."""
    return f"{100 * float(row[name]):.1f}"


def test_the_page_needs_no_other_file_and_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    write_run(tmp_path / "r", losses=LOSSES, gradients=[(1, "rgb", 1, 0, 0.5)])
    page, _ = page_of(tmp_path / "r", tmp_path / "first.html")
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "base")
        assert all(value is None or value.startswith("data:") for key, value in attributes.items() if key == "src")
        assert all(value is None or value.startswith("#") for key, value in attributes.items() if key == "href")
    html = (tmp_path / "first.html").read_text()
    assert "url(" not in html
    assert str(tmp_path) not in html
    page_of(tmp_path / "r", tmp_path / "second.html")
    assert (tmp_path / "second.html").read_text() == html.replace("<code>first", "<code>second")
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_names_from_files_are_text_on_the_page_and_in_figures(tmp_path: Path) -> None:
    classes = ["<script>alert(1)</script>", "$\\frac{", "a\u202eb\x1b[31m"]
    write_run(tmp_path / "r", config={"classes": classes, "corpus": "<b>x</b>"}, note="<img src=x onerror=y>")
    (tmp_path / "r" / "<i>" / "fold1").mkdir(parents=True)
    (tmp_path / "r" / "<i>" / "fold1" / "config.json").write_text("<u>")
    page, screen = page_of(tmp_path / "r", tmp_path / "results.html")
    assert not {"script", "b", "i", "u"} & {tag for tag, _ in page.tags}
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert classes[0] in page.text
    assert page.text.count("<b>x</b> (<img src=x onerror=y>)") >= 2
    assert "<i>/fold1: not finished" in page.text
    assert "a\\u202eb\\x1b[31m" in page.text
    assert "\x1b" not in page.text + screen


def test_every_title_has_the_note(tmp_path: Path) -> None:
    write_run(tmp_path / "r", note="warped real faces")
    _, screen = page_of(tmp_path / "r", tmp_path / "results.html")
    html = (tmp_path / "results.html").read_text()
    titles = re.findall(r"<(?:title|h1|h2)[^>]*>(.*?)</(?:title|h1|h2)>", html, re.S)
    assert [("warped real faces" in title) for title in titles] == [True, True, True, False]
    assert "How the numbers are made" in titles[-1]
    assert "tiny (warped real faces): 3 classes" in screen


@pytest.mark.parametrize("recorded", [True, False])
def test_the_best_epoch_on_the_test_fold_has_a_column_only_if_it_was_asked_for(tmp_path: Path, recorded: bool) -> None:
    best = {"best_epoch_on_test": {"epoch": 4, "video_accuracy": 0.875}} if recorded else {"best_epoch_on_test": None}
    write_run(tmp_path / "r", summary=best)
    page, _ = page_of(tmp_path / "r", tmp_path / "results.html")
    assert ("not a result" in page.text) == recorded
    if recorded:
        column = next(i for i, cell in enumerate(page.tables["Further measures"][0]) if "not a result" in cell)
        assert page.tables["Further measures"][1][column] == "87.5 ± –"
    assert read_csv(tmp_path / "results" / "results.csv")[0]["best_epoch_on_test_not_a_result"] == (
        "0.875" if recorded else ""
    )


def test_published_numbers_stand_beside_runs_of_the_same_corpus_only(tmp_path: Path) -> None:
    write_run(
        tmp_path / "r",
        config={"corpus": "ckplus", "recipe": {"clips": {"stride": 4}}},
        note="a trial",
        summary={"n_folds": 10},
    )
    write_run(tmp_path / "r", config={"corpus": "london"})
    page, _ = page_of(tmp_path / "r", tmp_path / "results.html")
    assert [row[:2] for row in page.tables["Published numbers"][1:]] == [
        ["convlstm", "92.97"],
        ["spatial", "94.50"],
        ["temporal", "88.38"],
        ["enhanced", "95.72"],
    ]
    assert page.tables["Published numbers"][1][2] == "not run"
    differs = page.tables["Published numbers"][4][4]
    assert differs.startswith("protocol differs : a trial; preset: small in place of paper; frames from")
    assert "frames in a clip" not in differs
    assert "frames from clip to clip: 4 in place of 2; optimizer: adamw in place of sgd" in differs
    assert {row["section"] for row in read_csv(tmp_path / "results" / "published.csv")} == {"1"}


def test_a_protocol_as_published_is_not_called_different(tmp_path: Path) -> None:
    classes = ["anger", "disgust", "fear", "happiness", "sadness", "surprise"]
    config: dict[str, object] = {
        "corpus": "enterface",
        "classes": classes,
        "preset": "paper",
        "clip_length": 16,
        "aligner": "openface",
    }
    config |= {"optimizer": "sgd", "lr": 1.25e-4, "batch_size": 6}
    for fold in range(1, 6):
        write_run(tmp_path / "r", fold=fold, subjects=(fold,), config=config, summary={"n_folds": 5})
    page, _ = page_of(tmp_path / "r", tmp_path / "results.html")
    assert page.tables["Published numbers"][4][4] == "as published, as far as the paper says"


def fer_results(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `fer-results` to its end."""
    command = [sys.executable, "-m", "fer_model.results_cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def test_the_command_writes_the_page_and_says_what_it_could_not_use(tmp_path: Path) -> None:
    write_run(tmp_path / "r", fold=1)
    (write_run(tmp_path / "r", fold=2, subjects=(3,)) / "summary.json").unlink()
    done = fer_results(tmp_path / "r", "--out", tmp_path / "page.html")
    assert (done.returncode, done.stderr) == (3, "")
    assert "fold2: not finished (no summary.json)" in done.stdout
    assert (tmp_path / "page.html").exists()
    assert (tmp_path / "page" / "results.csv").exists()


def test_arguments_that_cannot_work_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    write_run(tmp_path / "r")
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x1cftyp")
    quiet = Console(file=io.StringIO())
    for out, sentence in (
        (tmp_path, "is a directory"),
        (tmp_path / "page", "has no ending"),
        (tmp_path / "none" / "page.html", "there is no directory"),
        (tmp_path / "film.mp4", "is there already, and is no page of results; name another file with --out"),
        (tmp_path / "taken.html", "is a file, and the tables would go into a directory there"),
    ):
        with pytest.raises(Exception, match=sentence) as caught:
            write_results_page(tmp_path / "r", out=out, console=quiet)
        assert type(caught.value).__name__ == "ArgumentError"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "r", "taken"]
    (tmp_path / "r" / "tiny" / "enhanced" / "seed0" / "fold1" / "summary.json").unlink()
    with pytest.raises(Exception, match=r"holds no finished run .*not finished"):
        write_results_page(tmp_path / "r", out=tmp_path / "page.html", console=quiet)


def test_many_classes_are_counted_but_not_drawn(tmp_path: Path) -> None:
    write_run(tmp_path / "r", config={"classes": [*CONFIG["classes"], *(f"c{i}" for i in range(60))]})
    page, _ = page_of(tmp_path / "r", tmp_path / "results.html")
    assert not (tmp_path / "results" / "section1-confusion.png").exists()
    assert "too many classes to be drawn" in page.text
    assert len(read_csv(tmp_path / "results" / "confusion.csv")) == 63**2
