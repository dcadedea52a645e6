// Tests where this machine's descriptor and record are looked for.
#include "runtime/base/TuningFiles.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace oriel::runtime {
namespace {

namespace fs = std::filesystem;

struct TuningFilesTest : testing::Test {
  void TearDown() override {
    for (const char *name : {"ORIEL_TUNING_DIR", "XDG_CONFIG_HOME"})
      unsetenv(name);
  }
};

TEST_F(TuningFilesTest, TheDeviceIsOneWordWithItsCores) {
  std::string name = hostDeviceName();
  EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"), std::string::npos) << name;
  EXPECT_NE(name.find("-x"), std::string::npos) << name;
}

TEST_F(TuningFilesTest, TheVariableOfOrielWins) {
  setenv("XDG_CONFIG_HOME", "/config", 1);
  EXPECT_EQ(tuningFilePlaces().device, "/config/oriel/" + hostDeviceName() + ".device");
  setenv("ORIEL_TUNING_DIR", "/tuning", 1);
  EXPECT_EQ(tuningFilePlaces().record, "/tuning/" + hostDeviceName() + ".tuning");
}

TEST_F(TuningFilesTest, FindsOnlyWhatIsThere) {
  std::string folder = (fs::temp_directory_path() / "oriel-tuning-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  setenv("ORIEL_TUNING_DIR", folder.c_str(), 1);
  EXPECT_EQ(findTuningFiles().record, "");
  std::ofstream(tuningFilePlaces().record) << "device d\n";
  EXPECT_EQ(findTuningFiles().record, tuningFilePlaces().record);
  EXPECT_EQ(findTuningFiles().device, "");
  fs::remove_all(folder);
}

} // namespace
} // namespace oriel::runtime
