"""Tests training in bf16: it has one result as in f32, it follows the loss of f32, and what it leaves is f32."""
from harness import OrielTest, main

BF16 = 'training.dtype="bf16"'


class Bf16(OrielTest):
    def train_losses(self, run):
        return [value for _, name, value in self.losses(run) if name == "train/loss"]

    def test_two_runs_threads_and_ranks(self):
        self.train("first", BF16, "training.threads=1")
        self.train("second", BF16, "training.threads=1")
        self.train("threads", BF16, "training.threads=3")
        self.train("ranks", BF16, ranks=2)
        for other in ("second", "threads", "ranks"):
            self.assert_same_run("first", other)

    def test_the_loss_follows_f32(self):
        options = ("training.steps=60", "optimizer.lr=1e-2", "validation.every=60")
        self.train("f32", *options)
        self.train("bf16", BF16, *options)
        wide, narrow = self.train_losses("f32"), self.train_losses("bf16")
        self.assertNotEqual(wide, narrow)
        self.assertLess(narrow[-1], 3.2)
        for step, (a, b) in enumerate(zip(wide, narrow)):
            self.assertAlmostEqual(a, b, delta=0.01 * a, msg=f"step {step}")


if __name__ == "__main__":
    main()
