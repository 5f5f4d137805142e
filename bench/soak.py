"""`python -m bench soak`: many clients of one server for a long time, a third of which hang up; then nothing may be left, and
each answer that was finished must be what the same request gives alone.

It starts `fanlight serve` itself, on the device that FANLIGHT_DEVICE says.  Linux only: it reads /proc.
"""

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

PROMPTS = [f"{word} is" for word in "the sky,my dog,a river,this house,her name,the old man,bread,a good day".split(",")]
CHAT = "/v1/chat/completions"
GROWTH = 1.1  # of memory from the first quarter to the end
GROWTH_BYTES = 24 << 20


class Soak:
    def __init__(self, url: str, pid: int, seed: int, max_tokens: int, patience: float) -> None:
        self.url, self.pid, self.draw, self.max_tokens = url, pid, random.Random(seed), max_tokens
        self.alone: dict[int, str] = {}
        self.counts: Counter[str] = Counter()
        self.wrong: list[tuple[int, str]] = []
        self.health_ms: list[float] = []
        self.rss: list[int] = []
        self.client = httpx.AsyncClient(
            base_url=url, timeout=patience, limits=httpx.Limits(max_connections=None), trust_env=False
        )

    def body(self, number: int, stream: bool) -> dict[str, Any]:
        """Greedy ones and seeded ones."""
        prompt, is_seeded = PROMPTS[number // 2], number % 2
        sampling = {"temperature": 1, "seed": 7} if is_seeded else {"temperature": 0}
        return {"messages": [{"role": "user", "content": prompt}], "max_tokens": self.max_tokens, "stream": stream, **sampling}

    async def serial(self) -> None:
        for number in range(2 * len(PROMPTS)):
            answer = (await self.client.post(CHAT, json=self.body(number, False))).raise_for_status().json()
            self.alone[number] = answer["choices"][0]["message"]["content"]

    async def one(self) -> None:
        number, stream, leaves = self.draw.randrange(2 * len(PROMPTS)), self.draw.random() < 0.5, self.draw.random() < 1 / 3
        try:
            async with asyncio.timeout(self.draw.random() * 3 if leaves else None):
                text = await (self.streamed(number) if stream else self.whole(number))
        except TimeoutError:
            self.counts["left"] += 1
            return
        self.counts["finished"] += 1
        if text != self.alone[number]:
            self.wrong.append((number, text))

    async def whole(self, number: int) -> str:
        answer = await self.client.post(CHAT, json=self.body(number, False))
        return answer.raise_for_status().json()["choices"][0]["message"]["content"]

    async def streamed(self, number: int) -> str:
        text = ""
        async with self.client.stream("POST", CHAT, json=self.body(number, True)) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    chunk = json.loads(line.removeprefix("data: "))
                    text += chunk["choices"][0]["delta"].get("content") or ""
        return text

    async def for_ever(self) -> None:
        while True:
            try:
                await self.one()
            except httpx.HTTPError as error:
                self.counts[f"failed: {type(error).__name__} {str(error)[:80]}"] += 1

    async def watch(self) -> None:
        while True:
            started = time.perf_counter()
            await self.client.get("/health")
            self.health_ms.append((time.perf_counter() - started) * 1000)
            self.rss.append(resident(self.pid))
            await asyncio.sleep(0.5)

    async def gauges(self) -> dict[str, float]:
        text = (await self.client.get("/metrics")).text
        return {name: float(value) for name, value in re.findall(r"^fanlight_(\w+)\{[^}]*\} (\S+)$", text, re.MULTILINE)}

    async def settled(self) -> dict[str, float]:
        """How it stands once nobody asks any more."""
        end = time.monotonic() + 30
        gauges = await self.gauges()
        while gauges["sequences_running"] + gauges["sequences_waiting"] and time.monotonic() < end:
            await asyncio.sleep(0.2)
            gauges = await self.gauges()
        return gauges

    async def run(self, clients: int, seconds: float) -> dict[str, Any]:
        await self.serial()
        before, fds = await self.settled(), num_files(self.pid)
        tasks = [asyncio.create_task(work) for work in (self.watch(), *(self.for_ever() for _ in range(clients)))]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        after = await self.settled()
        await self.client.aclose()
        await asyncio.sleep(1)
        return self.report(before, after, fds)

    def report(self, before: dict[str, float], after: dict[str, float], fds: int) -> dict[str, Any]:
        early, late = self.rss[len(self.rss) // 4], self.rss[-1]
        health = sorted(self.health_ms)
        faults = {
            "answers differ from their serial run": len(self.wrong),
            "sequences are left": after["sequences_running"] + after["sequences_waiting"],
            "blocks are not given back": max(0.0, after["kv_cache_usage_ratio"] - before["kv_cache_usage_ratio"]),
            "memory grew": late > max(GROWTH * early, early + GROWTH_BYTES),
            "files are open": max(0, num_files(self.pid) - fds),
            "requests failed": sum(count for name, count in self.counts.items() if name.startswith("failed")),
        }
        return {
            "counts": dict(self.counts),
            "health_ms": {"median": round(health[len(health) // 2], 1), "worst": round(health[-1], 1)},
            "rss_mib": {"quarter": early >> 20, "end": late >> 20},
            "preemptions": after["preemptions"],
            "faults": {name: value for name, value in faults.items() if value},
            "wrong": [
                (self.body(n, False)["messages"][0]["content"], n % 2, self.alone[n], text) for n, text in self.wrong[:3]
            ],
        }


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def num_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench soak", description=__doc__)
    parser.add_argument("--model", default="built-in")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--max-num-seqs", default="8")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-tokens", type=int, default=24)
    parser.add_argument("--patience", type=float, default=120, help="seconds after which a request has failed")
    options = parser.parse_args(arguments)
    command = [sys.executable, "-m", "fanlight", "serve", options.model, "--port", "0", "--max-num-seqs", options.max_num_seqs]
    server = subprocess.Popen([*command, "--context-length", "256"], stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        line = server.stderr.readline()
        found = re.search(r"http://\S+", line)
        if not found:
            print(line + server.stderr.read(), file=sys.stderr)
            return 1
        report = asyncio.run(
            Soak(found[0], server.pid, options.seed, options.max_tokens, options.patience).run(options.clients, options.seconds)
        )
        print(json.dumps(report, indent=1, ensure_ascii=False))
        return 1 if report["faults"] else 0
    finally:
        server.terminate()
        server.wait(60)
