"""The files of the site: links, policies, answers, quotes, addresses."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from gradwidgets.lessons.claims import read_cells, read_claims, source_of
from tests.website.conftest import ADDRESSES
from website import fact_check
from website.address import Addresses
from website.live import ROOT
from website.wording import ON_THE_PAGE, on_the_page

SITE = ADDRESSES["SITE_ADDRESS"] + "/"
REFERENCES = ROOT / "tests/lessons/references"
ANSWERS = json.loads((REFERENCES / "answers.json").read_text("utf-8"))
OF_LECTURES = re.findall(
    r"\d+ The experiment says: (.*?)\. (.*?)\\n", (REFERENCES / "questions.json").read_text("utf-8")
)
BY_SENTENCE = {tuple(pair) for lesson in ANSWERS.values() for pair in lesson.values()}
BY_SENTENCE.update(OF_LECTURES)


@dataclass
class Read(HTMLParser):
    """What a page links to, what can be linked to in it, and its elements of some kinds."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    questions: list[dict[str, str]] = field(default_factory=list)
    metas: dict[str, str] = field(default_factory=dict)
    inline: list[str] = field(default_factory=list)
    inside: bool = False

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") != "canonical":
            self.loaded.append(given["href"])
        elif "src" in given:
            self.loaded.append(given["src"])
        if "data-answers" in given:
            self.questions.append(given)
        if tag == "meta" and "content" in given:
            name = given.get("name") or given.get("property") or given.get("http-equiv", "")
            self.metas[name] = given["content"]
        self.inside = tag == "script" and "src" not in given

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.inline.append(data)

    def handle_endtag(self, _: str) -> None:
        self.inside = False


@pytest.fixture(scope="session")
def read(site: Path, pages: list[str]) -> dict[str, Read]:
    """Every page, read."""
    found = {}
    for name in pages:
        found[name] = Read()
        found[name].feed((site / name).read_text("utf-8"))
    return found


def test_every_link_and_anchor_leads_somewhere(site: Path, read: dict[str, Read]) -> None:
    broken = []
    for name, page in read.items():
        for link in page.links + page.loaded:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            path = (site / name).parent / unquote(parts.path) if parts.path else site / name
            target = path.resolve()
            there = target.is_file()
            if there and parts.fragment and target.suffix == ".html":
                other = read.get(target.relative_to(site.resolve()).as_posix())
                there = other is None or unquote(parts.fragment) in other.ids
            if not there:
                broken.append((name, link))
    assert broken == []


def test_the_page_in_place_of_any_other_leads_to_pages_from_everywhere(
    site: Path, read: dict[str, Read]
) -> None:
    page = read["404.html"]
    assert page.loaded == ["data:,"]
    assert [way for way in page.links if not way.startswith(("#", "https:"))] == []
    ways = [way.removeprefix(SITE) for way in page.links if way.startswith(SITE)]
    assert len(ways) > 5
    assert [way for way in ways if not (site / way).is_file()] == []


def test_a_lesson_s_page_says_nothing_that_needs_a_notebook(site: Path) -> None:
    for name in ("00_start_here", "01_autograd_and_grad"):
        text = (site / f"lessons/{name}.html").read_text("utf-8")
        assert "Shift+Enter" not in text
        assert "Run me first" not in text
    assert "kept in this browser" in (site / "lessons/00_start_here.html").read_text("utf-8")


@pytest.mark.parametrize("place", ON_THE_PAGE)
def test_what_a_page_says_in_other_words_is_what_the_lesson_says(place: tuple[str, str]) -> None:
    name, cell = place
    cells = {each["id"]: each for each in read_cells(ROOT / "notebooks" / f"{name}.ipynb")}
    said = source_of(cells[cell])
    assert on_the_page(said, place) != said
    with pytest.raises(ValueError, match="says 0 times, not once"):
        on_the_page("Something else.", place)
    assert on_the_page("Something else.", (name, "")) == "Something else."


def test_a_claim_s_title_is_its_sentence_without_markdown_but_for_code() -> None:
    claims = {claim.id: fact_check.title(claim) for claim in read_claims(ROOT / "notebooks")}
    assert claims["001-10"].endswith("set `p.grad` to zero (`torch.zeros_like`).")
    assert "`v = beta2 * v + (1-beta2) * grad**2`" in claims["001-17"]


def test_pages_load_nothing_from_elsewhere(read: dict[str, Read]) -> None:
    foreign = {link for page in read.values() for link in page.loaded if urlsplit(link).scheme}
    assert foreign == {"data:,"}


def test_the_policy_allows_the_page_s_own_lines_and_no_others(read: dict[str, Read]) -> None:
    for name, page in read.items():
        policy = page.metas["Content-Security-Policy"]
        assert "unsafe-eval" not in policy
        scripts = policy.partition("script-src ")[2].partition(";")[0]
        assert "unsafe-inline" not in scripts
        for line in page.inline:
            digest = base64.b64encode(hashlib.sha256(line.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in scripts, name


def test_each_question_holds_what_its_experiment_says(read: dict[str, Read]) -> None:
    """As the references keep it, with which the lessons' tests compare."""
    asked = [each for page in read.values() for each in page.questions]
    assert len(asked) >= 8
    for each in asked:
        choices = json.loads(each["data-asked"])["choices"]
        answers = json.loads(base64.b64decode(each["data-answers"]))
        assert len(answers) == len(choices)
        for choice, shown in zip(choices, answers, strict=True):
            right = choices[shown["answer"]]
            assert shown["right"] == (choice == right)
            said = "Right. " if shown["right"] else "Not so. "
            told = [sentence for found, sentence in BY_SENTENCE if found == right]
            assert shown["verdict"] in {
                f"{said}The experiment says: {right}. {sentence}".strip() for sentence in told
            }
            assert all(shown["why"])


def test_a_lab_s_frame_names_its_settings(site: Path) -> None:
    page = (site / "lessons" / "00_start_here.html").read_text(encoding="utf-8")
    names = "scale, mask, L1 penalty, L2 penalty, accumulation steps"
    assert f'title="Lab: moons, with {names}"' in page


def test_each_claim_s_page_has_its_words(site: Path) -> None:
    table = json.loads((ROOT / "notebooks/claims.json").read_text("utf-8"))["claims"]
    rows = {row["id"]: row for row in table}
    found = [path.stem for path in (site / "claims").glob("*.html")]
    assert found
    for claim in found:
        text = (site / "claims" / f"{claim}.html").read_text("utf-8")
        words = _plain(text)
        row = rows[claim]
        for part in (row.get("quote") or row["paraphrase"], row["truth"]):
            assert _plain(part.replace("`", "")) in words, claim
        assert f"Verdict: {row['verdict']}" in text
        assert "gw-output" in text


def _plain(text: str) -> str:
    """The words of HTML, without what stands between them."""
    read = _Words()
    read.feed(re.sub("<(?![a-z/!])", "&lt;", text))
    return "".join("".join(read.words).split())


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_search_engine_and_a_link_preview_are_told_what_a_page_is(
    site: Path, read: dict[str, Read]
) -> None:
    for name, page in read.items():
        assert len(page.metas["description"]) > 40, name
        assert page.metas["og:url"] == SITE + name
        assert page.metas["og:image"].startswith(SITE)
        assert (site / page.metas["og:image"].removeprefix(SITE)).is_file()
        canonical = re.findall(
            r'<link rel="canonical" href="([^"]*)"', (site / name).read_text("utf-8")
        )
        assert canonical == [SITE + name]
    listed = re.findall("<loc>(.*?)</loc>", (site / "sitemap.xml").read_text("utf-8"))
    assert {SITE + name for name in read} - set(listed) <= {
        SITE + name for name in ("404.html", "genindex.html", "py-modindex.html", "search.html")
    }
    assert f"Sitemap: {SITE}sitemap.xml" in (site / "robots.txt").read_text("utf-8")


def test_a_lesson_opens_in_all_places_that_are_known() -> None:
    known = Addresses("", ADDRESSES["SITE_REPOSITORY"], ADDRESSES["SITE_HUB"])
    links = dict(known.launches("notebooks/00_start_here.ipynb", "ex-step"))
    assert links["Colab"] == (
        "https://colab.research.google.com/github/someone/gradwidgets/blob/course/"
        "notebooks/00_start_here.ipynb"
    )
    assert links["Binder"] == (
        "https://mybinder.org/v2/gh/someone/gradwidgets/course"
        "?labpath=notebooks%2F00_start_here.ipynb"
    )
    assert links["Your class's hub"] == (
        "https://hub.example/hub/user-redirect/git-pull"
        "?repo=https%3A%2F%2Fgithub.com%2Fsomeone%2Fgradwidgets&branch=course&targetpath=gradwidgets"
        "&urlpath=lab%2Ftree%2Fgradwidgets%2Fnotebooks%2F00_start_here.ipynb"
    )
    assert links["Your own JupyterLab"].endswith("/lab/tree/00_start_here.ipynb#cell-id=ex-step")


def test_what_is_not_known_is_left_out() -> None:
    assert [label for label, _ in Addresses().launches("a.ipynb")] == ["Your own JupyterLab"]


def test_a_downloaded_notebook_is_the_lesson(site: Path) -> None:
    for path in (site / "downloads").iterdir():
        (original,) = (ROOT / "notebooks").rglob(path.name)
        assert path.read_bytes() == original.read_bytes()
