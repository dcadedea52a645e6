"""Tests oriel-tune and oriel bench on a tiny model: what they print, for people and for programs."""
import json
import os
import re
import signal
import subprocess
import sys
import time

from harness import BIN, OrielTest, main

SHAPE = ("--batch", "2", "--tokens", "48")


class Tune(OrielTest):
    def setUp(self):
        super().setUp()
        self.environment = {"ORIEL_TUNING_DIR": self.path("tuning"), "ORIEL_CACHE": self.shared("cache")}

    def run_tool(self, name, *arguments):
        """Runs to the end; returns (exit status, stdout, stderr)."""
        result = subprocess.run([os.path.join(BIN, name), *map(str, arguments)], cwd=self.folder, capture_output=True,
                                text=True, timeout=300, env=dict(os.environ, **self.environment))
        return result.returncode, result.stdout, result.stderr

    def tool(self, name, *arguments):
        status, out, err = self.run_tool(name, *arguments)
        self.assertEqual(status, 0, f"{name} {arguments}\n{out[-1000:]}\n{err[-3000:]}")
        return out

    def tune(self, *arguments):
        return self.tool("oriel-tune", *arguments)

    def package(self, name="package", *options):
        """The model compiled with these options, once for all tests."""
        folder = self.shared(name)
        if not os.path.exists(folder):
            self.tool("orielc", "tiny.oriel", *SHAPE, "-o", folder, *options)
        return folder

    def test_bench_measures_every_step_of_a_package(self):
        package = self.package()
        result = json.loads(self.tool("oriel", "bench", package, "--repeats", "3", "--threads", "1"))
        self.assertEqual(result["threads"], 1)
        self.assertEqual([entry["name"] for entry in result["entries"]], ["micro", "update"])
        shown = json.loads(self.tune("show", package, "--json"))
        self.assertEqual(result["memory_bytes"], shown["memory_bytes"])
        self.assertGreaterEqual(result["resident_bytes"], shown["memory_bytes"])
        steps = [step for entry in result["entries"] for step in entry["steps"]]
        self.assertEqual(len(steps), sum(kernel["calls"] for kernel in shown["kernels"]))
        self.assertTrue(all(step["seconds"] > 0 for step in steps))
        self.assertIn("layers.0.mixer", {step["layer"] for step in steps})
        self.assertTrue(all(entry["seconds"] > 0 for entry in result["entries"]))

    def test_a_schedule_says_whether_time_or_memory_decided_on_a_mixer(self):
        for budget, words in (("unlimited", "next"), ("auto", r"faster with [\d.]+ MiB")):
            text = self.tool("orielc", "tiny.oriel", "--batch", "4", "--tokens", "256", "--device", "generic-cpu",
                             "--memory-budget", budget, "--emit", "schedule")
            self.assertRegex(text, rf'layers.0.mixer.residual_linear_attention chunk .* why "[\d.]+ MiB saved, predicted '
                                   rf'[\d.]+ ms; {words}: chunk \d+ save_every \d+')

    def test_bench_refuses_what_it_cannot_run(self):
        status, _, err = self.run_tool("oriel", "bench", "no-package")
        self.assertEqual(status, 1)
        self.assertIn("no-package", err)
        self.assertEqual(self.run_tool("oriel", "bench", "x", "--repeats", "0")[0], 2)

    def test_show_of_a_model_is_that_of_its_package(self):
        model = self.tune("show", "tiny.oriel", *SHAPE, "--json")
        self.assertEqual(self.tune("show", self.package(), "--json"), model)

    def test_show_tells_kernels_schedule_and_memory(self):
        text = self.tune("show", self.package())
        self.assertRegex(text, r"^tiny: 2 x 48 tokens per micro-batch, predicted for generic-cpu\n")
        self.assertRegex(text, r"\ngemm \d+x\d+x\d+ N[NT] +layers\.\{0-1\}\.mlp ")
        self.assertRegex(text, r"\nlayers\.0\.mixer +\d+ +\d+ +(fused with its window|apart)")
        self.assertRegex(text, r"\nstep +predicted [\d.]+ [mu]?s \(\d+ tokens/s\)\n")
        self.assertIn("█", text)
        shown = json.loads(self.tune("show", self.package(), "--json"))
        self.assertAlmostEqual(sum(kernel["predicted_seconds"] for kernel in shown["kernels"]),
                               shown["predicted_seconds"], places=9)
        self.assertLessEqual(max(shown["timeline_bytes"]), shown["arena_bytes"])
        self.assertGreater(max(shown["timeline_bytes"]), 0.8 * shown["arena_bytes"])
        self.assertGreater(sum(kernel["saved_bytes"] for kernel in shown["kernels"]), 0)

    def test_show_tells_what_a_kernel_takes_of_a_gpu(self):
        package = self.package("hopper", "--target", "nvidia:sm_90a")
        shown = json.loads(self.tune("show", package, "--json"))
        self.assertEqual(shown["device"], "h100")
        kernels = [kernel for kernel in shown["kernels"] if "gpu" in kernel]
        assembled = [kernel for kernel in kernels if "registers" in kernel["gpu"]]
        self.assertGreater(len(kernels), 10)
        self.assertTrue(all(kernel["gpu"]["threads"] >= 128 for kernel in kernels))
        text = self.tune("show", package)
        self.assertRegex(text, r"\nkernel and tiles .* threads +registers +spilled +shared KiB +warps +mma +moved MB")
        if assembled:  # where there is ptxas
            self.assertEqual(len(assembled), len(kernels))
            self.assertTrue(all(0 < kernel["gpu"]["occupancy"] <= 1 for kernel in assembled))
            self.assertTrue(any(kernel["gpu"]["tensor_instructions"] > 0 for kernel in assembled))
        other = json.loads(self.tune("show", package, "--json", "--device", "h200"))
        self.assertEqual(other["device"], "h200")
        self.assertLess(other["predicted_seconds"], shown["predicted_seconds"])

    def with_assembler(self, spilling):
        """Puts a ptxas first on PATH that says of kernels with a chunk of `spilling` tokens that they spill, and counts its runs."""
        self.write("bin/ptxas", f"""#!{sys.executable}
import re, sys
if "--version" in sys.argv:
    print("Cuda compilation tools, release 99.1, V99.1.0")
    sys.exit()
ptx = next(word for word in sys.argv if word.endswith(".ptx"))
open({self.path("runs")!r}, "a").write("run\\n")
for name in re.findall(r"\\.entry\\s+(\\w+)", open(ptx).read()):
    spills = 48 if "_c{spilling}_" in name else 0
    print(f"ptxas info    : Compiling entry function '{{name}}' for 'sm_90a'")
    print(f"    0 bytes stack frame, {{spills // 2}} bytes spill stores, {{spills // 2}} bytes spill loads")
    print("ptxas info    : Used 168 registers, used 1 barriers")
open(sys.argv[sys.argv.index("-o") + 1], "w").write("no machine code")
""")
        os.chmod(self.path("bin/ptxas"), 0o755)
        self.environment.update(PATH=self.path("bin") + ":" + os.environ["PATH"], ORIEL_CACHE=self.path("cache"))

    def runs_of_assembler(self):
        runs = self.read("runs").splitlines()
        self.write("runs", "")
        return len(runs)

    def test_what_an_assembler_says_refuses_schedules_of_gpus(self):
        os.mkdir(self.path("bin"))
        self.with_assembler(spilling=64)
        shape = ("tiny.oriel", "--batch", "2", "--tokens", "256", "--target", "sm_90a")
        story = json.loads(self.tune("explain", "layers.0.mixer", *shape, "--json"))
        mixer = story["mixers"][0]
        refused = {way["way"]: way["why"] for way in mixer["refused"]}
        self.assertRegex(refused["chunk 64 save_every 1"], r"^rla_\w+_c64_\w+ spills 48 bytes of a thread at 168 registers$")
        self.assertEqual({candidate["chunk"] for candidate in mixer["candidates"]}, {32})
        self.assertFalse(any("chunk 128" in way for way in refused), "longer than what is refused altogether: not assembled")
        first = self.runs_of_assembler()
        self.assertGreater(first, 4)
        text = self.tune("explain", "layers.0.mixer", *shape)
        self.assertRegex(text, r"kernels: assembled by ptxas-99\.1, nothing was run\n")
        self.assertRegex(text, r"\nrefused: chunk 64 save_every 1: rla_\w+ spills 48 bytes")
        self.assertRegex(text, r"\nattn_dq [^\n]*: tiles, and the fastest rivals of \d+\n[^\n]*rows +columns +warps +stages +predicted")
        tilings = {re.match("[a-z]+_[a-z]+", tiling["kernel"])[0]: tiling["candidates"] for tiling in story["tilings"]}
        self.assertLessEqual({"attn_fwd", "attn_dq", "attn_dkdv", "rla_fwd", "rla_bwd"}, set(tilings))
        for kernel, candidates in tilings.items():
            chosen, *rivals = candidates
            self.assertTrue(chosen["assembled"], kernel)
            self.assertEqual(chosen["registers"], 168, kernel)
            self.assertTrue(all(rival["predicted_seconds"] >= 0.97 * chosen["predicted_seconds"] for rival in rivals), kernel)
        self.assertGreater(len({(c["rows"], c["columns"]) for c in tilings["attn_fwd"]}), 3)
        self.assertGreater(len({c["stages"] for c in tilings["attn_fwd"]}), 1)
        self.assertEqual(self.runs_of_assembler(), 0, "every kernel is assembled once")
        found = json.loads(self.tune("search", *shape, "--json", "--candidates", "2"))
        self.assertEqual(found["assembler"], "ptxas-99.1")
        self.assertEqual([trial["registers"] for trial in found["trials"]], [168, 168])
        self.assertEqual([trial["spill_bytes"] for trial in found["trials"]], [0, 0])
        self.assertEqual({way["way"]: way["why"] for way in found["refused"]}, refused)
        self.assertLessEqual(found["trials"][0]["predicted_seconds"], found["trials"][1]["predicted_seconds"])
        shown = json.loads(self.tune("show", *shape, "--json"))
        self.assertRegex(shown["mixers"][0]["why"], r"; \d+ refused: rla_\w+ spills 48 bytes of a thread")

    def test_tiles_by_hand(self):
        os.mkdir(self.path("bin"))
        self.with_assembler(spilling=64)
        shape = ("tiny.oriel", "--batch", "2", "--tokens", "256")

        def schedule(*options):
            return self.run_tool("orielc", *shape, "--target", "nvidia:sm_90a", "--emit", "schedule", *options)
        status, chosen, err = schedule()
        self.assertEqual(status, 0, err)
        for kernel in ("attn_fwd", "attn_dq", "attn_dkdv"):
            self.assertRegex(chosen, rf"(?m)^tape\.tiles @layers\.1\.mixer\.attention {kernel} .*why \"predicted [\d.]+ ms; next: ")
        status, again, err = schedule("--schedule", self.write("s.mlir", chosen))
        self.assertEqual(status, 0, err)
        without_reasons = [re.sub(r" why .*", "", text) for text in (chosen, again)]
        self.assertEqual(*without_reasons)
        self.assertIn('why "given"', again)
        own = "tape.tiles @layers.1.mixer.attention attn_dq rows 64 columns 32 warps 8 stages 2\n"
        explained = self.tune("explain", "layers.1.mixer", *shape, "--target", "sm_90a", "--schedule", self.write("s.mlir", own))
        self.assertRegex(explained, r"\nattn_dq [^\n]* q64 k32 [^\n]*: tiles, given by hand\n.*\n.*\ngiven +64 +32 +8 +2 ")
        self.assertRegex(explained, r"\nattn_dkdv [^\n]*: tiles, and the fastest rivals of \d+\n")
        mixer = "@layers.0.mixer.residual_linear_attention"
        for text, why in (
                (f"tape.schedule {mixer} chunk 64 save_every 1\ntape.tiles {mixer} rla_bwd columns 32",
                 r"rla_bwd cannot have the given tiles \(columns 32\): spills 48 bytes of a thread at 168 registers"),
                (f"tape.schedule {mixer} chunk 32 save_every 1\ntape.tiles {mixer} rla_states columns 32",
                 r"tiles are given for rla_states, which does not run"),
                ("tape.tiles @layers.1.mixer.attention attn_dkdv rows 512 columns 512 warps 8",
                 r"attn_dkdv cannot have the given tiles \(rows 512 columns 512 warps 8\): \w+ needs \d+ bytes of shared memory")):
            status, _, err = schedule("--schedule", self.write("s.mlir", text))
            self.assertEqual(status, 1)
            self.assertRegex(err, r"tiny\.oriel:\d+:\d+: error: " + why)

    def test_show_measures(self):
        shown = json.loads(self.tune("show", self.package(), "--json", "--measure", "--repeats", "2"))
        self.assertGreater(shown["measured_seconds"], 0)
        self.assertTrue(all(kernel["measured_seconds"] > 0 for kernel in shown["kernels"]))
        self.assertIn("predicted / measured = ", self.tune("show", "tiny.oriel", *SHAPE, "--measure", "--repeats", "2"))

    def test_show_writes_a_page_that_stands_alone(self):
        self.assertEqual(self.tune("show", self.package(), "--html", "-o", "page.html"), "")
        page = self.read("page.html").decode()
        self.assertIn("<svg", page)
        self.assertIn("layers.0.mixer", page)
        self.assertIsNone(re.search(r"<script|src=|https?:|url\(", page))

    def test_explain_sets_the_chosen_schedule_against_its_rivals(self):
        story = json.loads(self.tune("explain", "layers.0.mixer", "tiny.oriel", *SHAPE, "--json",
                                     "--memory-budget", "unlimited"))
        shown = json.loads(self.tune("show", "tiny.oriel", *SHAPE, "--json", "--memory-budget", "unlimited"))
        self.assertEqual((story["predicted_seconds"], story["peak_bytes"]), (shown["predicted_seconds"], shown["memory_bytes"]))
        candidates = story["mixers"][0]["candidates"]
        self.assertTrue(candidates[0]["chosen"])
        self.assertEqual(candidates[0]["change"], {"step_seconds": 0, "peak_bytes": 0})
        self.assertGreater(len(candidates), 4)
        fastest = min(c["forward_seconds"] + c["backward_seconds"] for c in candidates)
        self.assertEqual(candidates[0]["forward_seconds"] + candidates[0]["backward_seconds"], fastest,
                         "without a budget the fastest is chosen")
        self.assertTrue(all(c["change"]["step_seconds"] >= 0 for c in candidates))
        self.assertIn("layers.0.mixer.wq.linear", {op["path"] for op in story["ops"]})
        needed = [op for op in story["ops"] if op["needed"]]
        self.assertTrue(needed and all(op["otherwise"]["step_seconds"] > 0 for op in needed if not op["recompute"]))
        text = self.tune("explain", "layers.0", "tiny.oriel", *SHAPE)
        self.assertRegex(text, r"\nchosen +\d+ +\d+ ")
        self.assertIn("layers.0.mlp.gate.linear", text)
        self.assertIn("<table>", self.tune("explain", "layers.0", "tiny.oriel", *SHAPE, "--html"))
        status, _, err = self.run_tool("oriel-tune", "explain", "layers.9", "tiny.oriel", *SHAPE)
        self.assertEqual(status, 1)
        self.assertIn("'layers.9'; there are", err)

    def test_diff_names_what_a_budget_changes(self):
        least = self.package("least", "--memory-budget", "least")
        changed = json.loads(self.tune("diff", self.package(), least, "--json"))
        self.assertLess(changed["b"]["arena_bytes"], changed["a"]["arena_bytes"])
        self.assertGreater(changed["b"]["predicted_seconds"], changed["a"]["predicted_seconds"])
        self.assertGreater(changed["b"]["ops_made_again"], 0)
        self.assertTrue(any(kernel["calls"][1] > kernel["calls"][0] for kernel in changed["kernels"]))
        text = self.tune("diff", self.package(), least)
        self.assertRegex(text, r"\narena MiB +[\d.]+ +[\d.]+ +-")
        self.assertIn("the same kernels", self.tune("diff", self.package(), "tiny.oriel", *SHAPE))
        self.assertIn("<svg", self.tune("diff", self.package(), least, "--html"))

    def test_frontier_falls_with_memory(self):
        curve = json.loads(self.tune("frontier", "tiny.oriel", *SHAPE, "--budgets", "90,60,40", "--json", "--measure",
                                     "--repeats", "1"))
        points = curve["points"]
        self.assertEqual([point["share"] for point in points], [1, 0.9, 0.6, 0.4])
        self.assertTrue(points[0]["fits"] and points[1]["fits"], points)
        reached = [point for point in points if point["fits"]]
        for larger, smaller in zip(reached, reached[1:]):
            self.assertLessEqual(larger["predicted_seconds"], smaller["predicted_seconds"])
        for point in reached:
            self.assertLessEqual(point["memory_bytes"], point["budget_bytes"])
            self.assertGreater(point["measured_seconds"], 0)
        page = self.tune("frontier", "tiny.oriel", *SHAPE, "--budgets", "60", "--html")
        self.assertIn("seconds per step", page)
        self.assertRegex(page, r"<td>100 %</td>")

    def predicted(self):
        return json.loads(self.tune("show", "tiny.oriel", *SHAPE, "--json"))["predicted_seconds"]

    def test_calibrate_writes_the_descriptor_that_later_compilations_use(self):
        before = self.predicted()
        result = json.loads(self.tune("calibrate", "tiny.oriel", *SHAPE, "--repeats", "2", "--json"))
        self.assertTrue(result["file"].startswith(self.path("tuning")), result)
        self.assertGreater(len(result["runs"]), 3)
        after = self.predicted()
        self.assertNotEqual(after, before)
        self.assertAlmostEqual(after, result["runs"][0]["predicted_seconds"], delta=0.5 * after)
        self.assertIn("predicted for " + result["device"], self.tune("show", "tiny.oriel", *SHAPE))
        self.tool("orielc", "tiny.oriel", *SHAPE, "--emit", "schedule", "--problem", "p.problem")
        self.assertIn("device " + result["device"], self.read("p.problem").decode())

    def test_search_writes_the_record_that_later_compilations_use(self):
        before, key = self.predicted(), self.cached_package()
        found = json.loads(self.tune("search", "tiny.oriel", *SHAPE, "--repeats", "1", "--candidates", "3", "--json"))
        self.assertTrue(found["record"].startswith(self.path("tuning")), found)
        ways = [tuple(trial[key] for key in ("chunk", "save_every", "two_pass", "fused", "tile")) for trial in found["trials"]]
        self.assertEqual(len(ways), len(set(ways)), "each schedule is one trial")
        self.assertIn(len(ways), (3 + 3, 3 + 4), "the fastest fused one with its own tile may be among the three")
        tiled = [trial for trial in found["trials"] if trial["tile"] > 0]
        self.assertEqual({trial["tile"] for trial in tiled}, {32, 64, 128})
        self.assertTrue(all(trial["fused"] for trial in tiled))
        times = [trial["measured_seconds"] for trial in found["trials"]]
        self.assertEqual(times, sorted(times))
        self.assertEqual(found["before"]["predicted_seconds"], before)
        after = self.predicted()
        self.assertNotEqual(after, before)
        self.assertEqual(after, found["after"]["predicted_seconds"])
        self.assertNotEqual(self.cached_package(), key, "the record is in the key of the package cache")
        self.assertRegex(self.tune("show", "tiny.oriel", *SHAPE), r"gemm \d+x\d+x\d+ .* measured\n")
        with open(found["record"], "a") as record:
            record.write("measured never fill\n")
        lines = len(open(found["record"]).readlines())
        status, _, err = self.run_tool("oriel", "train", "job.toml", "--dry-run")
        self.assertNotEqual(status, 0)
        self.assertIn(f"{found['record']}:{lines}:10: ", err)

    def cached_package(self):
        """The folder of the package that a training job would use."""
        status, _, err = self.run_tool("oriel", "train", "job.toml", "--dry-run")
        self.assertEqual(status, 0, err)
        return re.search(r"package (.*) \(", err)[1]

    def test_tuning_files_are_checked(self):
        self.write("bad.device", "device d\nmemory -1\n")
        self.write("bad.tuning", "device d\nmeasured soon gemm 1x1x1 NT\n")
        for option, message in ((("--device", "bad.device"), "bad.device:2:8: "), (("--tuning", "bad.tuning"), "bad.tuning:2:10: ")):
            for command in (("oriel-tune", "show"), ("orielc", "--explain")):
                status, _, err = self.run_tool(*command, "tiny.oriel", *SHAPE, *option)
                self.assertEqual(status, 1, command)
                self.assertIn(message, err)
        self.write("foreign.tuning", "device elsewhere\nmeasured 9 fill\n")
        for command in (("oriel-tune", "show"), ("orielc", "--explain")):
            status, _, err = self.run_tool(*command, "tiny.oriel", *SHAPE, "--tuning", "foreign.tuning")
            self.assertEqual(status, 0, err)
            self.assertIn("is of the device 'elsewhere'", err)

    def test_a_signal_leaves_nothing_behind(self):
        os.mkdir(self.path("temporary"))
        tool = subprocess.Popen([os.path.join(BIN, "oriel-tune"), "frontier", "tiny.oriel", *SHAPE], cwd=self.folder,
                                env=dict(os.environ, TMPDIR=self.path("temporary"), **self.environment),
                                stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not os.listdir(self.path("temporary")) and time.monotonic() < deadline:
            time.sleep(0.001)
        self.assertEqual(len(os.listdir(self.path("temporary"))), 1)
        tool.terminate()
        self.assertEqual(tool.wait(60), -signal.SIGTERM)
        self.assertEqual(os.listdir(self.path("temporary")), [])

    def test_wrong_input_is_named(self):
        status, _, err = self.run_tool("oriel-tune", "show", "absent.oriel")
        self.assertEqual(status, 1)
        self.assertIn("absent.oriel", err)
        self.write("bad.oriel", "model m {\n  embed(vocab = 3, dim = 4) | nonsense\n}\n")
        status, _, err = self.run_tool("oriel-tune", "show", "bad.oriel")
        self.assertEqual(status, 1)
        self.assertIn("bad.oriel:2:", err)
        for arguments in ((), ("show",), ("show", "x", "--json", "--html"), ("sow", "x")):
            self.assertEqual(self.run_tool("oriel-tune", *arguments)[0], 2, arguments)


if __name__ == "__main__":
    main()
