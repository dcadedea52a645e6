"""Tests tools/gpu-check on a small bundle whose program `tools/gpu-bundle` packed: without a GPU it says so in one line,
and on the emulator it runs golden cases and models from packages for that, with no compiler in sight."""
import glob
import json
import os
import shutil
import subprocess
import unittest

from harness import BIN, OrielTest, main

BUNDLER = os.path.join(os.path.dirname(__file__), "../../tools/gpu-bundle")
CASES = sorted(glob.glob(os.path.join(os.environ.get("ORIEL_GOLDEN", "/none"), "group_rmsnorm/*.safetensors")))[:2]


@unittest.skipUnless(CASES, "set ORIEL_GOLDEN to the folder of golden cases")
class GpuCheck(OrielTest):
    def setUp(self):
        super().setUp()
        if not os.path.exists(self.shared("bundle")):
            self.pack(self.shared("bundle"))
        shutil.copytree(self.shared("bundle"), self.path("bundle"), copy_function=os.link)

    def pack(self, bundle):
        for folder in ("bench/sm_80", "packages", "golden/group_rmsnorm"):
            os.makedirs(f"{bundle}/{folder}")
        subprocess.run([BUNDLER, "--program", bundle], check=True, env=dict(os.environ, ORIEL_BIN=BIN))
        self.write(f"{bundle}/version", "test sm_80")
        for case in CASES:
            shutil.copy(case, f"{bundle}/golden/group_rmsnorm")
        self.oriel("verify", "--target", "nvidia-emulated", "--dtype", "bf16", "--compile-only", "--keep", f"{bundle}/packages/sm_80", *CASES)
        subprocess.run([os.path.join(BIN, "orielc"), "tiny.oriel", "--tokens", "32", "--target", "nvidia-emulated:sm_80", "-o",
                        f"{bundle}/bench/sm_80/tiny"], cwd=self.folder, check=True, capture_output=True, timeout=300)

    def check(self, *options, **variables):
        environment = dict(os.environ, ORIELC="/none", REPEATS="1", **variables)
        return subprocess.run([self.path("bundle/gpu-check"), *options, "out.json"], cwd=self.folder, env=environment,
                              capture_output=True, text=True, timeout=300)

    def test_runs_golden_cases_and_models_from_packages(self):
        result = self.check("--emulated")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(self.read("out.json"))
        self.assertEqual(report["golden"]["f32"], {"ok": 6, "fail": 0, "not_run": 0})
        self.assertEqual(report["golden"]["bf16"], {"ok": 6, "fail": 0, "not_run": 0})
        self.assertEqual([entry["name"] for entry in report["bench"]["tiny"]["entries"]], ["micro", "update"])
        ours = report["ours"][0]
        self.assertEqual((ours["name"], ours["tokens"]), ("tiny", 32))
        self.assertGreater(ours["mixer_tflops"], 0)
        self.assertGreater(ours["best_gigabytes_per_second"], 0)
        self.assertRegex(result.stdout, r"Oriel tiny +32 +[0-9.]+ +[0-9]+ ")
        self.assertRegex(result.stdout, r"not compared: PyTorch[^\n]*")  # absent, or without a GPU
        self.assertIn("golden cases: 4 of 4 ran (f32 and bf16 of each); tensors: 12 agree, 0 differ\n", result.stdout)

    def test_the_bundle_starts_with_its_own_glibc(self):
        """As on a machine whose glibc is older than the one of the machine that made the bundle."""
        loader = [self.path("bundle/glibc/loader"), "--inhibit-cache", "--library-path",
                  f"{self.path('bundle/glibc')}:{self.path('bundle/lib')}"]
        loaded = subprocess.run([*loader, "--list", self.path("bundle/bin/oriel")], capture_output=True, text=True, check=True)
        elsewhere = [line for line in loaded.stdout.splitlines() if "=> /" in line and f"=> {self.path('bundle')}" not in line]
        self.assertEqual([line for line in elsewhere if "ld-linux" not in line], [])
        result = self.check("--emulated", "--cases", f"group_rmsnorm/{os.path.basename(CASES[0])}", GPU_CHECK_GLIBC="bundled")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(self.read("out.json"))["golden"]["bf16"], {"ok": 3, "fail": 0, "not_run": 0})

    def test_a_missing_package_is_counted(self):
        shutil.rmtree(glob.glob(self.path("bundle/packages/sm_80/group_rmsnorm-*"))[0])
        result = self.check("--emulated")
        self.assertEqual(json.loads(self.read("out.json"))["golden"]["f32"]["not_run"], 1)
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn("golden cases: 2 of 4 ran (f32 and bf16 of each); tensors: 6 agree, 0 differ\n", result.stdout)

    def test_a_bundle_for_gpus_is_not_for_the_emulator(self):
        for library in glob.glob(self.path("bundle/packages/sm_80/*/*/kernels.so")):
            os.remove(library)
        result = self.check("--emulated")
        self.assertEqual(result.returncode, 2)
        self.assertRegex(result.stderr, r"\Agpu-check: this bundle is for GPUs: [^\n]*gpu-bundle --emulated\n\Z")

    def test_without_a_gpu_it_says_so_in_one_line(self):
        result = self.check()
        if result.returncode == 0:
            self.skipTest("this machine has a GPU")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"\Aoriel: --target cuda: no NVIDIA driver found \(libcuda.so.1\)[^\n]*\n\Z")
        self.assertFalse(os.path.exists(self.path("out.json")))


if __name__ == "__main__":
    main()
