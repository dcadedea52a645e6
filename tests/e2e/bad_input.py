"""Tests that malformed model files, jobs, token files, checkpoints, packages and safetensors each give one clear error
and exit status 1 or 2: no crash, no stack trace, no partial output."""
import json
import os
import struct
import subprocess

from harness import BIN, MODEL, OrielTest, main

ORIELC = os.path.join(BIN, "orielc")

# What is wrong, the text, and a part of the diagnostic (file:line:col is checked for all).
MODELS = [
    ("empty file", "", ""),
    ("binary", b"\x00\xff\x7fELF\x01\x02" * 40, ""),
    ("no closing brace", MODEL.rstrip()[:-1], "}"),
    ("unknown mixer", MODEL.replace("rattention(", "ratention("), "did you mean 'rattention'"),
    ("unknown option", MODEL.replace("window = 16", "windw = 16"), "window"),
    ("heads not a multiple", MODEL.replace("heads = 2   kv_heads = 1", "heads = 3   kv_heads = 2"), "multiple"),
    ("unknown name", MODEL.replace("dim = d)", "dim = dd)"), "dd"),
    ("division by zero", MODEL.replace("hidden = 64", "hidden = 64 / 0"), "zero"),
    ("negative size", MODEL.replace("head_dim = 16", "head_dim = -16", 1), ""),
    ("text for a number", MODEL.replace("d = 32", 'd = "wide"'), ""),
    ("endless repeat", MODEL.replace("| layer(attention", "| repeat 1000000000 { layer(attention").replace(
        "rope = none))", "rope = none)) }"), ""),
    ("deep nesting", "model m { d = " + "(" * 20000 + "1" + ")" * 20000 + " }", ""),
]

JOBS = [
    ("empty", "", "model"),
    ("not toml", "model = = 3", "job.toml:1"),
    ("binary", b"\xff\xfe\x00model", "job.toml"),
    ("unknown key", "{job}\n[optimizer]\nlearning_rat = 1", "learning_rat"),
    ("unknown table", "{job}\n[trainning]\nsteps = 1", "training"),
    ("wrong type", "{job}\n[optimizer]\nlr = 'fast'", "lr"),
    ("out of range", "{job}\n[optimizer]\nbeta1 = 1.5", "beta1"),
    ("huge number", "{job}\n[optimizer]\nlr = 1e999", "1e999"),
    ("twice the same key", "{job}\n[optimizer]\nlr = 1e-3\nlr = 1e-4", "lr"),
    ("no such model", "{job}".replace("{job}", "model = 'absent.oriel'\n[data]\ntrain = 'tokens-train'"), "absent.oriel"),
]


class BadInput(OrielTest):
    def check(self, outcome, words="", made=()):
        status, out, err = outcome
        self.assertIn(status, (1, 2), f"status {status}\n{out[-500:]}\n{err[-2000:]}")
        self.assertTrue(err.strip(), "there is no message")
        for bad in ("terminate called", "Assertion", "Stack dump", "AddressSanitizer", "runtime error:", "core dumped"):
            self.assertNotIn(bad, err)
        self.assertIn(words, err)
        told = [line for line in err.splitlines() if line.startswith("oriel: ")]
        self.assertLessEqual(len(told), 1, err)
        for path in made:
            self.assertFalse(os.path.exists(self.path(path)), f"{path} was left behind")
        return err

    def orielc(self, *arguments):
        result = subprocess.run([ORIELC, *arguments], cwd=self.folder, capture_output=True, timeout=120)
        return result.returncode, result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace")

    def train_with(self, *settings):
        return self.run_oriel("train", "job.toml", *self.flags(settings))

    def test_models(self):
        for name, text, words in MODELS:
            with self.subTest(name):
                self.write("bad.oriel", text)
                err = self.check(self.orielc("bad.oriel", "-o", "package"), words, ["package"])
                self.assertRegex(err, r"bad\.oriel:\d+:\d+: ")
        self.write("bad.oriel", MODELS[3][1])
        self.check(self.train_with("model=bad.oriel"), MODELS[3][2], ["run"])

    def test_heads_too_wide_for_a_gpu(self):
        self.write("wide.oriel", MODEL.replace("head_dim = 16", "head_dim = 512"))
        err = self.check(self.orielc("wide.oriel", "--target", "nvidia:sm_80", "-o", "package"), "bytes of shared memory", ["package"])
        self.assertRegex(err, r"wide\.oriel:\d+:\d+: error: ")
        self.assertNotIn("tile.kernel", err)

    def test_jobs(self):
        job = self.read("job.toml").decode().split("[training]")[0]
        for name, text, words in JOBS:
            with self.subTest(name):
                self.write("job.toml", text if isinstance(text, bytes) else text.replace("{job}", job))
                self.check(self.run_oriel("train", "job.toml"), words, ["run"])

    def test_settings(self):
        for setting in ("training.stepz=3", "training.steps", "=", "training.steps=many", "training.batch=7",
                        "training.micro_batch=3", "distributed.fsdp=2", "distributed.listen=nowhere", "optimizer.lr=-1"):
            with self.subTest(setting):
                self.check(self.train_with(setting), "", ["run/checkpoints"])

    def replaced(self, name, content):
        os.unlink(self.path(name))
        return self.write(name, content)

    def test_token_files(self):
        index, tokens = self.read("tokens-train.idx"), self.read("tokens-train.bin")
        sequences = struct.unpack("<Q", index[18:26])[0]
        lengths = 34  # magic 9, version 8, dtype 1, two counts of 8
        cases = {
            "empty index": (b"", tokens),
            "wrong magic": (b"GARBAGE!!" + index[9:], tokens),
            "wrong version": (index[:9] + struct.pack("<Q", 9) + index[17:], tokens),
            "wrong dtype": (index[:17] + b"\x63" + index[18:], tokens),
            "index cut short": (index[:-5], tokens),
            "count overflows": (index[:18] + struct.pack("<Q", 2**63 + 1) + index[26:], tokens),
            "negative length": (index[:lengths] + struct.pack("<i", -5) + index[lengths + 4:], tokens),
            "offset outside": (index[:lengths + 4 * sequences] + struct.pack("<q", 2**40) + index[lengths + 4 * sequences + 8:],
                               tokens),
            "tokens cut short": (index, tokens[:len(tokens) // 2 + 1]),
            "no tokens": (index, b""),
            "token outside the vocabulary": (index, b"\xff\xff" * (len(tokens) // 2)),
        }
        for name, (idx, bin) in cases.items():
            with self.subTest(name):
                self.replaced("tokens-train.idx", idx)
                self.replaced("tokens-train.bin", bin)
                self.check(self.train_with("training.steps=1"), "tokens-train", ["run/checkpoints"])

    def test_checkpoints(self):
        self.train("good", "training.steps=2")
        folder = "good/checkpoints/step-000000002"
        shard = f"{folder}/shard-00000-of-00001.safetensors"
        manifest, weights = self.read(f"{folder}/manifest.json"), self.read(shard)
        fields = json.loads(manifest)
        cases = {
            "manifest is empty": (f"{folder}/manifest.json", b""),
            "manifest is no JSON": (f"{folder}/manifest.json", manifest[:-20]),
            "manifest is a list": (f"{folder}/manifest.json", b"[1, 2]"),
            "manifest lacks everything": (f"{folder}/manifest.json", b"{}"),
            "manifest of another version": (f"{folder}/manifest.json", json.dumps(
                {key: 99 if "version" in key else value for key, value in fields.items()}).encode()),
            "shard is empty": (shard, b""),
            "shard is cut short": (shard, weights[:-1]),
            "shard has a flipped bit": (shard, weights[:-100] + bytes([weights[-100] ^ 1]) + weights[-99:]),
            "shard header is huge": (shard, struct.pack("<Q", 2**62) + weights[8:]),
        }
        for name, (path, content) in cases.items():
            with self.subTest(name):
                before = self.read(path)
                self.write(path, content)
                self.check(self.run_oriel("checkpoint", "verify", folder), "step-000000002")
                self.check(self.run_oriel("export", folder, "-o", "out"), "step-000000002", ["out"])
                self.check(self.run_oriel("generate", folder, "--tokens", "1"), "step-000000002")
                self.write(path, before)
        self.assertIn("ok", self.oriel("checkpoint", "verify", folder))
        self.write("tiny.oriel", MODEL.replace("hidden = 64", "hidden = 32"))
        self.check(self.run_oriel("train", "job.toml", "--set", "run_dir=good"), "step-000000002")
        self.check(self.run_oriel("export", "nowhere", "-o", "out"), "nowhere", ["out"])

    def test_safetensors(self):
        def file(header, data=b"", length=None):
            text = header if isinstance(header, bytes) else json.dumps(header).encode()
            return struct.pack("<Q", len(text) if length is None else length) + text + data

        tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
        cases = {
            "empty": b"",
            "seven bytes": b"\0" * 7,
            "header longer than the file": file({}, length=1 << 20),
            "header longer than allowed": file({}, length=1 << 40),
            "header is no JSON": file(b"{]"),
            "header is not UTF-8": file(b'{"\xff\xfe": 1}'),
            "header is a list": file([]),
            "shape does not fit": file({"a": dict(tensor, shape=[3])}, b"\0" * 8),
            "shape overflows": file({"a": dict(tensor, shape=[2**40, 2**40])}, b"\0" * 8),
            "negative shape": file({"a": dict(tensor, shape=[-2])}, b"\0" * 8),
            "offsets outside": file({"a": dict(tensor, data_offsets=[8, 16])}, b"\0" * 8),
            "offsets backwards": file({"a": dict(tensor, data_offsets=[8, 0])}, b"\0" * 8),
            "hole": file({"a": tensor, "b": dict(tensor, data_offsets=[16, 24])}, b"\0" * 24),
            "overlap": file({"a": tensor, "b": dict(tensor, data_offsets=[4, 12])}, b"\0" * 12),
            "key twice": file(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
                              b'"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', b"\0" * 8),
            "unknown type": file({"a": dict(tensor, dtype="Q4")}, b"\0" * 8),
            "bytes behind the end": file({"a": tensor}, b"\0" * 9),
            "no golden case": file({"a": tensor}, b"\0" * 8),
        }
        for name, content in cases.items():
            with self.subTest(name):
                self.write("case.safetensors", content)
                self.check(self.run_oriel("verify", "case.safetensors"), "case.safetensors")

    def test_packages(self):
        os.makedirs(self.path("package"))
        self.write("package/plan.pb", b"garbage")
        self.check(self.run_oriel("plan", "package"), "package")
        self.check(self.run_oriel("plan", "absent.oriel"), "absent.oriel")

    def test_a_compiler_that_dies_is_reported(self):
        self.write("orielc", "#!/bin/sh\nkill -SEGV $$\n")
        os.chmod(self.path("orielc"), 0o755)
        self.check(self.train_with(f"compile.orielc={self.path('orielc')}", f"compile.cache={self.path('cache')}"), "orielc died",
                   ["run"])
        self.assertEqual(os.listdir(self.path("cache")), [])


if __name__ == "__main__":
    main()
