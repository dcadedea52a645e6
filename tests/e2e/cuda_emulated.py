"""Trains through the CUDA device without a GPU: the emulator runs the code that becomes the cubin, and the executor is the
one that a GPU gets. The losses are those of the CPU, but for operands of products that are rounded."""
import glob
import json
import os
import subprocess

from harness import BIN, MODEL, OrielTest, main

STEPS = ("training.steps=3", "training.batch=2", "training.micro_batch=1", "validation.batches=1", "validation.every=3",
         "checkpoint.every=0", 'training.dtype="bf16"')
MOCK_NCCL = {"LD_LIBRARY_PATH": os.path.join(BIN, "../tests/nccl")}  # a libnccl.so.2 that knows the emulator's streams


class CudaEmulated(OrielTest):
    def train_on(self, device, run, *settings, **options):
        self.train(run, *STEPS, f'training.device="{device}"', *settings, **options)
        return self.losses(run)

    def test_three_steps_equal_the_cpu(self):
        self.assert_close(self.train_on("cpu", "on-cpu"), self.train_on("cuda-emulated", "on-cuda"))

    def test_three_steps_on_hopper_equal_the_cpu(self):
        """On sm_90a tiles come by TMA, completed by mbarriers, and wgmma reads them: three blocks of keys, the last one short."""
        self.write("tiny.oriel", MODEL.replace("head_dim = 16", "head_dim = 64"))
        hopper = ('compile.chip="sm_90a"', "training.sequence=136")
        cpu = self.train_on("cpu", "on-cpu", *hopper)
        cuda = self.train_on("cuda-emulated", "on-cuda", 'compile.cache="packages"', *hopper)
        self.assert_close(cpu, cuda)
        [kernels] = glob.glob(self.path("packages/*/kernels.so"))
        for instruction in (b"WarpgroupMultiply", b"CopyTensor", b"MbarrierWait"):
            self.assertTrue(b"orielEmulated" + instruction in self.read(kernels), instruction)

    def test_a_host_without_bf16_runs_kernels_of_bf16(self):
        """No instruction and no function of a library rounds there: the emulator does."""
        compiled = subprocess.run([os.path.join(BIN, "orielc"), "tiny.oriel", "--tokens", "64", "--dtype", "bf16", "--cpu",
                                   "baseline", "--target", "nvidia-emulated:sm_80", "-o", "package"], cwd=self.folder,
                                  capture_output=True, text=True, timeout=300)
        self.assertEqual(compiled.returncode, 0, compiled.stderr)

    def assert_close(self, cpu, cuda):
        self.assertEqual([record[:2] for record in cpu], [record[:2] for record in cuda])
        self.assertGreater(len(cpu), 6)
        for (step, name, a), (_, _, b) in zip(cpu, cuda):
            self.assertAlmostEqual(a, b, delta=1e-2 * abs(a), msg=f"{name} at step {step}")
        self.assertNotEqual(cpu, cuda, "the emulator has its own arithmetic")

    def test_threads_of_the_host_and_the_order_of_gpu_threads_change_no_bit(self):
        self.train_on("cuda-emulated", "one", "training.threads=1")
        self.train_on("cuda-emulated", "two", "training.threads=2")
        self.train_on("cuda-emulated", "order", environment={"ORIEL_EMULATOR_SEED": "77"})
        self.assert_same_run("one", "two")
        self.assert_same_run("one", "order")

    def test_a_checkpoint_goes_on_and_moves_between_devices(self):
        self.train_on("cuda-emulated", "whole")
        self.train_on("cuda-emulated", "parts", "training.steps=2")
        self.train_on("cuda-emulated", "parts")
        self.assertEqual(self.weights("whole"), self.weights("parts"))
        self.train_on("cpu", "parts", "training.steps=4")

    def test_two_ranks_meet_through_host_memory(self):
        self.train_on("cuda-emulated", "one")
        self.train_on("cuda-emulated", "ranks", ranks=2)
        self.assert_same_run("one", "ranks")

    def test_ranks_that_meet_by_nccl_train_alike(self):
        """NCCL's mock stands in for the library; sums in a fixed order, beside the emulated GPU's own work."""
        nccl = ('distributed.collectives="nccl"', "training.batch=4", "distributed.deadline=30")
        self.train_on("cuda-emulated", "one", "training.batch=4")
        for ranks in (2, 4):
            self.train_on("cuda-emulated", f"ranks{ranks}", *nccl, ranks=ranks, environment=MOCK_NCCL)
            self.assert_same_run("one", f"ranks{ranks}")

    def test_gradients_are_summed_beside_the_backward(self):
        """The trace of one rank: exchanges have begun, and steps of the same backward run before they have ended."""
        nccl = ('distributed.collectives="nccl"', "training.batch=4", "distributed.deadline=30", "metrics.profile_steps=2")
        self.train_on("cuda-emulated", "traced", *nccl, ranks=2, environment=MOCK_NCCL)
        events = [event for event in json.loads(self.read("traced/metrics/trace-rank0.json"))["traceEvents"] if event["ph"] == "X"]
        steps = [event for event in events if event["tid"] == 0 and event["cat"] == "last_micro"]
        sums = [event for event in events if event["args"]["kernel"] == "reduce_scatter_tree"]
        self.assertEqual({event["tid"] for event in sums}, {1})
        self.assertGreaterEqual(len(sums), 2 * 4, "four buckets in each of two steps")
        ends = [event["ts"] + event["dur"] for event in sums]
        self.assertTrue(any(begin["ts"] <= step["ts"] < end for begin, end in zip(sums, ends) for step in steps))
        self.assertRegex(self.read("traced/metrics/profile-rank0.txt").decode(), r"ms in collectives beside them, .* while steps ran")

    def test_a_rank_that_hangs_in_an_exchange_by_nccl_is_named(self):
        settings = self.flags((*STEPS, 'training.device="cuda-emulated"', 'distributed.collectives="nccl"', "distributed.deadline=4"))
        # The mock keeps its messages in TMPDIR, and a rank that mpirun kills removes none.
        environment = {**MOCK_NCCL, "TMPDIR": self.folder, "OMPI_MCA_orte_tmpdir_base": "/tmp"}
        status, _, err = self.run_oriel("train", "job.toml", *settings, ranks=2, fail="update:1:1:stop", environment=environment)
        self.assertNotEqual(status, 0)
        self.assertRegex(err, r"rank 0, step 1: .*(all_gather|reduce_scatter) #\d+ \(rank 0 of 2, .*\).*: not done within 4 s; "
                              r"barrier #\d+ .*: no answer from rank 1 within 4 s")

    def compile(self, target, package):
        command = [os.path.join(BIN, "orielc"), "tiny.oriel", "--tokens", "48", "--target", target, "-o", package]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=300)

    def test_packages_name_their_target(self):
        result = self.compile("nvidia:sm_80", "gpu")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(b".target sm_80", self.read("gpu/kernels.0.ptx"))
        self.assertNotIn("kernels.so", os.listdir(self.path("gpu")))
        self.assertEqual(self.compile("nvidia-emulated:sm_80", "emulated").returncode, 0)
        self.assertEqual(sorted(os.listdir(self.path("emulated"))), ["constants.bin", "kernels.so", "plan.pb"])
        status, _, err = self.run_oriel("bench", "gpu", "--device", "cuda-emulated")
        self.assertEqual(status, 1)
        self.assertRegex(err, r"the package has no gpu/kernels\.so, which .* runs: compile it with --target nvidia-emulated:sm_80")
        status, _, err = self.run_oriel("bench", "gpu")
        self.assertEqual(status, 1)
        self.assertIn("gpu: compiled for nvidia:sm_80, and the device is a CPU: compile it with --target cpu", err)

    def test_unknown_targets_are_refused(self):
        for target in ("nvidia:sm_1", "nvidia", "tpu"):
            result = self.compile(target, "none")
            self.assertEqual(result.returncode, 1)
            self.assertIn(f"unknown --target '{target}'; use cpu, nvidia:CHIP, nvidia-emulated:CHIP or nvidia-checked:CHIP", result.stderr)
            self.assertIn("sm_80", result.stderr)

    def test_without_a_driver_it_says_what_to_do(self):
        status, _, err = self.run_oriel("train", "job.toml", "--device", "cuda")
        if status == 0:
            self.skipTest("this machine has a GPU")
        self.assertEqual(status, 1)
        self.assertIn("training.device: no NVIDIA driver found (libcuda.so.1): take cpu instead, or install", err)


if __name__ == "__main__":
    main()
