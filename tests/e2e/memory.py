"""Tests what a training process really takes: the planned memory of a rank is all but a small part of its resident memory.

Nothing to say of builds with sanitizers, which keep shadow memory and freed blocks."""
import os
import re

from harness import OrielTest, main

MIB = 2 ** 20


class Memory(OrielTest):
    def peak_resident_bytes(self, *arguments):
        process = self.start(*arguments)
        with process.stdout as out, process.stderr as err:
            out.read()  # both are short
            error = err.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0, error[-3000:])
        return usage.ru_maxrss * 1024

    def test_resident_memory_is_the_plan_and_a_little(self):
        shape = self.flags(("training.batch=128", "training.micro_batch=128", "training.sequence=1024",
                            "data.validation="))
        job = ["job.toml", *shape, "--set", "training.steps=2", "--set", "run_dir=run"]
        planned = float(re.search(r"peak memory per rank ([\d.]+) MiB", self.oriel("train", *job, "--dry-run"))[1]) * MIB
        self.assertGreater(planned, 300 * MIB, "too small a plan to show anything beside the program itself")
        resident = self.peak_resident_bytes("train", *job)
        self.assertGreater(resident, 0.95 * planned, "the plan counts memory that is never touched")
        self.assertLess(resident, 1.05 * planned + 150e6)


if __name__ == "__main__":
    main()
