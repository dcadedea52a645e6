// Tests where this machine's descriptor and record are looked for.
#include "runtime/base/TemporaryFolder.h"
#include "runtime/base/TuningFiles.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace oriel::runtime {
namespace {

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
  auto folder = TemporaryFolder::create("oriel-tuning");
  ASSERT_TRUE(folder.ok()) << folder.status();
  setenv("ORIEL_TUNING_DIR", folder->path().c_str(), 1);
  EXPECT_EQ(findTuningFiles().record, "");
  std::ofstream(tuningFilePlaces().record) << "device d\n";
  EXPECT_EQ(findTuningFiles().record, tuningFilePlaces().record);
  EXPECT_EQ(findTuningFiles().device, "");
}

} // namespace
} // namespace oriel::runtime
