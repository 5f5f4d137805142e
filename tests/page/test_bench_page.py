"""The bench page with the real package and the built-in model, on SwiftShader: a person measures, reads and copies."""

import json
from urllib.parse import urlsplit

import pytest

from tests.page.test_page import AXE

pytestmark = pytest.mark.browser
PATIENCE_MS = 500_000  # two busy cores have taken more than 200 s


def axe_findings(page):
    page.evaluate(AXE.read_text() + "\n0")  # the page's policy lets no script tag in
    found = page.evaluate("axe.run()")["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_built_in_model_is_measured_and_nothing_is_sent(page, site):
    requests = []
    page.on("request", lambda request: requests.append((request.method, urlsplit(request.url))))
    page.goto(f"{site.url}/bench.html?prompts=8,20,4000&decode=4&repeats=2")
    page.get_by_role("button", name="Measure the built-in model").click()
    page.locator(".result").wait_for(timeout=PATIENCE_MS)

    result = json.loads(page.locator(".result pre").text_content())
    assert [row["prompt"] for row in result["rows"]] == [8, 20]  # 4000 do not fit
    for row in result["rows"]:
        assert row["prefill_tps"] == pytest.approx(1000 * row["prompt"] / row["ttft_ms"], rel=0.3)
        assert row["decode_tps"] > 0
    assert 0 < result["load_ms"] < result["first_token_ms"]
    assert result["stream_gbps"] > 0 and 0 < result["stream_share"] < 1
    assert result["planned_mib"] > 15 and result["context"] == 1024
    cells = page.locator(".result tbody td").all_inner_texts()
    assert len(cells) == 8 and cells[0] == "8" and cells[4] == "20"
    assert axe_findings(page) == []

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy as JSON").click()
    page.get_by_text("Copied").wait_for()
    assert json.loads(page.evaluate("navigator.clipboard.readText()")) == result
    assert {method for method, _ in requests} == {"GET"}
    assert {url.netloc for _, url in requests if url.scheme != "blob"} == {urlsplit(site.url).netloc}
    assert not any(url.query.strip("v=0123456789abcdef") for _, url in requests if not url.path.endswith("bench.html"))


def test_a_wrong_file_is_refused_in_words(page, site, tmp_path):
    page.goto(f"{site.url}/bench.html")
    wrong = tmp_path / "holiday.jpg"
    wrong.write_bytes(b"these are not the bytes of a model, but enough to be read as some " * 9)
    page.get_by_label("Measure a GGUF file").set_input_files(wrong)
    alert = page.get_by_role("alert")
    alert.wait_for(timeout=PATIENCE_MS)
    assert "not a model file" in alert.inner_text() and "holiday.jpg" in alert.inner_text()


def test_the_chat_page_leads_here_and_back(page, site):
    page.goto(f"{site.url}/index.html")
    page.get_by_role("link", name="Measure this device's speed").click()
    page.get_by_role("heading", name="How fast").wait_for()
    page.get_by_role("link", name="Chat").click()
    page.get_by_role("button", name="Start the built-in model").wait_for()
