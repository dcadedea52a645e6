// Finds added tokens in a text: the leftmost, and of those that begin at one place the longest.
#pragma once

#include "trainer/tokenizer/huggingface/TokenizerJson.h"

#include <array>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace oriel::trainer::huggingface {

/// Thread safe after creation.
class AddedTokens {
public:
  struct Part {
    std::string_view text;
    int32_t token; // -1: text between tokens
  };

  explicit AddedTokens(std::span<const AddedToken> tokens);

  /// The text cut at the tokens in it; no part is empty.
  std::vector<Part> split(std::string_view text) const;

private:
  // A trie over bytes. A node's edges are sorted by their byte.
  struct Node {
    std::vector<std::pair<unsigned char, int32_t>> edges;
    int32_t token = -1; // place in tokens_
  };
  int32_t next(int32_t node, unsigned char byte) const;
  void insert(std::string_view content, int32_t token);
  /// Place in tokens_ and length of the longest token at the beginning of the text; {-1, 0}: none.
  std::pair<int32_t, size_t> longestAt(std::string_view text) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_{1};
  std::array<bool, 256> begins_{}; // whether a token begins with the byte
};

} // namespace oriel::trainer::huggingface
