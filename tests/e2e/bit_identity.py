"""Tests that a job has one result: bit-identical losses and weights for two runs, for 1, 2 and 4 ranks, and for any
number of threads."""
from harness import OrielTest, main


class BitIdentity(OrielTest):
    def test_two_runs_and_the_number_of_threads(self):
        self.train("first", "training.threads=1")
        self.train("second", "training.threads=1")
        self.train("threads", "training.threads=3")
        self.assertEqual(len([l for l in self.losses("first") if l[1] == "train/loss"]), 12)
        self.assertEqual(len([l for l in self.losses("first") if l[1] == "validation/loss"]), 2)
        self.assert_same_run("first", "second")
        self.assert_same_run("first", "threads")

    def test_one_two_and_four_ranks(self):
        self.train("one")
        self.train("two", ranks=2)
        self.train("four", ranks=4)
        self.assert_same_run("one", "two")
        self.assert_same_run("one", "four")

    def test_buckets_of_gradients_of_any_size(self):
        self.train("one")
        for ranks, bucket in ((2, "0"), (2, "32KiB"), (4, "64KiB")):
            run = f"{ranks} ranks, {bucket}"
            self.train(run, f'distributed.bucket="{bucket}"', ranks=ranks)
            self.assert_same_run("one", run)

    def test_a_mixture_on_two_ranks_stopped_and_resumed(self):
        mixture = ('data.train=["tokens-train", "tokens-val"]', "data.weights=[3, 1]")
        status, _, err = self.run_oriel("train", "job.toml", *self.flags(("run_dir=whole",) + mixture))
        self.assertEqual(status, 0, err)
        self.assertRegex(err, r"75.00 % of the rows from \S.*tokens-train: 0.\d\d epochs of its \d+\n")
        self.assertRegex(err, r"25.00 % of the rows from \S.*tokens-val: \d")
        self.train("parts", *mixture, fail="step:1:7:term", ranks=2)
        self.train("parts", *mixture)
        self.assert_same_run("parts", "whole")
        self.train("plain")
        self.assertNotEqual(self.losses("plain"), self.losses("whole"))

    def test_another_seed_is_another_run(self):
        self.train("one", "training.steps=2")
        self.train("other", "training.steps=2", "training.seed=2")
        self.assertNotEqual(self.losses("one"), self.losses("other"))
        self.assertNotEqual(self.weights("one"), self.weights("other"))

    def test_training_learns(self):
        self.train("run", "training.steps=60", "optimizer.lr=1e-2", "validation.every=60")
        losses = [value for _, name, value in self.losses("run") if name == "train/loss"]
        self.assertAlmostEqual(losses[0], 5.55, delta=0.3)  # ln 257: nothing is known
        self.assertLess(losses[-1], 3.2)


if __name__ == "__main__":
    main()
