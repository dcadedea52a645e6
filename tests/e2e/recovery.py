"""Tests that a run which was killed, stopped or damaged goes on to the result of the unbroken one, bit for bit."""
import contextlib
import json
import os
import signal
import time

from harness import OrielTest, main


class Recovery(OrielTest):
    def killed(self, run, fail, ranks=1):
        status, _, _ = self.run_oriel("train", "job.toml", "--set", f"run_dir={run}", fail=fail, ranks=ranks)
        self.assertIn(status, (-signal.SIGKILL, 128 + signal.SIGKILL))

    def exported_tensors(self, run):
        """The bytes of the exported parameters, behind the header, which names the step."""
        self.weights(run)
        file = self.read(f"{run}-export/model.safetensors")
        return file[8 + int.from_bytes(file[:8], "little"):]

    def assert_resumes(self, run, expected, ranks=1):
        self.train(run, ranks=ranks)
        self.assertEqual(self.checkpoints(run), self.checkpoints(expected))
        self.assert_same_run(run, expected)

    def test_kill_9_after_a_checkpoint(self):
        self.train("whole")
        self.killed("killed", "step:0:10:kill")  # the save of step 10 began, so that of step 5 has ended
        self.assertEqual(self.checkpoints("killed")[:1], ["step-000000005"])
        self.assert_resumes("killed", "whole")

    def test_kill_9_of_one_of_two_ranks_and_resume_on_four(self):
        self.train("whole")
        self.killed("killed", "micro:1:10:kill", ranks=2)
        self.assertEqual(self.checkpoints("killed")[:1], ["step-000000005"])
        self.assert_resumes("killed", "whole", ranks=4)

    def test_kill_9_inside_a_commit(self):
        self.train("whole")
        for phase in ("prepare", "vote", "commit", "committed"):
            with self.subTest(phase):
                self.killed(phase, f"{phase}:0:10:kill")
                kept = ["step-000000005"] + (["step-000000010"] if phase == "committed" else [])
                self.assertEqual(self.checkpoints(phase)[:1], kept[:1])
                self.assert_resumes(phase, "whole")
                left = [name for name in os.listdir(self.path(f"{phase}/checkpoints")) if ".tmp" in name]
                self.assertEqual(left, [], "half-written checkpoints are swept")

    def test_sigterm_finishes_the_step_and_exits_0(self):
        self.train("whole")
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                run = f"stopped{ranks}"
                out = self.train(run, fail=f"step:{ranks - 1}:7:term", ranks=ranks)
                self.assertIn("stopped after step 8", out)
                self.assertEqual(self.checkpoints(run), ["step-000000005", "step-000000008"])
                self.train(run, ranks=ranks)
                self.assert_same_run(run, "whole")

    def test_ranks_that_were_stopped_for_longer_than_they_wait_for_each_other_go_on(self):
        jobs = []
        for ranks in (1, 2):
            process = self.start("train", "job.toml", *self.flags([
                f"run_dir=run{ranks}", "training.steps=1000000", "checkpoint.every=0", "distributed.deadline=14"]), ranks=ranks)
            metrics = self.path(f"run{ranks}/metrics/metrics.jsonl")
            self.wait_for(lambda: os.path.exists(metrics) and os.path.getsize(metrics) > 0)
            jobs.append((process, self.children(process.pid) if ranks > 1 else [process.pid], metrics))
        pids = [pid for _, job_pids, _ in jobs for pid in job_pids]
        self.assertEqual(len(pids), 3)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(17)  # heartbeats may be silent for 15 s, ranks for 14 s
        stopped_at = [os.path.getsize(metrics) for _, _, metrics in jobs]
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        time.sleep(2)  # for a heartbeat, and to be judged by it
        for (process, job_pids, metrics), size in zip(jobs, stopped_at):
            os.kill(job_pids[0], signal.SIGTERM)
            out, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, err)
            self.assertIn("stopped after step", out)
            self.assertGreater(os.path.getsize(metrics), size)

    @staticmethod
    def children(pid):
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]

    def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(self):
        self.train("whole")
        self.killed("damaged", "committed:0:10:kill")
        newest = self.path("damaged/checkpoints/step-000000010")
        shard = next(name for name in os.listdir(newest) if name.endswith(".safetensors"))
        with open(os.path.join(newest, shard), "r+b") as file:
            file.seek(5000)
            byte = file.read(1)[0]
            file.seek(5000)
            file.write(bytes([byte ^ 4]))
        status, _, err = self.run_oriel("train", "job.toml", "--set", "run_dir=damaged")
        self.assertEqual(status, 0, err)
        self.assertIn(shard, err)
        self.assertIn("resumed from", err)
        self.assertIn("step-000000005 at step 5", err)
        self.assert_same_run("damaged", "whole")

    def test_when_every_checkpoint_is_damaged_nothing_is_overwritten(self):
        self.killed("ruined", "committed:0:5:kill")
        manifest = "ruined/checkpoints/step-000000005/manifest.json"
        self.write(manifest, self.read(manifest)[:100])
        status, out, err = self.run_oriel("train", "job.toml", "--set", "run_dir=ruined")
        self.assertEqual((status in (1, 2), out), (True, ""), err)
        self.assertIn("step-000000005", err)
        self.assertEqual(self.checkpoints("ruined"), ["step-000000005"])

    def test_a_run_does_not_start_over_among_the_checkpoints_of_another(self):
        self.train("run", "training.steps=6")
        before = (self.checkpoints("run"), self.losses("run"))
        status, _, err = self.run_oriel("train", "job.toml", *self.flags(["training.resume=false", "training.steps=2"]))
        self.assertEqual(status, 1, err)
        self.assertIn("training.resume is false, but", err)
        self.assertIn("(the newest: step 6)", err)
        self.assertEqual((self.checkpoints("run"), self.losses("run")), before)
        self.train("other", "training.resume=false", "training.steps=2")
        status, _, err = self.run_oriel("train", "job.toml", "--set", "training.steps=7")
        self.assertIn("training.steps = 7 (was 6)", err)
        status, _, err = self.run_oriel("train", "job.toml", "--set", "training.steps=3")
        self.assertEqual(status, 0, err)
        self.assertIn("nothing is left to train", err)

    def test_a_gradient_that_is_not_finite_ends_the_run_before_its_weights_are_saved(self):
        # Norms lift what is tiny: the loss is finite, but not the square of the gradient of the bias before them.
        self.write("tiny.oriel", self.read("tiny.oriel").decode().replace(
            "dim = d)", "dim = d, scale = 1e-28)\n  | linear(d, bias) | rms_norm(eps = 1e-30) | rms_norm(eps = 1e-30)"))
        status, _, err = self.run_oriel("train", "job.toml", "--set", "checkpoint.every=1")
        self.assertEqual(status, 1, err)
        self.assertRegex(err, r"step 0: the norm of the gradient is (-?nan|inf) \(samples 0 to 7; the loss is \d")
        self.assertEqual(self.checkpoints("run"), [])

    def assert_skips(self, model, start, why):
        """Trains `model`, whose every step is bad: skips three steps, then ends; the weights stay those of the run `start`."""
        self.write("tiny.oriel", self.read("tiny.oriel").decode().replace("dim = d)", model))
        skipping = ("optimizer.max_skipped=3", "data.validation=''")
        self.train(start, "training.steps=0", *skipping)
        weights = self.exported_tensors(start)
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                run = f"{start}-{ranks}"
                self.train(run, "training.steps=2", *skipping, ranks=ranks)
                self.assertEqual(self.checkpoints(run), ["step-000000002"])
                self.assertTrue(self.exported_tensors(run) == weights, "weights have changed")
                status, _, err = self.run_oriel("train", "job.toml", *self.flags([f"run_dir={run}", *skipping]), ranks=ranks)
                self.assertEqual(status, 1, err)
                self.assertRegex(err, rf"step 2 skipped: {why}.* \(3 in a row, optimizer.max_skipped = 3\)")
                self.assertRegex(err, rf"step 3: {why}.*, and 3 step\(s\) before it were skipped")

    def test_steps_whose_gradient_is_not_finite_are_skipped_as_often_as_the_job_allows(self):
        self.assert_skips("dim = d, scale = 1e-28)\n  | linear(d, bias) | rms_norm(eps = 1e-30) | rms_norm(eps = 1e-30)",
                          "gradient", "the norm of the gradient is ")

    def test_steps_whose_loss_is_not_finite_are_skipped_as_often_as_the_job_allows(self):
        self.assert_skips("dim = d, scale = 1e30)\n  | gated_mlp(hidden = 32, activation = silu)", "loss",
                          r"the loss of micro-batch 0 \(samples \d+ to \d+, rank 0\) is -?nan")

    def test_a_skipped_step_leaves_no_trace_in_those_after_it(self):
        # All rows are alike and the rate is constant, so that only what a skipped step changes can make a difference.
        self.write("alike.txt", "a king saw the sea and the queen found a gold ship "[:48] * 400)
        self.oriel("data", "tokenize", "alike.txt", "--output", "alike")
        settings = ("data.train=alike", "data.validation=''", "data.shuffle=false", "schedule.kind=constant", "schedule.warmup_steps=0",
                    "optimizer.max_skipped=1")
        tiny = self.read("tiny.oriel").decode()
        good, bad = (tiny.replace("dim = d)", f"dim = d, scale = {scale})\n  | gated_mlp(hidden = 32, activation = silu)")
                     for scale in ("1.0", "1e30"))
        self.write("tiny.oriel", good)
        self.train("clean", "training.steps=3", *settings)
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                run = f"skipping-{ranks}"
                for steps, model in enumerate((good, bad, good, bad, good), 1):
                    self.write("tiny.oriel", model)
                    status, _, err = self.run_oriel("train", "job.toml", *self.flags([f"run_dir={run}", f"training.steps={steps}", *settings]),
                                                    ranks=ranks)
                    self.assertEqual(status, 0, err)
                    self.assertEqual(f"step {steps - 1} skipped: the loss of micro-batch 0" in err, model == bad, err)
                self.assertTrue(self.exported_tensors(run) == self.exported_tensors("clean"), "the weights differ")

    @contextlib.contextmanager
    def small_disk(self, name, kib):
        """A new folder with room for `kib` KiB, where one can be made."""
        if os.geteuid() != 0:
            self.skipTest("mounting a small tmpfs needs root")
        folder = self.path(name)
        os.mkdir(folder)
        if os.system(f"mount -t tmpfs -o size={kib}k none '{folder}' 2>/dev/null") != 0:
            self.skipTest("tmpfs cannot be mounted here")
        try:
            yield folder
        finally:
            os.system(f"umount '{folder}'")

    def test_metrics_on_a_full_disk_cost_a_warning(self):
        with self.small_disk("small", kib=8) as folder:
            status, _, err = self.run_oriel("train", "job.toml", *self.flags(["training.steps=60", "metrics.dir=small"]))
            self.assertEqual(status, 0, err)
            self.assertRegex(err, r"step \d+: metrics are not written, training goes on: .*small/metrics.jsonl: No space left")
            with open(os.path.join(folder, "metrics.jsonl")) as file:
                records = [json.loads(line) for line in file]
            self.assertGreater(len(records), 10)
            self.assertEqual(self.checkpoints("run")[-1], "step-000000060")

    def test_a_report_or_profile_that_cannot_be_written_costs_a_warning(self):
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                run = f"run{ranks}"
                in_the_way = (f"{run}/report.html", f"{run}/metrics/profile-rank{ranks - 1}.txt")
                for path in in_the_way:
                    os.makedirs(self.path(path))
                status, out, err = self.run_oriel("train", "job.toml", "--profile", "--set", f"run_dir={run}", ranks=ranks)
                self.assertEqual(status, 0, err)
                self.assertRegex(err, rf"warn.* no report: .*/{run}/report.html: Is a directory\n")
                self.assertRegex(err, rf"warn.* the profile of rank {ranks - 1} is not written: .*/profile-rank{ranks - 1}.txt: Is a directory\n")
                self.assertIn("profile of rank 0\n", out)
                self.assertNotRegex(out, "(?m)^report ")
                self.assertEqual(self.checkpoints(run)[-1], "step-000000012")
                for path in in_the_way:
                    self.assertEqual(os.listdir(self.path(path)), [])
                self.assertEqual([name for name in os.listdir(self.path(run)) if ".tmp" in name], [])

    def test_a_report_on_a_full_disk_costs_a_warning(self):
        with self.small_disk("run", kib=8) as folder:
            status, out, err = self.run_oriel("train", "job.toml", *self.flags(["checkpoint.dir=c", "metrics.dir=m"]))
            self.assertEqual(status, 0, err)
            self.assertRegex(err, r"warn.* no report: .*/run/report.html\S*: No space left")
            self.assertEqual(os.listdir(folder), ["lock"])
            self.assertNotRegex(out, "(?m)^report ")

    def test_a_full_disk_under_the_cache_is_told_as_that(self):
        with self.small_disk("small", kib=16) as folder:
            cache = {"ORIEL_CACHE": os.path.join(folder, "cache")}
            failed = []
            for kib in (16, 300, 450, 600):  # no room for an object, for all of them, for the library that the linker maps
                os.system(f"mount -o remount,size={kib}k '{folder}'")
                status, out, err = self.run_oriel("train", "job.toml", "--dry-run", environment=cache)
                if status == 0:
                    break
                failed.append(kib)
                self.assertEqual((status, out), (1, ""), err)
                self.assertRegex(err, r"\Aoriel: cannot write to \S.*/small/cache, the cache of compiled packages: (No space left on device|"
                                      r"the linker died of a bus error, as it does on a full disk); make room there, or name another folder "
                                      r"by compile.cache or ORIEL_CACHE\n\Z")
            self.assertIn(16, failed)
            self.assertEqual([name for name in os.listdir(cache["ORIEL_CACHE"]) if name.startswith("tmp-")], [])
            os.system(f"mount -o remount,size=64m '{folder}'")
            status, _, err = self.run_oriel("train", "job.toml", "--set", "training.steps=1", environment=cache)
            self.assertEqual(status, 0, err)

    def test_a_new_run_starts_with_the_weights_of_another(self):
        self.train("first", "training.steps=6")
        warm = ("training.init_from=first/checkpoints", "training.seed=3")
        self.train("copy", "training.steps=0", *warm)
        exported = []
        for run in ("copy", "first"):
            exported.append(self.exported_tensors(run))
        self.assertEqual(exported[0], exported[1])
        self.train("one", "training.steps=4", *warm)
        self.train("two", "training.steps=4", *warm, ranks=2)
        self.assert_same_run("one", "two")
        self.assertLess(self.losses("one")[0][2], self.losses("first")[0][2] - 0.1)
        _, _, err = self.run_oriel("train", "job.toml", *self.flags(("run_dir=one", "training.steps=5") + warm))
        self.assertIn("resumed from", err)
        self.assertNotIn("starts with the weights", err)
        for ranks in (1, 2):
            status, _, err = self.run_oriel("train", "job.toml", *self.flags(["training.init_from=nowhere"]), ranks=ranks)
            self.assertEqual(status, 1, err)
            self.assertEqual(err.count("oriel: training.init_from: "), 1, err)
        self.write("tiny.oriel", self.read("tiny.oriel").decode().replace("hidden = 64", "hidden = 32"))
        status, _, err = self.run_oriel("train", "job.toml", *self.flags(warm))
        self.assertEqual(status, 1, err)
        self.assertRegex(err, r"oriel: training.init_from: \S.*is of another model: parameter \d+ is 'layers.0.mlp.gate'")

    def test_a_full_disk_costs_a_checkpoint_and_the_run_says_so(self):
        with self.small_disk("small", kib=96) as folder:
            status, _, err = self.run_oriel("train", "job.toml", "--set", "run_dir=run", "--set", "checkpoint.dir=small/c")
            self.assertEqual(status, 1, err)
            self.assertIn("was not committed", err)
            self.assertIn("oriel: the weights of step 12 are in no checkpoint: ", err)
            self.assertIn("No space left", err)
            self.assertEqual(self.losses("run")[-1][:2], (12, "validation/loss"))
            self.assertTrue(os.path.exists(self.path("run/report.html")))
            os.system(f"mount -o remount,size=4m '{folder}'")
            self.train("run", "checkpoint.dir=small/c")


if __name__ == "__main__":
    main()
