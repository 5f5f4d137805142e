# /// script
# dependencies = ["fanlight"]
# ///

import marimo

app = marimo.App()


@app.cell
async def _():
    import marimo as mo

    import fanlight

    engine = await fanlight.aload("built-in", context_length=512)
    mo.md(f"{engine.info['model']} on {' '.join(engine.info['adapter'].values())}")
    return engine, mo


@app.cell
def _(mo):
    question = mo.ui.text("What day is after Saturday", label="Ask:", full_width=True)
    question
    return (question,)


@app.cell
async def _(engine, mo, question):
    messages = [{"role": "user", "content": question.value}]
    pieces = []
    async for chunk in await engine.chat.completions.create(messages=messages, temperature=0, max_tokens=16, stream=True):
        if chunk.choices:
            pieces.append(chunk.choices[0].delta.content or "")
            mo.output.replace(mo.plain_text("".join(pieces)))
    return


if __name__ == "__main__":
    app.run()
