"""Markdown of answers in Chromium: code in colours, formulas, tables, and a text that grows.

Judges: the browser (layout, requests, MathML, Content-Security-Policy), axe-core, and the same text whole."""

import subprocess

import pytest
from playwright.sync_api import expect

from tests.page.test_page import ROOT, ask, axe_findings, finished, load, until

pytestmark = pytest.mark.browser

CODE = '''```python
def area(radius: float) -> float:
    """Of a circle."""  # a comment
    return 3.14159 * radius**2
```

Then:

```nosuchlanguage
x = 1
```
'''
FORMULAS = r"""The area is $\pi r^2$, costs are $5 and $10, and \(a*b*c\) stays; US$3 too.

$$
x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}
$$

\[ \begin{pmatrix} a_1 & b_1 \\ a_2 & b_2 \end{pmatrix} \cdot v \]

Wrong: $\frac{1$ and \(\href{javascript:alert(1)}{x}\) end."""
TABLE = """| name | left | middle | right |
|---|:--|:-:|--:|
| a | b | c | 1234.5 |
| longer name | longer | longer still | 6 |
"""


def test_code_is_coloured_and_says_its_language(open_page):
    page = open_page({"answer": CODE})
    asked = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    load(page)
    assert not [name for name in asked if name.startswith(("highlighter", "katex"))]  # not before there is any code
    ask(page, "Code?")
    finished(page)
    until(page, "document.querySelector('.hljs-keyword') !== null")
    assert page.locator("pre").first.inner_text() == CODE.split("```")[1].removeprefix("python\n").rstrip()
    assert page.locator(".code-head span").all_inner_texts() == ["Python", "nosuchlanguage"]
    assert page.locator(".hljs-keyword").all_inner_texts() == ["def", "return"]
    assert page.locator("pre").nth(1).locator("[class^=hljs]").count() == 0
    colours = page.evaluate("""() => [".hljs-keyword", ".hljs-string", ".hljs-comment", ".hljs-number"].map(
        (name) => getComputedStyle(document.querySelector(name)).color)""")
    assert len(set(colours)) == 4
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy this code").first.click()
    page.get_by_role("article").get_by_text("Copied", exact=True).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("pre").first.inner_text()
    assert not [name for name in asked if name.startswith("katex")]


def test_formulas_are_mathml_and_money_is_money(open_page):
    page = open_page({"answer": FORMULAS})
    load(page)
    ask(page, "Formula?")
    finished(page)
    text = page.locator("article.answer .markdown").last
    expect(text.locator("math mtable mtr")).to_have_count(2)
    expect(text.locator("math[display=block]")).to_have_count(2)
    annotations = [tex.strip() for tex in text.locator("annotation").all_text_contents()]
    assert annotations[:3] == [r"\pi r^2", "a*b*c", r"x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}"]
    expect(text.locator("math mfrac msqrt")).to_have_count(1)
    assert "costs are $5 and $10" in text.inner_text() and "US$3" in text.inner_text()
    assert r"$\frac{1$" in text.inner_text() or r"\frac{1" in text.inner_text()
    assert text.locator("a, [href], [style], script").count() == 0
    assert text.locator("em").count() == 0
    height = "document.querySelector('math mfrac').getBoundingClientRect().height"
    assert page.evaluate(height) > 25  # drawn as a fraction, not in a row


def test_columns_stand_as_the_table_says(open_page):
    page = open_page({"answer": TABLE})
    load(page)
    ask(page, "Table?")
    finished(page)
    aligned = (
        page.locator("tbody tr").first.locator("td").evaluate_all("cells => cells.map((c) => getComputedStyle(c).textAlign)")
    )
    assert aligned == ["start", "left", "center", "right"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_rich_answers(open_page, scheme):
    languages = "\n".join(f"```{name}\n{text}\n```\n" for name, text in SNIPPETS.items())
    page = open_page({"answer": f"{FORMULAS}\n\n{TABLE}\n\n{CODE}\n{languages}"}, color_scheme=scheme, bypass_csp=True)
    load(page)
    ask(page, "All?")
    finished(page)
    until(page, "document.querySelector('math') && document.querySelector('.hljs-deletion')")
    findings = axe_findings(page)
    assert not findings, "\n".join(findings)


SNIPPETS = {
    "html": '<a href="x" class="y">text</a><!-- aside -->',
    "css": "a.b > #c:hover { color: #fff; margin: 1px !important }",
    "diff": "- gone\n+ new\n@@ -1 +1 @@",
    "json": '{"key": [1, true, null, "text"]}',
    "bash": 'for f in *.txt; do echo "$f" | sed s/a/b/; done',
    "markdown": "# Title\n\n* **strong** _soft_ `code` [link](x)\n> quote",
    "sql": "SELECT count(*) FROM t WHERE a = 'b' -- aside",
    "typescript": "export class A<T> { x = /re/g; f(): T { return `${this.x}` } }",
    "rust": 'fn main() { let x: u32 = 1; println!("{x}"); }',
    "yaml": "key: &anchor value\nlist:\n  - 1",
}

GROWN = r"""# One

A paragraph with [a reference][ref] that comes later, **strong** text,
and a second line.

- item one
- item two

  with a second paragraph

1. first
   ```js
   const nested = 1;
   ```
2. second

Setext title
---

| a | b |
|--:|---|
| 1 | 2 |

```python
for i in range(3):

    print(i)
```

$$
a * b * c
$$

> Quote with `code`
> and $x^2$

Last [inline](https://example.org) words. [ref] again

[ref]: https://example.org/ref

* * *

    indented code

End."""

GROW = """async ([text, seed]) => {
  const { markdownView } = await import("/markdown.js");
  const copy = async () => {};
  let state = seed;
  const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  const grown = markdownView(copy);
  const whole = markdownView(copy);
  document.body.replaceChildren(grown.node, whole.node);
  const kept = [];
  for (let end = 0; end < text.length; end += 1 + Math.floor(random() * 9)) {
    grown.update(text.slice(0, end), false);
    if (grown.node.children.length > 3) kept[0] ??= grown.node.children[0];
  }
  grown.update(text, false);
  whole.update(text, false);
  const open = [grown.node, whole.node].map((node) => node.innerHTML);
  const same = kept[0] === grown.node.children[0];
  grown.update(text, true);
  whole.update(text, true);
  await new Promise((done) => setTimeout(done, 300));
  return { open, end: [grown.node, whole.node].map((node) => node.innerHTML), same, text: grown.spoken() };
}"""


@pytest.fixture(scope="module")
def markdown_js() -> bytes:
    command = ["node_modules/.bin/esbuild", "demo/markdown.ts", "--bundle", "--format=esm", "--target=es2022"]
    return subprocess.run(command, cwd=ROOT / "web", check=True, capture_output=True).stdout


def test_a_text_that_grew_is_as_if_it_had_come_whole(page, site, markdown_js):
    site.served.files["/markdown.js"] = markdown_js
    for seed in range(6):
        found = page.evaluate(GROW, [GROWN.replace("[ref]", "ref"), seed])  # no link that is given later
        assert found["open"][0] == found["open"][1]
        found = page.evaluate(GROW, [GROWN, seed])
        assert found["end"][0] == found["end"][1]
        assert found["same"], "the first block was made anew"
    assert "example.org/ref" in found["end"][0] and "<ol" in found["end"][0]


COUNT = """async ([text, step]) => {
  const { markdownView } = await import("/markdown.js");
  const view = markdownView(async () => {});
  document.body.replaceChildren(view.node);
  view.update("```js\\nconst a = 1;\\n```", true);
  await new Promise((done) => setTimeout(done, 1000)); // the colours are there
  let added = 0;
  const count = (node) => (added += 1 + (node.querySelectorAll?.("*").length ?? 0));
  const seen = new MutationObserver((records) => records.forEach((record) => record.addedNodes.forEach(count)));
  seen.observe(view.node, { childList: true, subtree: true });
  for (let end = 0; end < text.length; end += step) view.update(text.slice(0, end), false);
  view.update(text, true);
  await new Promise((done) => setTimeout(done, 50));
  return [added, view.node.querySelectorAll("*").length];
}"""


def test_work_on_a_growing_text_is_in_proportion_to_it(page, site, markdown_js):
    site.served.files["/markdown.js"] = markdown_js
    code = "```js\n" + "const value = compute(1, 'two'); // three\n" * 400 + "```\n"
    prose = "A *short* paragraph of a long answer, with `code`.\n\n" * 400
    for text in (code, prose):
        added, left = page.evaluate(COUNT, [text, 20])
        assert added < 30 * left, (added, left)
