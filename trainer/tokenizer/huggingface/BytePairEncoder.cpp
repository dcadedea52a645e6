#include "trainer/tokenizer/huggingface/BytePairEncoder.h"

#include "trainer/tokenizer/huggingface/Utf8.h"

#include "runtime/base/Status.h"

#include "fmt/format.h"

#include <algorithm>
#include <queue>

namespace oriel::trainer::huggingface {
namespace {

/// A token of a word that is being merged; a list, so that a merge costs no move. A token that was merged away has id
/// -1.
struct Symbol {
  int32_t id, previous, next;
};

/// A merge that was possible when it was queued: it is stale when the symbol at `place` and its neighbour no longer
/// make `id`.
struct Candidate {
  int32_t rank, place, id;
  bool operator>(const Candidate &other) const { return rank != other.rank ? rank > other.rank : place > other.place; }
};

} // namespace

const BytePairEncoder::Entry *BytePairEncoder::find(std::string_view text) const {
  auto entry = vocab_.find(absl::string_view(text.data(), text.size()));
  return entry == vocab_.end() ? nullptr : &entry->second;
}

absl::Status BytePairEncoder::addMerge(const std::string &left, const std::string &right, int32_t rank) {
  int32_t ids[3];
  const std::string texts[3] = {left, right, left + right};
  for (int i = 0; i < 3; ++i) {
    const Entry *entry = find(texts[i]);
    if (!entry)
      return absl::InvalidArgumentError(fmt::format("model.merges[{}]: model.vocab has no token '{}'", rank, texts[i]));
    ids[i] = entry->id;
  }
  merges_.insert_or_assign(Pair(ids[0], ids[1]), Merge{rank, ids[2]});
  return absl::OkStatus();
}

absl::StatusOr<BytePairEncoder> BytePairEncoder::create(const Model &model) {
  BytePairEncoder encoder;
  encoder.byteIds_ = model.byteIds;
  encoder.overBytes_ = model.overBytes;
  encoder.vocab_.reserve(model.vocab.size());
  for (const auto &[text, id] : model.vocab) {
    encoder.vocab_.insert_or_assign(text, Entry{id, false});
    encoder.longest_ = std::max(encoder.longest_, text.size());
  }
  encoder.merges_.reserve(model.merges.size());
  for (size_t i = 0; i < model.merges.size(); ++i)
    ORIEL_RETURN_IF_ERROR(encoder.addMerge(model.merges[i].first, model.merges[i].second, static_cast<int32_t>(i)));
  std::vector<int32_t> ids;
  for (auto &[text, entry] : encoder.vocab_) {
    ids.clear();
    if (!model.ignoreMerges)
      encoder.mergeInto(encoder.unitsOf(text), ids);
    entry.whole = model.ignoreMerges || (ids.size() == 1 && ids[0] == entry.id);
  }
  return encoder;
}

std::vector<int32_t> BytePairEncoder::unitsOf(std::string_view word) const {
  std::vector<int32_t> units;
  units.reserve(word.size());
  for (size_t at = 0; at < word.size();) {
    const size_t bytes = overBytes_ ? 1 : characterAt(word, at).bytes;
    const Entry *entry = overBytes_ ? nullptr : find(word.substr(at, bytes));
    if (entry)
      units.push_back(entry->id);
    for (size_t i = 0; i < bytes && !entry; ++i)
      units.push_back(byteIds_[static_cast<unsigned char>(word[at + i])]);
    at += bytes;
  }
  return units;
}

void BytePairEncoder::mergeInto(const std::vector<int32_t> &units, std::vector<int32_t> &ids) const {
  const auto count = static_cast<int32_t>(units.size());
  std::vector<Symbol> symbols(units.size());
  std::vector<Candidate> storage;
  storage.reserve(units.size());
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue({}, std::move(storage));
  auto mergeAt = [&](int32_t place) {
    const int32_t next = symbols[place].next;
    return next < 0 ? merges_.end() : merges_.find(Pair(symbols[place].id, symbols[next].id));
  };
  auto consider = [&](int32_t place) {
    if (auto merge = mergeAt(place); merge != merges_.end())
      queue.push({merge->second.rank, place, merge->second.id});
  };
  for (int32_t i = 0; i < count; ++i)
    symbols[i] = {units[i], i - 1, i + 1 < count ? i + 1 : -1};
  for (int32_t i = 0; i + 1 < count; ++i)
    consider(i);
  while (!queue.empty()) {
    const Candidate candidate = queue.top();
    queue.pop();
    Symbol &symbol = symbols[candidate.place];
    if (auto merge = mergeAt(candidate.place);
        symbol.id < 0 || merge == merges_.end() || merge->second.id != candidate.id)
      continue;
    Symbol &right = symbols[symbol.next];
    symbol.id = candidate.id;
    right.id = -1;
    symbol.next = right.next;
    if (symbol.next >= 0)
      symbols[symbol.next].previous = candidate.place;
    if (symbol.previous >= 0)
      consider(symbol.previous);
    consider(candidate.place);
  }
  for (int32_t i = count == 0 ? -1 : 0; i >= 0; i = symbols[i].next)
    ids.push_back(symbols[i].id);
}

void BytePairEncoder::encode(std::string_view word, std::vector<int32_t> &ids) const {
  const Entry *entry = word.size() <= longest_ ? find(word) : nullptr;
  if (entry && entry->whole)
    ids.push_back(entry->id);
  else
    mergeInto(unitsOf(word), ids);
}

} // namespace oriel::trainer::huggingface
