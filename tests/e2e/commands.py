"""Tests the commands around training as a user types them: what they print and with which status they end."""
import json
import os
import re
import shutil
import struct
import time

from harness import OrielTest, main


class Commands(OrielTest):
    def test_usage_errors_end_with_2_and_help_with_0(self):
        for arguments in ((), ("trian",), ("train",), ("train", "job.toml", "--bogus"), ("status",), ("export", "x"),
                          ("generate", "x", "--temperature", "-1"), ("checkpoint",), ("plan",)):
            with self.subTest(arguments):
                status, out, err = self.run_oriel(*arguments)
                self.assertEqual(status, 2, err)
                self.assertNotEqual(err + out, "")
        self.assertRegex(self.oriel("--version"), r"^oriel \d+\.\d+\.\d+\n$")
        self.assertIn("coordinator", self.oriel("--help"))

    def test_print_config_reads_back_to_the_same_job(self):
        printed = self.oriel("train", "job.toml", "--set", "training.steps=77", "--print-config")
        self.write("again.toml", printed)
        self.assertEqual(self.oriel("train", "again.toml", "--print-config"), printed)
        self.assertIn("77", printed)
        self.assertIn("micro_batch", self.oriel("train", "--help-config"))

    def test_dry_run_trains_nothing(self):
        out = self.oriel("train", "job.toml", "--dry-run")
        self.assertIn("peak memory per rank", out)
        self.assertIn("nothing was trained", out)
        self.assertEqual(self.checkpoints("run"), [])

    def test_plan_of_any_world(self):
        one = self.oriel("plan", "job.toml")
        four = self.oriel("plan", "job.toml", "--world", "4")
        memory = [float(re.search(r"peak memory per rank ([\d.]+) MiB", text)[1]) for text in (one, four)]
        self.assertGreater(memory[0], 0)
        self.assertIn("fsdp=4", four)
        self.assertIn("micro", one)

    def test_a_trained_model_is_evaluated_sampled_and_exported(self):
        summary = self.train("run", "sample.tokens=20", "sample.prompt=the ")
        self.assertIn("sample", summary)
        validation = float(re.search(r"validation loss ([\d.]+) nats/token", summary)[1])
        report = self.read("run/report.html").decode()
        self.assertIn("<svg", report)

        evaluated = self.oriel("eval", "job.toml", "--checkpoint", "run/checkpoints")
        self.assertAlmostEqual(float(re.search(r"loss ([\d.]+) nats/token", evaluated)[1]), validation, places=4)
        self.assertEqual(self.oriel("eval", "job.toml", "--checkpoint", "run/checkpoints", ranks=2), evaluated)

        sample = ("generate", "run/checkpoints", "--prompt", "the king", "--tokens", "12")
        text = self.oriel(*sample, "--seed", "3")
        self.assertTrue(text.startswith("the king"))
        self.assertEqual(self.oriel(*sample, "--seed", "3"), text)
        self.assertNotEqual(self.oriel(*sample, "--seed", "4"), text)
        greedy = self.oriel(*sample, "--temperature", "0", "--seed", "3")
        self.assertEqual(self.oriel(*sample, "--temperature", "0", "--seed", "4"), greedy)
        self.assertEqual(self.oriel(*sample, "--top-k", "1"), greedy)

        self.oriel("export", "run/checkpoints", "-o", "exported")
        data = self.read("exported/model.safetensors")
        header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
        self.assertGreater(len(header), 5)
        json.loads(self.read("exported/config.json"))
        self.assertEqual(sorted(os.listdir(self.path("exported"))), ["config.json", "model.safetensors"], "bytes need no tokenizer")
        self.assertIn("ok", self.oriel("checkpoint", "verify", "run/checkpoints"))
        self.assertIn("step 12", self.oriel("checkpoint", "inspect", "run/checkpoints"))

    def test_tokens_of_another_tokenizer_give_no_losses_per_byte_and_no_sample(self):
        ids = [i * 7 % 300 for i in range(4000)]
        self.write("foreign.bin", struct.pack(f"<{len(ids)}H", *ids))
        self.write("foreign.idx", b"MMIDIDX\x00\x00" + struct.pack("<QBQQiqqq", 1, 8, 1, 2, len(ids), 0, 0, 1))
        self.write("tiny.oriel", self.read("tiny.oriel").decode().replace("vocab = 257", "vocab = 300"))
        settings = ("data.train=foreign", "data.validation=foreign", "training.steps=2", "sample.tokens=4")
        status, out, err = self.run_oriel("train", "job.toml", *(word for s in settings for word in ("--set", s)))
        self.assertEqual(status, 0, err)
        self.assertRegex(err + out, r"foreign.bin: token \d+ at byte offset \d+ is outside the vocabulary of 257")
        self.assertIn("there will be no losses per byte and no sample", err + out)
        evaluated = self.oriel("eval", "job.toml", *(word for s in settings for word in ("--set", s)))
        for text in (out, evaluated):
            self.assertIn("nats/token", text)
            self.assertNotIn("nats/byte", text)
        self.assertNotRegex(out, r"(?m)^sample ")

    def test_a_tokenizer_json_makes_tokens_trains_and_generates(self):
        tokenizer = os.path.join(os.path.dirname(__file__), "../unit/trainer/tokenizer/huggingface/bytes.json")
        shutil.copy(tokenizer, self.path("tokenizer.json"))
        out = self.oriel("data", "tokenize", self.shared("story.txt"), "--tokenizer", "tokenizer.json", "--output", "words",
                         "--validation-every", "20")
        tokens = sum(map(int, re.findall(r"(\d+) tokens", out)))
        self.assertLess(tokens, os.path.getsize(self.shared("story.txt")) / 2)
        story = self.read(self.shared("story.txt")).decode()
        shown = self.oriel("data", "inspect", "words-train", "--tokenizer", "tokenizer.json", "--tokens", "50")
        self.assertIn(story[:60], shown)
        self.write("tiny.oriel", self.read("tiny.oriel").decode().replace("vocab = 257", "vocab = 703"))
        summary = self.train("run", "data.train=words-train", "data.validation=words-val", "data.tokenizer=tokenizer.json",
                             "training.steps=3", "sample.tokens=5", "sample.prompt=the king")
        self.assertIn("nats/byte", summary)
        text = self.oriel("generate", "run/checkpoints", "--prompt", "the king", "--tokens", "12")
        self.assertTrue(text.startswith("the king"))
        self.check_export_of_the_tokenizer()
        self.write("tokenizer.json", self.read("tokenizer.json").replace(b'"pre_tokenizer":{"type":"Sequence"', b'"pre_tokenizer":{"type":"Bert"'))
        status, _, err = self.run_oriel("train", "job.toml", "--set", "data.tokenizer=tokenizer.json")
        self.assertEqual(status, 2, err)
        self.assertRegex(err, r"data.tokenizer: .*tokenizer.json: pre_tokenizer.type Bert is not supported; supported: ByteLevel")

    def check_export_of_the_tokenizer(self):
        """Of a run with tokenizer.json."""
        def exported(folder, *options):
            status, out, err = self.run_oriel("export", "run/checkpoints", "-o", folder, *options)
            self.assertEqual(status, 0, err)
            files = {name: self.read(f"{folder}/{name}") for name in os.listdir(self.path(folder)) if name.startswith("tokenizer")}
            for name in files:
                self.assertIn(f" -> {folder}/{name}\n", out)
            return files, err

        tokenizer = self.read("tokenizer.json")
        self.assertEqual(exported("one"), ({"tokenizer.json": tokenizer}, ""))
        self.write("tokenizer_config.json", "{}")
        self.assertEqual(exported("two"), ({"tokenizer.json": tokenizer, "tokenizer_config.json": b"{}"}, ""))
        os.mkdir(self.path("moved"))
        os.rename(self.path("tokenizer.json"), self.path("moved/tokenizer.json"))
        files, err = exported("three")
        self.assertEqual(files, {})
        self.assertRegex(err, r"warn.* the tokenizer of the run is not in three: open \S.*/tokenizer.json: No such file")
        self.assertIn("--tokenizer", err)
        self.assertEqual(exported("four", "--tokenizer", "moved"), ({"tokenizer.json": tokenizer}, ""))
        self.write("words.model", "a sentencepiece model")
        self.assertEqual(exported("five", "--tokenizer", "words.model"), ({"tokenizer.model": b"a sentencepiece model"}, ""))
        status, _, err = self.run_oriel("export", "run/checkpoints", "-o", "six", "--tokenizer", "none.model")
        self.assertEqual((status, err), (1, "oriel: --tokenizer: open none.model: No such file or directory\n"))
        os.rename(self.path("moved/tokenizer.json"), self.path("tokenizer.json"))

    def test_a_cached_package_starts_at_once_and_a_damaged_one_is_rebuilt(self):
        cache = {"ORIEL_CACHE": self.path("cache")}
        _, _, err = self.run_oriel("train", "job.toml", "--dry-run", environment=cache)
        self.assertIn("(compiled in", err)
        _, _, err = self.run_oriel("train", "job.toml", "--dry-run", environment=cache)
        self.assertIn("(cached in", err)
        plan = re.search(r"package (.*) \(cached", err)[1] + "/plan.pb"
        self.write(plan, self.read(plan)[:-7])
        status, _, err = self.run_oriel("train", "job.toml", "--dry-run", environment=cache)
        self.assertEqual(status, 0, err)
        self.assertIn("refused and built again", err)

    def test_all_cores_are_used_where_openmp_binds_threads(self):
        threads = []
        for run, environment in (("free", {}), ("bound", {"OMP_PROC_BIND": "true"})):
            status, _, err = self.run_oriel("train", "job.toml", "--set", "training.steps=1", "--set", f"run_dir={run}",
                                            environment=environment)
            self.assertEqual(status, 0, err)
            threads.append(re.search(r"(\d+) threads?, 1 rank", err)[1])
        self.assertEqual(threads[0], threads[1])

    def test_a_command_that_does_not_exist_is_named(self):
        for words, known in ((["trian", "job.toml"], "train"), (["data", "tokenise", "x"], "tokenize")):
            status, _, err = self.run_oriel(*words)
            self.assertEqual(status, 2)
            self.assertRegex(err, rf"\Aunknown command '{words[-2]}'; there are .*\b{known}\b")

    def test_what_a_job_names_and_is_not_there_is_told_before_anything_is_compiled(self):
        for key, value, words in (("model", "none.oriel", "model: open "), ("data.train", "none", "data.train: open "),
                                  ("data.validation", "none", "data.validation: open "),
                                  ("data.tokenizer", "none.model", "data.tokenizer: open "),
                                  ("training.device", "cuda", "training.device: ")):
            if key == "training.device" and os.path.exists("/dev/nvidia0"):
                continue
            status, _, err = self.run_oriel("train", "job.toml", "--set", f"{key}={value}")
            self.assertIn(status, (1, 2))
            self.assertTrue(err.startswith("oriel: " + words), err)

    def test_folders_that_a_run_cannot_write_to_are_told_before_anything_is_compiled(self):
        cache = {"ORIEL_CACHE": self.path("cache")}
        for ranks in (1, 2):
            for key in ("run_dir", "checkpoint.dir", "metrics.dir"):
                status, out, err = self.run_oriel("train", "job.toml", "--set", f"{key}=tiny.oriel/a", ranks=ranks, environment=cache)
                self.assertEqual((status, out), (1, ""), err)
                self.assertRegex(err, rf"\Aoriel: (rank 0: )?{key}: \S.*/tiny.oriel is no folder; name another folder\n")
        os.makedirs(self.path("run/checkpoints/step-000000007"))
        status, _, err = self.run_oriel("train", "job.toml", "--set", "training.resume=false", environment=cache)
        self.assertEqual(status, 1, err)
        self.assertTrue(err.startswith("oriel: training.resume is false, but "), err)
        self.assertEqual(os.listdir(self.path("run")), ["checkpoints"])
        self.assertFalse(os.path.exists(self.path("cache")))

    def test_a_profile_names_kernels_and_layers(self):
        out = self.oriel("train", "job.toml", "--profile", "--set", "training.steps=3", "--set", "run_dir=profiled")
        self.assertRegex(out, r"ms in the executor per training step, mean of 2\n")
        self.assertRegex(out, r"%  gemm \d+x\d+x\d+ NT\n")
        trace = json.loads(self.read("profiled/metrics/trace-rank0.json"))["traceEvents"]
        self.assertTrue(any(event["name"].startswith("layers.0.mixer ") for event in trace))
        self.assertIn("of peak  layer", self.read("profiled/metrics/profile-rank0.txt").decode())

    def test_status_of_a_running_job(self):
        process = self.start("train", "job.toml", "--set", "training.steps=1000000", "--set", "checkpoint.every=0")
        try:
            address = None
            while address is None:
                line = process.stderr.readline()
                self.assertNotEqual(line, "", "the job ended")
                match = re.search(r"coordinator at (\S+)", line)
                address = match and match[1]
            for _ in range(300):
                out = self.oriel("status", address)
                row = re.search(r"^\s+0\s+running\s+(\d+)\s+([\d.]+)\s+(\d+)\s+([\d.]+) s$", out, re.M)
                if row and int(row[1]) > 0:
                    break
                time.sleep(0.1)
            self.assertIn("is running: 1 of 1 ranks", out)
            self.assertGreater(int(row[1]), 0)
            self.assertLess(float(row[2]), 7)
            status, _, err = self.run_oriel("train", "job.toml")
            self.assertEqual(status, 1)
            self.assertRegex(err, r"\Aoriel: run_dir: .* is in use by another run \(process ")
        finally:
            process.terminate()
            out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, err)
        self.assertIn("stopped after step", out)

    def test_status_of_nothing(self):
        status, out, err = self.run_oriel("status", "127.0.0.1:1")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("127.0.0.1:1", err)


if __name__ == "__main__":
    main()
