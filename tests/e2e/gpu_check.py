"""Tests tools/gpu-check on a small bundle laid out as `tools/dev gpu-bundle` lays it out: without a GPU it says so in one line,
and on the emulator it runs golden cases and models from packages, with no compiler in sight."""
import glob
import json
import os
import shutil
import subprocess
import unittest

from harness import BIN, ORIEL, OrielTest, main

RUNNER = os.path.join(os.path.dirname(__file__), "../../tools/gpu-check")
CASES = sorted(glob.glob(os.path.join(os.environ.get("ORIEL_GOLDEN", "/none"), "group_rmsnorm/*.safetensors")))[:2]


@unittest.skipUnless(CASES, "set ORIEL_GOLDEN to the folder of golden cases")
class GpuCheck(OrielTest):
    def setUp(self):
        super().setUp()
        for folder in ("bin", "lib", "bench", "golden/group_rmsnorm"):
            os.makedirs(self.path(f"bundle/{folder}"))
        os.symlink(ORIEL, self.path("bundle/bin/oriel"))
        shutil.copy(RUNNER, self.path("bundle/gpu-check"))
        self.write("bundle/version", "test sm_80")
        for case in CASES:
            shutil.copy(case, self.path("bundle/golden/group_rmsnorm"))
        self.oriel("verify", "--target", "cuda", "--dtype", "bf16", "--compile-only", "--keep", "bundle/packages", *CASES)
        subprocess.run([os.path.join(BIN, "orielc"), "tiny.oriel", "--tokens", "32", "--target", "nvidia:sm_80", "-o",
                        "bundle/bench/tiny"], cwd=self.folder, check=True, capture_output=True, timeout=300)

    def check(self, *options):
        environment = dict(os.environ, ORIELC="/none", REPEATS="1")
        return subprocess.run([self.path("bundle/gpu-check"), *options, "out.json"], cwd=self.folder, env=environment,
                              capture_output=True, text=True, timeout=300)

    def test_runs_golden_cases_and_models_from_packages(self):
        result = self.check("--emulated")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(self.read("out.json"))
        self.assertEqual(report["golden"]["f32"], {"ok": 6, "fail": 0, "not_run": 0})
        self.assertEqual(report["golden"]["bf16"], {"ok": 6, "fail": 0, "not_run": 0})
        self.assertEqual([entry["name"] for entry in report["bench"]["tiny"]["entries"]], ["micro", "update"])

    def test_a_missing_package_is_counted(self):
        shutil.rmtree(glob.glob(self.path("bundle/packages/group_rmsnorm-*"))[0])
        self.check("--emulated")
        self.assertEqual(json.loads(self.read("out.json"))["golden"]["f32"]["not_run"], 1)

    def test_without_a_gpu_it_says_so_in_one_line(self):
        result = self.check()
        if result.returncode == 0:
            self.skipTest("this machine has a GPU")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"\Aoriel: no NVIDIA driver found \(libcuda.so.1\)[^\n]*\n\Z")
        self.assertFalse(os.path.exists(self.path("out.json")))


if __name__ == "__main__":
    main()
