# SPDX-License-Identifier: Apache-2.0
"""collect_speed.py PROGRAM FOLDER [QUERIES [CONCURRENCY]]: the share of a server's ideal throughput that is reached.

A server on the loopback takes 0.5 to 2 s (uniform, seeded) for each answer and any number of requests at once. PROGRAM
buys QUERIES (2000) answers, CONCURRENCY (32) at a time, in a run directory below FOLDER, whose disk counts: an answer
is on it before the next request takes its place. Ideal is what a client without any cost of its own gets from the same
latencies: as many requests in flight as allowed, from the first to the last (so its end, too, has fewer of them in
flight). Also shown: the share of CONCURRENCY / mean latency, which no run of finite length can reach.
"""
import asyncio, heapq, json, os, pathlib, random, subprocess, sys, tempfile, time

program, folder = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
queries = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
concurrency = int(sys.argv[4]) if len(sys.argv) > 4 else 32
draw = random.Random(1)
latencies, times = [], []


async def serve(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    times.append(time.monotonic())
    lines = head.lower().split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
    await reader.readexactly(length)
    latencies.append(draw.uniform(0.5, 2))
    await asyncio.sleep(latencies[-1])
    body = json.dumps({
        "id": "x", "object": "chat.completion", "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop",
                     "message": {"role": "assistant", "content": "It is simple. The answer is 7."}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109}}).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    times.append(time.monotonic())
    await writer.drain()
    writer.close()


def ideal():
    """Seconds of a client that sends the next request at the very moment an answer comes."""
    ends = latencies[:concurrency]
    heapq.heapify(ends)
    for latency in latencies[concurrency:]:
        heapq.heappush(ends, heapq.heappop(ends) + latency)
    return max(ends)


def write_plan(run, port):
    demo = pathlib.Path(__file__).resolve().parent.parent / "data/demo"
    with open(run / "train.jsonl", "w", encoding="utf-8") as out:
        for i in range(queries):
            row = {"id": f"r{i}", "input": f"What is {i} and 7?", "domain": "adding", "answer": str(i + 7)}
            out.write(json.dumps(row) + "\n")
    (run / "plan.yaml").write_text(f"""task: {{type: math, train: train.jsonl}}
method: random-finetune-cot
budget: {queries}
stages: 1
student: {{model_name_or_path: {demo}/student}}
teacher: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", model: m, api_key_env: ,
  max_concurrent_requests: {concurrency}, max_tokens: 200}}
output_dir: run
""")


async def main(run):
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4 * concurrency)
    write_plan(run, server.sockets[0].getsockname()[1])
    environment = {**os.environ, "BALDISTILL_STATE_DIR": str(run / "state")}
    process = await asyncio.create_subprocess_exec(program, "run", str(run / "plan.yaml"), "--until", "0.annotate",
                                                   env=environment, stderr=subprocess.PIPE)
    _, messages = await process.communicate()
    status = process.returncode
    if status:
        print(messages.decode(errors="replace"), end="", file=sys.stderr)
    if not latencies:
        sys.exit(f"status {status} and no answers: nothing to measure")
    seconds, mean = max(times) - min(times), sum(latencies) / len(latencies)
    print(f"status {status}, {len(latencies)} answers in {seconds:.2f} s: {len(latencies) / seconds:.2f} a second, "
          f"{100 * ideal() / seconds:.1f} % of the ideal {len(latencies) / ideal():.2f}, "
          f"{100 * len(latencies) * mean / concurrency / seconds:.1f} % of {concurrency / mean:.2f}")
    return 1 if status else 0


with tempfile.TemporaryDirectory(dir=folder) as run:
    sys.exit(asyncio.run(main(pathlib.Path(run))))
