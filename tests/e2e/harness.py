"""What the end-to-end tests share: a folder with a space in its name, a tiny model, tokens, jobs, and ways to run.

Every test runs the real programs from $ORIEL_BIN. Packages are cached in one folder for the whole process, so that only
the first run of a shape compiles; machine code of kernels in that of ctest, where there is one.
"""
import atexit
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

BIN = os.environ.get("ORIEL_BIN", os.path.join(os.path.dirname(__file__), "../../build/bin"))
ORIEL = os.path.join(BIN, "oriel")
DEADLINE = 300  # seconds for one command; a test that reaches it has found a hang

MODEL = """model tiny {
  vocab = 257
  d = 32   heads = 2   kv_heads = 1   head_dim = 16
  block layer(mixer) {
    residual { rms_norm | mixer }
    residual { rms_norm | gated_mlp(hidden = 64, activation = silu) }
  }
  embed(vocab, dim = d)
  | layer(rattention(heads, kv_heads, head_dim, window = 16, rope = 1e4))
  | layer(attention(heads, kv_heads, head_dim, rope = none))
  | rms_norm | unembed(tied) | cross_entropy
}
"""

JOB = """model = "tiny.oriel"
run_dir = "run"
[data]
train = "tokens-train"
validation = "tokens-val"
[training]
steps = 12
batch = 8
micro_batch = 2
sequence = 48
[schedule]
warmup_steps = 3
[validation]
every = 6
batches = 4
[checkpoint]
every = 5
[metrics]
tensorboard = false
[sample]
tokens = 0
[distributed]
deadline = 60
"""

_shared = tempfile.mkdtemp(prefix="oriel e2e ")
atexit.register(shutil.rmtree, _shared, ignore_errors=True)


def text_of_a_story(lines, seed=7):
    """Deterministic text with something to learn in it."""
    rng = random.Random(seed)
    words = "the a king queen sea ship storm gold light and of in over under saw found lost kept".split()
    return "".join(" ".join(rng.choice(words) for _ in range(rng.randint(3, 12))) + ".\n" for _ in range(lines))


class OrielTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="a test ", dir=_shared)
        if "ORIEL_CACHE" in os.environ and not os.path.exists(self.shared("cache")):
            os.mkdir(self.shared("cache"))
            os.makedirs(os.path.join(os.environ["ORIEL_CACHE"], "kernels"), exist_ok=True)
            os.symlink(os.path.join(os.environ["ORIEL_CACHE"], "kernels"), self.shared("cache/kernels"))
        if not os.path.exists(self.shared("tokens-train.bin")):
            self.write(self.shared("story.txt"), text_of_a_story(12000))
            self.oriel("data", "tokenize", self.shared("story.txt"), "--tokenizer", "byte", "--output",
                       self.shared("tokens"), "--validation-every", "20")
        for name in ("tokens-train", "tokens-val"):
            for end in (".bin", ".idx"):
                os.symlink(self.shared(name + end), self.path(name + end))
        self.write("tiny.oriel", MODEL)
        self.write("job.toml", JOB)

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    # Files
    def shared(self, name):
        return os.path.join(_shared, name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    # Programs
    def start(self, *arguments, ranks=1, fail=None, environment=None):
        command = [ORIEL, *map(str, arguments)]
        if ranks > 1:
            command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", str(ranks), *command]
        variables = dict(os.environ, ORIEL_CACHE=self.shared("cache"), ORIEL_TUNING_DIR=self.shared("tuning"),
                         OMPI_MCA_btl_vader_single_copy_mechanism="none")
        variables.pop("ORIEL_FAIL", None)
        if fail:
            variables["ORIEL_FAIL"] = fail
        variables.update(environment or {})
        return subprocess.Popen(command, cwd=self.folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, errors="replace")

    def wait_for(self, condition):
        end = time.monotonic() + DEADLINE
        while not condition():
            self.assertLess(time.monotonic(), end, "it did not happen")
            time.sleep(0.05)

    def run_oriel(self, *arguments, **options):
        """Runs to the end; returns (exit status, stdout, stderr)."""
        process = self.start(*arguments, **options)
        try:
            out, err = process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"{arguments} did not end within {DEADLINE} s\n{err[-2000:]}")
        return process.returncode, out, err

    def oriel(self, *arguments, **options):
        """Runs and expects success; returns stdout."""
        status, out, err = self.run_oriel(*arguments, **options)
        self.assertEqual(status, 0, f"{arguments}\n{out[-1000:]}\n{err[-3000:]}")
        return out

    # Training
    def train(self, run, *settings, **options):
        return self.oriel("train", "job.toml", "--set", f"run_dir={run}", *self.flags(settings), **options)

    @staticmethod
    def flags(settings):
        return [part for setting in settings for part in ("--set", setting)]

    def losses(self, run):
        """[(step, name, value)] exactly as written, without times and rates."""
        kept = []
        with open(self.path(f"{run}/metrics/metrics.jsonl")) as file:
            for line in file:
                record = json.loads(line)
                kept += [(record["step"], name, record[name]) for name in
                         ("train/loss", "train/grad_norm", "validation/loss") if name in record]
        return kept

    def weights(self, run):
        """A hash of the exported parameters of the newest checkpoint."""
        self.oriel("export", f"{run}/checkpoints", "-o", f"{run}-export")
        return hashlib.sha256(self.read(f"{run}-export/model.safetensors")).hexdigest()

    def checkpoints(self, run):
        folder = self.path(f"{run}/checkpoints")
        return sorted(name for name in os.listdir(folder) if name.startswith("step-")) if os.path.isdir(folder) else []

    def assert_same_run(self, one, other):
        self.assertEqual(self.losses(one), self.losses(other))
        self.assertEqual(self.weights(one), self.weights(other))


def main():
    if not os.path.exists(ORIEL):
        sys.exit(f"{ORIEL} is not built")
    unittest.main(verbosity=2)
