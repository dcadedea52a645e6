#!/usr/bin/env python3
"""Compares the report of gpu-check with what else is on this machine, at the same shapes.

  gpu-report.py OUT.json     adds "peers" to the report and prints a table

Peers, each only if it is installed here: PyTorch's SDPA (FlashAttention inside), flex_attention (Triton), flash_attn,
flash-linear-attention (fla). What is missing is named in one line. Shapes are those of the bundled layers: one layer of the
1B class (d 2048, 16 heads of 128, 4 KV heads, hidden 5632), one row, bf16. Without PyTorch this still prints our own figures.
"""
import json
import re
import statistics
import sys

HEADS, KV_HEADS, HEAD_DIM, WIDTH, HIDDEN, WINDOW = 16, 4, 128, 2048, 5632, 4096
MIXERS = {"rattention512": "RAttention, window 512", "swa4096": "window 4096", "full": "full attention"}


def kernels_of(entry, mixer_only):
    return [step for step in entry["steps"] if not mixer_only or re.search(r"attn|attention|rla", step["action"])]


def our_rows(bench):
    """One row for each bundled model: tokens/s of forward and backward, and the rates of its mixer's kernels."""
    rows = []
    for name, report in sorted(bench.items()):
        if not report:
            rows.append({"name": name, "missing": f"did not run: see bench-{name}.err"})
            continue
        micro = next(entry for entry in report["entries"] if entry["name"] == "micro")
        mixer = kernels_of(micro, mixer_only=True)
        seconds = sum(step["seconds"] for step in mixer)
        products = [step for step in micro["steps"] if step["action"].startswith("gemm")]
        product_seconds = sum(step["seconds"] for step in products)
        memory = [step for step in micro["steps"] if step["seconds"] > 0 and not step["action"].startswith("gemm")]
        rows.append({"name": name, "tokens": report["tokens"], "seconds": micro["seconds"],
                     "tokens_per_second": report["tokens"] / micro["seconds"],
                     "mixer_seconds": seconds,
                     "mixer_tflops": sum(step["flops"] for step in mixer) / seconds / 1e12 if seconds else 0,
                     "product_tflops": sum(step["flops"] for step in products) / product_seconds / 1e12 if product_seconds else 0,
                     "best_gigabytes_per_second": max((step["bytes"] / step["seconds"] / 1e9 for step in memory), default=0)})
    return rows


class Peers:
    """Times of what PyTorch and its companions do here; `missing` says what is not."""

    def __init__(self):
        self.rows, self.missing, self.torch = [], [], None
        try:
            import torch
        except ImportError as error:
            self.missing.append(f"PyTorch: {error}")
            return
        if not torch.cuda.is_available():
            self.missing.append(f"PyTorch {torch.__version__}: it sees no GPU")
            return
        self.torch = torch

    def seconds(self, work, repeats=5):
        events = [self.torch.cuda.Event(enable_timing=True) for _ in range(2)]
        times = []
        for i in range(repeats + 2):  # two to warm up
            events[0].record()
            work()
            events[1].record()
            self.torch.cuda.synchronize()
            times.append(events[0].elapsed_time(events[1]) / 1e3)
        return statistics.median(times[2:])

    def measure(self, name, tokens, work, arguments):
        """Forward alone, then forward and backward. An error is noted, not raised: it may be lack of memory or of support."""
        torch = self.torch
        try:
            with torch.no_grad():
                forward = self.seconds(lambda: work(*arguments))
            for argument in arguments:
                argument.requires_grad_(True)

            def both():
                out = work(*arguments)
                out = out[0] if isinstance(out, tuple) else out
                out.backward(torch.ones_like(out))
                for argument in arguments:
                    argument.grad = None
            self.rows.append({"name": name, "tokens": tokens, "forward_seconds": forward, "seconds": self.seconds(both)})
        except Exception as error:  # noqa: BLE001: whatever a peer raises is its result
            self.missing.append(f"{name} at {tokens} tokens: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
        torch.cuda.empty_cache()

    def random(self, *shape):
        return self.torch.randn(*shape, device="cuda", dtype=self.torch.bfloat16) * 0.1

    def roofs(self):
        """What the GPU reaches at most: a large product, and a copy."""
        torch = self.torch
        a, b = self.random(8192, 8192), self.random(8192, 8192)
        rate = 2 * 8192**3 / self.seconds(lambda: a @ b) / 1e12
        block = torch.empty(1 << 29, device="cuda", dtype=torch.uint8)
        return {"bf16_tflops": rate, "copy_gigabytes_per_second": 2 * (1 << 29) / self.seconds(block.clone) / 1e9}

    def attention(self, tokens):
        torch = self.torch
        q, k, v = (self.random(1, heads, tokens, HEAD_DIM) for heads in (HEADS, KV_HEADS, KV_HEADS))
        sdpa = torch.nn.functional.scaled_dot_product_attention
        self.measure("SDPA, full", tokens, lambda *x: sdpa(*x, is_causal=True, enable_gqa=True), [q, k, v])
        try:
            from torch.nn.attention.flex_attention import create_block_mask, flex_attention
            mask = create_block_mask(lambda b, h, i, j: (i >= j) & (i - j <= WINDOW), None, None, tokens, tokens, device="cuda")
            flex = torch.compile(flex_attention)
            self.measure("flex_attention, window 4096", tokens, lambda *x: flex(*x, block_mask=mask, enable_gqa=True), [q, k, v])
        except Exception as error:  # noqa: BLE001
            self.missing.append(f"flex_attention: {str(error).splitlines()[0]}")
        q, k, v = (self.random(1, tokens, heads, HEAD_DIM) for heads in (HEADS, KV_HEADS, KV_HEADS))
        try:
            from flash_attn import flash_attn_func
            self.measure("flash_attn, full", tokens, lambda *x: flash_attn_func(*x, causal=True), [q, k, v])
            self.measure("flash_attn, window 4096", tokens,
                         lambda *x: flash_attn_func(*x, causal=True, window_size=(WINDOW, 0)), [q, k, v])
            self.measure("flash_attn, window 512", tokens,
                         lambda *x: flash_attn_func(*x, causal=True, window_size=(512, 0)), [q, k, v])
        except ImportError as error:
            self.note_once(f"flash_attn: {error}")
        try:
            from fla.ops.linear_attn import chunk_linear_attn
            q, k = (self.random(1, tokens, HEADS, 2 * HEAD_DIM) for _ in range(2))  # the feature map doubles the width
            v = self.random(1, tokens, HEADS, HEAD_DIM)
            self.measure("fla chunk_linear_attn", tokens, lambda *x: chunk_linear_attn(*x, normalize=False), [q, k, v])
        except ImportError as error:
            self.note_once(f"flash-linear-attention: {error}")

    def note_once(self, text):
        if text not in self.missing:
            self.missing.append(text)

    def layer(self, tokens):
        """The layer with full attention, as a user of PyTorch writes it."""
        torch, functional = self.torch, self.torch.nn.functional
        x = self.random(1, tokens, WIDTH)
        shapes = [(HEADS * HEAD_DIM, WIDTH), (2 * KV_HEADS * HEAD_DIM, WIDTH), (WIDTH, HEADS * HEAD_DIM), (2 * HIDDEN, WIDTH), (WIDTH, HIDDEN)]
        weights = [self.random(*shape) for shape in shapes]

        def layer(x, wq, wkv, wo, up, down):
            h = functional.rms_norm(x, (WIDTH,))
            q = (h @ wq.T).view(1, tokens, HEADS, HEAD_DIM).transpose(1, 2)
            k, v = (h @ wkv.T).view(1, tokens, 2, KV_HEADS, HEAD_DIM).unbind(2)
            o = functional.scaled_dot_product_attention(q, k.transpose(1, 2), v.transpose(1, 2), is_causal=True, enable_gqa=True)
            x = x + o.transpose(1, 2).reshape(1, tokens, WIDTH) @ wo.T
            gate, value = (functional.rms_norm(x, (WIDTH,)) @ up.T).chunk(2, dim=-1)
            return x + (functional.silu(gate) * value) @ down.T
        self.measure("PyTorch layer, full attention", tokens, layer, [x, *weights])
        self.measure("torch.compile layer, full attention", tokens, torch.compile(layer), [x, *weights])

    def run(self, lengths):
        if not self.torch:
            return {"missing": self.missing}
        report = {"torch": self.torch.__version__, "roofs": self.roofs()}
        for tokens in lengths:
            self.attention(tokens)
            self.layer(tokens)
        return dict(report, rows=self.rows, missing=self.missing)


def shown(name):
    match = re.fullmatch(r"layer-(\w+)-t(\d+)", name)
    return f"Oriel layer, {MIXERS.get(match[1], match[1])}" if match else f"Oriel {name}"


def print_table(ours, peers):
    print(f"{'forward and backward':44} {'tokens':>7} {'ms':>10} {'tokens/s':>12}  mixer TFLOP/s  products TFLOP/s  best GB/s")
    for row in ours:
        if "missing" in row:
            print(f"{shown(row['name']):44} {row['missing']}")
        else:
            print(f"{shown(row['name']):44} {row['tokens']:7} {row['seconds'] * 1e3:10.3f} {row['tokens_per_second']:12.0f}"
                  f"  {row['mixer_tflops']:13.2f}  {row['product_tflops']:16.2f}  {row['best_gigabytes_per_second']:9.1f}")
    for row in peers.get("rows", []):
        print(f"{row['name']:44} {row['tokens']:7} {row['seconds'] * 1e3:10.3f} {row['tokens'] / row['seconds']:12.0f}")
    if "roofs" in peers:
        print(f"roofs here: {peers['roofs']['bf16_tflops']:.0f} TFLOP/s in bf16, {peers['roofs']['copy_gigabytes_per_second']:.0f} GB/s")
    for text in peers["missing"]:
        print(f"not compared: {text}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1]) as file:
        report = json.load(file)
    ours = our_rows(report["bench"])
    lengths = sorted({row["tokens"] for row in ours if "tokens" in row and row["name"].startswith("layer-")})
    peers = Peers().run(lengths)
    report["ours"], report["peers"] = ours, peers
    with open(sys.argv[1], "w") as file:
        json.dump(report, file, indent=1)
    print_table(ours, peers)


if __name__ == "__main__":
    main()
