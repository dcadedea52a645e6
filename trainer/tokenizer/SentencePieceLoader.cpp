// Loads the plug-in with the sentencepiece library and forwards to it. See SentencePieceBridge.h for why it is one.
#include "trainer/tokenizer/SentencePieceBridge.h"

#include <dlfcn.h>
#include <filesystem>

namespace oriel::trainer {
namespace {

/// Beside the running program, or where the build put it (for test programs in another folder).
std::string pluginPath() {
  std::error_code error;
  auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  auto beside = self.parent_path() / "oriel_sentencepiece.so";
  return !error && std::filesystem::exists(beside, error) ? beside.string() : ORIEL_SENTENCEPIECE_PLUGIN;
}

/// The plug-in prefers its own libraries' symbols to those of the program: sentencepiece brings a protobuf of its own.
/// Sanitizers refuse that.
constexpr int loadFlags = RTLD_NOW | RTLD_LOCAL | (ORIEL_SANITIZED ? 0 : RTLD_DEEPBIND);

/// Whether the plug-in's protobuf would be taken for the program's.
bool wouldMixProtobufs() {
  return ORIEL_SANITIZED && ::dlsym(RTLD_DEFAULT, "_ZN6google8protobuf8internal13VerifyVersionEiiPKc");
}

/// Null, with the reason in `error`, when the plug-in or the library below it is missing.
const SentencePieceFunctions *plugin(std::string &error) {
  if (wouldMixProtobufs()) {
    error = "a build with sanitizers cannot read sentencepiece models beside protobuf; use another build";
    return nullptr;
  }
  static void *handle = ::dlopen(pluginPath().c_str(), loadFlags);
  if (!handle) {
    error = "cannot load the sentencepiece plug-in " + pluginPath();
    return nullptr;
  }
  auto get = reinterpret_cast<const SentencePieceFunctions *(*)()>(::dlsym(handle, "orielSentencePiece"));
  if (!get)
    error = pluginPath() + " is not the sentencepiece plug-in";
  return get ? get() : nullptr;
}

} // namespace

std::unique_ptr<SentencePieceBridge> SentencePieceBridge::fromBytes(std::string_view modelBytes, std::string &error) {
  const SentencePieceFunctions *functions = plugin(error);
  if (!functions)
    return nullptr;
  std::unique_ptr<SentencePieceBridge> bridge = functions->fromBytes(modelBytes, error);
  if (!bridge)
    error = "not a sentencepiece model: " + error;
  return bridge;
}

std::string SentencePieceBridge::train(const std::vector<std::string> &inputs, const std::string &prefix, int vocabSize,
                                       const std::string &kind) {
  std::string error;
  const SentencePieceFunctions *functions = plugin(error);
  return functions ? functions->train(inputs, prefix, vocabSize, kind) : error;
}

} // namespace oriel::trainer
