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

/// Null, with the reason in `error`, when the plug-in or the library below it is missing.
const SentencePieceFunctions *plugin(std::string &error) {
  // The flags let the plug-in prefer its own libraries' symbols to those of the program.
  static void *handle = ::dlopen(pluginPath().c_str(), ORIEL_PLUGIN_FLAGS);
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
  return functions ? functions->fromBytes(modelBytes, error) : nullptr;
}

std::string SentencePieceBridge::train(const std::vector<std::string> &inputs, const std::string &prefix, int vocabSize,
                                       const std::string &kind) {
  std::string error;
  const SentencePieceFunctions *functions = plugin(error);
  return functions ? functions->train(inputs, prefix, vocabSize, kind) : error;
}

} // namespace oriel::trainer
