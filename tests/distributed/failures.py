"""Tests that ranks which fail, hang or do not belong end the job with one clear cause, in bounded time."""
import re
import time

from harness import OrielTest, main


class Failures(OrielTest):
    def fails(self, fail, *settings, ranks=2):
        started = time.monotonic()
        status, out, err = self.run_oriel("train", "job.toml", *self.flags(settings), fail=fail, ranks=ranks)
        self.assertNotEqual(status, 0, out + err)
        return status, err, time.monotonic() - started

    def test_an_error_names_rank_and_step(self):
        status, err, _ = self.fails("micro:1:3:error")
        self.assertEqual(status, 1)
        self.assertIn("rank 1, step 3", err)

    def test_a_rank_that_hangs_is_named_by_the_others(self):
        self.train("warm", "training.steps=1", ranks=2)
        _, err, seconds = self.fails("micro:1:3:stop", "distributed.deadline=4")
        self.assertIn("rank 1", err)
        self.assertLess(seconds, 90)

    def test_a_killed_rank_ends_the_job(self):
        status, _, _ = self.fails("update:1:4:kill")
        self.assertEqual(status, 137)

    def test_a_rank_that_cannot_prepare_aborts_the_commit_and_training_goes_on(self):
        status, _, err = self.run_oriel("train", "job.toml", fail="prepare:1:5:error", ranks=2)
        self.assertEqual(status, 0, err)
        self.assertIn("rank 1 could not prepare step 5", err)
        self.assertEqual(self.checkpoints("run"), ["step-000000010", "step-000000012"])

    def test_bad_numbers_of_ranks(self):
        for ranks, words in ((3, "power of two"), (8, "micro-batches")):
            with self.subTest(ranks):
                status, _, err = self.run_oriel("train", "job.toml", ranks=ranks)
                self.assertEqual(status, 2, err)
                self.assertEqual(len(re.findall(f"^oriel: .*{words}", err, re.M)), 1, "told once:\n" + err)

    def test_a_standalone_coordinator(self):
        secret = {"ORIEL_JOB_TOKEN": "a secret"}
        server = self.start("coordinator", "--listen", "127.0.0.1:0", environment=secret)
        address = server.stdout.readline().split()[-1]
        setting = f"distributed.coordinator={address}"
        status, _, err = self.run_oriel("train", "job.toml", "--set", setting, environment={"ORIEL_JOB_TOKEN": "wrong"})
        self.assertEqual(status, 1)
        self.assertIn("wrong job token", err)
        self.train("run", setting, ranks=2, environment=secret)
        out, err = server.communicate(timeout=60)
        self.assertEqual(server.returncode, 0, err)
        self.assertIn("is finished: 2 of 2 ranks, newest checkpoint step 12", out)
        self.assertIn("1 joins were refused", out)


if __name__ == "__main__":
    main()
