#include "trainer/tokenizer/huggingface/AddedTokens.h"

#include "trainer/tokenizer/huggingface/Utf8.h"

#include <algorithm>

namespace oriel::trainer::huggingface {

AddedTokens::AddedTokens(std::span<const AddedToken> tokens) : tokens_(tokens.begin(), tokens.end()) {
  for (size_t i = 0; i < tokens_.size(); ++i)
    insert(tokens_[i].content, static_cast<int32_t>(i));
}

int32_t AddedTokens::next(int32_t node, unsigned char byte) const {
  const auto &edges = nodes_[static_cast<size_t>(node)].edges;
  auto edge = std::lower_bound(edges.begin(), edges.end(), std::make_pair(byte, int32_t{0}));
  return edge != edges.end() && edge->first == byte ? edge->second : -1;
}

void AddedTokens::insert(std::string_view content, int32_t token) {
  begins_[static_cast<unsigned char>(content.front())] = true;
  int32_t node = 0;
  for (char c : content) {
    const auto byte = static_cast<unsigned char>(c);
    int32_t child = next(node, byte);
    if (child < 0) {
      child = static_cast<int32_t>(nodes_.size());
      nodes_.emplace_back();
      auto &edges = nodes_[static_cast<size_t>(node)].edges;
      edges.insert(std::upper_bound(edges.begin(), edges.end(), std::make_pair(byte, child)), {byte, child});
    }
    node = child;
  }
  nodes_[static_cast<size_t>(node)].token = token;
}

std::pair<int32_t, size_t> AddedTokens::longestAt(std::string_view text) const {
  std::pair<int32_t, size_t> found{-1, 0};
  int32_t node = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    node = next(node, static_cast<unsigned char>(text[i]));
    if (node < 0)
      break;
    if (const int32_t token = nodes_[static_cast<size_t>(node)].token; token >= 0)
      found = {token, i + 1};
  }
  return found;
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text) const {
  std::vector<Part> parts;
  size_t open = 0; // where the text begins that is in no part yet
  for (size_t at = 0; at < text.size();) {
    const auto [place, length] =
        begins_[static_cast<unsigned char>(text[at])] ? longestAt(text.substr(at)) : std::pair<int32_t, size_t>{-1, 0};
    if (place < 0) {
      ++at;
      continue;
    }
    const AddedToken &token = tokens_[static_cast<size_t>(place)];
    size_t begin = at, end = at + length;
    if (token.stripLeft)
      begin -= trailingSpace(text.substr(open, begin - open));
    if (token.stripRight)
      end += leadingSpace(text.substr(end));
    if (open < begin)
      parts.push_back({text.substr(open, begin - open), -1});
    parts.push_back({text.substr(begin, end - begin), token.id});
    open = at = end;
  }
  if (open < text.size())
    parts.push_back({text.substr(open), -1});
  return parts;
}

} // namespace oriel::trainer::huggingface
