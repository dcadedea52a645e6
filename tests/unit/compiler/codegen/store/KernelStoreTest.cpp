// The store of kernels' machine code, and compilations by way of one: the same bytes from a hit, and a miss for whatever
// the code depends on.
#include "compiler/codegen/store/KernelStore.h"

#include "compiler/codegen/cpu/CpuCodegen.h"
#include "compiler/codegen/store/UserStore.h"
#include "runtime/base/Files.h"
#include "runtime/base/TemporaryFolder.h"
#include "tests/support/tile/KernelRunner.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <filesystem>

namespace oriel::codegen {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::Optional;

constexpr char add[] = R"(
tile.kernel @NAME(%a: memref<16x16xf32>, %b: memref<16x16xf32>) grid(%x, %y, %z) in [1, 1, 1] outputs 1 {
  %c0 = arith.constant 0 : index
  %0 = tile.load %a[%c0, %c0] rows 0 cols 1 : memref<16x16xf32> -> tensor<16x16xf32>
  %1 = tile.map ins(%0 : tensor<16x16xf32>) -> tensor<16x16xf32> {
  ^bb0(%v: f32):
    %k = arith.constant CONSTANT : f32
    %s = arith.addf %v, %k : f32
    tile.yield %s : f32
  }
  tile.store %1, %b[%c0, %c0] rows 0 cols 1 : tensor<16x16xf32>, memref<16x16xf32>
  tile.return
}
)";

std::string kernelText(const std::string &name, const std::string &constant) {
  std::string text = add;
  text.replace(text.find("NAME"), 4, name);
  return text.replace(text.find("CONSTANT"), 8, constant);
}

class KernelStoreTest : public ::testing::Test {
protected:
  KernelStore store(const std::string &maker = "maker", int64_t mostBytes = 1 << 20) const {
    return {folder(), maker, mostBytes};
  }
  std::string folder() const { return folder_.path() + "/kernels"; }
  std::string path(const std::string &entry) const { return folder() + "/" + entry; }

  /// Names of the entries, without the stamp of the last sweep.
  std::vector<std::string> entries() const {
    std::vector<std::string> names;
    for (const auto &entry : fs::directory_iterator(folder()))
      if (entry.path().filename() != "swept")
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  void setAge(const std::string &entry, fs::file_time_type::duration age) const {
    fs::last_write_time(path(entry), fs::file_time_type::clock::now() - age);
  }

  /// The bytes of the library that the text's kernels become.
  std::string compile(const std::string &text, const KernelStore &with, const CpuTarget &target = CpuTarget::baseline()) {
    tests::KernelRunner runner;
    EXPECT_EQ(runner.parse(text), "");
    std::string library = folder_.path() + "/library.so";
    EXPECT_TRUE(succeeded(compileKernels(runner.module(), target, with, library)));
    return runtime::readFile(library).value_or("");
  }

  runtime::TemporaryFolder folder_ = *runtime::TemporaryFolder::create("oriel-store-test");
};

TEST_F(KernelStoreTest, FindsWhatWasKept) {
  EXPECT_EQ(store().find("key"), std::nullopt);
  store().keep("key", {"one", "", std::string("t\0wo", 4)});
  EXPECT_THAT(store().find("key"), Optional(ElementsAre("one", "", std::string("t\0wo", 4))));
  EXPECT_EQ(store().find("another"), std::nullopt);
}

TEST_F(KernelStoreTest, ADamagedEntryIsNone) {
  store().keep("key", {"some machine code"});
  std::string whole = *runtime::readFile(path("key"));
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] ^= 1;
    ASSERT_TRUE(runtime::replaceFile(path("key"), flipped).ok());
    EXPECT_EQ(store().find("key"), std::nullopt) << "byte " << at;
    ASSERT_TRUE(runtime::replaceFile(path("key"), whole.substr(0, at)).ok());
    EXPECT_EQ(store().find("key"), std::nullopt) << "cut to " << at;
  }
  store().keep("key", {"some machine code"});
  EXPECT_THAT(store().find("key"), Optional(ElementsAre("some machine code")));
}

TEST_F(KernelStoreTest, AFolderThatIsNoneKeepsNothing) {
  for (const KernelStore &none : {KernelStore("/proc/none", "maker"), KernelStore("", "maker"), KernelStore(folder(), "")}) {
    none.keep("key", {"code"});
    EXPECT_EQ(none.find("key"), std::nullopt);
  }
  EXPECT_FALSE(fs::exists(folder()));
}

TEST_F(KernelStoreTest, RemovesWhatNobodyUses) {
  for (const char *key : {"old", "used", "new"})
    store().keep(key, {"code"});
  setAge("old", 31 * 24h);
  setAge("used", 29 * 24h);
  EXPECT_NE(store().find("used"), std::nullopt); // which says that it is used
  store().sweep();
  EXPECT_THAT(entries(), ElementsAre("new", "used"));
  setAge("new", 2h);
  store().sweep();
  EXPECT_THAT(entries(), ElementsAre("new", "used"));
  EXPECT_NE(store().find("used"), std::nullopt);
}

TEST_F(KernelStoreTest, RemovesTheLeastRecentlyUsedOfTooMuch) {
  std::string code(1000, 'x');
  for (int i = 0; i < 6; ++i) {
    store().keep(std::to_string(i), {code});
    setAge(std::to_string(i), std::chrono::hours(i));
  }
  store("maker", 3500).sweep();
  EXPECT_THAT(entries(), ElementsAre("0", "1", "2"));
}

TEST_F(KernelStoreTest, WhoeverKeepsMakesRoomNowAndThen) {
  store().keep("old", {"code"});
  setAge("old", 31 * 24h);
  store().keep("new", {"code"});
  EXPECT_THAT(entries(), ElementsAre("new", "old")) << "not yet: somebody has, in this hour";
  setAge("swept", 2h);
  store().keep("newer", {"code"});
  EXPECT_THAT(entries(), ElementsAre("new", "newer"));
}

TEST_F(KernelStoreTest, AHitGivesTheBytesOfAMiss) {
  std::string text = kernelText("one", "1.0") + kernelText("two", "2.0"), without = compile(text, KernelStore());
  EXPECT_EQ(compile(text, store()), without);
  EXPECT_EQ(entries().size(), 2u);
  EXPECT_EQ(compile(text, store()), without);
  EXPECT_EQ(compile(kernelText("two", "2.0"), store()), compile(kernelText("two", "2.0"), KernelStore()));
  EXPECT_EQ(entries().size(), 2u) << "a kernel is compiled once, whatever stands beside it";
}

TEST_F(KernelStoreTest, TakesTheCodeFromTheEntry) {
  compile(kernelText("one", "1.0"), store());
  std::string entry = entries().at(0);
  std::string other = compile(kernelText("one", "5.0"), store());
  ASSERT_EQ(entries().size(), 2u);
  fs::rename(path(entries()[entries()[0] == entry ? 1 : 0]), path(entry));
  EXPECT_EQ(compile(kernelText("one", "1.0"), store()), other);
}

TEST_F(KernelStoreTest, MissesWhateverTheCodeDependsOn) {
  std::vector<std::string> texts = {kernelText("one", "1.0"), kernelText("other", "1.0"), kernelText("one", "1.5")};
  for (const std::string &text : texts)
    compile(text, store());
  EXPECT_EQ(entries().size(), 3u) << "name and constants";
  CpuTarget tuned = CpuTarget::baseline();
  tuned.cpu = "znver4";
  compile(texts[0], store(), tuned);
  EXPECT_EQ(entries().size(), 4u) << "what it is tuned for";
  compile(texts[0], store(), CpuTarget::avx2());
  EXPECT_EQ(entries().size(), 5u) << "instruction-set extensions";
  compile(texts[0], store("another maker"));
  EXPECT_EQ(entries().size(), 6u) << "code generator";
}

TEST(UserStore, KnowsTheGenerators) {
  EXPECT_THAT(hashOfGenerators(), ::testing::MatchesRegex("[0-9a-f]{64} [0-9A-F]{16,} [0-9A-F]{16,}"));
}

} // namespace
} // namespace oriel::codegen
