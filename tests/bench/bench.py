#!/usr/bin/env python3
"""Measures whole processes: compile time, time to the first step, tokens per second, peak memory.

  tools/dev bench [--dtypes f32,bf16]                         Oriel alone
  tools/dev bench --peers DIR --torch PYTHON [--jax PYTHON]   beside train_torch.py and train_jax.py of DIR
  tools/dev bench --ops [--peers DIR --torch PYTHON]          single mixers, forward and gradient, beside ops_torch.py
  tools/dev bench --twin [--models ra-small]                  whole steps beside the same model with full attention in every layer

Contenders take turns (A B C A B C …) and medians of --runs runs are printed, because machines are shared. Speed is
always a ratio within one table; a figure of one table says nothing about a figure of another.
"""
import argparse
import json
import os
import random
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODELS = {"ra-nano": dict(batch=8, tokens=1024, vocab=4096), "ra-small": dict(batch=1, tokens=2048, vocab=16384)}

JOB = """model = "{source}"
run_dir = "{run_dir}"
[data]
train = "{prefix}"
[training]
steps = {steps}
dtype = "{dtype}"
batch = {batch}
micro_batch = {batch}
sequence = {tokens}
resume = false
[metrics]
tensorboard = false
report = false
[checkpoint]
every = 0
[sample]
tokens = 0
"""


def write_tokens(prefix, vocab, count):
    """A Megatron .bin/.idx pair of one document of random tokens."""
    rng = random.Random(1)
    with open(prefix + ".bin", "wb") as out:
        out.write(struct.pack(f"<{count}H", *(rng.randrange(vocab) for _ in range(count))))
    with open(prefix + ".idx", "wb") as out:
        out.write(b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, 1, 2))
        out.write(struct.pack("<iqqq", count, 0, 0, 1))


def run(command, env=None):
    """Returns (peak resident MiB, stdout, wall-clock start) of one process; fails loudly."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.time()
        process = subprocess.Popen(command, stdout=out, stderr=err, env={**os.environ, **(env or {})})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed ({process.returncode}):\n{err.read().decode()[-2000:]}")
        return usage.ru_maxrss / 1024, out.read().decode(), start


def write_twin(source, into):
    """The model of `source` with full attention instead of RAttention: same heads, rotations and weights."""
    with open(source) as text:
        twin, count = re.subn(r"\brattention\((.*?),\s*window = [\d_]+", r"attention(\1", text.read())
    if not count:
        sys.exit(f"{source}: no rattention(..., window = N) to replace")
    with open(into, "w") as out:
        out.write(twin)


class Oriel:
    def __init__(self, build, model, dtype, folder, steps, twin=False):
        self.dtype, self.spec, self.steps = dtype, MODELS[model], steps
        self.bin, self.folder = os.path.join(build, "bin"), folder
        self.source = f"{ROOT}/trainer/examples/{model}.oriel"
        if twin:
            twin_source = os.path.join(folder, f"{model}-twin.oriel")
            write_twin(self.source, twin_source)
            self.source = twin_source
        self.prefix = os.path.join(folder, f"{model}-tokens")
        self.row = f"Oriel {dtype} (warm cache)"
        write_tokens(self.prefix, self.spec["vocab"], self.spec["batch"] * self.spec["tokens"] * 16)

    def compile(self):
        """Seconds of one `orielc` that finds no kernel compiled."""
        cache = os.path.join(self.folder, "cache-compile")
        shutil.rmtree(cache, ignore_errors=True)
        start = time.perf_counter()
        run([f"{self.bin}/orielc", self.source, "--batch", str(self.spec["batch"]), "--tokens", str(self.spec["tokens"]),
             "--dtype", self.dtype, "-o", os.path.join(self.folder, "package")], {"ORIEL_CACHE": cache})
        return time.perf_counter() - start

    def train(self, cold, steps=None):
        """One `oriel train`: (seconds from the command to the first finished step, tokens per second, peak MiB)."""
        cache, run_dir = os.path.join(self.folder, "cache-" + self.dtype), os.path.join(self.folder, "run")
        if cold:
            shutil.rmtree(cache, ignore_errors=True)
        shutil.rmtree(run_dir, ignore_errors=True)
        job = os.path.join(self.folder, "job.toml")
        with open(job, "w") as out:
            out.write(JOB.format(source=self.source, dtype=self.dtype, prefix=self.prefix, run_dir=run_dir,
                                 steps=steps or self.steps, **self.spec))
        peak, _, start = run([f"{self.bin}/oriel", "train", job], {"ORIEL_CACHE": cache})
        with open(os.path.join(run_dir, "metrics", "metrics.jsonl")) as lines:
            times = [json.loads(line)["time"] for line in lines if "train/loss" in line]
        gaps = [b - a for a, b in zip(times, times[1:])]
        rate = self.spec["batch"] * self.spec["tokens"] / statistics.median(gaps) if gaps else None
        return times[0] - start, rate, peak


def torch_row(python, folder, model, name):
    """(seconds of the first two steps, tokens per second, peak MiB) of one contender in a process of its own."""
    swa = ["--eager_swa", "fn:64:64", "--compile_swa", "manual:64:64" if model == "ra-nano" else "fn:128:64"]
    peak, text, _ = run([python, os.path.join(folder, "train_torch.py"), "--spec", model, "--names", name, "--reps", "3"] + swa,
                        {"OMP_NUM_THREADS": "2"})
    head = next(line for line in text.splitlines() if line.startswith("# "))
    return float(head.split("first two steps ")[1].split("s")[0]), json.loads(text.splitlines()[-1])["tok_s"], peak


def jax_row(python, folder, model):
    peak, text, _ = run([python, os.path.join(folder, "train_jax.py"), "--spec", model, "--prec", "f32", "--reps", "3"])
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return None, rows[-1]["tok_s"], peak


def show(name, rows, all_rows):
    """Prints medians; rates are divided by that of Oriel in the same dtype."""
    column = lambda i: [row[i] for row in rows if row[i] is not None]
    first = f"{statistics.median(column(0)):8.2f}" if column(0) else f"{'-':>8}"
    rate = statistics.median(column(1))
    dtype = "bf16" if "bf16" in name else "f32"
    reference = statistics.median(row[1] for row in all_rows.get(f"Oriel {dtype} (warm cache)", rows))
    print(f"{name:30} {first} {rate:10,.0f} {rate / reference:8.2f} {statistics.median(column(2)):10,.0f}", flush=True)


def measure(model, options):
    median = statistics.median
    with tempfile.TemporaryDirectory() as folder:
        oriels = [Oriel(options.build, model, dtype, folder, options.steps) for dtype in options.dtypes.split(",")]
        compiles = {oriel.row: [oriel.compile() for _ in range(options.runs)] for oriel in oriels}
        cold = {oriel.row: [oriel.train(cold=True, steps=1)[0] for _ in range(options.runs)] for oriel in oriels}
        rows = {}
        for _ in range(options.runs):
            for oriel in oriels:
                rows.setdefault(oriel.row, []).append(oriel.train(cold=False))
            for name in options.torch_names.split(",") if options.torch else ():
                rows.setdefault("PyTorch " + name, []).append(torch_row(options.torch, options.peers, model, name))
            if options.jax:
                rows.setdefault("JAX jit f32", []).append(jax_row(options.jax, options.peers, model))
    print(f"\n{model}: {MODELS[model]['batch']} x {MODELS[model]['tokens']} tokens per step, medians of {options.runs} runs")
    for oriel in oriels:
        print(f"{oriel.dtype}: orielc {median(compiles[oriel.row]):.2f} s; from the command to the first finished step, "
              f"cold cache: {median(cold[oriel.row]):.2f} s")
    print(f"{'contender':30} {'first s':>8} {'tok/s':>10} {'/ Oriel':>8} {'peak MiB':>10}")
    for name, samples in rows.items():
        show(name, samples, rows)


def measure_twin(model, options):
    """Tokens per second of the model and of its full-attention twin, whole training steps in turns."""
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        for dtype in options.dtypes.split(","):
            pair = [Oriel(options.build, model, dtype, folder, options.steps, twin) for twin in (False, True)]
            for oriel in pair:
                oriel.train(cold=False, steps=1)
            for _ in range(options.runs):
                for name, oriel in zip(("RAttention", "full attention"), pair):
                    rates.setdefault((dtype, name), []).append(oriel.train(cold=False)[1])
    print(f"\n{model} and its full-attention twin: {MODELS[model]['batch']} x {MODELS[model]['tokens']} tokens per step, "
          f"tok/s, medians of {options.runs} runs in turns")
    print(f"{'dtype':6} {'RAttention':>12} {'full':>10} {'ratio':>7}")
    for dtype in options.dtypes.split(","):
        ours, full = (statistics.median(rates[dtype, name]) for name in ("RAttention", "full attention"))
        print(f"{dtype:6} {ours:12,.0f} {full:10,.0f} {ours / full:7.3f}")


OPS = [("RAttention, window 512", "ra", 8192, 512, "ra512c"), ("full attention", "full", 8192, -1, "full"),
       ("window attention, window 4096", "swa", 8192, 4096, "swa4096"), ("RAttention, window 512", "ra", 4096, 512, None),
       ("RAttention, window 512", "ra", 65536, 512, None)]


def oriel_op(build, kind, tokens, window, threads, dtype):
    """Milliseconds (wall, CPU) of one run of one mixer: 8 query and 2 key/value heads of 128."""
    _, text, _ = run([f"{build}/bin/oriel-bench-ops", kind, str(tokens), str(window), "--threads", str(threads), "--dtype", dtype])
    row = json.loads(text)
    return row["wall_ms"][0], row["cpu_ms"][0]


def torch_ops(python, folder, tokens, threads, dtype):
    """{name of ops_torch.py: (wall, CPU)} at one length."""
    _, text, _ = run([python, os.path.join(folder, "ops_torch.py"), "--T", str(tokens), "--dt", dtype, "--threads",
                      str(threads), "--reps", "1", "--compile", "--skip", "ra512,rla512,swa512"])
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return {row["op"]: (row["wall"], row["cpu_ms"]) for row in rows}


def measure_ops(options, dtype):
    """One row per mixer; Oriel and torch take turns."""
    ours, theirs = {}, {}
    for _ in range(options.runs):
        for op in OPS:
            ours.setdefault(op, []).append(oriel_op(options.build, *op[1:4], options.threads, dtype))
        if options.torch:
            for name, times in torch_ops(options.torch, options.peers, 8192, options.threads, dtype).items():
                theirs.setdefault(name, []).append(times)
    median = lambda samples, i: statistics.median(sample[i] for sample in samples)
    print(f"forward + gradient, {dtype}, {options.threads} threads, 8 / 2 heads of 128; medians of {options.runs} runs, ms")
    print(f"{'mixer':32} {'tokens':>7} {'wall':>9} {'CPU':>9} {'us/token':>9} {'torch':>9} {'torch / Oriel':>13}")
    for op in OPS:
        wall, cpu = median(ours[op], 0), median(ours[op], 1)
        peer = median(theirs[op[4]], 0) if op[4] in theirs else None
        print(f"{op[0]:32} {op[2]:7} {wall:9.0f} {cpu:9.0f} {1e3 * cpu / op[2]:9.1f} "
              + (f"{peer:9.0f} {peer / wall:13.2f}" if peer else f"{'-':>9} {'-':>13}"))
    print(f"RAttention, window 512, against window attention, window 4096, CPU: {median(ours[OPS[0]], 1) / median(ours[OPS[2]], 1):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--models", default="ra-nano", help="of " + ", ".join(MODELS))
    parser.add_argument("--dtypes", default="f32", help="of f32, bf16: what Oriel trains in")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--peers", help="folder with train_torch.py and train_jax.py")
    parser.add_argument("--torch", help="python with torch")
    parser.add_argument("--torch-names", help="contenders of train_torch.py; default: eager and compiled in --dtypes")
    parser.add_argument("--jax", help="python with jax")
    parser.add_argument("--ops", action="store_true", help="single mixers instead of models")
    parser.add_argument("--twin", action="store_true", help="beside full attention in every layer, instead of beside peers")
    parser.add_argument("--threads", type=int, default=2, help="of --ops")
    options = parser.parse_args()
    if (options.torch or options.jax) and not options.peers:
        parser.error("--torch and --jax need --peers DIR")
    if not options.torch_names:
        options.torch_names = ",".join(f"ra-{mode}-{dtype}" for dtype in options.dtypes.split(",") for mode in ("eager", "compile"))
    if options.ops:
        for dtype in options.dtypes.split(","):
            measure_ops(options, dtype)
        return
    for model in options.models.split(","):
        (measure_twin if options.twin else measure)(model, options)


if __name__ == "__main__":
    main()
