// The few calls of sentencepiece we use, without its headers: they put their own `string_view` into namespace absl,
// which Debian's abseil forbids in the same translation unit. Only SentencePieceBridge.cpp includes them.
//
// It lies in a plug-in of its own (build/bin/oriel_sentencepiece.so, loaded by SentencePieceLoader.cpp on first use): Debian's
// libsentencepiece carries an old protobuf inside and exports its symbols, so that a program which links both it and
// libprotobuf uses one through the headers of the other and crashes, most often before main.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace oriel::trainer {

class SentencePieceBridge {
public:
  /// Null, with the reason in `error`, when the bytes are no model.
  static std::unique_ptr<SentencePieceBridge> fromBytes(std::string_view modelBytes, std::string &error);
  virtual ~SentencePieceBridge() = default;

  virtual std::vector<int> encode(std::string_view text) const = 0;
  virtual std::string decode(const std::vector<int> &ids) const = 0;
  virtual int vocabSize() const = 0;
  virtual int endId() const = 0; // -1 when there is none
  virtual bool isControl(int id) const = 0;

  /// Trains and writes `prefix`.model (and .vocab). An empty result is success, otherwise the reason.
  static std::string train(const std::vector<std::string> &inputs, const std::string &prefix, int vocabSize,
                           const std::string &kind);
};

/// What the plug-in exports, as `extern "C" const SentencePieceFunctions *orielSentencePiece()`.
struct SentencePieceFunctions {
  std::unique_ptr<SentencePieceBridge> (*fromBytes)(std::string_view modelBytes, std::string &error);
  std::string (*train)(const std::vector<std::string> &inputs, const std::string &prefix, int vocabSize,
                       const std::string &kind);
};

} // namespace oriel::trainer
