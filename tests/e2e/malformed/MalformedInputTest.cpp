// Damaged jobs, token files, checkpoints, safetensors and models, given to the programs as a user would: each is one
// clear error on standard error, exit status 1 or 2, no crash, and nothing half written.
#include "trainer/checkpoint/CheckpointStore.h"
#include "trainer/checkpoint/Safetensors.h"
#include "trainer/data/TokenFile.h"

#include "runtime/base/Clock.h"
#include "runtime/base/Subprocess.h"

#include "tests/unit/trainer/TemporaryFolder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <filesystem>

namespace oriel::trainer {
namespace {

using testing::HasSubstr;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true; // and reads no sentencepiece models: see SentencePieceLoader.cpp
#else
constexpr bool sanitized = false;
#endif

class MalformedInput : public testing::Test {
protected:
  /// Runs a program of the build with arguments and expects an error that contains `expected`.
  void expectError(std::vector<std::string> arguments, const std::string &expected) {
    const std::string shown = arguments[0] + " " + arguments[1];
    arguments[0] = std::string(ORIEL_BIN) + "/" + arguments[0];
    absl::StatusOr<runtime::ProcessResult> result = runtime::runProcess(arguments, runtime::Deadline::after(60));
    ASSERT_TRUE(result.ok()) << result.status();
    const std::string &error = result->standardError;
    EXPECT_TRUE(result->exitStatus == 1 || result->exitStatus == 2)
        << shown << " ended with " << result->exitStatus << "\n"
        << error;
    EXPECT_THAT(error, HasSubstr(expected)) << shown;
    EXPECT_LE(std::count(error.begin(), error.end(), '\n'), 8) << "one clear error, not a flood:\n" << error;
    EXPECT_THAT(error, testing::Not(HasSubstr("terminate called")));
  }

  void expectJobError(const std::string &toml, const std::string &expected) {
    writeText(folder / "job.toml", toml);
    expectError({"oriel", "train", folder / "job.toml", "--dry-run"}, expected);
    EXPECT_FALSE(std::filesystem::exists(folder / "run")) << "nothing is made for a job that cannot run";
  }

  TemporaryFolder folder;
};

TEST_F(MalformedInput, Jobs) {
  const std::string head = "model = 'm.oriel'\nrun_dir = 'run'\n[data]\ntrain = 'tokens'\n";
  expectJobError("", "model is missing");
  expectJobError("model = 'm.oriel'\n", "data.train is missing");
  expectJobError(head + "[training]\nstpes = 3\n", "job.toml:6: unknown key 'training.stpes'; did you mean 'steps'?");
  expectJobError(head + "[training]\nsteps = 'ten'\n", "job.toml:6: training.steps wants an integer, not a string");
  expectJobError(head + "[training]\nsteps = -1\n", "training.steps = -1 is below 0");
  expectJobError(head + "[training]\nbatch = 12\nmicro_batch = 4\n", "power of two");
  expectJobError(head + "[optimizer]\nlr = nan\n", "optimizer.lr");
  expectJobError(head + "[schedule]\nkind = 'linear'\n", "not one of cosine, wsd, constant");
  expectJobError("model = [unclosed\n", "job.toml:");
  expectJobError(std::string("model = '\xff\xfe'\n"), "job.toml:1");
  expectJobError(head, "m.oriel");
  expectError({"oriel", "train", folder / "none.toml"}, "none.toml");
  expectError({"oriel", "train", folder.path()}, folder.path());
}

TEST_F(MalformedInput, TokenFiles) {
  const std::string prefix = folder / "tokens";
  {
    absl::StatusOr<TokenFileWriter> writer = TokenFileWriter::create(prefix, 257);
    ASSERT_TRUE(writer.ok() && writer->addDocument(std::vector<int32_t>{72, 105, 256}).ok() && writer->finish().ok());
  }
  const std::string index = readText(prefix + ".idx"), bin = readText(prefix + ".bin");
  auto expectTokenError = [&](const std::string &newIndex, const std::string &newBin, const std::string &expected) {
    writeText(prefix + ".idx", newIndex);
    writeText(prefix + ".bin", newBin);
    expectError({"oriel", "data", "inspect", prefix}, expected);
  };
  auto changed = [](std::string bytes, size_t at, char value) {
    bytes[at] = value;
    return bytes;
  };
  expectTokenError(changed(index, 0, 'X'), bin, "tokens.idx: not a valid token index");
  expectTokenError(changed(index, 9, 9), bin, "version 9");
  expectTokenError(changed(index, 17, 3), bin, "dtype code 3");
  expectTokenError(index.substr(0, 30), bin, "tokens.idx");
  expectTokenError("", bin, "tokens.idx");
  expectTokenError(index, bin.substr(0, 5), "tokens.bin: truncated at offset 5");
  expectTokenError(index, std::string("\xff\xff\x01\x00\x00\x01", 6), "token 65535 at byte offset 0");
  expectError({"oriel", "data", "inspect", folder / "absent"}, "absent.idx");
  writeText(folder / "bad.jsonl", "{\"text\": 3}\n");
  expectError({"oriel", "data", "tokenize", folder / "bad.jsonl", "--documents", "jsonl", "--output", folder / "out"},
              "bad.jsonl:1: there is no string 'text'");
  writeText(folder / "bad.model", "no model");
  expectError({"oriel", "data", "tokenize", folder / "bad.jsonl", "--tokenizer", folder / "bad.model", "--output",
               folder / "out"},
              sanitized ? "bad.model: a build with sanitizers" : "bad.model: not a sentencepiece model");
  EXPECT_FALSE(std::filesystem::exists(folder / "out.bin"));
}

TEST_F(MalformedInput, Checkpoints) {
  std::vector<float> values(512, 0.5f);
  CheckpointInfo info{7, 112, 1, "run", "plan", "config", 512, {{"w", {512}, 0}}, {}};
  CheckpointStore store(folder / "c");
  ASSERT_TRUE(store.prepare(info, {{0, values, values, values}}, 0, 1, "t").ok());
  ASSERT_TRUE(store.commit(info, 1, "t").ok());
  const std::string step = store.folderOfStep(7), shard = step + "/shard-00000-of-00001.safetensors",
                    manifest = step + "/manifest.json";
  const std::string goodShard = readText(shard), goodManifest = readText(manifest);
  auto expectDamage = [&](const std::string &path, const std::string &bytes, const std::string &expected) {
    const std::string good = readText(path);
    writeText(path, bytes);
    expectError({"oriel", "export", step, "--output", folder / "out"}, expected);
    EXPECT_FALSE(std::filesystem::exists(folder / "out/model.safetensors"));
    writeText(path, good);
  };
  std::string flipped = goodShard;
  flipped.back() = static_cast<char>(flipped.back() ^ 4);
  expectDamage(shard, flipped, "tensor 'adam_v@0'");
  expectDamage(shard, goodShard.substr(0, 99), "truncated at offset 99");
  expectDamage(shard, "", "truncated at offset 0");
  expectDamage(manifest, goodManifest.substr(0, 50), "manifest.json");
  expectDamage(manifest, "{}", "manifest.json");
  std::string otherStep = goodManifest;
  otherStep.replace(otherStep.find("\"step\":7"), 8, "\"step\":8");
  expectDamage(manifest, otherStep, "checksum");
  expectError({"oriel", "export", folder / "nothing", "--output", folder / "out"}, "nothing");
}

TEST_F(MalformedInput, Safetensors) {
  auto expectVerifyError = [&](const std::string &bytes, const std::string &expected) {
    writeText(folder / "case.safetensors", bytes);
    expectError({"oriel", "verify", folder / "case.safetensors"}, expected);
  };
  auto fileOf = [](const std::string &header, const std::string &data) {
    uint64_t length = header.size();
    return std::string(reinterpret_cast<const char *>(&length), 8) + header + data;
  };
  absl::StatusOr<runtime::ProcessResult> help =
      runtime::runProcess({std::string(ORIEL_BIN) + "/oriel", "verify", "--help"}, runtime::Deadline::after(60));
  if (!help.ok() || help->exitStatus != 0)
    GTEST_SKIP() << "this build has no `oriel verify`";
  expectVerifyError("", "case.safetensors");
  expectVerifyError(fileOf("{", ""), "not valid UTF-8 JSON");
  expectVerifyError(std::string(8, '\xff'), "at most 100000000");
  expectVerifyError(fileOf(R"({"q":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "abcd"), "tensor 'q'");
  expectVerifyError(fileOf(R"({"q":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "abcdef"),
                    "follow the last tensor");
  expectVerifyError(fileOf(R"({"q":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "abcd"), "case.safetensors");
  expectError({"oriel", "verify", folder / "none.safetensors"}, "none.safetensors");
}

TEST_F(MalformedInput, Models) {
  if (!std::filesystem::exists(std::string(ORIEL_BIN) + "/orielc"))
    GTEST_SKIP() << "this build has no compiler";
  auto expectModelError = [&](const std::string &text, const std::string &expected) {
    writeText(folder / "m.oriel", text);
    expectError({"orielc", folder / "m.oriel", "-o", folder / "package"}, expected);
    EXPECT_FALSE(std::filesystem::exists(folder / "package/plan.pb"));
  };
  expectModelError("", "m.oriel");
  expectModelError("model", "m.oriel:1");
  expectModelError("model m { d = }", "m.oriel:1");
  expectModelError("model m { d = 8 embed(vocab = 257, dim = d) | ratention(4) | unembed(tied) | cross_entropy }",
                   "m.oriel:1");
  expectModelError("model m { embed(vocab = 257, dim = 8) | rms_norm ", "m.oriel:1");
  expectModelError("model m { embed(vocab = 257, dim = unknown) | unembed(tied) | cross_entropy }", "unknown");
  expectModelError(std::string("model m { \x01\xff }"), "m.oriel:1");
  expectError({"orielc", folder / "none.oriel", "-o", folder / "package"}, "none.oriel");
}

} // namespace
} // namespace oriel::trainer
