"""The published types, by the TypeScript compiler: what must compile compiles, and what must not does not."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SNIPPET = """
import { load, deleteState, DoesNotFit, listModels, listStates, checkWebGPU, type Progress } from "fanlight";
import OpenAI from "openai";

const reason: string | null = await checkWebGPU();
const { signal } = new AbortController();
const onProgress = (progress: Progress) => console.log(progress.phase, progress.loadedBytes);
const engine = await load("built-in", { contextLength: 2048, signal, onProgress });
const answer = await engine.chat.completions.create({ messages: [{ role: "user", content: "Hi" }], top_k: 20, temperature: 0 });
const text: string | null | undefined = answer.choices[0]?.message.content;
for await (const chunk of await engine.chat.completions.create({ messages: [], stream: true }, { signal })) {
  const delta: string | null | undefined = chunk.choices[0]?.delta.content;
}
const response_format = { type: "json_object", schema: { type: "array" } } as const;
await engine.chat.completions.create({ messages: [], response_format });
await engine.completions.create({ prompt: "Pick:", structured_outputs: { choice: ["a", "b"] } });
const done = await engine.completions.create({ prompt: "Once" });
const said: string | undefined = done.choices[0]?.text;
const response = await engine.responses.create({ input: "Hi" }, { signal });
const output: string | undefined = response.output[0]?.type;
for await (const event of await engine.responses.create({ input: "Hi", stream: true })) event.sequence_number.toFixed();
const score: number | undefined = (await engine.score.create({ text_1: "a", text_2: ["b", "c"] })).data[1]?.score;
const client = new OpenAI({ fetch: engine.fetch, apiKey: "-", dangerouslyAllowBrowser: true });
const more = { name: "other", keepAlive: 60, contextOverflow: "drop_oldest" } as const;
const other: string = await engine.load({ opfs: "model.gguf" }, more);
await engine.unload(other);
await engine.chat.completions.create({ model: other, messages: [], context_overflow: "attention_sinks" });
const kept: number = await engine.saveState({ name: "talk", messages: [{ role: "user", content: "Hi" }] });
await engine.saveState({ name: "ids", model: other, prompt: [1, 2, 3] }, { signal });
const [state] = await listStates();
await engine.restoreState(state?.file ?? "talk", { model: other, signal });
const wasThere: boolean = await deleteState("talk");
// @ts-expect-error a state is of a prompt
await engine.saveState({ name: "nothing" });
await load("built-in", { makesRoom: true, memoryBytes: 2 ** 32 });
await load(new File([], "a.gguf"), { store: false });
const names: string[] = (await listModels()).map((model) => model.name);
const total: number = engine.memoryPlan.total;
try { await engine.close(); } catch (error) { if (error instanceof DoesNotFit) error.hint.toUpperCase(); }
// @ts-expect-error a message needs a role
await engine.chat.completions.create({ messages: [{ content: "Hi" }] });
// @ts-expect-error no such format
await engine.completions.create({ prompt: "", response_format: { type: "xml" } });
// @ts-expect-error no such option
await load("built-in", { contextSize: 1 });
export { client, kept, names, output, reason, said, score, text, total, wasThere };
"""


@pytest.mark.skipif(not (ROOT / "web" / "dist" / "types").is_dir(), reason="the package is not built: scripts/build_web.py")
def test_a_users_program_type_checks(tmp_path):
    modules = tmp_path / "node_modules"
    (modules / "fanlight").mkdir(parents=True)
    shutil.copytree(ROOT / "web" / "dist" / "types", modules / "fanlight" / "dist" / "types")
    shutil.copy(ROOT / "web" / "package.json", modules / "fanlight")
    for name in ("openai", "typescript", "@typescript"):
        (modules / name).symlink_to(ROOT / "web" / "node_modules" / name)
    (tmp_path / "user.ts").write_text(SNIPPET)
    options = {
        "strict": True,
        "noEmit": True,
        "target": "ES2022",
        "module": "ESNext",
        "moduleResolution": "bundler",
        "types": [],
    }
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["user.ts"]}))
    done = subprocess.run(["node", modules / "typescript" / "bin" / "tsc", "-p", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_python_error_has_its_class():
    """web/src/errors.ts mirrors fanlight/errors.py: names and parents."""
    from fanlight import errors

    text = (ROOT / "web" / "src" / "errors.ts").read_text()
    there = dict(re.findall(r"export class (\w+) extends (\w+)", text))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.FanlightError)]
    parents = {kind.__name__: kind.__base__.__name__ for kind in kinds if kind is not errors.FanlightError}
    assert there == {"FanlightError": "Error", **parents}


def test_every_option_of_a_load_has_its_name_in_the_page():
    """web/src/protocol.ts mirrors LoadOptions, and what fanlight/api/worker.py takes besides."""
    from fanlight.api.load import LoadKeywords

    text = (ROOT / "web" / "src" / "protocol.ts").read_text()
    tables = re.findall(r"const OF_\w+: Names<\w+> = \{(.*?)\};", text, re.S)
    names = [
        re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name) for name in re.findall(r"(\w+): true", "".join(tables))
    ]
    assert sorted(names) == sorted([*LoadKeywords.__annotations__, "store", "keep_alive", "makes_room", "memory_bytes"])
