// A checkpoint exported to named tensors.
#include "trainer/checkpoint/ExportModel.h"
#include "trainer/checkpoint/Safetensors.h"

#include "tests/unit/trainer/checkpoint/CheckpointFixture.h"

#include "nlohmann/json.hpp"

namespace oriel::trainer {
namespace {

class ExportModelTest : public CheckpointFixture {};

TEST_F(ExportModelTest, CutsTheFlatVectorIntoParameters) {
  CheckpointStore store(folder / "c");
  ASSERT_TRUE(save(store, 10, 2).ok());
  ASSERT_TRUE(save(store, 20, 2).ok());
  absl::StatusOr<CheckpointInfo> exported = exportModel(folder / "c", folder / "out");
  ASSERT_TRUE(exported.ok()) << exported.status();
  EXPECT_EQ(exported->step, 20);
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::open(folder / "out/model.safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  std::vector<float> all = flat(0, 20, used);
  EXPECT_EQ(file->tensors().size(), 4u);
  EXPECT_EQ(file->find("wq")->toFloats(), std::vector<float>(all.begin() + 2304, all.begin() + 4804));
  EXPECT_EQ(file->find("embed")->shape, (std::vector<int64_t>{37, 53}));
  nlohmann::json config = nlohmann::json::parse(readText(folder / "out/config.json"));
  EXPECT_EQ(config["step"], 20);
  EXPECT_EQ(config["tokenizer"], "byte");
  EXPECT_EQ(config["parameter_count"], 1961 + 64 + 2500 + 300);
  ASSERT_TRUE(exportModel(folder / "c/step-000000010", folder / "out").ok()) << "one step, over an older export";
  EXPECT_EQ(nlohmann::json::parse(readText(folder / "out/config.json"))["step"], 10);
}

TEST_F(ExportModelTest, ExportsNothingWithoutAGoodCheckpoint) {
  EXPECT_EQ(exportModel(folder / "c", folder / "out").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

} // namespace
} // namespace oriel::trainer
