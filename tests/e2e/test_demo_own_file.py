"""A whole quick run of the demo on an own file, in an account where A2I and data capture are closed."""

from __future__ import annotations

import random

import pytest
from demo_command import LONGEST_SECONDS, Demo

from local.texts import corpus
from stacks.settings import load_settings

pytestmark = [pytest.mark.demo, pytest.mark.timeout(LONGEST_SECONDS + 60)]  # a whole demo is the set-up of its tests


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Demo, int, str]:
    """A quick run on a file as people have them: odd columns, semicolons, Latin-1, labels that are no ids.

    Its account is closed to A2I and to data capture of endpoints, as in settings/newacct.yaml: people answer on the app's own page.
    """
    folder = tmp_path_factory.mktemp("own")
    names = {"negative": "Très négatif :-(", "positive": "Positif / bien"}
    every = [item.row for item in corpus.rated_texts("movie") if item.row.label in names]  # the corpus has the positive ones first
    rows = random.Random(1).sample(every, 900)  # noqa: S311  (a repeatable draw)
    lines = [f'{number};"{row.text.replace(chr(34), chr(34) * 2)}";{names[row.label]}' for number, row in enumerate(rows)]
    data = folder / "avis été.csv"
    data.write_text("\n".join(["n°;Commentaire du client;Avis", *lines]), encoding="latin-1", errors="replace")
    demo = Demo(folder)
    closed = ("--backend", "hosted", "--capture", "app")
    reading = ("--text", "Commentaire du client", "--label", "Avis", "--on-conflict", "drop")
    code, said = demo.run("--quick", *closed, "--data", str(data), *reading)
    return demo, code, said


def test_a_file_with_odd_columns_and_labels_goes_through_the_whole_loop(own: tuple[Demo, int, str]) -> None:
    demo, code, said = own
    # Few texts may not be enough to show that the retrained model is no worse: the gates say so then, and nothing is lost either.
    assert code in (0, 3), said
    predictions = demo.summary["predictions"]
    assert predictions["unaccounted"] == 0
    assert predictions["reviewed"] > 0
    assert (predictions["requested"], predictions["in_review"], predictions["dead_lettered"]) == (0, 0, 0)
    assert demo.summary["iam"]["denied_calls"] == []
    assert demo.summary["source"]["people"].startswith("held-back labels")
    assert demo.summary["verdict"] in said
    assert demo.leftovers() == []


def test_people_answered_on_the_apps_own_page(own: tuple[Demo, int, str]) -> None:
    demo, _, said = own
    settings = load_settings(demo.folder / "out" / "settings.yaml")
    assert (settings.review.backend, settings.hosting.capture) == ("hosted", "app")
    assert "they have signed in to the review page" in said
    assert "the review page failed" not in said


def test_people_see_the_labels_of_the_file(own: tuple[Demo, int, str]) -> None:
    demo, _, said = own
    assert demo.summary["dataset"]["labels"] == ["positif-bien", "tres-negatif"]
    page = (demo.folder / "out" / "data-report.html").read_text(encoding="utf-8")
    assert "Positif / bien" in page
    assert "Très négatif :-(" in page
    assert "Latin-1" in said or "Windows-1252" in said
